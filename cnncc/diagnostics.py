"""What LLVM says on stderr while it emits: the size of each function's frame, and what is wrong.

LLVM tells frames as warnings, of functions with the attribute "warn-stack-size" (`codegen/llvm/emitter.py`), in all
object formats. llvmlite has no function that takes its diagnostics, so they are read where they are written.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_BEGINNING = b"warning: <unknown>:"
_FRAME = re.compile(
    _BEGINNING + rb"[0-9:]* stack frame size \(([0-9]+)\) exceeds limit \(0\) in function '([^']+)'\r?\n"
)
_END = b"\0cnncc: the end\0\n"
_ONE_BY_ONE = threading.Lock()
_PATIENCE = 0.1  # seconds; the thread ends at once, unless another process has our pipe


def frames_in(said: bytes) -> tuple[dict[str, int], bytes]:
    """The bytes of the frame of each function that has one, and what else was said."""
    frames = {match[2].decode(): int(match[1]) for match in _FRAME.finditer(said)}
    return frames, _FRAME.sub(b"", said)


def can_listen() -> bool:
    """Whether this process has a stderr."""
    try:
        os.fstat(2)
    except OSError:
        return False
    return True


@contextmanager
def listening() -> Iterator[dict[str, int]]:
    """Frames that LLVM tells in this process meanwhile, which are there at the end; all else goes on to stderr.

    That is the descriptor of the process, so another thread's lines are forwarded as well, and one thread listens at a
    time. A process that another thread starts meanwhile keeps our pipe: it is forwarded as long as that process lives.
    """
    frames: dict[str, int] = {}
    with _ONE_BY_ONE:
        stderr, ended = os.dup(2), threading.Event()
        source, pipe = os.pipe()
        forwarding = threading.Thread(target=_forward, args=(source, stderr, frames, ended), daemon=True)
        forwarding.start()
        os.dup2(pipe, 2)
        os.close(pipe)
        try:
            yield frames
        finally:
            os.write(2, _END)
            os.dup2(stderr, 2)
            ended.wait()
            forwarding.join(_PATIENCE)


def _forward(source: int, stderr: int, frames: dict[str, int], ended: threading.Event) -> None:
    """Read the pipe until nobody writes to it; `frames` is complete once `ended` is set."""
    held = b""
    while said := os.read(source, 1 << 16):
        found, held = frames_in(held + said)
        if not ended.is_set():
            frames.update(found)
        if _END in held:
            _write(stderr, held.replace(_END, b""))
            held = b""
            ended.set()
        complete = len(held) - len(_begun(held))
        _write(stderr, held[:complete])
        held = held[complete:]
    _write(stderr, held)
    os.close(source)
    os.close(stderr)


def _begun(said: bytes) -> bytes:
    """The last line, if it may become a frame, or the end."""
    last = said[said.rfind(b"\n") + 1 :]
    open_ended = any(last.startswith(mark) or mark.startswith(last) for mark in (_BEGINNING, _END))
    return last if last and open_ended else b""


def _write(stderr: int, said: bytes) -> None:
    while said:
        try:
            said = said[os.write(stderr, said) :]
        except OSError:  # nobody reads it any more
            return
