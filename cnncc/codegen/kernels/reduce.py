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
from ..folds import accumulated, fold_together, with_first
from ..nest import Carry, positions, reduce_nest
from ..registers import Index, Ssa
from .family import KernelEmitter, Tensors


class WholeReduction(KernelEmitter[Reduce]):
    """Emits one reduction."""

    def __init__(self, e: Emitter, kernel: Reduce, tensors: Tensors):
        super().__init__(e, kernel, tensors)
        (self.source,) = self.sources
        self.identity = identity(kernel.combine, self.source.element.computed)
        self.rows_per_vector = kernel.lane_axis in kernel.axes
        self.width = min(kernel.lanes, self.source.view.shape[kernel.lane_axis])
        self.axis_of_results = kernel.lane_axis if kernel.beside is None else kernel.beside

    def emit(self, a: Index, b: Index) -> None:
        k, shape = self.k, self.target.view.shape
        if self.rows_per_vector:
            positions(self.e, shape, (a, b), k.beside, k.together, self.at)
        else:
            positions(self.e, shape, (a, b), k.lane_axis, k.lanes, self.at)

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

        def along(indices: list[Index], carry: Carry) -> Carry:
            place = list(position)
            for axis, index in zip(outer, indices, strict=True):
                place[axis] = index
            return [
                self.fold_axis(place, carry[0], width) if self.rows_per_vector else self.take(place, carry[0], width)
            ]

        cost = -(-width // e.target.lanes)
        begin = self.source.number(self.identity, width)
        return reduce_nest(e, [sizes[axis] for axis in outer], [begin], cost, along)[0]

    def take(self, place: Sequence[Index], total: Ssa, lanes: int) -> Ssa:
        value = self.source.load_at(place, self.k.lane_axis, lanes)
        return accumulated(self.e, self.k.combine, self.identity, total, value)

    def fold_axis(self, place: list[Index], total: Ssa, width: int) -> Ssa:
        """Reduce the lane axis into the partial results, some vectors at a time; the rest goes to their first lanes."""
        e, axis = self.e, self.k.lane_axis
        size = self.source.view.shape[axis]
        whole = size // width * width
        with e.loop(0, whole, width, carry=[total]) as loop:
            place[axis] = loop.index
            loop.next([self.take(place, loop.values[0], width)])
        total = loop.results[0]
        if size > whole:
            place[axis] = whole
            total = with_first(e, total, self.take(place, e.resize(total, size - whole), size - whole))
        return total
