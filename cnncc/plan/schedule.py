"""Steps → stages: which steps are streamed together, how long buffers live, and where barriers stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace

from ..target import Target
from .kernels import Convolution, Elementwise, Fill, Window
from .memory import Life
from .plan import Stage, Step
from .share import shared
from .stream import Need, ring_heights, rows_of_a_round
from .views import Buffer, View, apart, dense_view, elements


@dataclass
class Schedule:
    """Stages, with the steps and buffers that streaming changed (whole tensors became rings)."""

    stages: list[Stage]
    steps: list[Step]
    buffers: dict[str, Buffer]


def schedule(steps: Sequence[Step], buffers: Mapping[str, Buffer], links: Set[str], target: Target) -> Schedule:
    """One stage for each step, or for each chain of steps whose tensors between them are `links`."""
    result = Schedule([], fills_first(steps, links), dict(buffers))
    number = 0
    while number < len(steps):
        chain, rows = [result.steps[number]], 0
        while number + len(chain) < len(steps) and _may_stream(result, number + len(chain) - 1, links):
            longer = [*chain, result.steps[number + len(chain)]]
            more = round_of(longer, target)
            if not more:
                break
            chain, rows = longer, more
        members = tuple(range(number, number + len(chain)))
        result.stages.append(Stage(members, rows))
        if rows:
            for member, height in zip(members, ring_heights([need(step) for step in chain], rows), strict=False):
                _make_ring(result, member, height)
        else:
            result.steps[number] = shared(chain[0])
        number += len(chain)
    return result


def fills_first(steps: Sequence[Step], links: Set[str]) -> list[Step]:
    """The fills of borders ahead of the chains that they would part."""
    result: list[Step] = []
    for step in steps:
        at = len(result)
        while isinstance(step.kernel, Fill) and at and result[at - 1].target.buffer in links:
            at -= 1
        result.insert(at, step)
    return result


def need(step: Step) -> Need:
    """What a step asks of the one before."""
    stride, _, extent, _ = step.row_need()
    return Need(stride, extent, step.grain)


def round_of(chain: Sequence[Step], target: Target) -> int:
    """Rows of a round of a chain."""
    return rows_of_a_round(target, [need(step) for step in chain], [step.target.shape for step in chain])


def _may_stream(s: Schedule, number: int, links: Set[str]) -> bool:
    """Whether the result of a step is a link that the next step alone reads, row by row."""
    producer, consumer = s.steps[number], s.steps[number + 1]
    view = producer.target
    streaming = Convolution | Window | Elementwise
    if view.buffer not in links or not isinstance(producer.kernel, streaming):
        return False
    if not isinstance(consumer.kernel, streaming) or _lanes_along_rows(producer) or _lanes_along_rows(consumer):
        return False
    buffer = s.buffers[view.buffer]
    readers = [other for other, step in enumerate(s.steps) for source in step.sources if source.buffer == view.buffer]
    writers = [other for other, step in enumerate(s.steps) if step.target.buffer == view.buffer]
    alone = readers == [number + 1] and writers == [number] and consumer.sources[0].buffer == view.buffer
    plain = buffer.elements == elements(view.shape, buffer.border or None) and not any(map(any, buffer.border[2:]))
    whole = plain and _same_places(view, consumer.sources[0])
    return buffer.space == "arena" and alone and whole and consumer.target.rank == view.rank > 3


def _lanes_along_rows(step: Step) -> bool:
    """Whether a vector holds several rows (of one column): in a ring it might reach beyond the last one."""
    return isinstance(step.kernel, Window | Elementwise) and step.kernel.lane_axis == 2


def _same_places(a: View, b: View) -> bool:
    """Whether two views of a buffer have every element in the same place: neither turns, cuts or looks up."""
    steps = zip(a.shape, a.strides, b.strides, strict=False)
    along = all(own == other for size, own, other in steps if size > 1)
    return a.shape == b.shape and a.offset == b.offset and not (a.lookups or b.lookups) and along


def _make_ring(s: Schedule, number: int, height: int) -> None:
    """Replace the whole tensor between a step and the next by a ring of `height` rows."""
    producer, consumer = s.steps[number], s.steps[number + 1]
    shape = producer.target.shape
    order = sorted(range(len(shape)), key=lambda axis: (-producer.target.strides[axis], axis))
    border = producer.target.border or None
    ring = dense_view(producer.target.buffer, shape, tuple(order), border, ring=height)
    size = elements(shape, border, height)
    s.buffers[ring.buffer] = replace(s.buffers[ring.buffer], space="ring", elements=size)
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
    view: View
    writes: bool
    border: bool
    alone: bool

    def conflicts(self, other: _Touch) -> bool:
        """Whether the order of the two matters and may be another.

        A border and the inside of one buffer are apart, as parts of it may be.
        """
        if self.alone and other.alone:
            return False
        if not (self.writes or other.writes) or self.space != other.space:
            return False
        if self.view.buffer == other.view.buffer:
            if self.border != other.border:
                return not (self.writes and other.writes)
            return self.border or not apart(self.view, other.view)
        return self.begin < other.end and other.begin < self.end


def with_barriers(s: Schedule, stages: Sequence[Stage], buffers: Mapping[str, Buffer]) -> tuple[Stage, ...]:
    """A barrier before each stage that depends on one since the last barrier (rings are each shard's own).

    What one shard does alone, it does in order.
    """
    result: list[Stage] = []
    since: list[_Touch] = []
    for stage in stages:
        touches = [touch for number in stage.steps for touch in _touches(s.steps[number], buffers, stage.alone)]
        barrier = any(touch.conflicts(other) for touch in touches for other in since)
        since = touches if barrier else since + touches
        result.append(replace(stage, barrier=barrier))
    return tuple(result)


def _touches(step: Step, buffers: Mapping[str, Buffer], alone: bool) -> list[_Touch]:
    found = []
    for view, writes in [*((source, False) for source in step.sources), (step.target, True)]:
        buffer = buffers[view.buffer]
        if buffer.space == "arena":
            span = buffer.place, buffer.place + buffer.nbytes
        elif buffer.space in ("input", "output"):
            span = buffer.place, buffer.place + 1
        else:
            continue
        found.append(_Touch(buffer.space, *span, view, writes, isinstance(step.kernel, Fill), alone))
    return found
