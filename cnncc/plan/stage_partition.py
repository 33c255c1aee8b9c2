"""Which stages shards divide, which one shard runs, which are replicated, and how many shards are worth starting.

A barrier stands between stages that depend on each other (see `depend`). It takes as long as some small layers, for
messages between cores and for cache lines that another core wrote last. Three rules save barriers:

- Stages that divide the same rows need none between them. Where a stage divides single positions, or finer rows than
  the stage before, it takes over the partitions of the stage before.
- Successive stages that the same single shard runs need none between them.
- A stage with a small result may be replicated: every shard runs it, into memory of its own, and none waits.

The cheapest division is a shortest path through all stages in order, each of them divided, run by a single shard, or
replicated. It is computed for two shards and used for any number, since the program is the same for all. If no number
of shards is faster than one, one shard runs the model: the runtime starts no more shards than are useful.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from ..machine.core import Core
from ..machine.target import Target
from .cost.parallel import FASTER, REPLICATED_ELEMENTS, TYPICAL_SHARDS, foreign, largest_part
from .depend import by_rows, rows_for_each, unit_axis, with_barriers
from .plan import Schedule, Stage, Step, most_shards
from .views import ROW_AXIS, Buffer, View, elements

State = Literal["shared", "single", "replicated"]
STATES: tuple[State, ...] = ("shared", "single", "replicated")
Path = tuple[float, tuple[State, ...]]  # cycles, and the states of the stages so far


def with_pieces(s: Schedule, target: Target) -> Schedule:
    """The schedule; a step that reads rows of another step takes its partitions, if they are nearly as balanced."""
    steps = list(s.steps)
    writers: dict[str, int] = {}
    for stage in s.stages:
        number = stage.steps[-1]
        if len(stage.steps) == 1 and by_rows(steps[number]):
            steps[number] = _as_divided(steps, number, writers, target)
        writers.update((steps[member].target.buffer, member) for member in stage.steps)
    return replace(s, steps=tuple(steps))


def _as_divided(steps: Sequence[Step], number: int, writers: Mapping[str, int], target: Target) -> Step:
    """A step with the partitions of a step whose result it reads, if its own are finer."""
    step = steps[number]
    for at, source in enumerate(step.sources):
        writer = steps[writers[source.buffer]] if source.buffer in writers else step
        rows = rows_for_each(step, at)
        divided = by_rows(writer) or writer.by_images
        if not divided or not rows or not rows[0] * source.strides[ROW_AXIS]:
            continue
        row_multiple, rest = divmod(
            writer.granularity * writer.target.strides[unit_axis(writer)], rows[0] * source.strides[ROW_AXIS]
        )
        if rest == 0 and row_multiple > 1 and writer.partitions * row_multiple == step.partitions:
            coarse = replace(step, row_multiple=row_multiple)
            uneven = largest_part(coarse.partitions, TYPICAL_SHARDS) - largest_part(step.partitions, TYPICAL_SHARDS)
            return coarse if uneven * step.cycles(target) < target.core.barrier_cycles else step
    return step


def divided(s: Schedule, target: Target) -> Schedule:
    """The schedule, with the stages that a single shard runs and those that are replicated, in memory of each shard.

    The barriers of `s`, and those of the result, assume that no two buffers share memory.
    """
    split = with_barriers(s, placed=False, partitions=False)
    # For each state of the stage before: the least cycles up to it, and the states of all stages. For sixty stages
    # networkx takes four times as long to build a graph and find its shortest path, and its import takes 0.09 s.
    paths: dict[State, Path] = {"shared": (0.0, ())}
    for stage, parted in zip(s.stages, split.stages, strict=True):
        paths = dict(_longer(paths, s, stage, parted.barrier, target))
    states = min(paths.values(), key=lambda path: path[0])[1]
    stages = tuple(
        replace(stage, single_shard=state == "single", replicated=state == "replicated")
        for stage, state in zip(s.stages, states, strict=True)
    )
    if stages == s.stages:
        return s
    own = {s.steps[number].target.buffer for stage in stages if stage.replicated for number in stage.steps}
    buffers = {name: replace(buffer, space="ring") if name in own else buffer for name, buffer in s.buffers.items()}
    return with_barriers(Schedule(stages, s.steps, buffers, alignment=s.alignment), placed=False)


def _longer(
    paths: Mapping[State, Path], s: Schedule, stage: Stage, split: bool, target: Target
) -> Iterator[tuple[State, Path]]:
    """The cheapest path to each state of a stage, from the cheapest paths to the states of the stage before."""
    core, whole = target.core, _whole(stage, s.steps, target)
    for state in STATES:
        time = _time(core, state, whole, stage, s.steps, s.buffers)
        yield (
            state,
            min(
                (
                    (before + time + _change(core, last, state, stage, split, s), (*path, state))
                    for last, (before, path) in paths.items()
                ),
                key=lambda path: path[0],
            ),
        )


def _time(
    core: Core, state: State, whole: float, stage: Stage, steps: Sequence[Step], buffers: Mapping[str, Buffer]
) -> float:
    """Cycles of a stage in a state, if one core takes `whole` cycles for all of it."""
    last = steps[stage.steps[-1]]
    if state == "shared":
        return whole * largest_part(last.partitions, TYPICAL_SHARDS) if last.partitions > 1 else math.inf
    if state == "replicated":
        return whole if _may_be_own(stage, steps, buffers) else math.inf
    return whole + foreign(core, view_bytes(last.target, buffers)) / TYPICAL_SHARDS


def view_bytes(view: View, buffers: Mapping[str, Buffer]) -> int:
    """Of the elements of a view."""
    return buffers[view.buffer].dtype.bytes * elements(view.shape)


def _change(core: Core, last: State, state: State, stage: Stage, split: bool, s: Schedule) -> float:
    """Cycles of a barrier before a stage, and of fetching the elements that it reads and other shards wrote.

    `split` tells whether a barrier stands before it unless both stages divide the same rows.
    """
    if last == "replicated" or (last == state and not (stage.barrier and state == "shared")):
        return 0.0
    if last == state:
        return core.barrier_cycles
    read = sum(view_bytes(source, s.buffers) for source in s.steps[stage.steps[0]].sources[:1])
    return core.barrier_cycles + foreign(core, read) / TYPICAL_SHARDS if split else 0.0


def _may_be_own(stage: Stage, steps: Sequence[Step], buffers: Mapping[str, Buffer]) -> bool:
    """Whether a stage may be replicated: its results are small, and no other stage writes them."""
    last = steps[stage.steps[-1]]
    name = last.target.buffer
    buffer = buffers[name]
    single = sum(step.target.buffer == name for step in steps) == 1 and not last.kernel.only_border
    return len(stage.steps) == 1 and single and buffer.space == "arena" and buffer.nbytes <= REPLICATED_ELEMENTS


def useful(s: Schedule, target: Target) -> int:
    """The number of shards beyond which a run gets no faster."""
    core, wholes = target.core, [_whole(stage, s.steps, target) for stage in s.stages]
    best, least = 1, sum(wholes)
    for shards in range(2, most_shards(target) + 1):
        time = core.wake_cycles + sum(_times(core, wholes, s, shards))
        if time < FASTER * least:
            best, least = shards, time
    return best


def _times(core: Core, wholes: Sequence[float], s: Schedule, shards: int) -> Iterator[float]:
    """Cycles of each stage, with the barrier before it; `wholes` are the cycles of each on one core."""
    for whole, stage in zip(wholes, s.stages, strict=True):
        part = (
            1.0 if stage.single_shard or stage.replicated else largest_part(s.steps[stage.steps[-1]].partitions, shards)
        )
        yield whole * part + (core.barrier_cycles if stage.barrier else 0.0)


def _whole(stage: Stage, steps: Sequence[Step], target: Target) -> float:
    """Cycles of a stage on one core."""
    return sum(steps[number].cycles(target) for number in stage.steps)
