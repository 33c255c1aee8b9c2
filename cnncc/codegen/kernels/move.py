"""A copy between two views of one shape, whatever their strides: every change of memory order is this.

Where the innermost axes differ (planar to channels last), squares of block × block elements are loaded along
one axis, transposed in registers and stored along the other.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...plan.kernels import Move
from ..emitter import Emitter, Index, Ssa, vector_type
from ..memory import Access
from ..nest import positions


def emit(
    e: Emitter, kernel: Move, sources: Sequence[Access], operands: Sequence[Access], target: Access, a: Index, b: Index
) -> None:
    source = sources[0]

    def copy(position: list[Index], lanes: int) -> None:
        value = source.load_at(position, kernel.lane_axis, lanes)
        target.store(value, target.offset(position), kernel.lane_axis)

    if kernel.block > 1:
        transposing(e, kernel, source, target, a, b)
    else:
        positions(e, target.view.shape, (a, b), kernel.lane_axis, kernel.lanes, copy)


def transposing(e: Emitter, kernel: Move, source: Access, target: Access, a: Index, b: Index) -> None:
    """Squares of block × block; the last ones slide back along the source's axis, and lack rows along the other."""
    shape, block = target.view.shape, kernel.block
    s, t = kernel.source_axis, kernel.lane_axis
    whole = shape[s] // block * block

    def visit(axes: list[int], position: list[Index]) -> None:
        if axes:
            axis, *rest = axes
            begin, end = (a, b) if axis == 2 else (0, shape[axis])
            with e.loop(begin, end) as loop:
                visit(rest, [*position[:axis], loop.index, *position[axis + 1 :]])
            return
        with e.loop(0, whole, block) as loop:
            column(position, loop.index)
        if whole < shape[s]:
            column(position, shape[s] - block)

    def column(position: list[Index], begin: Index) -> None:
        place = [*position[:s], begin, *position[s + 1 :]]
        full = shape[t] // block * block
        if full:
            with e.loop(0, full, block) as loop:
                square([*place[:t], loop.index, *place[t + 1 :]], block)
        if full < shape[t]:
            square([*place[:t], full, *place[t + 1 :]], shape[t] - full)

    def square(place: list[Index], rows: int) -> None:
        """`rows` vectors of `block` elements to `block` vectors of `rows`; what lacks is never stored."""
        read, write = source.offset(place), target.offset(place)
        vectors = [source.load_strided(e.add(read, i * source.view.strides[t]), 1, block) for i in range(rows)]
        nothing = Ssa(vector_type(block), "poison")
        for i, vector in enumerate(transpose(e, vectors + [nothing] * (block - rows))):
            target.store(e.resize(vector, rows), e.add(write, i * target.view.strides[s]), t)

    visit([axis for axis in range(len(shape)) if axis not in (s, t)], [0] * len(shape))


def transpose(e: Emitter, rows: list[Ssa]) -> list[Ssa]:
    """A square of n vectors of n lanes (n a power of two) transposed by log2 n rounds of shuffles.

    Round with distance d exchanges, between rows that differ in bit d, the lanes that differ in bit d.
    """
    n = len(rows)
    distance = n // 2
    while distance:
        following = list(rows)
        low = [lane if not lane & distance else n + lane - distance for lane in range(n)]
        high = [lane + distance if not lane & distance else n + lane for lane in range(n)]
        for row in range(n):
            if not row & distance:
                a, b = rows[row], rows[row + distance]
                following[row] = e.shuffle(a, b, low)
                following[row + distance] = e.shuffle(a, b, high)
        rows = following
        distance //= 2
    return rows
