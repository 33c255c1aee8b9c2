"""Shared libraries of each system: code, weights and manifest, linked by a C compiler for programs that load them.

They export what the objects define and ask for nothing. A library of macOS names the system's, as its loader demands;
ziglang's linker asks there for a name of the loader itself (dyld_stub_binder), and exports two of the file's head.
The compiler is what CC names, the system's own one or cross compiler, or that of the package ziglang (extra `cross`).
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import NativeError, OutputError
from ..machine.target import Target
from ..native import host_target
from ..objects import format_of
from .executable import Executable
from .manifest import Manifest, to_json
from .seal import seal, seal_object

MANIFEST_SYMBOL = "cnncc_manifest"
_SECONDS = 300
_ZIG = "ziglang"
_NAMES_OF_ZIG = {"armv7": "arm", "arm64": "aarch64", "macosx11.0.0": "macos.11.0"}
"""Words of LLVM's triples that have another name there."""

_FLAGS = {
    "so": ("-shared", "-nostdlib", "-Wl,--build-id=none,-s,-z,defs", "-Wl,-soname,{name}"),
    "dll": ("-shared", "-nostdlib", "-Wl,-s"),
    "dylib": ("-dynamiclib", "-Wl,-x", "-Wl,-install_name,@rpath/{name}"),
}
_PLAIN = {"dll": ("-Wl,--no-insert-timestamp", "-Wl,-e,")}
_PLAIN_OF_ZIG = {"dll": ("-Wl,-Brepro", "-Wl,--no-entry")}
"""A DLL without the time of linking and without a function that is called as it is loaded."""


@dataclass(frozen=True)
class _Compiler:
    """What links: its name in messages, its command, and the flags that it has for `_PLAIN`."""

    name: str
    command: tuple[str, ...]
    plain: Mapping[str, tuple[str, ...]]


def link(
    executables: Sequence[Executable], objects: Mapping[str, bytes], manifest: Manifest, folder: Path, name: str
) -> None:
    """Link the objects and the manifest to a library in `folder`; one of ELF has a digest, so it can be loaded again.

    Raises OutputError where no compiler is found, and for one that fails.
    """
    target = executables[0].target
    compiler, kind = _compiler(target), target.shared_library
    described = format_of(target).data_object(MANIFEST_SYMBOL, to_json(manifest).encode() + b"\0", target)
    files = {f"{number}.o": data for number, data in enumerate((*objects.values(), described))}
    if kind == "so":
        files["seal.o"] = seal_object(target)
    elif kind == "dll":
        files["exports.def"] = _definitions(name, exports(executables))
    flags = [flag.format(name=name) for flag in (*_FLAGS[kind], *compiler.plain.get(kind, ()))]
    routines = ["-lgcc"] if any(each.undefined for each in executables) else []
    with tempfile.TemporaryDirectory(dir=folder) as inner:
        for file, data in files.items():
            (Path(inner) / file).write_bytes(data)
        _run(compiler, [*flags, "-o", str(Path("..") / name), *files, *routines], Path(inner))
    if kind == "so":
        _seal(folder / name, compiler)


def exports(executables: Sequence[Executable]) -> dict[str, bool]:
    """The names that a library of these programs exports, sorted; whether each is one of data."""
    one = executables[0]
    functions = [f"{each.symbol}_{part}" for each in executables for part in ("run", "check", "workspace_bytes")]
    data = [MANIFEST_SYMBOL, one.weights_symbol, *([one.state_symbol] if one.states else [])]
    return dict(sorted({**dict.fromkeys(functions, False), **dict.fromkeys(data, True)}.items()))


def can_link(target: Target) -> bool:
    """Whether cnncc writes shared libraries for the target, and this machine has a compiler for them."""
    return bool(target.shared_library) and bool(os.environ.get("CC") or _found(target))


def _compiler(target: Target) -> _Compiler:
    """The compiler that links for the target. Raises OutputError where none is found."""
    chosen = shlex.split(os.environ.get("CC", ""))
    if chosen and shutil.which(chosen[0]) is None:
        raise OutputError(
            f"a shared library needs a C compiler, and '{chosen[0]}' is not found: install one or set CC to another"
        )
    compiler = _Compiler(chosen[0], tuple(chosen), _PLAIN) if chosen else _found(target)
    if compiler is None:
        raise OutputError(
            f"a shared library for target '{target.name}' needs a C compiler, and none is found: "
            f"install {' or '.join(_wanted(target))}, set CC, or write the static library"
        )
    return compiler


def _wanted(target: Target) -> list[str]:
    """What could be installed to link for the target, the system's compiler first."""
    return [*filter(None, [_system_compiler(target)]), "the extra cnncc[cross]"]


def _system_compiler(target: Target) -> str:
    return "cc" if target.runs_on(host_target()) else target.compiler


def _found(target: Target) -> _Compiler | None:
    """The compiler that is there without CC."""
    name = _system_compiler(target)
    if name and shutil.which(name):
        return _Compiler(name, (name,), _PLAIN)
    if importlib.util.find_spec(_ZIG) is None:
        return None
    return _Compiler(_ZIG, (sys.executable, "-m", _ZIG, "cc", "-target", _target_of_zig(target)), _PLAIN_OF_ZIG)


def _target_of_zig(target: Target) -> str:
    """LLVM's triple without the vendor, as in x86_64-windows-gnu."""
    machine, _, *system = target.triple.split("-")
    return "-".join(_NAMES_OF_ZIG.get(word, word) for word in (machine, *system))


def _definitions(name: str, symbols: Mapping[str, bool]) -> bytes:
    """A module definition file: what a DLL exports."""
    lines = [f"    {symbol}{' DATA' if data else ''}" for symbol, data in symbols.items()]
    return "\n".join((f'LIBRARY "{name}"', "EXPORTS", *lines, "")).encode()


def _run(compiler: _Compiler, arguments: Sequence[str], folder: Path) -> None:
    environment = {**os.environ, "ZIG_LOCAL_CACHE_DIR": str(folder)}
    try:
        done = subprocess.run(
            [*compiler.command, *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise OutputError(f"the C compiler '{compiler.name}' failed: {error}") from error
    if done.returncode != 0:
        complaint = done.stderr.decode(errors="replace").strip() or "no message"
        raise OutputError(f"the C compiler '{compiler.name}' cannot link the library: {complaint.splitlines()[0]}")


def _seal(path: Path, compiler: _Compiler) -> None:
    try:
        seal(path)
    except NativeError as error:
        raise OutputError(f"the C compiler '{compiler.name}' made a library that cannot be loaded: {error}") from error
