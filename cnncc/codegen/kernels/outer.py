"""Gradients of weights: outer products, summed over images and positions in registers.

The loop nest, outermost first:

    chunks of images and rows       first the images, then the rows: the order in which the operands lie
    vectors of outputs              those of a chunk stay in the first cache
    taps and channels               one tile each; shards divide the tiles
    images, rows, columns           of the chunk: v loads of outputs, s scalars, s·v multiply-adds

Each sum is one chain over the positions of a chunk, and those of all chunks are added in order. Chunks follow from
shapes and the target, so neither tile nor threads change a bit. Where a tap leaves the image and its border, the
multiply-add with 0 is performed, as everywhere: the columns of a row that reach outside have loops of their own.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from ...plan.kernels import Outer
from ..emitter import Emitter
from ..macs import accumulate, nothing
from ..nest import UNROLL_LOOP, Carry, flat, reduce_nest, runs
from ..registers import Index, Ssa
from .family import ConvolutionEmitter, Tensors

Range = tuple[Index, Index]


@dataclass(frozen=True)
class Chunk:
    """Positions that are summed up together: images, rows; and whether they are the first ones."""

    images: Range
    rows: Range
    first: Ssa | bool


@dataclass(frozen=True)
class Block:
    """A part of an axis: its first index, its size, and its number."""

    first: Index
    size: int
    number: Index


@dataclass(frozen=True)
class OuterTile:
    """Taps of each axis and channels, and the first output of each vector with its lanes."""

    taps: Sequence[Block]
    channels: Block
    output: Index
    vectors: Sequence[tuple[int, int]]


class OuterProducts(ConvolutionEmitter[Outer]):
    """Emits one sum of outer products."""

    def __init__(self, e: Emitter, kernel: Outer, tensors: Tensors):
        super().__init__(e, kernel, tensors)
        self.images, self.positions = kernel.channels, [axis.kernel for axis in kernel.window]

    def emit(self, a: Index, b: Index) -> None:
        with self.chunks() as chunk:
            for tile in self.tiles(a, b):
                sums = [nothing(self.e, lanes) for _ in self.pairs(tile) for _, lanes in tile.vectors]
                ranges = [chunk.images, chunk.rows, *((0, size) for size in self.positions[1:])]
                self.add(chunk, tile, self.over(ranges, [], tile, sums))

    @contextmanager
    def chunks(self) -> Iterator[Chunk]:
        e, (images, rows) = self.e, self.k.chunk
        with e.loop(0, self.images, images) as n, e.loop(0, self.positions[0], rows) as y:
            begin = e.add(n.index, y.index)
            first = begin == 0 if isinstance(begin, int) else e.compare("==", begin, 0)
            yield Chunk(self.part(n.index, images, self.images), self.part(y.index, rows, self.positions[0]), first)

    def part(self, begin: Index, size: int, total: int) -> Range:
        """`size` elements of `total`, or what is left of them."""
        end = self.e.add(begin, size)
        return begin, end if total % size == 0 else self.e.least(end, total)

    # Tiles

    def tiles(self, a: Index, b: Index) -> Iterator[OuterTile]:
        """Tiles [a, b), in loops."""
        e, k = self.e, self.k
        vectors = -(-k.outputs // k.lanes)
        taps = [list(_blocks(axis.out, most)) for axis, most in zip(k.window, k.block, strict=False)]
        axes = [list(_blocks(vectors, k.vectors, k.outputs // k.lanes)), *taps]
        axes.append(list(_blocks(self.image.view.shape[0], k.block[-1])))
        counts = [parts[-1][0] + parts[-1][1] for parts in axes]
        for parts in itertools.product(*axes):
            with ExitStack() as stack:
                blocks = []
                for number, count, first, size in parts:
                    at = stack.enter_context(e.loop(0, count)).index
                    blocks.append(Block(e.add(first, e.mul(at, size)), size, e.add(number, at)))
                if not (isinstance(a, int) and isinstance(b, int)):
                    unit = flat(e, [block.number for block in blocks], counts)
                    mine = e.all_of([e.compare(">=", unit, a), e.compare("<", unit, b)])
                    assert mine is not None
                    stack.enter_context(e.when(mine))
                output, *inner, channels = blocks
                lanes = min(k.lanes * output.size, k.outputs - k.lanes * parts[0][2])
                found = [(begin, min(k.lanes, lanes - begin)) for begin in range(0, lanes, k.lanes)]
                yield OuterTile(inner, channels, e.mul(output.first, k.lanes), found)

    def pairs(self, tile: OuterTile) -> list[tuple[tuple[int, ...], int]]:
        """(tap on each axis, channel) of each scalar, from the first of the tile on."""
        taps = itertools.product(*(range(block.size) for block in tile.taps))
        return list(itertools.product(taps, range(tile.channels.size)))

    # Sums over positions

    def over(self, ranges: Sequence[Range], place: Sequence[Index], tile: OuterTile, sums: Carry) -> Carry:
        """The sums of a tile over images and positions, in the order of the axes."""
        if len(ranges) == 1:
            return self.line(place, *ranges[0], tile, sums)
        with self.e.loop(*ranges[0], carry=sums) as at:
            at.next(self.over(ranges[1:], [*place, at.index], tile, at.values))
        return at.results

    def line(self, place: Sequence[Index], begin: Index, end: Index, tile: OuterTile, sums: Carry) -> Carry:
        """The positions of a line: those that no tap leaves in the middle, and guarded ones on both sides."""
        if not self.guarded_axes:
            return self.stretch(place, begin, end, tile, sums, guarded=False)
        e, last = self.e, self.rank - 1
        inside = self.inside(last) if last in self.guarded_axes else (0, self.positions[last])
        low, high = (e.least(e.largest(begin, limit), end) for limit in inside)
        tests = []
        for axis in self.guarded_axes:
            if axis != last:
                first, after = self.inside(axis)
                tests += [e.compare(">=", place[1 + axis], first), e.compare("<", place[1 + axis], after)]
        row = e.all_of(tests)
        if row is not None:
            low, high = e.choose(row, low, end), e.choose(row, high, end)
        sums = self.stretch(place, begin, low, tile, sums, guarded=True)
        sums = self.stretch(place, low, high, tile, sums, guarded=False)
        return self.stretch(place, high, end, tile, sums, guarded=True)

    def inside(self, axis: int) -> tuple[int, int]:
        """The positions [begin, end) of an axis that are in the image under all taps."""
        w = self.k.window[axis]
        begin = min(-(-w.low // w.dilation), w.kernel)
        end = (w.size - 1 + w.low - (w.out - 1) * w.stride) // w.dilation + 1
        return begin, max(begin, min(end, w.kernel))

    def stretch(
        self, place: Sequence[Index], begin: Index, end: Index, tile: OuterTile, sums: Carry, *, guarded: bool
    ) -> Carry:
        """Neighbouring positions of a line, several in the body of a loop.

        Under several taps they share elements, which LLVM would keep in registers, and spill the sums: then one by one.
        """
        e = self.e
        together = 1 if guarded or tile.taps[-1].size > 1 else max(1, UNROLL_LOOP // len(sums))

        def step(index: list[Index], sums: Carry) -> Carry:
            return self.step([*place, e.add(begin, index[0])], tile, sums, guarded)

        if isinstance(begin, int) and isinstance(end, int):
            budget = len(sums) * together
            return reduce_nest(e, [end - begin], sums, len(sums), step, budget=budget) if begin < end else sums
        count = e.sub(end, begin)
        whole = e.mul(e.div(count, together), together)
        for first, after, size in ((0, whole, together), (whole, count, 1))[: 2 if together > 1 else 1]:
            with e.loop(first, after, size, carry=sums) as loop:
                sums = loop.values
                for number in range(size):
                    sums = step([e.add(loop.index, number)], sums)
                loop.next(sums)
            sums = loop.results
        return sums

    def step(self, place: Sequence[Index], tile: OuterTile, sums: Carry, guarded: bool) -> Carry:
        """One position: each pair's element of the image times each vector of outputs."""
        e, total = self.e, iter(sums)
        at = self.weights.offset([tile.output, *place])
        along = self.weights.view.strides[0]
        vectors = [self.weights.load(e.add(at, first * along), 0, lanes) for first, lanes in tile.vectors]
        following = []
        for scalar in self.scalars(place, tile, guarded):
            splats = {vector.lanes: e.splat(scalar, vector.lanes) for vector in vectors}
            following += [accumulate(e, splats[vector.lanes], vector, next(total)) for vector in vectors]
        return following

    def scalars(self, place: Sequence[Index], tile: OuterTile, guarded: bool) -> Iterator[Ssa]:
        """What the image has for each pair, each loaded just before its use."""
        e, view = self.e, self.image.view
        n, *position = place
        first: list[Index] = [tile.channels.first, n]
        for block, w, p in zip(tile.taps, self.k.window, position, strict=True):
            first.append(e.sub(e.add(e.mul(block.first, w.stride), e.mul(p, w.dilation)), w.low))
        if not guarded:
            yield from self.plain(self.image.offset(first), tile)
            return
        axes = [axis + 2 for axis in self.guarded_axes]
        for taps in itertools.product(*(range(block.size) for block in tile.taps)):
            moved = [e.add(at, t * w.stride) for at, t, w in zip(first[2:], taps, self.k.window, strict=True)]
            guard = self.image.guard([*first[:2], *moved], axes)
            for channel in range(tile.channels.size):
                value = self.image.scalar(e.add(guard.offset, channel * view.strides[0]))
                yield value if guard.inside is None else e.select(guard.inside, value, e.number(0.0, 1))

    def plain(self, offset: Index, tile: OuterTile) -> Iterator[Ssa]:
        """The same at a position that no tap leaves: all are at known distances from the first."""
        e, strides = self.e, self.image.view.strides
        steps = (strides[0], *(w.stride * stride for w, stride in zip(self.k.window, strides[2:], strict=True)))
        for taps, channel in self.pairs(tile):
            distance = sum(index * step for index, step in zip((channel, *taps), steps, strict=True))
            yield self.image.scalar(e.add(offset, distance))

    # Results

    def add(self, chunk: Chunk, tile: OuterTile, sums: Carry) -> None:
        """Add the sums of a chunk to the result; those of the first chunk are the result so far."""
        e, strides = self.e, self.target.view.strides
        at = self.target.offset([tile.channels.first, tile.output, *(block.first for block in tile.taps)])
        results = itertools.product(self.pairs(tile), tile.vectors)
        for ((taps, channel), (output, lanes)), value in zip(results, sums, strict=True):
            inner = (channel, output, *taps)
            offset = e.add(at, sum(index * stride for index, stride in zip(inner, strides, strict=True)))
            if chunk.first is not True:
                total = e.binary("add", self.target.load(offset, 1, lanes), value)
                value = e.select(chunk.first, value, total) if isinstance(chunk.first, Ssa) else total
            self.target.store(value, offset, 1)


def _blocks(total: int, most: int, full: int | None = None) -> Iterator[tuple[int, int, int, int]]:
    """(number of the first, count, begin, size) of runs of equal blocks; beyond `full` elements a block is alone."""
    number = 0
    for begin, end, size in runs(total, most):
        middle = end if full is None or end <= full else end - size
        for first, after in ((begin, middle), (middle, end)):
            if first < after:
                count = (after - first) // size
                yield number, count, first, size
                number += count
