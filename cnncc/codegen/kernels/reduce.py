"""Maximum or sum over whole axes.

With lanes along a kept axis each lane is a chain of its own. With lanes along the innermost reduced axis the
lanes hold partial results, which are combined in halves at the end; only the plan decides this order. The lanes fill
several registers, so that the chains hide the latency of an addition.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...plan.kernels import Reduce
from ..emitter import Emitter
from ..epilogue import combine, identity
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

    def emit(self, a: Index, b: Index) -> None:
        lane_axis = None if self.rows_per_vector else self.k.lane_axis
        positions(self.e, self.target.view.shape, (a, b), lane_axis, self.k.lanes, self.at)

    def at(self, position: list[Index], lanes: int) -> None:
        e, k = self.e, self.k
        sizes = self.source.view.shape
        outer = [axis for axis in k.axes if axis != k.lane_axis]
        width = min(k.lanes, sizes[k.lane_axis]) if self.rows_per_vector else lanes

        def along(indices: list[Index], carry: Carry) -> Carry:
            place = list(position)
            for axis, index in zip(outer, indices, strict=True):
                place[axis] = index
            return [
                self.fold_axis(place, carry[0], width) if self.rows_per_vector else self.take(place, carry[0], width)
            ]

        cost = -(-width // e.target.lanes)
        result = reduce_nest(
            e, [sizes[axis] for axis in outer], [self.source.number(self.identity, width)], cost, along
        )[0]
        if self.rows_per_vector:
            result = self.fold_lanes(result)
        self.target.store(result, self.target.offset(position), k.lane_axis)

    def take(self, place: Sequence[Index], total: Ssa, lanes: int) -> Ssa:
        value = self.source.load_at(place, self.k.lane_axis, lanes)
        return combine(self.e, self.k.combine, total, value)

    def fold_axis(self, place: list[Index], total: Ssa, width: int) -> Ssa:
        """Reduce the lane axis into the partial results, a vector at a time; the last is padded with the identity."""
        e, axis = self.e, self.k.lane_axis
        size = self.source.view.shape[axis]
        whole = size // width * width
        with e.loop(0, whole, width, carry=[total]) as loop:
            place[axis] = loop.index
            loop.next([self.take(place, loop.values[0], width)])
        total = loop.results[0]
        if size > whole:
            place[axis] = whole
            rest = self.source.load_at(place, axis, size - whole)
            filled = e.resize(rest, width)
            neutral = self.source.number(self.identity, width)
            lanes = [lane if lane < size - whole else width + lane for lane in range(width)]
            total = combine(e, self.k.combine, total, e.shuffle(filled, neutral, lanes))
        return total

    def fold_lanes(self, value: Ssa) -> Ssa:
        """Combine halves until one lane is left; an odd lane is combined first."""
        e = self.e
        while (lanes := value.lanes) > 1:
            half = lanes // 2
            low = e.shuffle(value, None, range(half))
            high = e.shuffle(value, None, range(half, 2 * half))
            folded = combine(e, self.k.combine, low, high)
            if lanes % 2:
                odd = e.extract(value, lanes - 1)
                first = combine(e, self.k.combine, e.extract(folded, 0), odd)
                folded = e.insert(folded, first, 0)
            value = folded
        return value
