"""Offsets in the arena: buffers whose live ranges do not overlap share memory.

Buffers are placed one after the other, each at the lowest offset that is free during its live range. The largest
come first (Pisarchyk and Lee, Efficient Memory Management for Deep Neural Net Inference, 2020, section 4.2).
The lower bound is the largest sum of bytes alive at once. If the arena exceeds it, each buffer that ends above the
bound moves to an earlier position in the order. Then all are placed again (Joslin and Clements, "Squeaky Wheel"
Optimization, 1999). A few rounds reach the bound for nearly every network.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..abi import ALIGNMENT
from ..alignment import rounded_up
from ..machine.target import Target
from .cost.parallel import SLACK
from .plan import Plan, Schedule, Stage, most_shards, runs_of
from .views import Buffer

ROUNDS = 300  # most orders that are tried: some ten milliseconds for a hundred buffers


@dataclass(frozen=True)
class LiveRange:
    """A buffer of `size` bytes that is alive from stage `first` to stage `last`, both included."""

    size: int
    first: int
    last: int
    alignment: int = ALIGNMENT

    @property
    def taken(self) -> int:
        """Bytes up to where the next buffer can begin."""
        return rounded_up(self.size, self.alignment)

    def meets(self, other: LiveRange) -> bool:
        return self.first <= other.last and other.first <= self.last


@dataclass(frozen=True)
class Arena:
    """A schedule whose buffers have their offsets.

    The arena has `nbytes`, and its lower bound is `bound`; each shard has `shard_bytes` of its own.
    """

    schedule: Schedule
    nbytes: int
    bound: int
    shard_bytes: int


def arena(s: Schedule, target: Target) -> Arena:
    """The offsets of all buffers that are used. The barriers of `s` assume that no two buffers share memory.

    Where there is but one shard, its own memory lies in the arena, and shares that with all other buffers.
    """
    if most_shards(target) == 1:
        s = replace(s, buffers={name: in_arena(buffer) for name, buffer in s.buffers.items()})
    s = replace(s, buffers=dict(s.buffers))
    whole, rings = (
        over_runs(live_ranges(s, space), s.buffers, runs_of(s.stages, s.block)) for space in ("arena", "ring")
    )
    places, nbytes = assign_to_barriers(whole, [stage.barrier for stage in s.stages])
    ring_places, shard_bytes = assign(over_tiles(rings, s.stages))
    places.update(ring_places)
    places.update({name: places[root_of(s.buffers, name)] for name in s.buffers if s.buffers[name].over})
    used = {name for step in s.steps for name in (*(view.buffer for view in step.views), *step.tables)}
    buffers = {
        name: replace(buffer, place=places.get(name, buffer.place))
        for name, buffer in s.buffers.items()
        if name in used or buffer.space in ("input", "output", "state")
    }
    return Arena(replace(s, buffers=buffers), nbytes, lower_bound(whole), shard_bytes)


def in_arena(buffer: Buffer) -> Buffer:
    """A buffer of a shard's own memory, in the arena."""
    return replace(buffer, space="arena") if buffer.space == "ring" else buffer


def root_of(buffers: Mapping[str, Buffer], name: str) -> str:
    """The buffer whose place a buffer takes, its own if it lies over none."""
    while buffers[name].over:
        name = buffers[name].over
    return name


def live_ranges(s: Schedule | Plan, space: str) -> dict[str, LiveRange]:
    """The live range of every buffer of a space, in stages.

    Buffers that lie over each other are one. What a stage writes that runs once a call is read for every image, so it
    lives as long as the call.
    """
    result: dict[str, LiveRange] = {}
    for at, stage in enumerate(s.stages):
        for buffer in (s.buffers[view.buffer] for number in stage.steps for view in s.steps[number].views):
            if buffer.space == space:
                name = root_of(s.buffers, buffer.name)
                known = result.get(name, LiveRange(buffer.nbytes, at, at, s.alignment))
                result[name] = replace(known, last=len(s.stages) - 1 if stage.once else max(known.last, at))
    return result


def alive_bytes(s: Schedule | Plan) -> list[int]:
    """The bytes of the arena that are alive at each stage."""
    ranges = live_ranges(s, "arena").values()
    return [sum(life.taken for life in ranges if life.first <= at <= life.last) for at in range(len(s.stages))]


def peak(plan: Plan) -> tuple[str, list[tuple[str, int]]]:
    """The layer at which most bytes are alive, and what is alive there with its bytes, the largest first."""
    alive = alive_bytes(plan)
    at = alive.index(max(alive))
    ranges = live_ranges(plan, "arena").items()
    held = [(name, life.size) for name, life in ranges if life.first <= at <= life.last]
    return plan.steps[plan.stages[at].steps[-1]].name, sorted(held, key=lambda pair: -pair[1])


def over_runs(
    live_ranges: Mapping[str, LiveRange], buffers: Mapping[str, Buffer], runs: Sequence[tuple[int, int]]
) -> dict[str, LiveRange]:
    """The live ranges; those of buffers with a piece for each image of a block extend over whole runs of stages.

    The stages of a run are repeated for each image, and must leave the pieces of other images as they are.
    """
    return {
        name: replace(life, first=runs[life.first][0], last=runs[life.last][1]) if buffers[name].images > 1 else life
        for name, life in live_ranges.items()
    }


def over_tiles(live_ranges: Mapping[str, LiveRange], stages: Sequence[Stage]) -> dict[str, LiveRange]:
    """The live ranges in a shard's own memory: what a stage of a tile of images reads, the next tile reads again.

    What only one stage touches, its scratch, holds nothing from one tile to the next. (In the arena, what shares memory
    within a tile needs a barrier, which ends it.)
    """
    last = {stage.tile: at for at, stage in enumerate(stages)}
    ends = [last[stage.tile] if stage.tile else at for at, stage in enumerate(stages)]
    return {
        name: replace(life, last=ends[life.last]) if life.first < life.last else life
        for name, life in live_ranges.items()
    }


def least_memory(s: Schedule) -> int:
    """The least bytes of the arena and of a shard's own memory."""
    runs = runs_of(s.stages, s.block)
    spaces: list[dict[str, LiveRange]] = [live_ranges(s, name) for name in ("arena", "ring")]
    return sum(lower_bound(over_runs(ranges, s.buffers, runs)) for ranges in spaces)


def assign_to_barriers(live_ranges: Mapping[str, LiveRange], barriers: Sequence[bool]) -> tuple[dict[str, int], int]:
    """`assign`, with live ranges extended to barriers if the arena then stays near its lower bound.

    Where it does not, memory counts more than the barriers that reuse of it may need. Without extensions, the order
    that begins with the longest lives finds the bound most often.
    """
    found = assign(to_barriers(live_ranges, barriers))
    if found[1] <= SLACK * lower_bound(live_ranges):
        return found
    by_life = sorted(live_ranges, key=lambda name: (live_ranges[name].first - live_ranges[name].last, name))
    return min(found, assign(live_ranges, by_life), key=lambda result: result[1])


def to_barriers(live_ranges: Mapping[str, LiveRange], barriers: Sequence[bool]) -> dict[str, LiveRange]:
    """The live ranges, extended to the next barrier where that takes no more memory.

    `barriers` says before which stages a barrier stands if no buffers share memory. A buffer that reused the memory of
    another one before that barrier would need a barrier of its own, since another shard might still read the first.
    """
    alive = [0] * len(barriers)
    for life in live_ranges.values():
        for at in range(life.first, life.last + 1):
            alive[at] += life.taken
    most, result = max(alive, default=0), dict(live_ranges)
    for name, life in sorted(live_ranges.items(), key=lambda item: item[1].size):
        end = next((at for at in range(life.last + 1, len(barriers)) if barriers[at]), len(barriers))
        longer = range(life.last + 1, end)
        if all(alive[at] + life.taken <= most for at in longer):
            for at in longer:
                alive[at] += life.taken
            result[name] = replace(life, last=end - 1)
    return result


def assign(live_ranges: Mapping[str, LiveRange], first: Sequence[str] = ()) -> tuple[dict[str, int], int]:
    """The byte offset of each buffer, and the size of the arena in bytes; `first` is the order that is tried first.

    Of the interference graph only the neighbours of a buffer are needed, so it is kept as lists of neighbours.
    """
    bound, chance = lower_bound(live_ranges), random.Random(0)
    near = {
        name: [other for other in live_ranges if other != name and life.meets(live_ranges[other])]
        for name, life in live_ranges.items()
    }
    order = list(first) or sorted(
        live_ranges, key=lambda name: (-live_ranges[name].size, live_ranges[name].first, name)
    )
    best = found = first_fit(live_ranges, near, order)
    for tried in range(ROUNDS):
        if enough(best[1], bound, tried):
            break
        for late in [name for name in order if found[0][name] + live_ranges[name].taken > bound]:
            at = order.index(late)
            order.insert(chance.randrange(at + 1), order.pop(at))
        found = first_fit(live_ranges, near, order)
        best = min(best, found, key=lambda result: result[1])
    return best


def enough(nbytes: int, bound: int, tried: int) -> bool:
    """Whether no further order is tried: at the bound, or little above it after a tenth of the rounds.

    Little is a thirty-second, and some cache lines at most: a step of training has a hundred buffers of a few lines,
    whose rounds take longest and have least to save.
    """
    return nbytes <= bound + (min(bound // 32, 16 * ALIGNMENT) if tried >= ROUNDS // 10 else 0)


def first_fit(
    live_ranges: Mapping[str, LiveRange], near: Mapping[str, Sequence[str]], order: Sequence[str]
) -> tuple[dict[str, int], int]:
    """Each buffer in `order` at the lowest offset that no earlier buffer of those `near` it in time occupies."""
    placed: dict[str, int] = {}
    for name in order:
        size, offset = live_ranges[name].taken, 0
        for begin, end in sorted(
            (placed[other], placed[other] + live_ranges[other].taken) for other in near[name] if other in placed
        ):
            if offset + size <= begin:
                break
            offset = max(offset, end)
        placed[name] = offset
    return placed, max((placed[name] + live_ranges[name].taken for name in live_ranges), default=0)


def lower_bound(live_ranges: Mapping[str, LiveRange]) -> int:
    """The largest number of bytes alive at any stage."""
    stages = {life.first for life in live_ranges.values()}
    return max(
        (sum(life.taken for life in live_ranges.values() if life.first <= at <= life.last) for at in stages),
        default=0,
    )
