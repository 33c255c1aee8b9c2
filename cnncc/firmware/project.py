"""The files of a project: what is the same for all models as it stands in `project/`, and the rest by its templates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from string import Template

from ..check.bound import Bound
from ..errors import ModelError
from ..naming import file_stem, macro_prefix
from ..runtime.executable import Executable, Port
from ..types import Array
from .boards import Board, board_for
from .values import expectation, tensor

_TEXTS = Path(__file__).with_name("project")
_SOURCES = ("start.c", "semihosting.c", "compare.c")
NEEDED = ("a", "h")
"""The artefacts of which the project is made."""


def project(executable: Executable, feeds: Mapping[str, Array], expected: Mapping[str, Bound]) -> dict[str, bytes]:
    """The project's files by name, but for the model's library and header.

    `feeds` are the inputs of the one call that it makes, `expected` the outputs with their bounds.
    Raises TargetError for a target that no board has, ModelError for a model with states.
    """
    board = board_for(executable.target)
    if executable.states:
        raise ModelError(f"model '{executable.name}' has states: the example of firmware is for models without")
    values = _values(executable, board)
    texts = {name: _text(name) for name in (*_SOURCES, "firmware-io.h")}
    texts |= {name: Template(_text(name)).substitute(values) for name in ("main.c", "board.ld", "README.txt")}
    texts["example-data.h"] = _data(executable, feeds, expected)
    return {name: text.encode() for name, text in texts.items()}


def _text(name: str) -> str:
    return (_TEXTS / name).read_text(encoding="utf-8")


def _values(executable: Executable, board: Board) -> dict[str, str]:
    """What the templates say about a model and its board."""
    stem, symbol, outputs = file_stem(executable.stem), executable.symbol, _named("y", executable.outputs)
    library = f"lib{file_stem(executable.stem, library=True)}.a"
    return {
        "title": ascii(executable.name).strip("'").replace("*/", "* /"),
        "target": executable.target.name,
        "symbol": symbol,
        "header": f"{stem}.h",
        "library": library,
        "workspace": str(max(1, executable.workspace_bytes(1))),
        "outputs": "\n".join(f"static {port.type.dtype.c} {name}[{max(1, port.type.size)}];" for name, port in outputs),
        "arguments": ", ".join(name for name, _ in (*_named("x", executable.inputs), *outputs)),
        "reports": "\n".join(line for name, port in outputs for line in _report(name, port, executable)),
        "total": str(sum(port.type.size for port in executable.outputs)),
        "machine": board.machine,
        "options": board.options,
        **_commands(board, library, f"{stem}.elf"),
        **_memory(board),
        "note": _note(executable, board),
    }


def _commands(board: Board, library: str, program: str) -> dict[str, str]:
    """Build and run; all sections that nothing calls are left out."""
    sources = " ".join(["main.c", *_SOURCES, library])
    flags = f"{board.options} -O2 -ffreestanding -nostdlib -ffunction-sections -Wl,--gc-sections,-z,noexecstack"
    return {
        "build": f"arm-none-eabi-gcc {flags} -T board.ld {sources} -lgcc -o {program}",
        "run": " ".join([*board.emulator.words, program]),
    }


def _memory(board: Board) -> dict[str, str]:
    return {
        "vectors": f"{board.vectors:#010x}",
        "flash": f"{board.flash.first:#010x}",
        "flash_bytes": f"{board.flash.bytes:#x}",
        "ram": f"{board.ram.first:#010x}",
        "ram_bytes": f"{board.ram.bytes:#x}",
    }


def _note(executable: Executable, board: Board) -> str:
    if executable.target.name == "cortex-m0plus":
        return f"{board.machine} has a Cortex-M3, which has all instructions of this core."
    return ""


def _named(letter: str, ports: Sequence[Port]) -> list[tuple[str, Port]]:
    return [(f"{letter}{place}", port) for place, port in enumerate(ports)]


def _report(name: str, port: Port, executable: Executable) -> Iterator[str]:
    """Statements that print an output's largest value, or first whole number, and count what is off."""
    size, element = port.type.size, port.type.dtype
    if element.name == "float32" and size:
        yield from _largest(name, port, executable)
    elif size:
        first = f"print_float(from_half({name}[0]))" if element.is_float else f"print_whole((int64_t){name}[0])"
        yield f'    print("{_quoted(port.name)}: ");\n    {first};\n    print(" first\\n");'
    if element.is_float:
        compared = "off" if element.name == "float32" else "off_halves"
        yield f"    wrong += {compared}({name}, expected_{name}, allowed_{name}, {size});"
    else:
        yield f"    wrong += off_whole({name}, expected_{name}, any_{name}, {size}, sizeof {name}[0]);"


def _largest(name: str, port: Port, executable: Executable) -> Iterator[str]:
    """Which value is the largest: of a row of classes the class, by its label if there are labels."""
    size = port.type.size
    yield f"    const size_t best_{name} = largest({name}, {size});"
    if len(executable.labels) == size and port == executable.outputs[0]:
        macro = macro_prefix(executable.symbol)
        yield f"    static const char *const labels_{name}[] = {macro}_LABELS;"
        told = f"print(labels_{name}[best_{name}]);"
    else:
        row = size == port.type.shape[-1] if port.type.shape else False
        told = f'print("{"class" if row else "largest at place"} "); print_whole((int64_t)best_{name});'
    yield f'    print("{_quoted(port.name)}: ");\n    {told}'
    yield f'    print(" (");\n    print_float({name}[best_{name}]);\n    print(")\\n");'


def _quoted(text: str) -> str:
    """For a literal of C."""
    return "".join(letter if letter.isalnum() and letter.isascii() else "_" for letter in text)


def _data(executable: Executable, feeds: Mapping[str, Array], expected: Mapping[str, Bound]) -> str:
    parts = ["/* Inputs of one call, and of each output what the interpreter finds and how far it may be off. */\n"]
    parts += [tensor(name, port.type.dtype, feeds[port.name]) for name, port in _named("x", executable.inputs)]
    parts += [expectation(name, port.type.dtype, expected[port.name]) for name, port in _named("y", executable.outputs)]
    return "\n".join(parts)
