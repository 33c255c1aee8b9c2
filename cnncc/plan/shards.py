"""Which stages are shared, which one shard does alone or each for itself, and how many shards are worth starting.

Shards meet at a barrier between stages that depend on each other (see `depend`). That takes as long as some small
layers: messages between cores, and lines of cache that the other core wrote last. Three things save barriers:

- Stages that divide the same rows need none between them. Where one divides single positions, or finer rows than the
  one before, it takes over that one's pieces.
- Stages in a row that one shard does alone need none between them.
- What is small may be done by every shard, into memory of its own: then nobody waits for it.

The cheapest division is a shortest path: through all stages in order, each one shared, alone or done by each. The
choice is made for two shards and holds for any number, since the program is the same for all. A model in which no
number of shards is faster than one is best run by one: the runtime starts no more than are useful.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from ..core import Core
from ..target import Target
from .cost.parallel import FASTER, OWN, TYPICAL, foreign, largest_part
from .depend import by_rows, rows_for_each, with_barriers
from .plan import Stage, Step, most_shards
from .views import ROW_AXIS, Buffer, elements

State = Literal["shared", "alone", "each"]
STATES: tuple[State, ...] = ("shared", "alone", "each")


def with_pieces(steps: Sequence[Step], stages: Sequence[Stage], target: Target) -> list[Step]:
    """The steps; those that read rows of another one divide them as that one does, if that is nearly as even."""
    result = list(steps)
    writers: dict[str, int] = {}
    for stage in stages:
        number = stage.steps[-1]
        if len(stage.steps) == 1 and by_rows(steps[number]):
            result[number] = _as_divided(result, number, writers, target)
        writers.update((steps[member].target.buffer, member) for member in stage.steps)
    return result


def _as_divided(steps: Sequence[Step], number: int, writers: Mapping[str, int], target: Target) -> Step:
    """A step with the pieces of one that it reads, if it is divided more finely."""
    step = steps[number]
    for at, source in enumerate(step.sources):
        writer = steps[writers[source.buffer]] if source.buffer in writers else step
        rows = rows_for_each(step, at)
        if not by_rows(writer) or not rows or not rows[0] * source.strides[ROW_AXIS]:
            continue
        together, rest = divmod(writer.grain * writer.target.strides[ROW_AXIS], rows[0] * source.strides[ROW_AXIS])
        if rest == 0 and together > 1 and writer.pieces * together == step.pieces:
            coarse = replace(step, together=together)
            uneven = largest_part(coarse.pieces, TYPICAL) - largest_part(step.pieces, TYPICAL)
            return coarse if uneven * step.cycles(target) < target.core.barrier_cycles else step
    return step


def divided(
    stages: Sequence[Stage], steps: Sequence[Step], buffers: Mapping[str, Buffer], target: Target
) -> list[Stage]:
    """The stages, with what one shard does alone and what each does for itself."""
    core = target.core
    joint = [stage.barrier for stage in with_barriers(stages, steps, buffers, placed=False)]
    split = [stage.barrier for stage in with_barriers(stages, steps, buffers, placed=False, pieces=False)]
    # For each state of the stage before: the least cycles up to it, and the states of all stages.
    paths: dict[State, tuple[float, tuple[State, ...]]] = {"shared": (0.0, ())}
    for number, stage in enumerate(stages):
        whole = _whole(stage, steps, target)
        times = {state: _time(core, state, whole, stage, steps, buffers) for state in STATES}
        paths = {
            state: min(
                (
                    (
                        before + time + _change(core, last, state, joint[number], split[number], stage, steps),
                        (*path, state),
                    )
                    for last, (before, path) in paths.items()
                ),
                key=lambda path: path[0],
            )
            for state, time in times.items()
        }
    states = min(paths.values(), key=lambda path: path[0])[1]
    return [
        replace(stage, alone=state == "alone", each=state == "each")
        for stage, state in zip(stages, states, strict=True)
    ]


def _time(
    core: Core, state: State, whole: float, stage: Stage, steps: Sequence[Step], buffers: Mapping[str, Buffer]
) -> float:
    """Cycles of a stage that takes one core `whole`, if it is done in this way."""
    last = steps[stage.steps[-1]]
    if state == "shared":
        return whole * largest_part(last.pieces, TYPICAL) if last.pieces > 1 else math.inf
    if state == "each":
        return whole if _may_be_own(stage, steps, buffers) else math.inf
    return whole + foreign(core, elements(last.target.shape)) / TYPICAL


def _change(
    core: Core, last: State, state: State, joint: bool, split: bool, stage: Stage, steps: Sequence[Step]
) -> float:
    """Cycles of a barrier before a stage, and of fetching what others made of what it reads."""
    if last == "each" or (last == state and not (joint and state == "shared")):
        return 0.0
    if last == state:
        return core.barrier_cycles
    read = sum(elements(source.shape) for source in steps[stage.steps[0]].sources[:1])
    return core.barrier_cycles + foreign(core, read) / TYPICAL if split else 0.0


def _may_be_own(stage: Stage, steps: Sequence[Step], buffers: Mapping[str, Buffer]) -> bool:
    """Whether each shard may have a result of its own: a small one, made by this stage alone."""
    last = steps[stage.steps[-1]]
    name = last.target.buffer
    buffer = buffers[name]
    single = sum(step.target.buffer == name for step in steps) == 1 and not last.kernel.only_border
    return len(stage.steps) == 1 and single and buffer.space == "arena" and buffer.elements <= OWN


def with_own_buffers(
    stages: Sequence[Stage], steps: Sequence[Step], buffers: Mapping[str, Buffer]
) -> dict[str, Buffer]:
    """The buffers: what each shard does for itself lies in its own memory."""
    own = {steps[number].target.buffer for stage in stages if stage.each for number in stage.steps}
    return {name: replace(buffer, space="ring") if name in own else buffer for name, buffer in buffers.items()}


def useful(stages: Sequence[Stage], steps: Sequence[Step], target: Target) -> int:
    """The number of shards beyond which a run gets no faster."""
    core, wholes = target.core, [_whole(stage, steps, target) for stage in stages]
    best, least = 1, sum(wholes)
    for shards in range(2, most_shards(target) + 1):
        time = core.wake_cycles + sum(_times(core, wholes, stages, steps, shards))
        if time < FASTER * least:
            best, least = shards, time
    return best


def _times(
    core: Core, wholes: Sequence[float], stages: Sequence[Stage], steps: Sequence[Step], shards: int
) -> Iterator[float]:
    """Cycles of each stage, with the barrier before it; `wholes` are those of one core."""
    for whole, stage in zip(wholes, stages, strict=True):
        part = 1.0 if stage.alone or stage.each else largest_part(steps[stage.steps[-1]].pieces, shards)
        yield whole * part + (core.barrier_cycles if stage.barrier else 0.0)


def _whole(stage: Stage, steps: Sequence[Step], target: Target) -> float:
    """Cycles of a stage on one core."""
    return sum(steps[number].cycles(target) for number in stage.steps)
