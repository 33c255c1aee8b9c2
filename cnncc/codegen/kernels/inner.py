"""Gradients of weights: inner products of lines of positions, whose lanes are added up at the end of a chunk.

The loop nest, outermost first:

    chunks of images and rows       first the images, then the rows: the order in which the operands lie
    outputs                         their lines of a chunk stay in the first cache
    taps and channels               one tile each; shards divide the tiles
    images, rows                    of the chunk
    vectors of columns              o loads of g, s loads of x, s·o multiply-adds

The last vector of a line slides back. In its lanes that were counted already both operands are 0, since an infinity of
one of them would make NaN of a 0 of the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from ...plan.kernels import Inner
from ..folds import fold_together
from ..macs import accumulate, nothing
from ..nest import UNROLL_LOOP, Carry, reduce_nest
from ..registers import Index, Ssa
from .turned_sums import Block, Chunk, SumsOfChunks, Tile, runs_of


@dataclass(frozen=True)
class InnerTile(Tile):
    """The outputs as well."""

    outputs: Block


class InnerProducts(SumsOfChunks[Inner, InnerTile]):
    """Emits one sum of inner products."""

    def tiles(self, chunk: Chunk, a: Index, b: Index) -> Iterator[InnerTile]:
        for _, outputs, tile in self.blocks(chunk, a, b, list(runs_of(self.k.outputs, self.k.together))):
            yield InnerTile(tile.taps, tile.channels, outputs)

    def summed(self, chunk: Chunk, tile: InnerTile) -> Carry:
        sums = [nothing(self.e, self.k.lanes) for _ in range(len(tile.pairs) * tile.outputs.size)]
        ranges = [chunk.images, chunk.rows, *((0, size) for size in self.positions[1:-1])]
        return self.over(ranges, [], partial(self.line, tile), sums)

    def line(self, tile: InnerTile, place: Sequence[Index], sums: Carry) -> Carry:
        """One line: whole vectors, and what is left of it."""
        width, lanes = self.positions[-1], self.k.lanes
        vectors, left = divmod(width, lanes)

        def step(index: list[Index], sums: Carry) -> Carry:
            return self.step(tile, [*place, self.e.mul(index[0], lanes)], 0, sums)

        sums = reduce_nest(self.e, [vectors], sums, len(sums), step, budget=UNROLL_LOOP)
        return self.step(tile, [*place, width - lanes], lanes - left, sums) if left else sums

    def step(self, tile: InnerTile, place: Sequence[Index], counted: int, sums: Carry) -> Carry:
        """A vector of neighbouring positions, of which the first ones may be `counted`: each pair times each output."""
        e, total = self.e, iter(sums)
        at, along = self.weights.offset([tile.outputs.first, *place]), self.weights.view.strides[0]
        outputs = [
            self.without(self.weights.load(e.add(at, number * along), self.rank + 1, self.k.lanes), counted)
            for number in range(tile.outputs.size)
        ]
        following = []
        for pixels in self.pixels(tile, place):
            own = self.without(pixels, counted)
            following += [accumulate(e, own, output, next(total)) for output in outputs]
        return following

    def without(self, vector: Ssa, counted: int) -> Ssa:
        """A vector with 0 in its first lanes."""
        lanes = vector.lanes
        chosen = [lane + (lane >= counted) * lanes for lane in range(lanes)]
        return self.e.shuffle(self.e.number(0.0, lanes), vector, chosen) if counted else vector

    # What the image has for each pair, each loaded just before its use

    def pixels(self, tile: InnerTile, place: Sequence[Index]) -> Iterator[Ssa]:
        """For each pair, the vector that neighbouring positions see; 0 where they leave the image."""
        e, image, last = self.e, self.image, self.rank + 1
        if not self.guarded_axes:
            offset = image.offset(self.seen(tile, place))
            for pair in tile.pairs:
                yield image.load(e.add(offset, self.distance(pair)), last, self.k.lanes)
            return
        channel, n, *first = self.seen(tile, place)
        rows = [axis + 2 for axis in self.guarded_axes if axis + 2 != last]
        for taps, number in tile.pairs:
            *moved, column = (e.add(at, t * w.stride) for at, t, w in zip(first, taps, self.k.window, strict=True))
            guard = image.guard([e.add(channel, number), n, *moved, 0], rows)
            if last - 2 in self.guarded_axes:
                yield image.load_columns(guard.offset, column, 1, self.k.lanes, 0.0, guard.inside)
            else:
                yield image.load_guarded(guard, e.add(guard.offset, image.along(last, column)), last, self.k.lanes, 0.0)

    def seen(self, tile: Tile, place: Sequence[Index]) -> list[Index]:
        """The place in the image of a position under the first tap of a tile."""
        e, (n, *position) = self.e, place
        starts = (e.mul(block.first, w.stride) for block, w in zip(tile.taps, self.k.window, strict=True))
        moved = (e.mul(p, w.dilation) for p, w in zip(position, self.k.window, strict=True))
        along = zip(starts, moved, self.k.window, strict=True)
        return [tile.channels.first, n, *(e.sub(e.add(start, move), w.low) for start, move, w in along)]

    def distance(self, pair: tuple[Sequence[int], int]) -> int:
        """Elements of the image from the first pair of a tile to this one."""
        strides, (taps, channel) = self.image.view.strides, pair
        steps = (w.stride * stride for w, stride in zip(self.k.window, strides[2:], strict=True))
        return channel * strides[0] + sum(tap * step for tap, step in zip(taps, steps, strict=True))

    # Results

    def add(self, chunk: Chunk, tile: InnerTile, sums: Carry) -> None:
        folded = list[Ssa]()
        for begin in range(0, len(sums), self.k.lanes):  # as many vectors as have lanes share registers
            part = sums[begin : begin + self.k.lanes]
            whole = fold_together(self.e, "add", part)
            folded += [self.e.extract(whole, lane) for lane in range(len(part))] if len(part) > 1 else [whole]
        self.add_to_result(chunk, tile, tile.outputs.first, range(tile.outputs.size), folded)
