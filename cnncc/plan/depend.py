"""Which stages depend on each other and need a barrier between them.

Two stages may run in any order, or at once, if neither writes memory that the other touches. If they do touch the
same memory, no barrier is needed as long as each shard touches only what it touched itself. A stage divides its rows
into partitions. Two stages with the same number of partitions give each shard the same ones, for any number of shards.
So no barrier stands between a depthwise and a 1×1 convolution, or between a layer and an element-wise step after it:
the memory of partition p of one stage is touched at most by partition p of the other.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from .plan import Schedule, Stage, Step
from .views import ROW_AXIS, Buffer, View, apart

Where = Literal["inside", "border", "both"]


@dataclass(frozen=True)
class RowPartition:
    """Where the partitions of a stage lie: partition p of `count` in bytes [begin + p·step, begin + p·step + extent).

    Partitions are of rows or of images. The range repeats for every channel or image whose rows lie together: `planes`
    are pairs (number, distance in bytes), the shortest distance first.
    """

    count: int
    begin: int = 0
    step: int = 0
    extent: int = 0
    planes: tuple[tuple[int, int], ...] = ()

    def keep_to_themselves(self, other: RowPartition) -> bool:
        """Whether different partitions of two stages have no byte in common."""
        if self.count != other.count:
            return False
        begin = min(self.begin, other.begin)
        extent = max(self.begin + self.extent, other.begin + other.extent) - begin
        room = (self.count - 1) * self.step + extent
        for number, distance in self.planes:  # each plane begins behind all partitions of the plane before
            if distance < room:
                return False
            room += (number - 1) * distance
        along = self.step == other.step > 0 and self.planes == other.planes
        return self.count == 1 or (along and extent <= self.step)


@dataclass(frozen=True)
class MemoryAccess:
    """Memory that a stage reads or writes: bytes [begin, end) of a space; `view` gives the elements among them."""

    space: str
    begin: int
    end: int
    view: View
    writes: bool
    where: Where
    single_shard: bool
    partitions: RowPartition | None
    itemsize: int

    def conflicts(self, other: MemoryAccess, *, placed: bool) -> bool:
        """Whether the two need a barrier: their order matters and nothing else ensures it.

        Unless `placed`, no two buffers share memory.
        """
        if self.space != other.space or not (self.writes or other.writes) or self.in_order(other):
            return False
        if self.view.buffer == other.view.buffer:
            return self.meets(other)
        return placed and self.begin < other.end and other.begin < self.end

    def in_order(self, other: MemoryAccess) -> bool:
        """Whether each shard touches only what it touched itself: one shard runs both, or both partition alike."""
        if self.single_shard and other.single_shard:
            return True
        return bool(self.partitions and other.partitions and self.partitions.keep_to_themselves(other.partitions))

    def meets(self, other: MemoryAccess) -> bool:
        """Whether two touches of one buffer may have an element in common that one of them writes."""
        if {self.where, other.where} == {"inside", "border"}:  # the border of one tensor may lie inside another
            return not (self.writes and other.writes)
        return self.where != "inside" or other.where != "inside" or not apart(self.view, other.view)


class PendingAccesses:
    """The accesses since the last barrier, indexed by those that they may conflict with.

    Hundreds of branches write their parts of one concatenation, or read one image, in the same way at other offsets.
    Whether two such accesses conflict depends only on the distance of their offsets, and is computed once.
    """

    def __init__(self, *, placed: bool) -> None:
        self.placed = placed
        self.kinds: dict[MemoryAccess, int] = {}
        self.known: dict[tuple[int, int, int], bool] = {}
        self.of_buffer: dict[str, dict[int, dict[int, MemoryAccess]]] = {}  # by buffer, kind and offset
        self.of_range: dict[
            object, dict[str, MemoryAccess]
        ] = {}  # by all that another buffer's touch asks; two buffers do

    def clear(self) -> None:
        """Forget all accesses: a barrier stands here."""
        self.of_buffer.clear()
        self.of_range.clear()

    def kind(self, touch: MemoryAccess) -> int:
        """A number that is equal for all accesses that differ only by their offset."""
        view, partitions = touch.view, touch.partitions
        if partitions and partitions.count > 1:
            partitions = replace(partitions, begin=partitions.begin - view.offset * touch.itemsize)
        alike = replace(touch, view=replace(view, offset=0), partitions=partitions)
        return self.kinds.setdefault(alike, len(self.kinds))

    def add(self, touch: MemoryAccess) -> None:
        kinds = self.of_buffer.setdefault(touch.view.buffer, {})
        kinds.setdefault(self.kind(touch), {}).setdefault(touch.view.offset, touch)
        if touch.space == "arena":
            asked = touch.begin, touch.end, touch.writes, touch.single_shard, touch.partitions
            buffers = self.of_range.setdefault(asked, {})
            if len(buffers) < 2:
                buffers.setdefault(touch.view.buffer, touch)

    def conflicts(self, touch: MemoryAccess) -> bool:
        """Whether an access conflicts with one since the last barrier."""
        kind, offset = self.kind(touch), touch.view.offset
        for other_kind, offsets in self.of_buffer.get(touch.view.buffer, {}).items():
            for other_offset, other in offsets.items():
                distance = kind, other_kind, offset - other_offset
                if distance not in self.known:
                    self.known[distance] = touch.conflicts(other, placed=self.placed)
                if self.known[distance]:
                    return True
        return self.placed and touch.space == "arena" and self._meets_another(touch)

    def _meets_another(self, touch: MemoryAccess) -> bool:
        """Whether it conflicts with an access to another buffer that lies at the same bytes."""
        for buffers in self.of_range.values():
            other = next((other for name, other in buffers.items() if name != touch.view.buffer), None)
            if other and touch.conflicts(other, placed=True):
                return True
        return False


def with_barriers(s: Schedule, *, placed: bool = True, partitions: bool = True) -> Schedule:
    """The schedule with a barrier before each stage that depends on one since the last barrier.

    Memory of each shard's own is left out, and stages that one shard runs alone are in order without a barrier.
    Without `partitions`, a barrier also stands where each shard touches its own rows only. Unless `placed`, no two
    buffers share memory yet.
    """
    result: list[Stage] = []
    since = PendingAccesses(placed=placed)
    for _, group in itertools.groupby(enumerate(s.stages), lambda pair: pair[1].tile or pair[0]):
        stages = [stage for _, stage in group]
        found = [touches(stage, s.steps, s.buffers) for stage in stages]
        if not partitions:
            found = [[replace(touch, partitions=None) for touch in own] for own in found]
        for number, stage in enumerate(stages):
            # A barrier that a later stage of a tile needs stands before the first one, not inside of the tile.
            asking = found[number] if number else itertools.chain(*found)
            barrier = any(map(since.conflicts, asking))
            if barrier:
                since.clear()
            for touch in found[number]:
                since.add(touch)
            result.append(replace(stage, barrier=barrier))
    return replace(s, stages=tuple(result))


def touches(stage: Stage, steps: Sequence[Step], buffers: Mapping[str, Buffer]) -> list[MemoryAccess]:
    """The accesses of a stage to memory that all shards have in common."""
    return [
        MemoryAccess(
            buffer.space,
            *span(buffer),
            view,
            writes,
            where(step, view),
            stage.single_shard,
            pieces_of(stage, steps, step, at, buffers),
            buffer.dtype.bytes,
        )
        for step in (steps[number] for number in stage.steps)
        for at, view in enumerate((*step.sources, step.target))
        for writes, buffer in [(at == len(step.sources), buffers[view.buffer])]
        if buffer.space in ("arena", "input", "output", "state")
    ]


def span(buffer: Buffer) -> tuple[int, int]:
    """The bytes [begin, end) of a buffer; inputs and outputs are told apart by their numbers."""
    return buffer.place, buffer.place + (buffer.nbytes if buffer.space == "arena" else 1)


def where(step: Step, view: View) -> Where:
    """Which part of a buffer with a border a step touches."""
    if step.kernel.only_border:
        return "border"
    reads_border = view is not step.target and any(max(axis.reach) > 0 for axis in step.kernel.own_window)
    return "both" if reads_border else "inside"


# Partitions


def pieces_of(
    stage: Stage, steps: Sequence[Step], step: Step, at: int, buffers: Mapping[str, Buffer]
) -> RowPartition | None:
    """The partitions of view number `at` of a step, if each partition of the stage has rows of its own there."""
    last = steps[stage.steps[-1]]
    view = (*step.sources, step.target)[at]
    if stage.single_shard or stage.replicated:
        return None
    if last.partitions == 1:
        return RowPartition(1)
    rows = rows_for_each(step, at) if step is last and (by_rows(step) or step.by_images) else None
    return _rows_apart(last, view, buffers[view.buffer], *rows) if rows and _has_rows(view, unit_axis(step)) else None


def unit_axis(step: Step) -> int:
    """The axis of which shards divide the positions, unless they divide something else."""
    return 0 if step.by_images else ROW_AXIS


def _has_rows(view: View, along: int) -> bool:
    """Whether rows (or images) of a view are ranges of memory at even distances."""
    return not (view.ring or view.lookups or min(view.strides) < 0 or view.strides[along] == 0)


def _rows_apart(step: Step, view: View, buffer: Buffer, ahead: int, extent: int) -> RowPartition:
    """The partitions of a view: each touches `extent` rows (or images) and begins `ahead` rows later for each row of
    the target. Images have their borders."""
    along = unit_axis(step)
    size, row = buffer.dtype.bytes, view.strides[along]
    sides = view.border if step.by_images and view.border else ((0, 0),) * view.rank
    axes = [
        (low + n + high, stride)
        for axis, (n, stride, (low, high)) in enumerate(zip(view.shape, view.strides, sides, strict=True))
        if axis != along
    ]
    inner = sum((n - 1) * stride for n, stride in axes if stride <= row)
    axes.append((buffer.images, buffer.pitch))
    planes = sorted(((n, stride * size) for n, stride in axes if n > 1 and stride > row), key=lambda plane: plane[1])
    first = view.offset - sum(low * stride for (low, _), stride in zip(sides, view.strides, strict=True))
    begin = (buffer.place if buffer.space == "arena" else 0) + first * size
    return RowPartition(
        step.partitions,
        begin,
        ahead * step.granularity * row * size,
        ((extent - 1) * row + inner + 1) * size,
        tuple(planes),
    )


def by_rows(step: Step) -> bool:
    """Whether shards divide the rows of a step, and each writes its own rows only."""
    return not step.by_images and step.kernel.writes_own_rows and step.target.rank > ROW_AXIS


def rows_for_each(step: Step, at: int) -> tuple[int, int] | None:
    """(rows of a view for each row of the target, rows that a partition touches); None if partitions overlap.

    Of a step that divides images, the same for images.
    """
    view = (*step.sources, step.target)[at]
    if step.by_images:
        return (1, step.granularity) if view.shape[:1] == step.target.shape[:1] else None
    if at == 0 and step.kernel.own_window:
        need = step.row_need
        return (
            None
            if need.low or need.extent > need.stride
            else (need.stride, (need.granularity - 1) * need.stride + need.extent)
        )
    ratio, rest = divmod(view.rows, step.target.rows)
    return None if rest or view.rank <= ROW_AXIS else (ratio, step.granularity * ratio)
