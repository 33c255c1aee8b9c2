"""Gradients of weights: outer products, summed over images and positions in registers.

The loop nest, outermost first:

    chunks of images and rows       first the images, then the rows: the order in which the operands lie
    blocks of channels              their pixels of a chunk are packed, with what lies outside of the image as 0
    vectors of outputs              packed once for a chunk
    taps                            one tile each; shards divide the tiles
    images, rows, columns           of the chunk: v loads of outputs, s scalars, s·v multiply-adds

Each sum is one chain over the positions of a chunk. Operands that a tile takes as they lie are not packed
(`Outer.packs_outputs`, `Outer.packs_pixels`).
"""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from ...plan.kernels import Outer
from ...plan.kernels.packing import dense_strides
from ..emitter import Emitter
from ..macs import accumulate, nothing
from ..memory import Access
from ..nest import UNROLL_LOOP, Carry, loops, reduce_nest
from ..registers import Index
from .family import Tensors
from .turned_sums import Block, Chunk, Run, SumsOfChunks, Tile, runs_of

COPIED = 4  # pixels that a loop's body copies, where that divides their number


@dataclass(frozen=True)
class OuterTile(Tile):
    """The block of outputs as well, and for each of its vectors the distance from the first output and its lanes."""

    output: Block
    vectors: Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Operand:
    """What a tile reads: where its first element at the first position of a chunk is, how many elements further those
    of the next image, row… are, and how far the other elements of a position are from the first one."""

    access: Access
    first: Index
    along: Sequence[int]
    others: Sequence[int]

    def at(self, e: Emitter, place: Sequence[Index]) -> list[Index]:
        """Where the elements of a place in the chunk are."""
        first = self.first
        for index, distance in zip(place, self.along, strict=True):
            first = e.add(first, e.mul(index, distance))
        return [e.add(first, other) for other in self.others]


class OuterProducts(SumsOfChunks[Outer, OuterTile]):
    """Emits one sum of outer products."""

    def __init__(self, e: Emitter, kernel: Outer, tensors: Tensors):
        super().__init__(e, kernel, tensors)
        self.scratch = tensors.scratch
        full, vectors = kernel.outputs // kernel.lanes, -(-kernel.outputs // kernel.lanes)
        self.blocks_of_outputs = list(runs_of(vectors, kernel.vectors, full))

    def tiles(self, chunk: Chunk, a: Index, b: Index) -> Iterator[OuterTile]:
        for run, block, tile in self.blocks(chunk, a, b, self.blocks_of_outputs):
            yield OuterTile(tile.taps, tile.channels, block, self.vectors(run))

    def vectors(self, run: Run) -> list[tuple[int, int]]:
        """The vectors of a block of outputs: the distance of each from the first output, and its lanes."""
        lanes = min(self.k.lanes * run.size, self.k.outputs - self.k.lanes * run.first)
        return [(begin, min(self.k.lanes, lanes - begin)) for begin in range(0, lanes, self.k.lanes)]

    # Sums over positions

    def summed(self, chunk: Chunk, tile: OuterTile) -> Carry:
        """The sums of a tile over a chunk."""
        e, pixels, outputs = self.e, self.pixels(chunk, tile), self.outputs(chunk, tile)
        sums = [nothing(e, lanes) for _, lanes in tile.vectors] * len(tile.pairs)
        sizes = [*self.sizes(chunk), *self.positions[1:]]
        line = partial(self.line, tile, pixels, outputs, sizes[-1])
        return self.over([(0, size) for size in sizes[:-1]], [], line, sums)

    def line(
        self, tile: OuterTile, pixels: Operand, outputs: Operand, size: Index, place: Sequence[Index], sums: Carry
    ) -> Carry:
        """The products at the positions of a line.

        Under several taps neighbours share elements, which LLVM would keep in registers, and spill the sums: there each
        position is a body by itself.
        """
        e = self.e

        def step(index: Sequence[Index], sums: Carry) -> Carry:
            return self.step(tile, pixels, outputs, [*place, *index], sums)

        if isinstance(size, int):
            budget = len(sums) if tile.taps[-1].size > 1 else UNROLL_LOOP
            return reduce_nest(e, [size], sums, len(sums), step, budget=budget)
        with e.loop(0, size, carry=sums) as loop:
            loop.next(step([loop.index], loop.values))
        return loop.results

    def step(self, tile: OuterTile, pixels: Operand, outputs: Operand, place: Sequence[Index], sums: Carry) -> Carry:
        """One position: each of the scalars, loaded just before its use, times each vector of outputs."""
        e, total = self.e, iter(sums)
        lanes = [count for _, count in tile.vectors]
        vectors = [outputs.access.load(at, 0, n) for at, n in zip(outputs.at(e, place), lanes, strict=True)]
        following = []
        for at in pixels.at(e, place):
            scalar = pixels.access.scalar(at)
            splats = {n: e.splat(scalar, n) for n in lanes}
            following += [accumulate(e, splats[vector.lanes], vector, next(total)) for vector in vectors]
        return following

    # Outputs of g

    def outputs(self, chunk: Chunk, tile: OuterTile) -> Operand:
        """The vectors of a tile, as they lie or packed."""
        if self.k.packs_outputs:
            return self.packed_outputs(tile.output, tile.vectors)
        return self.given_outputs(chunk, tile.output, tile.vectors)

    def given_outputs(self, chunk: Chunk, block: Block, vectors: Sequence[tuple[int, int]]) -> Operand:
        apart, *along = self.weights.view.strides
        place = [self.e.mul(block.first, self.k.lanes), chunk.images[0], chunk.rows[0], *[0] * (self.rank - 1)]
        return Operand(self.weights, self.weights.offset(place), along, [first * apart for first, _ in vectors])

    def packed_outputs(self, block: Block, vectors: Sequence[tuple[int, int]]) -> Operand:
        *along, _ = dense_strides([*self.k.chunk, *self.positions[1:], self.k.width])
        place = self.e.mul(block.number, self.k.chunk[0] * along[0])
        return Operand(self.scratch[0], place, along, [first for first, _ in vectors])

    def pack_outputs(self, chunk: Chunk) -> None:
        if not self.k.packs_outputs:
            return
        e = self.e
        with loops(e, [*self.sizes(chunk), *self.positions[1:]]) as place:
            for run in self.blocks_of_outputs:
                with e.loop(0, run.count) as at:
                    block, vectors = run.block(e, at.index), self.vectors(run)
                    given, packed = self.given_outputs(chunk, block, vectors), self.packed_outputs(block, vectors)
                    for source, target, (_, lanes) in zip(
                        given.at(e, place), packed.at(e, place), vectors, strict=True
                    ):
                        self.scratch[0].store(self.weights.load(source, 0, lanes), target, 0)

    # Pixels of x

    def pixels(self, chunk: Chunk, tile: OuterTile) -> Operand:
        """The pairs of a tile, as they lie or packed."""
        e, k = self.e, self.k
        if k.packs_pixels:
            access, gaps = self.scratch[0], k.gaps
            *along, apart = dense_strides([*k.packed_sizes, tile.channels.size])
            first: Index = k.packed_outputs
        else:
            access, gaps = self.image, (1,) * self.rank
            apart, *along = self.image.view.strides
            first = self.image.offset(self.begin(chunk, tile.channels))
        of_image, *of_axes = along
        axes = list(zip(k.window, gaps, of_axes, strict=True))
        of_taps = [w.stride // gap * distance for w, gap, distance in axes]
        for block, distance in zip(tile.taps, of_taps, strict=True):
            first = e.add(first, e.mul(block.first, distance))
        pairs = [channel * apart + sum(map(operator.mul, taps, of_taps)) for taps, channel in tile.pairs]
        steps = [of_image, *(w.dilation // gap * distance for w, gap, distance in axes)]
        return Operand(access, first, steps, pairs)

    def begin(self, chunk: Chunk, channels: Block) -> list[Index]:
        """The place in the image of the first pixel that a chunk sees."""
        e, first = self.e, [chunk.rows[0], *[0] * (self.rank - 1)]
        seen = [e.sub(e.mul(at, w.dilation), w.low) for at, w in zip(first, self.k.window, strict=True)]
        return [channels.first, chunk.images[0], *seen]

    def pack_pixels(self, chunk: Chunk, channels: Block) -> None:
        if not self.k.packs_pixels:
            return
        e, k = self.e, self.k
        images, rows = self.sizes(chunk)
        height = e.add(e.mul(e.sub(rows, 1), k.window[0].dilation // k.gaps[0]), k.spanned(0, 1))
        sizes: list[Index] = [images, height, *k.packed_sizes[2:]]
        axes = [axis + 2 for axis in self.guarded_axes if axis == 0 or axis < self.rank - 1]
        channel, n, *start = self.begin(chunk, channels)
        *steps, _ = dense_strides([*k.packed_sizes, channels.size])
        packed = Operand(self.scratch[0], k.packed_outputs, steps, [0])

        def copied(pixel: Sequence[Index], inside: bool) -> None:
            value, (image, *spot) = e.number(0.0, channels.size), pixel
            if inside:
                moved = [e.add(at, e.mul(p, gap)) for at, p, gap in zip(start, spot, k.gaps, strict=True)]
                guard = self.image.guard([channel, e.add(n, image), *moved], axes)
                value = self.image.load_guarded(guard, guard.offset, 0, channels.size, 0.0)
            (to,) = packed.at(e, pixel)
            self.scratch[0].store(value, to, 0)

        with loops(e, sizes[:-1]) as line:
            for begin, end, inside in self.stretches(sizes[-1]):
                count = e.sub(end, begin)
                several = COPIED if isinstance(count, int) and count % COPIED == 0 else 1
                with e.loop(begin, end, several) as first:
                    for number in range(several):
                        copied([*line, e.add(first.index, number)], inside)

    def stretches(self, width: Index) -> list[tuple[Index, Index, bool]]:
        """Parts of a packed line, and whether they lie inside the image; where lines are rows, each pixel is tested."""
        axis = self.rank - 1
        if axis == 0 or axis not in self.guarded_axes or not isinstance(width, int):
            return [(0, width, True)]
        w, gap = self.k.window[axis], self.k.gaps[axis]
        begin = min(max(0, -(-w.low // gap)), width)
        end = min(max(begin, (w.size - 1 + w.low) // gap + 1), width)
        parts = [(0, begin, False), (begin, end, True), (end, width, False)]
        return [(first, after, inside) for first, after, inside in parts if first < after]

    # Results

    def add(self, chunk: Chunk, tile: OuterTile, sums: Carry) -> None:
        first = self.e.mul(tile.output.first, self.k.lanes)
        self.add_to_result(chunk, tile, first, [distance for distance, _ in tile.vectors], sums)
