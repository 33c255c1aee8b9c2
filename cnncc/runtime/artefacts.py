"""What other programs link: object, weights, static and shared library, header and manifest.

The same executable gives the same bytes in every folder: the files contain no time, path or machine name.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ..errors import NativeError, OutputError, UsageError
from ..machine.target import Target
from ..naming import file_stem
from ..native import host_target
from ..objects import WASM, format_of
from ..objects.wasm_library import standalone
from ..version import VERSION
from .consumers import cmake, pkg_config
from .executable import Executable
from .header import library_header
from .manifest import Manifest, describe_library, to_json
from .seal import seal, seal_object

KINDS = ("o", "a", "so", "wasm", "h", "json", "cmake", "pc")
MANIFEST_SYMBOL = "cnncc_manifest"
_LINK_SECONDS = 300


def write(
    given: Executable | Sequence[Executable],
    folder: str | Path,
    kinds: Iterable[str] = ("o", "a", "h", "json"),
    beside: Mapping[str, bytes] | None = None,
) -> dict[str, Path]:
    """Write the artefacts of these kinds (see `KINDS`) into `folder`, which is created if missing; all of them or none.

    Several executables are the programs of one library, with the same weights. The keys of the result are the kinds,
    and `weights` (and `state`, if there are states) beside `o`; those of one program of several are `o` or `wasm` and
    its symbol. `beside` are further files by their names, which are their roles too. Raises UsageError for an unknown
    kind, OutputError if the folder cannot be written, a shared library cannot be linked here, or the target is none of
    WebAssembly and a module is wanted.
    """
    executables = [given] if isinstance(given, Executable) else list(given)
    wanted = list(dict.fromkeys(kinds))
    for kind in wanted:
        if kind not in KINDS:
            raise UsageError(f"unknown kind of artefact '{kind}': expected some of {', '.join(KINDS)}")
    if "wasm" in wanted:
        _expect_webassembly(executables[0].target)
    programs, states = [each.symbol for each in executables if each.library], bool(executables[0].states)
    names = _file_names(executables[0].stem, wanted, programs, states=states)
    more = beside or {}
    with _all_or_nothing(Path(folder), [*names.values(), *more]) as temporary:
        for name, text in more.items():
            (temporary / name).write_bytes(text)
        for role, data in _contents(executables, names, temporary):
            if data is not None:
                (temporary / names[role]).write_bytes(data)
    return {role: Path(folder) / name for role, name in [*names.items(), *zip(more, more, strict=True)]}


def _file_names(symbol: str, kinds: list[str], programs: Sequence[str] = (), *, states: bool = False) -> dict[str, str]:
    """The name of each file by its role; `programs` are the symbols of those of a library of several."""
    stem = file_stem(symbol)
    names = {
        **{_role("o", each): f"{file_stem(each or symbol)}.o" for each in programs or [""]},
        **{_role("wasm", each): f"{file_stem(each or symbol)}.wasm" for each in programs or [""]},
        "weights": f"{stem}_weights.o",
        **({"state": f"{stem}_state.o"} if states else {}),
        "a": f"lib{file_stem(symbol, library=True)}.a",
        "so": f"{stem}.so",
        "h": f"{stem}.h",
        "json": f"{stem}.json",
        "cmake": f"{stem}-config.cmake",
        "pc": f"{stem}.pc",
    }
    return {role: name for role, name in names.items() if kind_of(role) in kinds}


def _role(kind: str, program: str) -> str:
    """The role of what each program of several has, or of what the only one has, which is named by nothing."""
    return f"{kind} {program}".rstrip()


def kind_of(role: str) -> str:
    """The kind of artefact that a file of this role is part of."""
    return "o" if role in ("weights", "state") else role.partition(" ")[0]


def _contents(
    executables: Sequence[Executable], names: dict[str, str], temporary: Path
) -> Iterator[tuple[str, bytes | None]]:
    """The bytes of each file; None for the shared library, which the linker writes itself."""
    one, manifest = executables[0], describe_library(executables)
    codes = {_role("o", each.symbol if each.library else ""): each for each in executables}
    modules = {_role("wasm", each.symbol if each.library else ""): each for each in executables}
    objects = format_of(one.target)
    weights = objects.data_object(one.weights_symbol, one.weights or b"\0", one.target, one.regions.weights)
    linked = {**{f"{each.symbol}.o": each.object for each in executables}, f"{one.weights_symbol}.o": weights}
    state = objects.data_object(one.state_symbol, bytes(one.initial_state), one.target) if one.states else b""
    linked |= {f"{one.state_symbol}.o": state} if one.states else {}
    for role in names:
        if role in codes:
            yield role, codes[role].object
        elif role in modules:
            yield role, _module(modules[role])
        elif role == "weights":
            yield role, weights
        elif role == "state":
            yield role, state
        elif role == "a":
            yield role, objects.archive(linked)
        elif role == "h":
            yield role, library_header(executables).encode()
        elif role == "json":
            yield role, to_json(manifest | {"files": names}).encode()
        elif role in ("cmake", "pc"):
            yield role, _consumer(role, one).encode()
        else:
            _link(linked, one.target, manifest, temporary, names[role])
            yield role, None


def _module(executable: Executable) -> bytes:
    """A module of WebAssembly with the weights, and with what the states are before the first call."""
    data = {executable.weights_symbol: executable.weights or b"\0"}
    data |= {executable.state_symbol: executable.initial_state} if executable.states else {}
    functions = [f"{executable.symbol}_{part}" for part in ("run", "check", "workspace_bytes")]
    return standalone(executable.object, functions, data)


def _expect_webassembly(target: Target) -> None:
    if not is_webassembly(target):
        raise OutputError(
            f"cnncc writes no module of WebAssembly for target '{target.name}': compile for wasm32 or wasm32-simd"
        )


def is_webassembly(target: Target) -> bool:
    """Whether modules are written for the target."""
    return format_of(target) is WASM


def _consumer(role: str, executable: Executable) -> str:
    """What CMake or pkg-config reads about a static library."""
    name, title = file_stem(executable.stem), f"{executable.stem}, compiled by cnncc for {executable.target.name}"
    library = f"lib{file_stem(executable.stem, library=True)}.a"
    return cmake(name, title, library) if role == "cmake" else pkg_config(name, title, library, VERSION)


def _link(objects: Mapping[str, bytes], target: Target, manifest: Manifest, folder: Path, name: str) -> None:
    """Link a shared library without dependencies, with the manifest inside so that it can be loaded again."""
    compiler = _compiler(target)
    described = format_of(target).data_object(MANIFEST_SYMBOL, to_json(manifest).encode() + b"\0", target)
    with tempfile.TemporaryDirectory(dir=folder) as inner:
        contents = [*objects.values(), described, seal_object(target)]
        parts = [f"{number}.o" for number in range(len(contents))]
        for part, data in zip(parts, contents, strict=True):
            (Path(inner) / part).write_bytes(data)
        command = [*compiler, "-shared", "-nostdlib", "-Wl,--build-id=none,-s,-z,defs", f"-Wl,-soname,{name}"]
        _run_linker([*command, "-o", str(Path("..") / name), *parts], Path(inner))
    try:
        seal(folder / name)
    except NativeError as error:
        raise OutputError(f"the C compiler '{compiler[0]}' made a library that cannot be loaded: {error}") from error


def can_link(target: Target) -> bool:
    """Whether cnncc writes shared libraries for the target, and this machine has a compiler for them."""
    if not target.shares_libraries:
        return False
    if os.environ.get("CC"):
        return True
    return target.runs_on(host_target()) and shutil.which("cc") is not None


def kinds_for(target: Target) -> tuple[str, ...]:
    """The kinds of artefacts that the target can have; a shared library needs a compiler (see `can_link`)."""
    without = {kind for kind, has in (("so", target.shares_libraries), ("wasm", is_webassembly(target))) if not has}
    return tuple(kind for kind in KINDS if kind not in without)


def kinds_without_tools(target: Target) -> tuple[str, ...]:
    """The kinds that need no other program: all but shared libraries."""
    return tuple(kind for kind in kinds_for(target) if kind != "so")


def _compiler(target: Target) -> list[str]:
    chosen = shlex.split(os.environ.get("CC", ""))
    if not target.shares_libraries:
        raise OutputError(f"cnncc writes no shared library for target '{target.name}': write the static library")
    if not chosen and not target.runs_on(host_target()):
        raise OutputError(
            f"cannot link a shared library for target '{target.name}' on this machine: set CC to a cross compiler "
            f"({target.compiler}), or write the static library"
        )
    compiler = chosen or ["cc"]
    if shutil.which(compiler[0]) is None:
        raise OutputError(
            f"a shared library needs a C compiler, and '{compiler[0]}' is not found: install one or set CC"
        )
    return compiler


def _run_linker(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=_LINK_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise OutputError(f"the C compiler '{command[0]}' failed: {error}") from error
    if done.returncode != 0:
        complaint = done.stderr.decode(errors="replace").strip() or "no message"
        raise OutputError(f"the C compiler '{command[0]}' cannot link the library: {complaint.splitlines()[0]}")


@contextlib.contextmanager
def _all_or_nothing(folder: Path, names: list[str]) -> Iterator[Path]:
    """A temporary folder inside `folder`; its files move to `folder` on success, and on failure nothing remains."""
    made = _missing_parents(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".cnncc-", dir=folder) as temporary:
            yield Path(temporary)
            for name in names:
                if (folder / name).is_dir():
                    raise OutputError(f"cannot write '{folder / name}': it is a folder")
            for name in names:
                os.replace(Path(temporary) / name, folder / name)
    except BaseException as error:
        for parent in made:
            with contextlib.suppress(OSError):
                parent.rmdir()
        if isinstance(error, OSError):
            raise OutputError(f"cannot write to '{folder}': {error.strerror or error}") from error
        raise


def _missing_parents(folder: Path) -> list[Path]:
    """The folders that have to be created for `folder`, innermost first."""
    return [path for path in (folder, *folder.parents) if not os.path.lexists(path)]
