"""targets: list the machines to compile for, with vector width, ABI, and how each is tested.

Objects, static libraries, header and manifest need no other program; a shared library needs the compiler that is named,
or the extra cnncc[cross].
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from .console import say, table
from .documents import add_json, say_json

if TYPE_CHECKING:
    from ..machine.target import Target

_WIDTH = 32
"""Bits of an element of the vectors whose lanes a target counts."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_json(parser)


def run(arguments: argparse.Namespace) -> None:
    from ..machine.target import ALIASES, TARGETS

    if arguments.json:
        say_json([_described(target) for target in TARGETS.values()])
        return
    heads = ("target", "vector", "floats", "ABI", "objects", "shared library", "NAME_check", "tested")
    say(table(heads, [_row(target) for target in TARGETS.values()]))
    say("\n" + "\n".join(f"{alias} is another name of {name}" for alias, name in ALIASES.items()))


def _row(target: Target) -> tuple[str, ...]:
    return (
        target.name,
        f"{target.lanes} × {_WIDTH} bits" if target.lanes > 1 else "none",
        "multiply-add" if target.fma else "hardware" if target.float_unit else "routines",
        target.abi,
        target.object_format,
        f"{target.shared_library}, {target.compiler or 'ziglang'}" if target.shared_library else "none",
        target.isa.check.value,
        target.tested or "not run",
    )


def _described(target: Target) -> dict[str, Any]:
    """The fields of a target, and what follows from them."""
    from ..machine.routines import allowed
    from ..machine.target import ALIASES
    from ..runtime.artefacts import kinds_for, kinds_without_tools

    return {
        **target.describe(),
        "aliases": [alias for alias, name in ALIASES.items() if name == target.name],
        "vector_bits": target.vector_bits if target.lanes > 1 else 0,
        "object_format": target.object_format,
        "processor_check": target.isa.check.value,
        "kinds": list(kinds_for(target)),
        "kinds_without_tools": list(kinds_without_tools(target)),
        "may_need": sorted(allowed(target)),
    }
