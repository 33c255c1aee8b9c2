"""How many instructions a model takes on another machine, counted under its emulator, and an estimate of the cycles.

The object runs once, as `cnncc compile` writes it, and each instruction counts that lies in it. So the figures are
exact and the same in every run; what memory costs is not in them.
"""

from __future__ import annotations

import tempfile
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..codegen.llvm.emitter import LlvmEmitter
from ..codegen.step_function import step_function
from ..compiler import Compilation
from ..emulation.plugin import Executed, Plugin
from ..emulation.run import fitting, output
from ..errors import TargetError
from ..runtime.arrays import checked_inputs, ordered_inputs
from ..types import Array
from .cycles import CYCLES


@dataclass(frozen=True)
class FunctionCount:
    """What one function of the object executes; `steps` are those whose kernel it is. `cycles` is None if not known."""

    name: str
    steps: tuple[str, ...]
    instructions: int
    cycles: float | None


@dataclass(frozen=True)
class Counts:
    """Instructions and cycles of one call, and the bytes of stack that it took. `emulator` is what it ran under."""

    emulator: str
    images: int
    instructions: int
    cycles: float | None
    stack_bytes: int
    functions: tuple[FunctionCount, ...]


def count(compilation: Compilation, feeds: Mapping[str, Array], *, use_cache: bool = True) -> Counts:
    """Count what one call executes.

    Raises TargetError where nothing here runs the target or counts, and whatever `emulate` raises.
    """
    executable = compilation.executable(use_cache=use_cache)
    inputs, images = checked_inputs(executable, ordered_inputs(executable, [feeds]))
    program = fitting(executable, inputs, images)
    if not program.emulator.counts:
        raise TargetError(
            f"{program.emulator.told} does not count the instructions of target '{executable.target.name}'"
        )
    command, *words = program.emulator.words
    with tempfile.TemporaryDirectory() as folder:
        plugin = Plugin.compiled(Path(folder), command)
        answer = program.answer(output(program.file, [command, *plugin.words, *words], executable.name))
        executed = plugin.counts
    known = CYCLES.get(executable.target.cpu)
    cycles = list(known.estimate(executed)) if known else [None] * len(executed)
    places = {address & ~1: name for name, address in program.labels.items() if _is_function(name)}
    unwanted = f"{executable.symbol}_check", f"{executable.symbol}_workspace_bytes"
    first, last = program.code
    inside = [(one, took) for one, took in zip(executed, cycles, strict=True) if first <= one.address < last]
    functions = [each for each in _by_function(inside, places, _steps(compilation)) if each.name not in unwanted]
    return Counts(
        emulator=program.emulator.told,
        images=images,
        instructions=sum(each.instructions for each in functions),
        cycles=sum(each.cycles or 0 for each in functions) if known else None,
        stack_bytes=answer.stack_bytes,
        functions=tuple(sorted(functions, key=lambda each: -each.instructions)),
    )


def _by_function(
    executed: Sequence[tuple[Executed, float | None]], places: Mapping[int, str], steps: Mapping[str, tuple[str, ...]]
) -> Iterator[FunctionCount]:
    """Each instruction counts for the last function that begins before it."""
    starts = sorted(places)
    sums: dict[str, list[float]] = defaultdict(lambda: [0, 0.0])
    for one, cycles in executed:
        name = places[starts[bisect_right(starts, one.address) - 1]]
        sums[name][0] += one.count
        sums[name][1] += cycles or 0
    timed = any(cycles is not None for _, cycles in executed)
    for name, (instructions, cycles) in sums.items():
        yield FunctionCount(name, steps.get(name, ()), int(instructions), cycles if timed else None)


def _steps(compilation: Compilation) -> dict[str, tuple[str, ...]]:
    """The steps whose kernel each function is: equal ones share it."""
    plan, found = compilation.plan, defaultdict(list)
    emitter = LlvmEmitter(compilation.options.target, checked=compilation.options.checked)
    for number, step in enumerate(plan.steps):
        found[step_function(emitter, plan, number, step)].append(step.name)
    return {name: tuple(names) for name, names in found.items()}


def _is_function(name: str) -> bool:
    """Whether it is no mark of a disassembler ($t), or a section."""
    return name[:1].isalpha() or name[:1] == "_"
