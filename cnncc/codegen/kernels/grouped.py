"""Grouped convolution with few channels in a group: the lanes of a vector are the outputs of neighbouring groups.

With I inputs and O outputs in a group, a vector of L = ⌊lanes / O⌋ · O outputs reads L / O · I adjacent input
channels. They are loaded once for a pixel. For each c < I, one shuffle moves the channel c of its own group to every
lane, and one multiply-add uses it: I multiply-adds for a tap and a vector, with no lane wasted.

A shuffle competes with the multiply-adds for the pipes. So the pixels of a row are read from left to right, and each
shuffled pixel serves every tap that reaches it, as in the depthwise kernel: at stride 1 a row of p
outputs takes p + 2 pixels for its three taps instead of 3·p. Each output still sums its taps from left to right, and
the channels of each tap in order: one chain in the order (taps…, channel) from the bias, as in all convolutions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...plan.kernels import Grouped
from ..emitter import Emitter
from ..epilogue import Key, ResultVector, finish
from ..macs import accumulate, nothing
from ..nest import Carry, flat, interior, reduce_nest, with_guards
from ..registers import Index, Ssa
from .family import ConvolutionEmitter, Tensors

PAIRED = 8  # channels of a group of 256 bits


class GroupedConvolution(ConvolutionEmitter[Grouped]):
    """Emits one grouped convolution."""

    def __init__(self, e: Emitter, kernel: Grouped, tensors: Tensors):
        super().__init__(e, kernel, tensors)
        self.inputs = kernel.channels // kernel.groups
        self.members = kernel.outputs // kernel.groups  # outputs of a group

    # The nest: images, rows (which stay in the cache), vectors of outputs, tiles of columns

    def emit(self, a: Index, b: Index) -> None:
        e, shape = self.e, self.target.view.shape
        with e.loop(*self.images) as n:
            if self.rank == 1:
                self.vectors(n.index, (), a, b)
                return
            with e.loop(a, b) as y:
                if self.rank == 2:
                    self.vectors(n.index, (y.index,), 0, shape[3])
                else:
                    with e.loop(0, shape[3]) as z:
                        self.vectors(n.index, (y.index, z.index), 0, shape[4])

    def vectors(self, n: Index, outer: tuple[Index, ...], a: Index, b: Index) -> None:
        e, k = self.e, self.k
        whole, rest = divmod(k.outputs, k.block)
        if whole:
            with e.loop(0, whole) as block:
                self.columns(n, block.index, k.block, outer, a, b)
        if rest:
            self.columns(n, whole, rest, outer, a, b)

    def columns(self, n: Index, block: Index, count: int, outer: tuple[Index, ...], a: Index, b: Index) -> None:
        """Tiles of columns: of nearly equal width if the row is known at compile time, else with narrower last ones."""
        e, tile, left = self.e, self.k.tile.columns, 1
        if isinstance(a, int) and isinstance(b, int):
            tile = -(-(b - a) // -(-(b - a) // tile))
            left = (b - a) % tile
        whole = e.add(a, e.mul(e.div(e.sub(b, a), tile), tile))
        with e.loop(a, whole, tile) as x:
            self.tile(n, block, count, (*outer, x.index), tile)
        if left:
            with e.loop(whole, b, left) as x:
                self.tile(n, block, count, (*outer, x.index), left)

    # One tile

    def tile(self, n: Index, block: Index, count: int, place: tuple[Index, ...], columns: int) -> None:
        """`count` outputs of a block at `columns` positions of a row."""
        e, k = self.e, self.k
        channel = e.mul(block, k.block)
        counts = [1] * (self.rank - 1) + [columns]

        def body(guarded: bool) -> None:
            cells: dict[Key, ResultVector] = {}
            for column, value in enumerate(self.sums(n, block, count, place, columns, guarded)):
                position = (n, channel, *place[:-1], e.add(place[-1], column))
                cells[0, column, 0] = ResultVector(position, value, count)
            finish(e, k.epilogue, cells, {}, 1, self.target, self.operands)

        with_guards(e, interior(e, k.window, self.guarded_axes, place, counts), body)

    def sums(self, n: Index, block: Index, count: int, place: Sequence[Index], columns: int, guarded: bool) -> Carry:
        e, k = self.e, self.k
        *outer, last = k.window
        start = [e.sub(e.mul(index, w.stride), w.low) for index, w in zip(place, k.window, strict=True)]
        pixel = [n, e.mul(block, k.block // self.members * self.inputs)]
        weights = e.mul(block, k.taps * self.inputs * k.block)

        def taps(indices: list[Index], sums: Carry) -> Carry:
            number = flat(e, indices, [w.kernel for w in outer])
            position: list[Index] = [*pixel]
            for index, w, begin in zip(indices, outer, start, strict=False):
                position.append(e.add(begin, e.mul(index, w.dilation)))
            row = e.add(weights, e.mul(number, last.kernel * self.inputs * k.block))
            return self.row_of_taps(row, [*position, start[-1]], count, sums, guarded)

        cost = columns * last.kernel * self.inputs
        return reduce_nest(e, [w.kernel for w in outer], self.initial(block, count, columns), cost, taps, budget=0)

    def initial(self, block: Index, count: int, columns: int) -> Carry:
        """The bias in every accumulator, or zero."""
        if self.bias is None:
            return [nothing(self.e, count)] * columns
        return [self.bias_of(self.e.mul(block, self.k.block), count)] * columns

    def row_of_taps(self, row: Index, position: list[Index], count: int, sums: Carry, guarded: bool) -> Carry:
        """The pixels that a row of taps reaches, from left to right, each under all its taps."""
        e, last = self.e, self.k.window[-1]
        sums = list(sums)
        reach: dict[int, list[tuple[int, int]]] = {}
        for column in range(len(sums)):
            for tap in range(last.kernel):
                reach.setdefault(column * last.stride + tap * last.dilation, []).append((column, tap))
        for at in sorted(reach):
            pixel = self.pixel([*position[:-1], e.add(position[-1], at)], count, guarded)
            for c, value in enumerate(self.spread(pixel, count)):
                for column, tap in reach[at]:
                    weight = self.weight(row, tap, c, count)
                    sums[column] = accumulate(e, value, weight, sums[column])
        return sums

    def pixel(self, position: list[Index], count: int, guarded: bool) -> Ssa:
        """The input channels of the groups of a vector at one pixel."""
        axes = [axis + 2 for axis in self.guarded_axes] if guarded else []
        guard = self.image.guard(position, axes)
        return self.image.load_guarded(guard, guard.offset, 1, count // self.members * self.inputs, 0.0)

    def spread(self, pixel: Ssa, count: int) -> Iterator[Ssa]:
        """For each channel of a group a vector that holds, in every lane, this channel of the lane's own group.

        Across 128 bits, only pairs of lanes can be moved by one instruction without a register of indices. So in a
        group of 8, even and odd channels are duplicated first, and then equal pairs move: 10 shuffles for 8 channels,
        not 12.
        """
        e = self.e
        groups = [lane // self.members * self.inputs for lane in range(count)]
        if not self.inputs == self.members == PAIRED:
            for c in range(self.inputs):
                yield e.shuffle(pixel, None, [group + c for group in groups])
            return
        doubled = [e.shuffle(pixel, None, [lane // 2 * 2 + odd for lane in range(count)]) for odd in range(2)]
        for c in range(self.inputs):
            pair = c // 2 * 2
            yield e.shuffle(doubled[c % 2], None, [group + pair + lane % 2 for lane, group in enumerate(groups)])

    def weight(self, row: Index, tap: int, c: int, count: int) -> Ssa:
        return self.weights.load_strided(self.e.add(row, (tap * self.inputs + c) * self.k.block), 1, count)
