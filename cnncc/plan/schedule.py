"""Steps → stages: which steps are streamed together, and how long buffers live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace

from ..target import Target
from .memory import Life
from .plan import Stage, Step
from .stream import ring_heights, rows_of_a_round
from .views import Buffer, View, dense_view, elements


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
            for member, height in zip(members, ring_heights([step.row_need for step in chain], rows), strict=False):
                _make_ring(result, member, height)
        else:
            result.steps[number] = shared_evenly(chain[0], target)
        number += len(chain)
    return result


def fills_first(steps: Sequence[Step], links: Set[str]) -> list[Step]:
    """The fills of borders ahead of the chains that they would part."""
    result: list[Step] = []
    for step in steps:
        at = len(result)
        while step.kernel.only_border and at and result[at - 1].target.buffer in links:
            at -= 1
        result.insert(at, step)
    return result


def shared_evenly(step: Step, target: Target) -> Step:
    """The step, of which shards share what they divide best."""
    return replace(step, kernel=step.kernel.shared_evenly(target, step.sources, step.target))


def round_of(chain: Sequence[Step], target: Target) -> int:
    """Rows of a round of a chain."""
    return rows_of_a_round(target, [step.row_need for step in chain], [step.target.shape for step in chain])


def _may_stream(s: Schedule, number: int, links: Set[str]) -> bool:
    """Whether the result of a step is a link that the next step alone reads, row by row."""
    producer, consumer = s.steps[number], s.steps[number + 1]
    view = producer.target
    if view.buffer not in links or not (producer.kernel.streams and consumer.kernel.streams):
        return False
    buffer = s.buffers[view.buffer]
    readers = [other for other, step in enumerate(s.steps) for source in step.sources if source.buffer == view.buffer]
    writers = [other for other, step in enumerate(s.steps) if step.target.buffer == view.buffer]
    alone = readers == [number + 1] and writers == [number] and consumer.sources[0].buffer == view.buffer
    plain = buffer.elements == elements(view.shape, buffer.border or None) and not any(map(any, buffer.border[2:]))
    whole = plain and _same_places(view, consumer.sources[0])
    return buffer.space == "arena" and alone and whole and consumer.target.rank == view.rank > 3


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
