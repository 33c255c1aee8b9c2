"""Filters: planar convolutions with one input channel a group and weights in registers (see `plan.kernels.filters`).

The loop nest is that of direct convolution with lanes along the columns, with two differences: a tile has several
rows, and the loop over rows of taps is replaced by one over the rows of the input. These are read in order, so each
output still sums its taps in order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..epilogue import Key
from ..macs import accumulate
from ..registers import Index, Ssa
from .direct_columns import AlongColumns
from .direct_tile import OutputBlock, TileShape


class Filter(AlongColumns):
    """Emits one filter."""

    def rows(self, n: Index, outputs: OutputBlock, a: Index, b: Index) -> None:
        """As in the base class, after all weights are loaded."""
        count = self.k.taps * self.k.block
        places = [self.e.add(outputs.weights, number) for number in range(count)]
        self.loaded = [self.weight(place, self.k.lanes) for place in places]
        super().rows(n, outputs, a, b)

    def accumulate(
        self, outputs: OutputBlock, n: Index, first: Sequence[Index], shape: TileShape, guarded: bool
    ) -> dict[Key, Ssa]:
        e, k = self.e, self.k
        keys = self.keys(outputs, shape)
        sums = dict(zip(keys, self.initial(outputs, keys, shape), strict=True))
        down, across = k.window
        for place in range((shape.rows - 1) * down.stride + down.extent):
            met = [(row, place - row * down.stride) for row in range(shape.rows)]
            met = [(row, at // down.dilation) for row, at in met if 0 <= at < down.extent and at % down.dilation == 0]
            if not met:
                continue
            shifted = self.shifted(outputs, n, first, place, shape, guarded)
            for tap in range(across.kernel):
                vectors = shifted(tap)
                for row, row_tap in met:
                    number = row_tap * across.kernel + tap
                    for column, vector in enumerate(vectors):
                        for output in range(outputs.count):
                            weight = self.loaded[number * k.block + output]
                            key = row, column, output
                            sums[key] = accumulate(e, e.resize(weight, shape.lanes), vector, sums[key])
        return sums

    def shifted(
        self, outputs: OutputBlock, n: Index, first: Sequence[Index], place: int, shape: TileShape, guarded: bool
    ) -> Callable[[int], list[Ssa]]:
        """The vectors of one row of the input under each tap of a row.

        Where the tile lies inside the image, a shuffle combines two neighbours for every other tap. The shuffles are
        opaque: LLVM would replace each by a load.
        """
        e, (down, across) = self.e, self.k.window
        row = e.add(e.sub(e.mul(first[0], down.stride), down.low), place)
        begin = e.sub(first[1], across.low)
        frozen: dict[int, Ssa] = {}

        def load(column: int, tap: int) -> Ssa:
            at = e.add(begin, column + tap * across.dilation)
            return self.load([n, outputs.group, row, at], shape.lanes, guarded)(0)

        def neighbour(number: int) -> Ssa:
            if number not in frozen:
                value = load(shape.columns[number], 0)
                frozen[number] = e.opaque(value)
            return frozen[number]

        def vector(number: int, tap: int) -> Ssa:
            shift, column = tap * across.dilation, shape.columns[number]
            followed = column + shape.lanes in shape.columns[number + 1 : number + 2]
            if guarded or not followed or tap % 2 == 0 or shift >= shape.lanes:
                return neighbour(number) if tap == 0 and not guarded else load(column, tap)
            return e.shuffle(neighbour(number), neighbour(number + 1), range(shift, shift + shape.lanes))

        return lambda tap: [vector(number, tap) for number in range(len(shape.columns))]
