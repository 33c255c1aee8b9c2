"""A copy between two views of one shape, whatever their strides: every change of memory order is this.

Where the innermost axes differ (planar to channels last), squares of block × block elements are loaded along
one axis, transposed in registers and stored along the other.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...plan.kernels import Move
from ..emitter import Emitter, Index, Ssa
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
    """Squares of block × block, then the two strips that they do not cover."""
    shape, block = target.view.shape, kernel.block
    inner = (kernel.source_axis, kernel.lane_axis)
    whole = {axis: shape[axis] // block * block for axis in inner}

    def visit(axes: list[int], position: list[Index]) -> None:
        if axes:
            axis, *rest = axes
            begin, end = (a, b) if axis == 2 else (0, shape[axis])
            with e.loop(begin, end) as loop:
                visit(rest, [*position[:axis], loop.index, *position[axis + 1 :]])
            return
        squares(position)
        s, t = (shape[axis] for axis in inner)
        strip(position, (0, s), (whole[kernel.lane_axis], t))
        strip(position, (whole[kernel.source_axis], s), (0, whole[kernel.lane_axis]))

    def squares(position: list[Index]) -> None:
        if not all(whole.values()):
            return
        with (
            e.loop(0, whole[kernel.source_axis], block) as s,
            e.loop(0, whole[kernel.lane_axis], block) as t,
        ):
            place = list(position)
            place[kernel.source_axis], place[kernel.lane_axis] = s.index, t.index
            read, write = source.offset(place), target.offset(place)
            vectors = [
                source.load_strided(e.add(read, i * source.view.strides[kernel.lane_axis]), 1, block)
                for i in range(block)
            ]
            for i, vector in enumerate(transpose(e, vectors)):
                offset = e.add(write, i * target.view.strides[kernel.source_axis])
                target.store(vector, offset, kernel.lane_axis)

    def strip(position: list[Index], s: tuple[int, int], t: tuple[int, int]) -> None:
        """A rectangle of the two inner axes, element by element."""
        if s[0] == s[1] or t[0] == t[1]:
            return
        with e.loop(*s) as i, e.loop(*t) as j:
            place = list(position)
            place[kernel.source_axis], place[kernel.lane_axis] = i.index, j.index
            target.store(source.scalar(source.offset(place)), target.offset(place), kernel.lane_axis)

    outer = [axis for axis in range(len(shape)) if axis not in inner]
    visit(outer, [0] * len(shape))


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
