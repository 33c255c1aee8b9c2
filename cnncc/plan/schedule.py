"""Steps → stages: which steps are streamed together, and the partition of the others among shards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace

from ..machine.target import Target
from ..types import TensorType
from .image_shares import shared_evenly
from .overlay import overlaid
from .plan import Schedule, Stage, Step, most_shards
from .stream import lower_than, ring_heights, rows_of_a_round
from .views import Buffer, View, dense_view, elements


def streamed(
    steps: Sequence[Step], buffers: Mapping[str, Buffer], links: Set[str], target: Target, *, by_need: bool = False
) -> Schedule:
    """One stage for each step, or for each chain of steps with `links` between them; the links become rings.

    With `by_need` the rings are as low as they can be, and where there is one shard only, the result of a stage may
    take the place of a tensor.
    """
    steps, buffers = fills_first(steps, links), dict(buffers)
    stages: list[Stage] = []
    number = 0
    while number < len(steps):
        chain, rows = _chain(steps, buffers, number, links, target, by_need)
        members = tuple(range(number, number + len(chain)))
        needs = [step.row_need for step in chain]
        heights = ring_heights(needs, rows, by_need=by_need) if rows else []
        lead = 0
        if by_need and most_shards(target) == 1:
            over = overlaid(steps, number, members[-1], buffers)
            if over and (not rows or over[1] + heights[0] < steps[number].target.rows):
                result = steps[members[-1]].target.buffer
                buffers[result], lead = replace(buffers[result], over=over[0]), over[1]
                heights = ring_heights(needs, rows, by_need=True, lead=lead) if rows else []
        stages.append(Stage(members, rows, by_need=by_need and rows > 0, lead=lead))
        for member, height in zip(members, heights, strict=False):
            _make_ring(steps, buffers, member, height)
        if rows:
            _in_rounds(steps, members, rows, by_need)
        number += len(chain)
    return Schedule(tuple(stages), tuple(steps), buffers, alignment=target.alignment)


def _in_rounds(steps: list[Step], members: Sequence[int], rows: int, by_need: bool) -> None:
    """Tell each step of a chain how many rows it computes in a round: what the next one goes on by, or the fewest."""
    for member in reversed(members):
        step = steps[member]
        steps[member] = replace(step, kernel=step.kernel.in_rounds(step.granularity if by_need else rows))
        rows *= step.row_need.stride


def _chain(
    steps: Sequence[Step], buffers: Mapping[str, Buffer], number: int, links: Set[str], target: Target, by_need: bool
) -> tuple[Sequence[Step], int]:
    """The longest chain that begins with a step, and the rows of its rounds; 0 rows for a single step."""
    rows, end = 0, number + 1
    while end < len(steps) and _may_stream(steps, buffers, end - 1, links):
        more = round_of(steps[number : end + 1], target, buffers, by_need=by_need)
        if not more:
            break
        rows, end = more, end + 1
    return steps[number:end], rows


def with_shares(s: Schedule, target: Target) -> Schedule:
    """The schedule with the most balanced partition of each step; the steps of a chain are divided by rows."""
    alone = {stage.steps[0] for stage in s.stages if len(stage.steps) == 1}
    return replace(
        s, steps=tuple(shared_evenly(step, target) if number in alone else step for number, step in enumerate(s.steps))
    )


def fills_first(steps: Sequence[Step], links: Set[str]) -> list[Step]:
    """The steps in order, with fills of borders moved before the chains that they would interrupt."""
    result: list[Step] = []
    for step in steps:
        at = len(result)
        while step.kernel.only_border and at and result[at - 1].target.buffer in links:
            at -= 1
        result.insert(at, step)
    return result


def round_of(chain: Sequence[Step], target: Target, buffers: Mapping[str, Buffer], *, by_need: bool) -> int:
    """The rows of a round of a chain, `by_need` the fewest; 0 if whole tensors are no higher than its rings."""
    types = [TensorType(step.target.shape, buffers[step.target.buffer].dtype) for step in chain]
    needs = [step.row_need for step in chain]
    if by_need:
        rows = needs[-1].granularity
        return rows if lower_than(ring_heights(needs, rows, by_need=True), types) else 0
    return rows_of_a_round(target, needs, types)


def _may_stream(steps: Sequence[Step], buffers: Mapping[str, Buffer], number: int, links: Set[str]) -> bool:
    """Whether the result of a step is a link that only the next step reads, row by row."""
    producer, consumer = steps[number], steps[number + 1]
    view = producer.target
    return (
        view.buffer in links
        and producer.kernel.streams
        and consumer.kernel.streams
        and consumer.target.rank == view.rank > 3
        and _is_whole(view, buffers[view.buffer])
        and _reads_alone(steps, number)
        and _same_places(view, consumer.sources[0])
    )


def _is_whole(view: View, buffer: Buffer) -> bool:
    """Whether a view covers a whole buffer of the arena that has no border of rows or columns."""
    all_of_it = buffer.elements == elements(view.shape, buffer.border or None)
    return buffer.space == "arena" and all_of_it and not any(map(any, buffer.border[2:]))


def _reads_alone(steps: Sequence[Step], number: int) -> bool:
    """Whether only this step writes its result, and only the next one reads it, once, as its first source."""
    buffer = steps[number].target.buffer
    readers = [at for at, step in enumerate(steps) for source in step.sources if source.buffer == buffer]
    writers = [at for at, step in enumerate(steps) if step.target.buffer == buffer]
    return writers == [number] and readers == [number + 1] and steps[number + 1].sources[0].buffer == buffer


def _same_places(a: View, b: View) -> bool:
    """Whether two views of a buffer map every index to the same element: no transpose, slice or table between them."""
    steps = zip(a.shape, a.strides, b.strides, strict=False)
    along = all(own == other for size, own, other in steps if size > 1)
    return a.shape == b.shape and a.offset == b.offset and not (a.lookups or b.lookups) and along


def _make_ring(steps: list[Step], buffers: dict[str, Buffer], number: int, height: int) -> None:
    """Replace the whole tensor between a step and the next by a ring of `height` rows."""
    producer, consumer = steps[number], steps[number + 1]
    shape = producer.target.shape
    order = sorted(range(len(shape)), key=lambda axis: (-producer.target.strides[axis], axis))
    border = producer.target.border or None
    ring = dense_view(producer.target.buffer, shape, tuple(order), border, ring=height)
    buffers[ring.buffer] = replace(buffers[ring.buffer], space="ring", elements=elements(shape, border, height))
    steps[number] = replace(producer, target=ring)
    steps[number + 1] = replace(consumer, sources=(ring, *consumer.sources[1:]))
