"""The page of `bench --target` for code of another machine: instructions, and cycles where the core's are known.

Of a step of training (`--step`) the first one is counted: with the states that a program begins with.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from . import common, steps
from .console import table

if TYPE_CHECKING:
    from ..ir import Graph
    from ..measure.counting import Counts, FunctionCount

LONGEST_NAME = 60


def measured(arguments: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """What one call executes, as facts and as pages. Raises UsageError for what only a clock tells."""
    from ..check.model import random_feeds
    from ..measure.counting import count

    for option, given in (
        ("--tune", arguments.tune),
        ("--against", arguments.against),
        ("--save-plan", arguments.save_plan),
    ):
        if given:
            raise UsageError(f"{option} takes times, and for target '{arguments.target}' instructions are counted")
    if arguments.threads != (1,):
        raise UsageError(f"--threads: instructions for target '{arguments.target}' are counted on one thread")
    compilation = common.compilation(arguments)
    step = steps.learned(compilation.graph, arguments) if arguments.step else None
    compilation = step.compiled(compilation) if step else compilation
    feeds = step.inputs() if step else random_feeds(compilation.graph, 0)
    counts = count(compilation, feeds, use_cache=not arguments.no_cache)
    counts = replace(counts, images=step.recipe.batch) if step else counts
    common.tell_timings(compilation, arguments)
    macs = _macs(compilation.optimised.graph)
    facts = {"model": compilation.graph.name, "target": arguments.target, "macs": macs, **asdict(counts)}
    return facts, [_show(counts, macs), *([_show_functions(counts)] if arguments.layers else [])]


def _macs(graph: Graph) -> int:
    return sum(node.op.cost(*graph.types(node.inputs)).macs for node in graph if node.op.source is None)


def _show(counts: Counts, macs: int) -> str:
    lines = [
        f"{counts.instructions:,} instructions a call of {counts.images} image(s)" + _each(counts.instructions, macs)
    ]
    if counts.cycles is not None:
        lines.append(
            f"{counts.cycles:,.0f} cycles by the core's table, without wait states" + _each(counts.cycles, macs)
        )
    else:
        lines.append("no cycles: there is no table of this core's instructions")
    lines.append(f"{counts.stack_bytes:,} bytes of stack; counted under {counts.emulator}")
    return "\n".join(lines)


def _each(number: float, macs: int) -> str:
    return f", {number / macs:.2f} a multiply-add" if macs else ""


def _show_functions(counts: Counts) -> str:
    """A row for each function, the largest first."""
    heads = ("instructions", "share", "cycles", "function", "layers")
    return table(heads, [_row(each, counts) for each in counts.functions], right=(0, 1, 2))


def _row(each: FunctionCount, counts: Counts) -> tuple[str, ...]:
    layers = ", ".join(each.steps)
    cycles = "" if each.cycles is None else f"{each.cycles:,.0f}"
    return (
        f"{each.instructions:,}",
        f"{each.instructions / max(counts.instructions, 1):.1%}",
        cycles,
        each.name,
        layers if len(layers) <= LONGEST_NAME else f"{layers[: LONGEST_NAME - 1]}…",
    )
