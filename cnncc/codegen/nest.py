"""Loop nests that several kernels use."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from ..machine.target import Target
from ..plan.kernels import balanced
from ..plan.views import ROW_AXIS
from ..windows import WindowAxis
from .emitter import Emitter
from .instructions import Predicate
from .memory import Access
from .registers import Index, Ssa

UNROLL_ALL = 256  # vector operations that a fully unrolled nest may have
UNROLL_TAPS = 64  # the same for a nest over the taps of a convolution: see DirectTile.accumulate
UNROLL_LOOP = 128  # vector operations in the body of a partly unrolled loop
UNROLL_LOOKUPS = 128  # vectors of a row that are looked up in a table: unrolled, each is a few loads and shuffles
UNROLL_ROWS = 24  # the same for images as rows: several steps at once are no faster, and tiles have several heights
UNROLL_STREAM = 16  # the same if most of them are loads: prefetchers then detect one stream, not many strided ones

Carry = list[Ssa]


def reduce_nest(
    e: Emitter,
    extents: Sequence[int],
    carry: Carry,
    cost: int,
    body: Callable[[list[Index], Carry], Carry],
    outer: Sequence[Index] = (),
    budget: int = UNROLL_ALL,
) -> Carry:
    """`body` for every index of `extents` in order, carrying values along.

    The innermost loops are unrolled as far as the `budget` of vector operations allows; one body has `cost` of them.
    More than some thousand instructions would cost compile time and instruction cache.
    """
    if not extents:
        return body(list(outer), carry)
    if e.target.loads_first:  # the engine unrolls by itself, and keeps the order of the steps
        budget = min(budget, cost * steps_of_registers(e.target, len(carry), cost))
    first, *rest = extents
    if math.prod(extents) * cost <= budget:
        for index in range(first):
            carry = reduce_nest(e, rest, carry, cost, body, (*outer, index), budget)
        return carry
    if rest:
        with e.loop(0, first, carry=carry) as loop:
            loop.next(reduce_nest(e, rest, loop.values, cost, body, (*outer, loop.index), budget))
        return loop.results
    factor = unrolled(first, min(budget, UNROLL_LOOP) // max(cost, 1), evenly=e.target.loads_first)
    whole = first - first % factor
    with e.loop(0, whole, factor, carry=carry) as loop:
        values = loop.values
        for step in range(factor):
            values = body([*outer, e.add(loop.index, step)], values)
        loop.next(values)
    carry = loop.results
    for index in range(whole, first):
        carry = body([*outer, index], carry)
    return carry


def steps_of_registers(target: Target, sums: int, cost: int) -> int:
    """Steps in straight code whose operands have registers beside the sums, at least one; where loads come first.

    A step of `cost` operations loads one operand more, at most.
    """
    return max(1, (target.operand_registers - sums) // (cost + 1))


def unrolled(count: int, most: int, *, evenly: bool = False) -> int:
    """Steps in the body of a loop: if possible a large divisor of `count`, so that no steps are left over.

    With `evenly` none is, however small the divisor: what is left over would be one block with a loop of one turn.
    """
    most = max(1, min(count, most))
    divisors = [factor for factor in range(1 if evenly else most // 2 + 1, most) if count % factor == 0]
    return max(divisors, default=most) if count % most else most


def runs(total: int, most: int) -> Iterator[tuple[int, int, int]]:
    """(begin, end, size) of runs of equal parts, balanced and each of at most `most`, that add up to `total`."""
    begin = 0
    for size, group in itertools.groupby(balanced(total, most)):
        end = begin + size * len(list(group))
        yield begin, end, size
        begin = end


def flat(e: Emitter, indices: Sequence[Index], sizes: Sequence[int]) -> Index:
    """The row-major number of an element in an array of these sizes."""
    number: Index = 0
    for index, size in zip(indices, sizes, strict=True):
        number = e.add(e.mul(number, size), index)
    return number


def lane_runs(e: Emitter, begin: Index, end: Index, lanes: int, body: Callable[[Index, int], None]) -> None:
    """`body(index, lanes)` over [begin, end): full vectors, then one narrower vector for the remainder.

    If the range is known only at run time, the remainder is processed element by element.
    """
    if isinstance(begin, int) and isinstance(end, int):
        whole = begin + (end - begin) // lanes * lanes
        if whole > begin:
            with e.loop(begin, whole, lanes) as loop:
                body(loop.index, lanes)
        if end > whole:
            body(whole, end - whole)
        return
    count = e.mul(e.div(e.sub(end, begin), lanes), lanes)
    whole_end = e.add(begin, count)
    with e.loop(begin, whole_end, lanes) as loop:
        body(loop.index, lanes)
    if lanes > 1:
        with e.loop(whole_end, end) as loop:
            body(loop.index, 1)


def sliding_steps(e: Emitter, size: int, step: int, body: Callable[[Index], None]) -> None:
    """`body` for each `step` elements of `size`, which are at least as many; the last ones slide back."""
    with e.loop(0, size // step * step, step) as loop:
        body(loop.index)
    if size % step:
        body(size - step)


def positions(
    e: Emitter,
    shape: Sequence[int],
    images: tuple[Index, Index],
    rows: tuple[Index, Index],
    lane_axis: int | None,
    lanes: int,
    body: Callable[[list[Index], int], None],
) -> None:
    """`body(position, lanes)` for every position of `shape` in these `images`, on the first axis, and these `rows`.

    The lane axis is innermost and advances by vectors. A shape without a spatial axis is one row: it is
    visited if the range of rows is [0, 1).
    """
    position: list[Index] = [0] * len(shape)

    def visit(axes: list[int]) -> None:
        if not axes:
            if lane_axis is None:
                body(list(position), 1)
                return
            begin, end = rows if lane_axis == ROW_AXIS else (0, shape[lane_axis])

            def run(index: Index, width: int) -> None:
                position[lane_axis] = index
                body(list(position), width)

            lane_runs(e, begin, end, lanes, run)
            return
        axis, *rest = axes
        begin, end = {0: images, ROW_AXIS: rows}.get(axis, (0, shape[axis]))
        with e.loop(begin, end) as loop:
            position[axis] = loop.index
            visit(rest)

    outer = [axis for axis in range(len(shape)) if axis != lane_axis]
    if len(shape) > 2:
        visit(outer)
    else:
        with e.loop(*rows):
            visit(outer)


def outside_axes(window: Sequence[WindowAxis], image: Access) -> list[int]:
    """Spatial axes (of the window) on which some tap leaves both the image and its border."""
    found = []
    for axis, w in enumerate(window):
        low, high = image.view.border[axis + 2] if image.view.border else (0, 0)
        if w.reach[0] > low or w.reach[1] > high:
            found.append(axis)
    return found


def interior(
    e: Emitter, window: Sequence[WindowAxis], axes: Sequence[int], first: Sequence[Index], count: Sequence[int]
) -> Ssa | bool:
    """Whether the windows of outputs first[axis] … first[axis] + count[axis] − 1 stay inside on all `axes`."""
    tests: list[Ssa] = []
    for axis in axes:
        begin, end = window[axis].interior
        sides: list[tuple[Predicate, int]] = [(">=", begin), ("<=", end - count[axis])]
        for predicate, limit in sides:
            if isinstance(left := first[axis], int):
                if left < limit if predicate == ">=" else left > limit:
                    return False
            else:
                tests.append(e.compare(predicate, left, limit))
    result = e.all_of(tests)
    return True if result is None else result


def with_guards(e: Emitter, condition: Ssa | bool, body: Callable[[bool], None]) -> None:
    """`body(guarded)`: the plain body where the windows stay inside, the guarded one elsewhere."""
    if isinstance(condition, bool):
        body(not condition)
        return
    plain, guarded, after = (e.fresh_label(hint) for hint in ("plain", "guarded", "joined"))
    e.branch_if(condition, plain, guarded)
    for label, is_guarded in ((plain, False), (guarded, True)):
        e.label(label)
        body(is_guarded)
        e.branch(after)
    e.label(after)


def block_parts(e: Emitter, begin: Index, end: Index, parts: int) -> Iterator[tuple[Index, Index, int]]:
    """The blocks of a range [begin, end) that counts `parts` parts a block: (block, first part in it, number of parts).

    Whole blocks have all parts at once; where the range of a shard begins or ends inside a block, parts come singly.
    """
    with e.loop(e.div(begin, parts), e.div(e.add(end, parts - 1), parts)) as block:
        first = e.mul(block.index, parts)
        low, high = e.largest(e.sub(begin, first), 0), e.least(e.sub(end, first), parts)
        whole, some, after = (e.fresh_label(hint) for hint in ("whole", "some", "after"))
        e.branch_if(e.compare("==", e.sub(high, low), parts), whole, some)
        e.label(whole)
        yield block.index, 0, parts
        e.branch(after)
        e.label(some)
        with e.loop(low, high) as part:
            yield block.index, part.index, 1
        e.branch(after)
        e.label(after)


@contextmanager
def loops(e: Emitter, sizes: Sequence[Index]) -> Iterator[list[Index]]:
    """Nested loops over [0, size) for each of `sizes`."""
    with ExitStack() as stack:
        yield [stack.enter_context(e.loop(0, size)).index for size in sizes]
