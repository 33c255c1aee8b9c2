"""The memory of a plan as data: what lies where, from which step to which, and where most bytes are alive."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .memory import alive_bytes, live_ranges, over_runs, peak
from .plan import Plan, runs_of

SPACES = ("arena", "ring")


@dataclass(frozen=True)
class BufferLife:
    """A buffer of the workspace: its space ('arena', or 'ring' for the memory of each shard), offset and bytes there.

    It has a piece for each of `images` images that are computed at once. It is alive from stage `first` to stage
    `last`, and from step `first_step` to step `last_step`, all included. Buffers that lie over each other are one.
    """

    name: str
    space: str
    offset: int
    bytes: int
    first: int
    last: int
    first_step: int
    last_step: int
    images: int = 1


@dataclass(frozen=True)
class MemoryPicture:
    """The workspace of one call with one shard, and the weights, in bytes.

    `arena_bound` is the largest sum of bytes that are alive at once: no arrangement takes less. `alive` has the bytes
    of the arena that are alive at each stage; at the largest of them, `peak_stage` (None without an arena), runs
    `peak_layer`, and `peak_buffers` are alive, the largest first. `buffers` stand in the order of their offsets.
    """

    header_bytes: int
    arena_bytes: int
    arena_bound: int
    shard_bytes: int
    weights_bytes: int
    state_bytes: int
    buffers: tuple[BufferLife, ...]
    alive: tuple[int, ...]
    peak_stage: int | None
    peak_layer: str
    peak_buffers: tuple[tuple[str, int], ...]

    @property
    def workspace_bytes(self) -> int:
        return self.header_bytes + self.arena_bytes + self.shard_bytes

    @property
    def ratio(self) -> float:
        """The arena in units of its lower bound."""
        return self.arena_bytes / self.arena_bound if self.arena_bound else 1.0


def memory_picture(plan: Plan) -> MemoryPicture:
    """Where the buffers of a plan lie, and when."""
    alive = alive_bytes(plan)
    layer, held = peak(plan) if any(alive) else ("", [])
    return MemoryPicture(
        plan.header_bytes,
        plan.arena_bytes,
        plan.arena_bound,
        plan.shard_bytes,
        len(plan.weights),
        plan.state_bytes,
        tuple(life for space in SPACES for life in buffer_lives(plan, space)),
        tuple(alive),
        alive.index(max(alive)) if any(alive) else None,
        layer,
        tuple(held),
    )


def buffer_lives(plan: Plan, space: str) -> Iterator[BufferLife]:
    """The buffers of a space by offset."""
    ranges = live_ranges(plan.stages, plan.steps, plan.buffers, space)
    found = over_runs(ranges, plan.buffers, runs_of(plan.stages, plan.block))
    for name in sorted(found, key=lambda name: (plan.buffers[name].place, found[name].first)):
        life = found[name]
        steps = [number for at in (life.first, life.last) for number in plan.stages[at].steps]
        buffer, span = plan.buffers[name], (life.first, life.last, min(steps), max(steps))
        yield BufferLife(name, space, buffer.place, life.size, *span, buffer.images)
