"""The one door to LLVM: IR text → object bytes → loaded code. Nobody else imports `llvmlite.binding`.

LLVM's answer to much that is wrong (a backend diagnostic, a bad relocation) is to end the process. So modules are
always verified, and whatever is not compiled for this very machine with names that we chose ourselves is compiled in
a child process, where such an end is an error message.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm

from .diagnostics import can_listen, frames_in, listening
from .errors import NativeError
from .machine.architecture import of_host
from .machine.target import TARGETS, Target, below, core_of, lower, x86_level

_CHILD_SECONDS = 900
_SIZE_BYTES = 8
_UNKNOWN_NAME = "is not a recognized"  # LLVM only warns of a CPU or feature that it does not know
_CHILD = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]); from cnncc.native import _child; _child(sys.argv[2:])"
)


@dataclasses.dataclass(frozen=True)
class Emitted:
    """An object, and the bytes of stack that each function takes for itself, where its attributes ask for them.

    A function without a frame is not among them. The figure is LLVM's, with the registers that the function saves;
    `codegen/llvm/stack.py` says what it leaves out.
    """

    object: bytes
    frames: dict[str, int]


def emit_object(llvm_text: str, target: Target) -> bytes:
    """The relocatable, position independent object of a module: same text and target, same bytes.

    Raises NativeError for a module that does not parse or verify, for CPU or feature names that LLVM does not know,
    and for a backend that gives up. The text must not use inline assembly, for which LLVM here has no parser.
    """
    return emit(llvm_text, target).object


def emit(llvm_text: str, target: Target) -> Emitted:
    """What `emit_object` returns, with the frames. Raises NativeError likewise."""
    return _emit(llvm_text, target, "object")


def emit_assembly(llvm_text: str, target: Target) -> str:
    """The same code as `emit_object`, as assembly to read. Raises NativeError likewise."""
    return _emit(llvm_text, target, "assembly").object.decode()


def backend_version() -> str:
    """What object bytes depend on beside text and target: part of every cache key."""
    return "LLVM " + ".".join(map(str, llvm.llvm_version_info))


class LoadedCode:
    """Object code in executable memory; its addresses are valid as long as this object lives."""

    def __init__(self, engine: Any, library: str, trackers: list[Any]):
        self._engine, self._library, self._trackers = engine, library, trackers

    def address(self, symbol: str) -> int:
        """Where a global symbol of the object lies. Raises NativeError if it has none, or needs one that is missing."""
        try:
            tracker = self._engine.lookup(self._library, symbol)
        except RuntimeError as error:
            raise NativeError(f"cannot load '{symbol}' from the object: {error}") from error
        self._trackers.append(tracker)  # dropping any tracker would unload the code
        return int(tracker[symbol])

    def keep_loaded(self) -> LoadedCode:
        """Never unload this code: for what threads may still execute while the interpreter ends."""
        for handle in (*self._trackers, self._engine):
            handle.detach()
        return self


def load_object(code: bytes, imports: Mapping[str, int] | None = None) -> LoadedCode:
    """Load object bytes for this machine. Only `imports` (name → address) are visible to it, not libc.

    Raises NativeError for bytes that are no object; missing symbols are reported by `LoadedCode.address`.
    """
    _initialise_host()
    library = "object"
    builder = llvm.JITLibraryBuilder().add_object_img(code)
    for name, address in (imports or {}).items():
        builder.import_symbol(name, address)
    try:
        engine = llvm.create_lljit_compiler(use_jit_link=True, suppress_errors=True)
        return LoadedCode(engine, library, [builder.link(engine, library)])
    except RuntimeError as error:
        raise NativeError(f"cannot load the object: {error}") from error


def host_target() -> Target:
    """What 'host' stands for: this machine, or what the environment variable CNNCC_HOST makes of it (`target.lower`).

    Raises NativeError on a machine that we have no target for, TargetError for a wish that it cannot fulfil.
    """
    wish = os.environ.get("CNNCC_HOST")
    return _lowered(wish) if wish else _machine()


@functools.cache
def _lowered(wish: str) -> Target:
    return lower(wish, _machine())


@functools.cache
def _machine() -> Target:
    """The widest target of our table that this machine can run, tuned for its CPU.

    The code uses no instruction beyond that target's, so an object runs wherever its `check` says so.
    """
    triple = llvm.get_process_triple()
    architecture = of_host(triple)
    if architecture is None:
        raise NativeError(
            f"no code generator for this machine's architecture ({triple}): name a target instead of 'host'"
        )
    base = next(target for target in TARGETS.values() if target.isa == architecture)
    if architecture.name == "x86-64":
        base = x86_level({name for name, on in llvm.get_host_cpu_features().items() if on})
    cpu = llvm.get_host_cpu_name()
    machine = dataclasses.replace(
        below(triple, base),
        name="host",
        tune=cpu,
        l1=cache_bytes(1) or base.l1,
        l2=cache_bytes(2) or base.l2,
        l3=cache_bytes(3) or base.l3,
    )
    return dataclasses.replace(machine, core=core_of(machine, cpu))


def cache_bytes(level: int) -> int | None:
    """Size of the data cache of a level, where the system tells."""
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            found, kind, size = ((index / name).read_text().strip() for name in ("level", "type", "size"))
        except OSError:
            return None
        if found == str(level) and kind != "Instruction" and size.endswith("K"):
            return int(size[:-1]) << 10
    return None


def _emit(text: str, target: Target, kind: str) -> Emitted:
    if not (_is_trusted(target) and can_listen()):
        return _emit_in_child(text, target, kind)
    with listening() as frames:
        code = _emit_here(text, target, kind)
    return Emitted(code, frames)


def _is_trusted(target: Target) -> bool:
    """Is this a target that this machine runs, under CPU and feature names that are known to be right?"""
    host = host_target()
    return target.runs_on(host) and any(
        (target.triple, target.cpu, target.features) == (known.triple, known.cpu, known.features)
        for known in (host, *TARGETS.values())
    )


def _emit_here(text: str, target: Target, kind: str) -> bytes:
    if target.isa == of_host(llvm.get_process_triple()):
        _initialise_host()
    else:
        _initialise_all()
    try:
        machine = llvm.Target.from_triple(target.triple).create_target_machine(
            cpu=target.cpu, features=target.features, opt=3, reloc=_relocation(target), codemodel="small"
        )
        with llvm.create_context() as context, llvm.parse_assembly(text, context) as module:
            module.triple, module.data_layout = target.triple, str(machine.target_data)
            module.verify()
            if kind == "assembly":
                return str(machine.emit_assembly(module)).encode()
            return bytes(machine.emit_object(module))
    except RuntimeError as error:
        raise NativeError(f"LLVM refuses the module for target '{target.name}': {str(error).strip()}") from error


def _relocation(target: Target) -> str:
    """Position independent code, but for WebAssembly, where it would need a table of places from its loader."""
    return "static" if target.object_format == "wasm" else "pic"


def _emit_in_child(text: str, target: Target, kind: str) -> Emitted:
    """Emit where an abort of LLVM ends another process than ours."""
    import subprocess

    paths = json.dumps([str(Path(path or ".").resolve()) for path in sys.path])
    command = [sys.executable, "-c", _CHILD, paths, kind, json.dumps(target.describe())]
    try:
        child = subprocess.run(command, input=text.encode(), capture_output=True, timeout=_CHILD_SECONDS, check=False)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise NativeError(f"the compiler process for target '{target.name}' failed: {error}") from error
    frames, said = frames_in(child.stderr)
    complaint = said.decode(errors="replace").strip()
    if child.returncode != 0 or _UNKNOWN_NAME in complaint:
        reason = complaint.splitlines()[0 if _UNKNOWN_NAME in complaint else -1] if complaint else "no message"
        raise NativeError(f"the compiler process for target '{target.name}' failed ({child.returncode}): {reason}")
    return Emitted(_received(child.stdout, target), frames)


def _received(answer: bytes, target: Target) -> bytes:
    """What a child wrote, which begins with its size: a part of an object would pass for all of it."""
    size, result = int.from_bytes(answer[:_SIZE_BYTES], "little"), answer[_SIZE_BYTES:]
    if len(result) != size:
        raise NativeError(
            f"the compiler process for target '{target.name}' ended with {len(result)} of the {size} bytes that it made"
        )
    return result


def _child(arguments: list[str]) -> None:
    """What `_emit_in_child` runs: IR on stdin, result on stdout, one line on stderr for an error."""
    kind, target = arguments[0], Target.restore(json.loads(arguments[1]))
    try:
        result = _emit_here(sys.stdin.buffer.read().decode(), target, kind)
    except NativeError as error:
        sys.exit(" ".join(str(error).split()))
    with open(sys.stdout.fileno(), "wb", closefd=False) as stream:  # `sys.stdout.buffer` may be unbuffered, and cut
        stream.write(len(result).to_bytes(_SIZE_BYTES, "little") + result)


@functools.cache
def _initialise_host() -> None:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.initialize_native_asmparser()  # for inline assembly (CPUID)


@functools.cache
def _initialise_all() -> None:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
