"""What `compile` wrote, as text and as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..machine.architecture import ProcessorCheck
from ..naming import nearest
from .console import table
from .documents import file_facts

if TYPE_CHECKING:
    from ..measure.tuning import Tuned
    from ..runtime.executable import Executable


@dataclass(frozen=True)
class Written:
    """Programs, the files by what they are for, the text that tells of all, and those of its sentences that warn."""

    programs: Sequence[Executable]
    files: Sequence[tuple[str, Path]]
    pages: Sequence[str]
    notes: Sequence[str] = ()
    tuned: Tuned | None = None


def facts(written: Written) -> dict[str, Any]:
    """The fields of the document."""
    first = written.programs[0]
    return {
        "model": first.library or first.name,
        "target": first.target.name,
        "cpu": first.target.cpu,
        "files": [{"kind": role, **file_facts(path)} for role, path in written.files],
        "programs": [_program(each) for each in written.programs],
        "notes": written.notes,
        "tuned": None if written.tuned is None else written.tuned.changes,
    }


def _program(executable: Executable) -> dict[str, Any]:
    return {
        "name": executable.name,
        "symbol": executable.symbol,
        "inputs": [_port(port) for port in executable.inputs],
        "outputs": [_port(port) for port in executable.outputs],
        "workspace_bytes": executable.workspace_bytes(1),
        "stack_bytes": executable.stack_bytes,
        "state_bytes": executable.state_bytes,
        "weights_bytes": len(executable.weights),
        "code_bytes": executable.code_bytes,
        "fingerprint": executable.fingerprint,
        "undefined": executable.undefined,
        "processor_check": executable.target.isa.check.value,
    }


def _port(port: Any) -> dict[str, Any]:
    return {"name": port.name, "element": port.dtype, "shape": port.shape}


def sizes(executable: Executable) -> str:
    """What a call takes of memory, and the program of a read-only one."""
    sizes = {
        "workspace": executable.workspace_bytes(1),
        "stack": executable.stack_bytes,
        "weights": len(executable.weights),
        "code": executable.code_bytes,
    }
    return ", ".join(f"{what} {size:,} bytes" for what, size in sizes.items() if size is not None)


def file_table(files: Mapping[str, Path]) -> str:
    rows = [(str(path), f"{path.stat().st_size:,}", _role(role)) for role, path in files.items()]
    return table(("file", "bytes", ""), rows, right=(1,))


def notes(executable: Executable, kinds: tuple[str, ...] | None, files: Mapping[str, Path]) -> list[str]:
    """Sentences about what the names, the processor, the linker or the missing of a compiler ask for."""
    found = []
    if executable.stem != executable.name:
        found.append(f"names in C begin with {executable.stem}; --name {nearest(executable.name)} gives shorter ones")
    if executable.target.isa.check is ProcessorCheck.NONE:
        found.append(f"{executable.symbol}_check() asks nothing: the processor has to be a {executable.target.demands}")
    if executable.undefined:
        found.append(
            f"{executable.symbol}.o needs routines of the compiler's runtime: {', '.join(executable.undefined)}"
        )
    library = executable.target.shared_library
    no_library = library not in files and "main.c" not in files and not any(role.startswith("wasm") for role in files)
    if kinds is None and no_library:
        found.append("no shared library: " + ("no C compiler" if library else "cnncc writes none"))
    return found


def _role(role: str) -> str:
    """What a file is for, in words."""
    return _ROLES.get(role.partition(" ")[0], "of the example")


_ROLES = {
    "o": "code",
    "weights": "weights",
    "state": "first values of states",
    "a": "static library",
    **dict.fromkeys(("so", "dll", "dylib"), "shared library"),
    "import": "for programs that link the DLL",
    "wasm": "module",
    "h": "C header",
    "json": "manifest",
    "cmake": "for CMake's find_package",
    "pc": "for pkg-config",
    "ll": "code as LLVM's text",
    "s": "code as assembly",
}
