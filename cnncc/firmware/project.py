"""The files of a project: what is the same for all models as it stands in `project/`, and the rest by its templates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template

from ..alignment import rounded_up
from ..check.bound import Bound
from ..errors import ModelError
from ..naming import file_stem
from ..runtime.executable import Executable, Port
from ..types import Array
from .boards import Board, board_for
from .statements import compared, declared, named, shown
from .values import expectation, tensor

NEEDED = ("a", "h")
"""The artefacts that a project is made of."""
_OWN_STACK_BYTES = 1 << 10
"""For what calls the model, for routines of the compiler's runtime, and for what an interrupt saves."""
_TEXTS = Path(__file__).with_name("project")
_SOURCES = ("start.c", "semihosting.c", "compare.c")


def project(executable: Executable, feeds: Mapping[str, Array], expected: Mapping[str, Bound]) -> dict[str, bytes]:
    """The project's files by name, but for the model's library and header.

    `feeds` are the inputs of the one call that it makes, `expected` the outputs with their bounds.
    Raises TargetError for a target that no board has, ModelError for a model with states.
    """
    if executable.states:
        raise ModelError(f"model '{executable.name}' has states: the example of firmware is for models without")
    inputs, outputs = named("x", executable.inputs), named("y", executable.outputs)
    main = Template(template("main.c")).substitute(
        title=title(executable),
        symbol=executable.symbol,
        header=f"{file_stem(executable.symbol)}.h",
        workspace=max(1, executable.workspace_bytes(1)),
        alignment=executable.target.alignment,
        workspace_section=section(executable, "workspace"),
        outputs=declared(outputs),
        arguments=", ".join(name for name, _ in (*inputs, *outputs)),
        reports="\n".join([shown(outputs, executable), compared(outputs)]),
        total=sum(port.type.size for _, port in outputs),
    )
    return around([executable], main, data(inputs, feeds, [(outputs, expected)]))


def title(executable: Executable) -> str:
    """The model's name within a comment."""
    return ascii(executable.name).strip("'").replace("*/", "* /")


def around(executables: Sequence[Executable], main: str, example: str) -> dict[str, bytes]:
    """All files around this main.c and these data, for one target's programs that are linked together."""
    board, first = board_for(executables[0].target), executables[0]
    libraries = [f"lib{file_stem(each.stem, library=True)}.a" for each in executables]
    headers = [f"{file_stem(each.symbol)}.h" for each in executables]
    values = {
        "title": title(first),
        "target": first.target.name,
        "files": ", ".join([*libraries, *headers]),
        "machine": board.machine,
        "options": board.options,
        "note": _note(first, board),
        **_commands(board, libraries, f"{file_stem(first.stem)}.elf"),
        **_memory(board),
        "read_only": _sections(executables, "weights", "code"),
        "written": _sections(executables, "workspace", "states"),
        "stack": rounded_up(max(each.stack_bytes or 0 for each in executables) + _OWN_STACK_BYTES, 8),
    }
    texts = {name: template(name) for name in (*_SOURCES, "firmware-io.h")}
    texts |= {name: Template(template(name)).substitute(values) for name in ("board.ld", "README.txt")}
    texts |= {"main.c": main, "example-data.h": example}
    return {name: text.encode() for name, text in texts.items()}


def template(name: str) -> str:
    """A text of `project/`, as it stands there."""
    return (_TEXTS / name).read_text(encoding="utf-8")


def _commands(board: Board, libraries: Sequence[str], program: str) -> dict[str, str]:
    """Build and run; all sections that nothing calls are left out."""
    sources = " ".join(["main.c", *_SOURCES, *libraries])
    flags = f"{board.options} -O2 -ffreestanding -nostdlib -ffunction-sections -Wl,--gc-sections,-z,noexecstack"
    return {
        "build": f"arm-none-eabi-gcc {flags} -T board.ld {sources} -lgcc -o {program}",
        "run": " ".join([*board.emulator.words, program]),
    }


def section(executable: Executable, part: str) -> str:
    """The attribute for a part that is placed, after another one."""
    name = executable.regions.given().get(part)
    return f', section("{name}")' if name else ""


def _sections(executables: Sequence[Executable], *parts: str) -> str:
    """What board.ld says of the sections of these parts."""
    placed = [each.regions.given() for each in executables]
    return "".join(
        f" *({name})" for name in dict.fromkeys(each[part] for part in parts for each in placed if part in each)
    )


def _memory(board: Board) -> dict[str, str]:
    return {
        "vectors": f"{board.vectors:#010x}",
        "flash": f"{board.flash.first:#010x}",
        "flash_bytes": f"{board.flash.bytes:#x}",
        "ram": f"{board.ram.first:#010x}",
        "ram_bytes": f"{board.ram.bytes:#x}",
        "inner": f"{board.inner.first:#010x}",
        "inner_bytes": f"{board.inner.bytes:#x}",
    }


def _note(executable: Executable, board: Board) -> str:
    if executable.target.name == "cortex-m0plus":
        return f"{board.machine} has a Cortex-M3, which has all instructions of this core."
    return ""


def data(
    inputs: Sequence[tuple[str, Port]],
    feeds: Mapping[str, Array],
    calls: Sequence[tuple[Sequence[tuple[str, Port]], Mapping[str, Bound]]],
) -> str:
    """example-data.h: the inputs, and for the outputs of each call what is expected."""
    parts = ["/* Inputs, and of each output what the interpreter finds and how far it may be off. */\n"]
    parts += [tensor(name, port.type.dtype, feeds[port.name]) for name, port in inputs]
    for outputs, expected in calls:
        parts += [expectation(name, port.type.dtype, expected[port.name]) for name, port in outputs]
    return "\n".join(parts)
