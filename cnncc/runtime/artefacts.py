"""What other programs link: object, weights, static and shared library, header and manifest.

The same executable gives the same bytes in every folder: the files contain no time, path or machine name.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ..errors import OutputError, UsageError
from ..machine.target import Target
from ..naming import file_stem
from ..objects import WASM, format_of
from ..objects.coff_import import import_library
from ..objects.wasm_library import standalone
from ..version import VERSION
from .consumers import cmake, pkg_config
from .executable import Executable
from .header import library_header
from .manifest import describe_library, to_json
from .shared import exports, link

SHARED = ("so", "dll", "dylib")
LISTINGS = ("ll", "s")
KINDS = ("o", "a", *SHARED, "wasm", "h", "json", "cmake", "pc", *LISTINGS)


def write(
    given: Executable | Sequence[Executable],
    folder: str | Path,
    kinds: Iterable[str] = ("o", "a", "h", "json"),
    beside: Mapping[str, bytes] | None = None,
    listings: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Path]:
    """Write the artefacts of these kinds (see `KINDS`) into `folder`, which is created if missing; all of them or none.

    Several executables are the programs of one library, with the same weights. The keys of the result are the kinds,
    and `weights` (and `state`, if there are states) beside `o`, and `import` beside `dll`; those of one program of
    several are such a kind and its symbol. `listings` are the texts of each program for the kinds of `LISTINGS`, and
    `beside` further files by their names, which are their roles too. Raises UsageError for an unknown kind or one
    without texts, OutputError if the folder cannot be written, a shared library cannot be linked here, or the target
    has no such kind.
    """
    executables = [given] if isinstance(given, Executable) else list(given)
    wanted = list(dict.fromkeys(kinds))
    for kind in wanted:
        if kind not in KINDS:
            raise UsageError(f"unknown kind of artefact '{kind}': expected some of {', '.join(KINDS)}")
        _expect_kind(kind, executables[0].target)
        if kind in LISTINGS and kind not in (listings or {}):
            raise UsageError(f"kind '{kind}' is written by who compiles: an executable has no such text")
    programs, states = [each.symbol for each in executables if each.library], bool(executables[0].states)
    names = _file_names(executables[0].stem, wanted, programs, states=states)
    more = beside or {}
    with _all_or_nothing(Path(folder), [*names.values(), *more]) as temporary:
        for name, text in more.items():
            (temporary / name).write_bytes(text)
        texts = _listed(executables, listings or {})
        for role, data in _contents(executables, names, texts, temporary):
            if data is not None:
                (temporary / names[role]).write_bytes(data)
    return {role: Path(folder) / name for role, name in [*names.items(), *zip(more, more, strict=True)]}


def _file_names(symbol: str, kinds: list[str], programs: Sequence[str] = (), *, states: bool = False) -> dict[str, str]:
    """The name of each file by its role; `programs` are the symbols of those of a library of several."""
    stem = file_stem(symbol)
    names = {
        **{
            _role(kind, each): f"{file_stem(each or symbol)}.{kind}"
            for kind in ("o", "wasm", *LISTINGS)
            for each in programs or [""]
        },
        "weights": f"{stem}_weights.o",
        **({"state": f"{stem}_state.o"} if states else {}),
        "a": f"lib{file_stem(symbol, library=True)}.a",
        **{kind: f"{stem}.{kind}" for kind in SHARED},
        "import": f"{stem}.lib",
        "h": f"{stem}.h",
        "json": f"{stem}.json",
        "cmake": f"{stem}-config.cmake",
        "pc": f"{stem}.pc",
    }
    return {role: name for role, name in names.items() if kind_of(role) in kinds}


def _role(kind: str, program: str) -> str:
    """The role of what each program of several has, or of what the only one has, which is named by nothing."""
    return f"{kind} {program}".rstrip()


def _listed(executables: Sequence[Executable], listings: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The texts by the roles of their files."""
    return {
        _role(kind, each.symbol if each.library else ""): text
        for kind, texts in listings.items()
        for each, text in zip(executables, texts, strict=True)
    }


def kind_of(role: str) -> str:
    """The kind of artefact that a file of this role is part of."""
    return _PARTS.get(role) or role.partition(" ")[0]


_PARTS = {"weights": "o", "state": "o", "import": "dll"}


def _contents(
    executables: Sequence[Executable], names: dict[str, str], texts: Mapping[str, str], temporary: Path
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
        elif role in texts:
            yield role, texts[role].encode()
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
        elif role == "import":
            yield role, import_library(names["dll"], exports(executables), one.target)
        else:
            link(executables, linked, manifest, temporary, names[role])
            yield role, None


def _module(executable: Executable) -> bytes:
    """A module of WebAssembly with the weights, and with what the states are before the first call."""
    data = {executable.weights_symbol: executable.weights or b"\0"}
    data |= {executable.state_symbol: executable.initial_state} if executable.states else {}
    functions = [f"{executable.symbol}_{part}" for part in ("run", "check", "workspace_bytes")]
    return standalone(executable.object, functions, data)


def _expect_kind(kind: str, target: Target) -> None:
    if kind in kinds_for(target):
        return
    if kind == "wasm":
        raise OutputError(
            f"cnncc writes no module of WebAssembly for target '{target.name}': compile for wasm32 or wasm32-simd"
        )
    other = target.shared_library or ("wasm" if is_webassembly(target) else "")
    instead = f"take the kind {other}" if other else "write the static library"
    what = f".{kind}" if target.shared_library else "shared library"
    raise OutputError(f"cnncc writes no {what} for target '{target.name}': {instead}")


def is_webassembly(target: Target) -> bool:
    """Whether modules are written for the target."""
    return format_of(target) is WASM


def _consumer(role: str, executable: Executable) -> str:
    """What CMake or pkg-config reads about a static library."""
    name, title = file_stem(executable.stem), f"{executable.stem}, compiled by cnncc for {executable.target.name}"
    library = f"lib{file_stem(executable.stem, library=True)}.a"
    return cmake(name, title, library) if role == "cmake" else pkg_config(name, title, library, VERSION)


def kinds_for(target: Target) -> tuple[str, ...]:
    """The kinds of artefacts that the target can have; a shared library needs a compiler (see `shared.can_link`)."""
    without = {kind for kind in SHARED if kind != target.shared_library}
    without |= set() if is_webassembly(target) else {"wasm"}
    return tuple(kind for kind in KINDS if kind not in without)


def kinds_without_tools(target: Target) -> tuple[str, ...]:
    """The kinds that need no other program: all but shared libraries."""
    return tuple(kind for kind in kinds_for(target) if kind not in SHARED)


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
