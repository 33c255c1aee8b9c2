"""Ctrl-C at any time: one sentence and exit code 130, also while Python imports what the compiler needs."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

INTERRUPTED = 130
_IMPORTS = "<frozen importlib._bootstrap>"


@contextmanager
def handled() -> Iterator[None]:
    """Inside, Ctrl-C raises KeyboardInterrupt as ever, but ends the process at once where that would not arrive.

    An exception in the midst of an import may leave a C extension half made, which prints tracebacks of its own; one
    in a destructor or a callback is printed and lost. Nothing of ours is half written then. Signal handlers that others
    have set stay, as in a program that calls `main`.
    """
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    _Seen.interrupted = False
    try:
        signal.signal(signal.SIGINT, _interrupted)
    except ValueError:  # not the main thread, which alone gets signals
        yield
        return
    unraisable, sys.unraisablehook = sys.unraisablehook, _unraisable(sys.unraisablehook)
    try:
        yield
    finally:
        sys.unraisablehook = unraisable
        signal.signal(signal.SIGINT, signal.default_int_handler)


def seen() -> bool:
    """Whether Ctrl-C was pressed: what has been raised since then may be its consequence."""
    return _Seen.interrupted


class _Seen:
    interrupted = False


def _interrupted(number: int, frame: FrameType | None) -> None:
    _Seen.interrupted = True
    while frame is not None:
        if frame.f_code.co_filename == _IMPORTS:
            _end()
        frame = frame.f_back
    raise KeyboardInterrupt


def _unraisable(former: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def hook(told: Any) -> None:
        if isinstance(told.exc_value, KeyboardInterrupt) or told.exc_type is KeyboardInterrupt:
            _end()
        former(told)

    return hook


def _end() -> None:
    """Without destructors, which could not run in the midst of an import."""
    os.write(2, b"cnncc: interrupted\n")
    os._exit(INTERRUPTED)
