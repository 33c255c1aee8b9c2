"""Steps → stages: which steps are streamed together, how long buffers live, and where barriers stand."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from .kernels import Convolution, Elementwise, Fill, Window
from .memory import Life
from .options import Streaming
from .plan import Stage, Step
from .share import shared
from .views import Buffer, View, elements

BLOCK_ROWS = 4  # rows of the last step of a stream for each round


@dataclass
class Schedule:
    """Stages, with the steps and buffers that streaming changed (whole tensors became rings)."""

    stages: list[Stage]
    steps: list[Step]
    buffers: dict[str, Buffer]


def schedule(steps: Sequence[Step], buffers: Mapping[str, Buffer], streaming: Streaming) -> Schedule:
    """One stage for each step, or for each chain that streams."""
    result = Schedule([], list(steps), dict(buffers))
    number = 0
    while number < len(steps):
        length = 1
        while number + length < len(steps) and _streams(result, number, number + length - 1, streaming):
            length += 1
        if length == 1:
            result.steps[number] = shared(steps[number])
        members = tuple(range(number, number + length))
        result.stages.append(Stage(members, block_rows(steps[members[-1]]) if length > 1 else 0))
        for member, height in zip(members, ring_heights(steps[number : number + length]), strict=False):
            _make_ring(result, member, height)
        number += length
    return result


def _streams(s: Schedule, first: int, number: int, streaming: Streaming) -> bool:
    """Whether the result of a step is read by the next one only, row by row, so that the next can join its stream.

    The stream begins with step `first`; all its rings must be smaller than the tensors that they replace.
    """
    producer, consumer = s.steps[number], s.steps[number + 1]
    if streaming == "none" or not isinstance(producer.kernel, Convolution | Window | Elementwise):
        return False
    if streaming == "pools" and not isinstance(consumer.kernel, Window):
        return False
    if not isinstance(consumer.kernel, Convolution | Window | Elementwise):
        return False
    if _lanes_along_rows(producer) or _lanes_along_rows(consumer):
        return False
    view = producer.target
    buffer = s.buffers[view.buffer]
    readers = [other for other, step in enumerate(s.steps) for source in step.sources if source.buffer == view.buffer]
    writers = [other for other, step in enumerate(s.steps) if step.target.buffer == view.buffer]
    alone = readers == [number + 1] and writers == [number] and consumer.sources[0].buffer == view.buffer
    whole = buffer.elements == elements(view.shape) and _same_places(view, consumer.sources[0])
    spatial = view.rank > 3 and consumer.target.rank == view.rank
    if not (buffer.space == "arena" and alone and whole and spatial):
        return False
    members = s.steps[first : number + 2]
    return all(h < step.target.rows for h, step in zip(ring_heights(members), members, strict=False))


def _lanes_along_rows(step: Step) -> bool:
    """Whether a vector holds several rows (of one column): in a ring it might reach beyond the last one."""
    return isinstance(step.kernel, Window | Elementwise) and step.kernel.lane_axis == 2


def _same_places(a: View, b: View) -> bool:
    """Whether two views of a buffer have every element in the same place: neither turns, cuts or looks up."""
    steps = zip(a.shape, a.strides, b.strides, strict=False)
    along = all(own == other for size, own, other in steps if size > 1)
    return a.shape == b.shape and a.offset == b.offset and not (a.lookups or b.lookups) and along


def block_rows(last: Step) -> int:
    """Rows of a round of a stream that ends with this step: no grain is parted."""
    return -(-BLOCK_ROWS // last.grain) * last.grain


def ring_heights(steps: Sequence[Step]) -> list[int]:
    """Height of the ring after each step of a stream but the last: a power of two, so that the index wraps by a mask.

    In one round a step makes at most the rows that the next one reads for all that it makes itself: for the
    first block the whole extent of its windows, later the strides between them; and what completes its grains.
    """
    heights: list[int] = []
    rows = block_rows(steps[-1])
    for producer, consumer in reversed(list(itertools.pairwise(steps))):
        stride, _, extent, _ = consumer.row_need()
        rows = (rows - 1) * stride + max(stride, extent) + 2 * (producer.grain - 1)
        heights.insert(0, 1 << (rows - 1).bit_length())
    return heights


def _make_ring(s: Schedule, number: int, height: int) -> None:
    """Replace the whole tensor between a step and the next by a ring of `height` rows."""
    producer, consumer = s.steps[number], s.steps[number + 1]
    shape = producer.target.shape
    order = sorted(range(len(shape)), key=lambda axis: (-producer.target.strides[axis], axis))
    strides, step = [0] * len(shape), 1
    for axis in reversed(order):
        strides[axis] = step
        step *= height if axis == 2 else shape[axis]
    ring = View(producer.target.buffer, shape, tuple(strides), 0, height)
    s.buffers[ring.buffer] = replace(s.buffers[ring.buffer], space="ring", elements=elements(shape, ring=height))
    s.steps[number] = replace(producer, target=ring)
    s.steps[number + 1] = replace(consumer, sources=(ring, *consumer.sources[1:]))


def lives(s: Schedule, space: str) -> dict[str, Life]:
    """First and last stage of every buffer of a space."""
    result: dict[str, Life] = {}
    for at, stage in enumerate(s.stages):
        for number in stage.steps:
            step = s.steps[number]
            for view in step.views:
                buffer = s.buffers[view.buffer]
                if buffer.space != space:
                    continue
                known = result.get(buffer.name, Life(buffer.nbytes, at, at))
                result[buffer.name] = replace(known, last=at)
    return result


@dataclass(frozen=True)
class _Touch:
    """A range of memory that a stage reads or writes."""

    space: str
    begin: int
    end: int
    buffer: str
    writes: bool
    border: bool

    def conflicts(self, other: _Touch) -> bool:
        """Whether the order of the two matters; a border and the inside of one buffer are apart."""
        if not (self.writes or other.writes) or self.space != other.space:
            return False
        if self.buffer == other.buffer and self.writes and other.writes and self.border != other.border:
            return False
        return self.begin < other.end and other.begin < self.end


def with_barriers(s: Schedule, buffers: Mapping[str, Buffer]) -> tuple[Stage, ...]:
    """A barrier before each stage that depends on one since the last barrier (rings are each shard's own)."""
    result: list[Stage] = []
    since: list[_Touch] = []
    for stage in s.stages:
        touches = [touch for number in stage.steps for touch in _touches(s.steps[number], buffers)]
        barrier = any(touch.conflicts(other) for touch in touches for other in since)
        since = touches if barrier else since + touches
        result.append(replace(stage, barrier=barrier))
    return tuple(result)


def _touches(step: Step, buffers: Mapping[str, Buffer]) -> list[_Touch]:
    found = []
    for view, writes in [*((source, False) for source in step.sources), (step.target, True)]:
        buffer = buffers[view.buffer]
        if buffer.space == "arena":
            span = buffer.place, buffer.place + buffer.nbytes
        elif buffer.space in ("input", "output"):
            span = buffer.place, buffer.place + 1
        else:
            continue
        found.append(_Touch(buffer.space, *span, buffer.name, writes, isinstance(step.kernel, Fill)))
    return found
