"""A copy between two views of one shape with any strides: every change of memory order is such a copy.

Where the innermost axes differ (planar to channels last), squares of block × block elements are loaded along
one axis, transposed in registers and stored along the other.
"""

from __future__ import annotations

from ...plan.kernels import Move
from ...plan.views import ROW_AXIS
from ..emitter import Emitter
from ..nest import positions
from ..registers import Index, Ssa
from .family import KernelEmitter, Tensors


class Copy(KernelEmitter[Move]):
    """Emits one copy."""

    def __init__(self, e: Emitter, kernel: Move, tensors: Tensors):
        super().__init__(e, kernel, tensors)
        (self.source,) = self.sources
        self.shape = self.target.view.shape

    def emit(self, a: Index, b: Index) -> None:
        if self.k.block == 1:
            positions(self.e, self.shape, (a, b), self.k.lane_axis, self.k.lanes, self.at)
            return
        outer = [axis for axis in range(len(self.shape)) if axis not in (self.k.source_axis, self.k.lane_axis)]
        self.visit(outer, [0] * len(self.shape), (a, b))

    def at(self, position: list[Index], lanes: int) -> None:
        value = self.source.load_at(position, self.k.lane_axis, lanes)
        self.target.store(value, self.target.offset(position), self.k.lane_axis)

    # Squares of block × block; the last ones slide back along the source's axis, and have fewer rows along the other

    def visit(self, axes: list[int], position: list[Index], rows: tuple[Index, Index]) -> None:
        """Loops over `axes`, then over columns of squares."""
        if axes:
            axis, *rest = axes
            begin, end = rows if axis == ROW_AXIS else (0, self.shape[axis])
            with self.e.loop(begin, end) as loop:
                self.visit(rest, [*position[:axis], loop.index, *position[axis + 1 :]], rows)
            return
        size, block = self.shape[self.k.source_axis], self.k.block
        with self.e.loop(0, size // block * block, block) as loop:
            self.column(position, loop.index)
        if size % block:
            self.column(position, size - block)

    def column(self, position: list[Index], begin: Index) -> None:
        s, t, block = self.k.source_axis, self.k.lane_axis, self.k.block
        place = [*position[:s], begin, *position[s + 1 :]]
        full = self.shape[t] // block * block
        if full:
            with self.e.loop(0, full, block) as loop:
                self.square([*place[:t], loop.index, *place[t + 1 :]], block)
        if full < self.shape[t]:
            self.square([*place[:t], full, *place[t + 1 :]], self.shape[t] - full)

    def square(self, place: list[Index], rows: int) -> None:
        """Transpose `rows` vectors of `block` elements to `block` vectors of `rows`; missing rows are never stored."""
        e, s, t, block = self.e, self.k.source_axis, self.k.lane_axis, self.k.block
        read, write = self.source.offset(place), self.target.offset(place)
        step = self.source.view.strides[t]
        vectors = [self.source.load_strided(e.add(read, row * step), 1, block) for row in range(rows)]
        nothing = e.undefined(vectors[0].type)
        for column, vector in enumerate(transpose(e, vectors + [nothing] * (block - rows))):
            self.target.store(e.resize(vector, rows), e.add(write, column * self.target.view.strides[s]), t)


def transpose(e: Emitter, rows: list[Ssa]) -> list[Ssa]:
    """A square of n vectors of n lanes (n a power of two) transposed by log2 n rounds of shuffles.

    The round with distance d exchanges lanes that differ in bit d between rows that differ in bit d.
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
