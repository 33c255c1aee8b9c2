"""The border of a buffer: the elements around the image that a window reads."""

from __future__ import annotations

from ...plan.kernels import Fill
from ...plan.views import ROW_AXIS
from ..emitter import Emitter
from ..nest import lane_runs
from ..registers import Index
from .family import KernelEmitter, Tensors


class Border(KernelEmitter[Fill]):
    """Emits one border: whole rows above and below the image, and both ends of the rows between."""

    def __init__(self, e: Emitter, kernel: Fill, tensors: Tensors):
        super().__init__(e, kernel, tensors)
        view = self.target.view
        self.shape, self.border = view.shape, view.border
        self.axes = sorted(range(view.rank), key=lambda axis: -view.strides[axis])  # outermost in memory first
        self.inner = self.axes[-1]

    def emit(self, a: Index, b: Index) -> None:
        """Rows [a, b) of the buffer, border included."""
        origin: list[Index] = [0] * len(self.shape)
        if len(self.shape) > 2:
            self.visit(self.axes, origin, True, (a, b))
        else:
            with self.e.loop(a, b):
                self.visit(self.axes, origin, True, (a, b))

    def visit(self, remaining: list[int], position: list[Index], inside: bool, rows: tuple[Index, Index]) -> None:
        """All positions of the `remaining` axes that lie in the border of at least one axis, these or earlier ones."""
        if remaining == [self.inner] and not inside:
            self.run(position, rows)
            return
        if not remaining:
            self.store(position, 1)
            return
        axis, *rest = remaining
        size, (low, high) = self.shape[axis], self.border[axis]
        bordered = any(self.border[other] != (0, 0) for other in rest)
        for begin, end, within in ((-low, 0, False), (0, size, True), (size, size + high, False)):
            if begin >= end or (inside and within and not bordered):
                continue
            first, last = self.part(axis, begin, end, rows)
            with self.e.loop(first, last) as loop:
                place = [*position[:axis], loop.index, *position[axis + 1 :]]
                self.visit(rest, place, inside and within, rows)

    def run(self, position: list[Index], rows: tuple[Index, Index]) -> None:
        """The innermost axis, by vectors."""
        axis = self.inner
        low, high = self.border[axis]

        def store(index: Index, lanes: int) -> None:
            self.store([*position[:axis], index, *position[axis + 1 :]], lanes)

        begin, end = self.part(axis, -low, self.shape[axis] + high, rows)
        lane_runs(self.e, begin, end, self.e.target.lanes, store)

    def store(self, position: list[Index], lanes: int) -> None:
        self.target.store(self.target.number(self.k.value, lanes), self.target.offset(position), self.inner)

    def part(self, axis: int, begin: Index, end: Index, rows: tuple[Index, Index]) -> tuple[Index, Index]:
        """The part of [begin, end) inside `rows`, counted from the top of the border, or inside the images."""
        if axis == 0 and (begin, end) == (0, self.shape[0]):
            return self.images
        if axis != ROW_AXIS:
            return begin, end
        e, top = self.e, self.border[ROW_AXIS][0]
        return e.largest(e.sub(rows[0], top), begin), e.least(e.sub(rows[1], top), end)
