"""Gradients of weights: outer products, summed over images and positions in registers.

The loop nest, outermost first:

    chunks of images and rows       first the images, then the rows: the order in which the operands lie
    vectors of outputs              those of a chunk stay in the first cache
    taps and channels               one tile each; shards divide the tiles
    images, rows, columns           of the chunk: v loads of outputs, s scalars, s·v multiply-adds

Each sum is one chain over the positions of a chunk. The columns of a row that reach outside have loops of their own.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from ...plan.kernels import Outer
from ..macs import accumulate, nothing
from ..nest import UNROLL_LOOP, Carry, reduce_nest
from ..registers import Index, Ssa
from .turned_sums import Block, Chunk, Range, SumsOfChunks, Tile, runs_of

Line = Callable[[Sequence[Index], Index, Index, Carry], Carry]  # sums over positions [begin, end) of a line at a place
Scalars = Callable[["OuterTile", Sequence[Index]], Iterator[Ssa]]  # what is multiplied at a place


@dataclass(frozen=True)
class OuterTile(Tile):
    """The first output as well, and for each vector of outputs its distance from that and its lanes."""

    output: Index
    vectors: Sequence[tuple[int, int]]


class OuterProducts(SumsOfChunks[Outer, OuterTile]):
    """Emits one sum of outer products."""

    def tiles(self, a: Index, b: Index) -> Iterator[OuterTile]:
        k, vectors = self.k, -(-self.k.outputs // self.k.lanes)
        for run, block, tile in self.blocks(a, b, list(runs_of(vectors, k.vectors, k.outputs // k.lanes))):
            lanes = min(k.lanes * block.size, k.outputs - k.lanes * run.first)
            found = [(begin, min(k.lanes, lanes - begin)) for begin in range(0, lanes, k.lanes)]
            yield OuterTile(tile.taps, tile.channels, self.e.mul(block.first, k.lanes), found)

    # Sums over positions

    def summed(self, chunk: Chunk, tile: OuterTile) -> Carry:
        """The sums of a tile over a chunk.

        Where a tile has one tap, the positions that it sees are a rectangle, and all others are products with 0: they
        are summed once for all channels, to 0 or, of an infinity, NaN.
        """
        ranges = [chunk.images, chunk.rows, *((0, size) for size in self.positions[1:])]
        pairs, start = tile.pairs, [nothing(self.e, lanes) for _, lanes in tile.vectors]
        plain = self.stretches(tile, self.plain)
        if not self.guarded_axes:
            return self.over_lines(ranges, plain, start * len(pairs))
        inside = [self.inside(axis, block) for axis, block in enumerate(tile.taps)]
        if len(pairs) > tile.channels.size:
            edges = self.stretches(tile, self.guarded)
            return self.over_lines(ranges, partial(self.line, inside, plain, edges), start * len(pairs))
        padding = self.stretches(tile, lambda tile, place: iter([self.e.number(0.0, 1)]))
        start = self.over_lines(ranges, partial(self.line, inside, None, padding), start)
        seen = [self.clipped(*whole, part) for whole, part in zip(ranges[1:], inside, strict=True)]
        return self.over_lines([chunk.images, *seen], plain, start * len(pairs))

    def over_lines(self, ranges: Sequence[Range], line: Line, sums: Carry) -> Carry:
        """The sums over the lines of some ranges, of which the last one is that of a line."""
        *outer, last = ranges
        return self.over(outer, [], lambda place, sums: line(place, *last, sums), sums)

    def inside(self, axis: int, taps: Block) -> Range:
        """The positions [begin, end) of an axis that are in the image under all taps of a block."""
        e, w = self.e, self.k.window[axis]
        if axis not in self.guarded_axes:
            return 0, w.kernel
        first = e.sub(w.low, e.mul(taps.first, w.stride))
        last = e.add(first, w.size - 1 - (taps.size - 1) * w.stride)
        begin = e.least(e.div(e.largest(e.add(first, w.dilation - 1), 0), w.dilation), w.kernel)
        end = e.least(e.div(e.largest(e.add(last, w.dilation), 0), w.dilation), w.kernel)
        return begin, e.largest(begin, end)

    def clipped(self, begin: Index, end: Index, inside: Range) -> Range:
        """The part of a range that is inside: between its ends, if need be empty."""
        low, high = (self.e.least(self.e.largest(begin, limit), end) for limit in inside)
        return low, high

    def line(
        self,
        inside: Sequence[Range],
        middle: Line | None,
        sides: Line,
        place: Sequence[Index],
        begin: Index,
        end: Index,
        sums: Carry,
    ) -> Carry:
        """A line: the middle, which no tap of the tile leaves, and both sides. Whole lines may be outside."""
        e = self.e
        low, high = self.clipped(begin, end, inside[-1])
        tests: list[Ssa] = []
        for axis in self.guarded_axes:
            if axis < self.rank - 1:
                first, after = inside[axis]
                tests += [e.compare(">=", place[1 + axis], first), e.compare("<", place[1 + axis], after)]
        if (row := e.all_of(tests)) is not None:
            low, high = e.choose(row, low, end), e.choose(row, high, end)
        sums = sides(place, begin, low, sums)
        sums = middle(place, low, high, sums) if middle else sums
        return sides(place, high, end, sums)

    def stretches(self, tile: OuterTile, scalars: Scalars) -> Line:
        """A function that adds the products at neighbouring positions of a line.

        Loops have the body of two where the number is not known, else of several. Under several taps neighbours share
        elements, which LLVM would keep in registers, and spill the sums: there each is a body by itself.
        """
        e, alone = self.e, tile.taps[-1].size > 1 or scalars == self.guarded

        def along(place: Sequence[Index], begin: Index, end: Index, sums: Carry) -> Carry:
            def step(index: list[Index], sums: Carry) -> Carry:
                return self.step(tile, [*place, e.add(begin, index[0])], scalars, sums)

            if isinstance(begin, int) and isinstance(end, int):
                budget = len(sums) if alone else UNROLL_LOOP
                return reduce_nest(e, [end - begin], sums, len(sums), step, budget=budget) if begin < end else sums
            count = e.sub(end, begin)
            pairs = 0 if alone else e.mul(e.div(count, 2), 2)
            for first, after, size in ((0, pairs, 2), (pairs, count, 1)):
                if after != 0:
                    with e.loop(first, after, size, carry=sums) as loop:
                        for number in range(size):
                            loop.next(step([e.add(loop.index, number)], loop.carried))
                    sums = loop.results
            return sums

        return along

    def step(self, tile: OuterTile, place: Sequence[Index], scalars: Scalars, sums: Carry) -> Carry:
        """One position: each of the scalars times each vector of outputs."""
        e, total = self.e, iter(sums)
        at = self.weights.offset([tile.output, *place])
        along = self.weights.view.strides[0]
        vectors = [self.weights.load(e.add(at, first * along), 0, lanes) for first, lanes in tile.vectors]
        following = []
        for scalar in scalars(tile, place):
            splats = {vector.lanes: e.splat(scalar, vector.lanes) for vector in vectors}
            following += [accumulate(e, splats[vector.lanes], vector, next(total)) for vector in vectors]
        return following

    # What the image has for each pair, each loaded just before its use

    def plain(self, tile: OuterTile, place: Sequence[Index]) -> Iterator[Ssa]:
        """At a position that no tap leaves: all are at known distances from the first."""
        offset = self.image.offset(self.seen(tile, place))
        for pair in tile.pairs:
            yield self.image.scalar(self.e.add(offset, self.distance(pair)))

    def guarded(self, tile: OuterTile, place: Sequence[Index]) -> Iterator[Ssa]:
        """At a position that some taps leave: 0 for these."""
        e, view, axes = self.e, self.image.view, [axis + 2 for axis in self.guarded_axes]
        channel, n, *first = self.seen(tile, place)
        for taps in itertools.product(*(range(block.size) for block in tile.taps)):
            moved = (e.add(at, t * w.stride) for at, t, w in zip(first, taps, self.k.window, strict=True))
            guard = self.image.guard([channel, n, *moved], axes)
            assert guard.inside is not None
            for number in range(tile.channels.size):
                value = self.image.scalar(e.add(guard.offset, number * view.strides[0]))
                yield e.select(guard.inside, value, e.number(0.0, 1))

    # Results

    def add(self, chunk: Chunk, tile: OuterTile, sums: Carry) -> None:
        self.add_to_result(chunk, tile, tile.output, [first for first, _ in tile.vectors], sums)
