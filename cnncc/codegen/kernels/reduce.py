"""Maximum or sum over whole axes.

With lanes along a kept axis each lane is a chain of its own. With lanes along the innermost reduced axis the
lanes hold partial results, which are combined in halves at the end; only the plan decides this order. The lanes fill
several registers, so that the chains hide the latency of an addition.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...plan.kernels import Reduce
from ..emitter import Emitter
from ..epilogue import identity
from ..folds import accumulated, fold_together, stretches, together
from ..nest import Carry, positions, reduce_nest
from ..registers import Index, Ssa
from .family import KernelEmitter, Tensors


class WholeReduction(KernelEmitter[Reduce]):
    """Emits one reduction."""

    def __init__(self, e: Emitter, kernel: Reduce, tensors: Tensors):
        super().__init__(e, kernel, tensors)
        (self.source,) = self.sources
        self.identity = identity(kernel.combine, self.source.read_as)
        self.rows_per_vector = kernel.lane_axis in kernel.axes
        self.width = min(kernel.lanes, self.source.view.shape[kernel.lane_axis])
        self.axis_of_results = kernel.lane_axis if kernel.beside is None else kernel.beside

    def emit(self, a: Index, b: Index) -> None:
        k, shape = self.k, self.target.view.shape
        if self.rows_per_vector:
            positions(self.e, shape, self.images, (a, b), k.beside, k.together, self.at)
        else:
            positions(self.e, shape, self.images, (a, b), k.lane_axis, k.lanes, self.at)

    def at(self, position: list[Index], lanes: int) -> None:
        """The results of so many neighbours, each in a lane."""
        if self.rows_per_vector:
            found = [self.reduced(self.neighbour(position, number), self.width) for number in range(lanes)]
            result = fold_together(self.e, self.k.combine, found)
        else:
            result = self.reduced(position, lanes)
        self.target.store(result, self.target.offset(position), self.axis_of_results)

    def neighbour(self, position: list[Index], number: int) -> list[Index]:
        """A place so many results further on."""
        if self.k.beside is None:
            return position
        place = list(position)
        place[self.k.beside] = self.e.add(place[self.k.beside], number)
        return place

    def reduced(self, position: list[Index], width: int) -> Ssa:
        """Partial results in as many lanes as are handled together."""
        e, k = self.e, self.k
        sizes = self.source.view.shape
        outer = [axis for axis in k.axes if axis != k.lane_axis]
        parts = [(0, 1, width)]
        if self.rows_per_vector:
            parts = stretches(sizes[k.lane_axis], width, e.target.lanes)

        def along(indices: list[Index], totals: Carry) -> Carry:
            place = list(position)
            for axis, index in zip(outer, indices, strict=True):
                place[axis] = index
            if not self.rows_per_vector:
                return [self.take(place, totals[0], width)]
            return [self.line(place, *part, total) for part, total in zip(parts, totals, strict=True)]

        begin = [self.source.number(self.identity, lanes) for _, _, lanes in parts]
        cost = sum(-(-lanes // e.target.lanes) for _, _, lanes in parts)
        return together(e, k.combine, reduce_nest(e, [sizes[axis] for axis in outer], begin, cost, along))

    def line(self, place: list[Index], begin: int, end: int, lanes: int, total: Ssa) -> Ssa:
        """A stretch of the lane axis, some vectors at a time."""
        with self.e.loop(begin, end, lanes, carry=[total]) as loop:
            place[self.k.lane_axis] = loop.index
            loop.next([self.take(place, loop.values[0], lanes)])
        return loop.results[0]

    def take(self, place: Sequence[Index], total: Ssa, lanes: int) -> Ssa:
        value = self.source.load_at(place, self.k.lane_axis, lanes)
        return accumulated(self.e, self.k.combine, self.identity, total, value)
