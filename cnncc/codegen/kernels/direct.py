"""Direct convolution: an explicit register tile, accumulated in one chain for each output.

Each output is summed in the order (taps…, channel), starting at its bias: the same bits for every tile,
thread count and batch. A step of the innermost loop multiplies `s` scalars, each repeated to all lanes, by
`v` vectors into s·v accumulators. Either the scalars are pixels and the vectors hold output channels
(`direct_channels.py`), or the scalars are weights of output channels and the vectors hold columns of the image
(`direct_columns.py`). The loop nest of both, outermost first:

    images, groups, chunks of rows, blocks of outputs, rows, tiles of columns       this file
    taps, channels, s scalars times v vectors                                       `direct_tile.py`

Why a tile: one step loads s + v values for s·v multiply-adds. With two multiply-add pipes of latency 4,
s·v ≥ 8 chains are needed to keep them busy, and s·v + v + 1 registers hold a tile without spilling.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ..nest import block_parts
from ..registers import Index
from .direct_tile import DirectTile, OutputBlock, TilePosition, TileShape

Range = tuple[Index, Index]


class DirectConvolution(DirectTile):
    """Emits one direct convolution; its two subclasses have the code that depends on the axis of the lanes."""

    def emit(self, a: Index, b: Index) -> None:
        """Rows [a, b), or groups or blocks of outputs [a, b) where shards divide these."""
        e, k = self.e, self.k
        rows: Range = a, b
        groups: Range = 0, k.groups
        blocks: Range = 0, -(-(k.outputs // k.groups) // k.block) * k.parts
        if k.partition_axis == "blocks":
            rows = 0, self.target.view.rows
            groups, blocks = ((a, b), blocks) if k.groups > 1 else (groups, (a, b))
        with e.loop(*self.images) as n, e.loop(*groups) as g:
            weights = e.mul(g.index, self.group_weights)
            if k.weights_per_image:
                weights = e.add(weights, e.mul(n.index, self.group_weights * k.groups))
            with self.chunks(*rows) as chunk:
                self.blocks(n.index, g.index, weights, blocks, chunk)

    @contextmanager
    def chunks(self, a: Index, b: Index) -> Iterator[Range]:
        """The rows [a, b) in chunks of `chunk` rows; the last one has up to twice as many."""
        e, chunk = self.e, self.k.chunk
        if not chunk:
            yield a, b
            return
        count = e.largest(e.div(e.sub(b, a), chunk), 1)
        with e.loop(0, count) as part:
            begin = e.add(a, e.mul(part.index, chunk))
            last = e.compare("==", e.add(part.index, 1), count)
            yield begin, e.choose(last, b, e.add(begin, chunk))

    def blocks(self, n: Index, g: Index, weights: Index, blocks: Range, rows: Range) -> None:
        """Outputs of a group, a block at a time; the weights of the group begin at `weights`."""
        e, k = self.e, self.k
        per_group = k.outputs // k.groups
        full, rest = divmod(per_group, k.block)
        first, (begin, end) = e.mul(g, per_group), blocks
        if k.parts > 1:
            for number, part, count in block_parts(e, begin, end, k.parts):
                inner = e.mul(part, k.block // k.parts)
                channel = e.add(e.mul(number, k.block), inner)
                place = e.add(e.add(weights, e.mul(number, self.block_weights)), inner)
                self.panels(n, OutputBlock(channel, count * k.block // k.parts, place, g), rows)
            return
        if full:
            with e.loop(begin, e.least(end, full)) as block:
                channel = e.add(first, e.mul(block.index, k.block))
                place = e.add(weights, e.mul(block.index, self.block_weights))
                self.panels(n, OutputBlock(channel, k.block, place, g), rows)
        if rest:
            with e.loop(e.largest(begin, full), end):  # the last block, which is not full
                place = e.add(weights, full * self.block_weights)
                self.panels(n, OutputBlock(e.add(first, full * k.block), rest, place, g), rows)

    def panels(self, n: Index, block: OutputBlock, rows: Range) -> None:
        """A block in parts that are as wide as a tile: the weights may be packed in wider blocks."""
        for panel in self.parts(block):
            self.rows(n, panel, *rows)

    def rows(self, n: Index, outputs: OutputBlock, a: Index, b: Index) -> None:
        """As many rows at a time as a pool's window or a tile has; the last ones with fewer."""
        e, tile = self.e, self.k.tile
        if self.rank == 0:
            with e.loop(a, b):
                self.tile(outputs, TilePosition(n, ()), TileShape(1, (0,), self.k.lanes))
            return
        if self.rank == 1:
            for x, shape in self.along(a, b):
                self.tile(outputs, TilePosition(n, (x,)), shape)
            return
        if self.rank == 3:
            with e.loop(a, b) as y, e.loop(0, self.target.view.shape[3]) as z:
                self.columns(outputs, TilePosition(n, (y.index, z.index)), tile.rows)
            return
        least = self.k.epilogue.pooled(0)
        stored = tile.rows // least
        whole = e.sub(b, e.remainder(e.sub(b, a), stored))
        with e.loop(a, whole, stored) as y:
            self.columns(outputs, TilePosition(n, (y.index,)), tile.rows)
        if stored > 1 and whole != b:
            with e.loop(whole, b) as y:
                self.columns(outputs, TilePosition(n, (y.index,)), least)

    def columns(self, outputs: OutputBlock, place: TilePosition, rows: int) -> None:
        for x, shape in self.tiles(rows, self.target.view.shape[-1]):
            self.tile(outputs, TilePosition(place.image, (*place.spatial, x)), shape)

    @abstractmethod
    def tiles(self, rows: int, width: int) -> Iterator[tuple[Index, TileShape]]:
        """Loops over the tiles of a row; yields the first stored column of each."""

    def parts(self, block: OutputBlock) -> Iterator[OutputBlock]:
        """The parts of a block of packed weights that a tile computes, in loops; the whole if it is not wider."""
        yield block

    @abstractmethod
    def sizes(self) -> list[tuple[int, TileShape]]:
        """(stored columns, tile) for a range known only at run time, the largest first, down to one column."""

    def along(self, a: Index, b: Index) -> Iterator[tuple[Index, TileShape]]:
        """Tiles of a range of columns that is known only at run time."""
        yield from self.sliding(a, b, self.sizes())

    def sliding(self, a: Index, b: Index, sizes: Sequence[tuple[int, TileShape]]) -> Iterator[tuple[Index, TileShape]]:
        """Tiles of the first of `sizes` that is not longer than the range; the last one slides back.

        The outputs that it computes again have the same bits.
        """
        e, (stored, shape) = self.e, sizes[0]
        if stored == 1 or len(sizes) == 1:
            with e.loop(a, b) as x:
                yield x.index, shape
            return
        long_enough = e.compare(">=", e.sub(b, a), stored)
        with e.when(long_enough):
            last = e.sub(b, stored)
            with e.loop(a, b, stored) as x:
                yield e.least(x.index, last), shape
        with e.when(e.compare("<", e.sub(b, a), stored)):
            yield from self.sliding(a, b, sizes[1:])
