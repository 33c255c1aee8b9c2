"""An expression for each element; broadcast operands are views with strides of 0."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from ...plan.kernels import Elementwise
from ...plan.views import ROW_AXIS
from ..emitter import Emitter
from ..expression import emit_several
from ..nest import UNROLL_LOOKUPS
from ..registers import Index
from .family import KernelEmitter, Tensors


class ElementwiseExpression(KernelEmitter[Elementwise]):
    """Emits one expression over all positions: loops over rows and the like, then along a run of adjacent elements.

    What is left at the end of a run is computed by a vector that slides back over the one before: where no vector is
    narrower, one piece of code computes all. In place, where an element that is computed twice would be updated twice,
    it is computed one by one.
    """

    def __init__(self, e: Emitter, kernel: Elementwise, tensors: Tensors):
        super().__init__(e, kernel, tensors)
        shape = self.target.view.shape
        self.run = kernel.run([source.view for source in self.sources], self.target.view)
        self.of_rows = ROW_AXIS in self.run
        self.by_table = any(source.view.looks_up(kernel.lane_axis) for source in self.sources)
        self.unit = math.prod(shape[axis] for axis in self.run if axis != ROW_AXIS)  # elements of a row, or of a run
        longest = self.unit * (self.target.view.rows if self.of_rows else 1)
        self.lanes = min(kernel.lanes, longest)
        self.vectors = kernel.side_by_side(-(-longest // self.lanes))

    def emit(self, a: Index, b: Index) -> None:
        shape = self.target.view.shape
        outer = [axis for axis in range(len(shape)) if axis not in self.run and (axis == ROW_AXIS or shape[axis] > 1)]
        position: list[Index] = [0] * len(shape)
        if len(shape) > ROW_AXIS:
            self.visit(outer, position, (a, b))
        else:
            with self.e.loop(a, b):
                self.visit(outer, position, (0, 1))

    def visit(self, axes: Sequence[int], position: list[Index], rows: tuple[Index, Index]) -> None:
        """Loops over `axes`, then the run."""
        if axes:
            axis, *rest = axes
            with self.e.loop(*{0: self.images, ROW_AXIS: rows}.get(axis, (0, self.target.view.shape[axis]))) as loop:
                self.visit(rest, [*position[:axis], loop.index, *position[axis + 1 :]], rows)
            return
        e = self.e
        begin, end = (e.mul(row, self.unit) for row in (rows if self.of_rows else (0, 1)))
        if self.k.in_place:
            self.each_once(position, begin, end)
            return
        if self.unit < self.lanes:  # some rows only may be less than a vector: these, one by one
            few = e.compare("<", e.sub(end, begin), self.lanes)
            middle = e.choose(few, end, begin)
            with e.loop(begin, middle) as loop:
                self.at(position, [loop.index], 1)
            begin = middle
        if self.by_table and self.lanes > 1 and isinstance(end, int) and end <= UNROLL_LOOKUPS * self.lanes:
            for first in range(0, end, self.lanes * self.vectors):  # entries of a table are then known
                self.at(position, list(self.places(first, end)), self.lanes)
            return
        with e.loop(begin, end, self.lanes * self.vectors) as loop:
            self.at(position, list(self.places(loop.index, end)), self.lanes)

    def each_once(self, position: Sequence[Index], begin: Index, end: Index) -> None:
        """Blocks of vectors as long as there are whole ones, then vectors, then elements."""
        e = self.e
        for vectors, lanes in dict.fromkeys([(self.vectors, self.lanes), (1, self.lanes), (1, 1)]):
            block = vectors * lanes
            middle = e.add(begin, e.mul(e.div(e.sub(end, begin), block), block))
            with e.loop(begin, middle, block) as loop:
                self.at(position, [e.add(loop.index, number * lanes) for number in range(vectors)], lanes)
            begin = middle

    def places(self, begin: Index, end: Index) -> Iterator[Index]:
        """Where the vectors of a block begin: side by side, but none reaches beyond the end of the run."""
        e = self.e
        for number in range(self.vectors):
            place = e.add(begin, number * self.lanes)
            inside = self.unit % (self.lanes * (self.vectors if number else 1)) == 0
            yield place if inside else e.least(place, e.sub(end, self.lanes))

    def at(self, position: Sequence[Index], places: Sequence[Index], lanes: int) -> None:
        """Vectors of the run from these places on."""
        axis = self.k.lane_axis
        positions = [[*position[:axis], place, *position[axis + 1 :]] for place in places]
        for source in self.sources if self.k.ahead else ():
            if source.view.strides[axis] == 1:
                for place in positions:
                    source.prefetch(self.e.add(source.offset(place), self.k.ahead))
        values = [[source.load_at(place, axis, lanes) for source in self.sources] for place in positions]
        results = emit_several(self.e, self.k.expr, values, [source.read_as for source in self.sources])
        for place, result in zip(positions, results, strict=True):
            self.target.store(result, self.target.offset(place), axis)
