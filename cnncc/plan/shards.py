"""Which stages one shard does alone, and how many shards are worth starting.

Shards meet at a barrier between stages that depend on each other. That takes as long as some small layers: messages
between cores, and lines of cache that the other core wrote last. Two stages in a row that one shard does alone need
no barrier between them, so the cheapest division is a shortest path: through all stages in order, each one shared or
done alone, with a barrier wherever a stage depends on an earlier one and not both are done alone.

The choice is made for two shards and holds for any number, since the program is the same for all. A model in which
no number of shards is faster than one is best run by one: the runtime starts no more than are useful.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ..target import Target
from .plan import Stage, Step, most_shards
from .work import cycles

BARRIER = 4000.0  # cycles to meet and to fetch what others wrote: 200 between near cores, 8000 between far ones
START = 10000.0  # cycles to wake the other shards, and to wait for them at the end
TYPICAL = 2  # shards for which stages are divided
LEAST = 0.97  # of the time that fewer shards take: more have to be that much faster


def with_lone_stages(stages: Sequence[Stage], steps: Sequence[Step], target: Target) -> list[Stage]:
    """The stages, those marked that one shard should do alone. Barriers are where they are if all are shared."""
    # For each state of the stage before (shared, alone): the least cycles up to it, and the states of all stages.
    paths: list[tuple[float, tuple[bool, ...]]] = [(0.0, ()), (0.0, ())]
    for stage in stages:
        meet = BARRIER if stage.barrier else 0.0
        whole = _whole(stage, steps, target)
        shared = min(paths, key=lambda path: path[0])
        alone = min((paths[0][0] + meet, paths[0][1]), paths[1], key=lambda path: path[0])
        share = largest_share(stage, steps, TYPICAL)
        part = whole * share if share < 1 else math.inf
        paths = [(shared[0] + meet + part, (*shared[1], False)), (alone[0] + whole, (*alone[1], True))]
    states = min(reversed(paths), key=lambda path: path[0])[1]
    return [replace(stage, alone=alone) for stage, alone in zip(stages, states, strict=True)]


def useful(stages: Sequence[Stage], steps: Sequence[Step], target: Target) -> int:
    """The number of shards beyond which a run gets no faster."""
    best, least = 1, sum(_whole(stage, steps, target) for stage in stages)
    for shards in range(2, most_shards(target) + 1):
        time = START + sum(_times(stages, steps, target, shards))
        if time < LEAST * least:
            best, least = shards, time
    return best


def _times(stages: Sequence[Stage], steps: Sequence[Step], target: Target, shards: int) -> Iterator[float]:
    """Cycles of each stage, with the barrier before it."""
    for stage in stages:
        part = 1.0 if stage.alone else largest_share(stage, steps, shards)
        yield _whole(stage, steps, target) * part + (BARRIER if stage.barrier else 0.0)


def largest_share(stage: Stage, steps: Sequence[Step], shards: int) -> float:
    """The part of a stage that the busiest shard has."""
    last = steps[stage.steps[-1]]
    pieces = math.ceil(last.units / last.grain)
    return math.ceil(pieces / shards) / pieces if pieces else 1.0


def _whole(stage: Stage, steps: Sequence[Step], target: Target) -> float:
    """Cycles of a stage on one core."""
    return sum(cycles(steps[number], target) for number in stage.steps)
