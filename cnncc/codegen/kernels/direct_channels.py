"""Direct convolution with lanes along the output channels: s pixels, each in all lanes, times v vectors of weights.

Tiles are runs of columns (30 as 10 + 10 + 10). A last vector of a block with outputs in at most half of its lanes
serves two pixels, one in the lower and one in the upper lanes: 24 outputs take 3 multiply-adds for two pixels, not 4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from ...plan.kernels.image_rows import spare_rows, tile_heights
from ..epilogue import Key
from ..macs import accumulate
from ..memory import Guard
from ..nest import Carry, runs
from ..registers import Index, Ssa
from .direct import DirectConvolution
from .direct_tile import Load, OutputBlock, TileShape


class AlongChannels(DirectConvolution):
    """Pixels are the scalars, output channels the vectors."""

    lane_axis = 1

    @property
    def across(self) -> int:
        return self.unit

    # Tiles

    def tiles(self, rows: int, width: int) -> Iterator[tuple[Index, TileShape]]:
        """Tiles of nearly equal width."""
        for begin, end, stored in runs(width, self.k.tile.columns // self.unit):
            with self.e.loop(begin, end, stored) as x:
                yield x.index, self.shape(rows, stored)

    def sizes(self) -> list[tuple[int, TileShape]]:
        stored = self.k.tile.columns // self.unit
        return [(stored, self.shape(1, stored)), (1, self.shape(1, 1))]

    def along(self, a: Index, b: Index) -> Iterator[tuple[Index, TileShape]]:
        """Of the images of a block there may be any number from two on: tiles of all heights, each for what is left.

        A tile that lacks few rows slides back over rows that others computed.
        """
        if self.k.images == 1:
            yield from super().along(a, b)
            return
        e, begin, rows = self.e, a, self.e.sub(b, a)
        heights = tile_heights(self.k.tile.columns)
        for height in heights:
            count: Index = e.div(e.add(e.sub(b, begin), spare_rows(height)), height)
            if height > heights[-1]:
                count = e.choose(e.compare(">=", rows, height), count, 0)
            with e.loop(0, count) as tile:
                x = e.add(begin, e.mul(tile.index, height))
                yield e.least(x, e.sub(b, height)), self.shape(1, height)
            begin = e.least(e.add(begin, e.mul(count, height)), b)

    def parts(self, block: OutputBlock) -> Iterator[OutputBlock]:
        e, lanes, vectors = self.e, self.k.lanes, -(-block.count // self.k.lanes)
        if self.k.images == 1:
            yield block
            return
        for begin, end, size in runs(vectors, self.k.tile.vectors):
            full = end if end * lanes <= block.count else end - size  # the last part may have an incomplete vector
            for first, last, count in ((begin, full, size * lanes), (full, end, block.count - full * lanes)):
                if first < last:
                    with e.loop(first, last, size) as vector:
                        inner = e.mul(vector.index, lanes)
                        place = e.add(block.weights, inner)
                        yield OutputBlock(e.add(block.first, inner), count, place, block.group)

    def shape(self, rows: int, stored: int) -> TileShape:
        return TileShape(rows, tuple(range(stored * self.unit)), self.k.lanes)

    def span(self, shape: TileShape) -> int:
        return len(shape.columns)

    # Registers

    def keys(self, outputs: OutputBlock, shape: TileShape) -> list[Key]:
        places = shape.places
        if not self.paired(outputs, shape):
            return [(*place, vector) for place in places for vector in range(-(-outputs.count // shape.lanes))]
        full = outputs.count // shape.lanes
        keys: list[Key] = []
        for first in range(0, len(places), 2):
            pair = places[first : first + 2]
            keys += [*((*place, vector) for place in pair for vector in range(full)), (*pair[0], full)]
        return keys

    def channel(self, outputs: OutputBlock, number: int) -> Index:
        return self.e.add(outputs.first, number * self.k.lanes)

    def counted_lanes(self, outputs: OutputBlock, number: int, shape: TileShape) -> int:
        return min(shape.lanes, outputs.count - number * shape.lanes)

    def step(
        self, outputs: OutputBlock, shape: TileShape, at: Index, pixels: Sequence[Callable[[], Ssa]], sums: Carry
    ) -> Carry:
        """The vectors of weights are loaded first, the pixels one by one."""
        paired = self.paired(outputs, shape)
        full = outputs.count // shape.lanes if paired else -(-outputs.count // shape.lanes)
        loaded = [self.weight(at, number, shape.lanes) for number in range(full)]
        if not paired:
            return self.products(loaded, pixels, sums)
        return self.paired_products(loaded, self.twice(self.weight(at, full, shape.lanes // 2)), pixels, sums)

    def weight(self, at: Index, number: int, lanes: int) -> Ssa:
        """A vector of weights: those of `lanes` outputs."""
        return self.weights.load_strided(self.e.add(at, number * self.k.lanes), 1, lanes)

    def load(self, position: list[Index], lanes: int, guarded: bool) -> Load:
        """One pixel in all lanes."""
        e = self.e
        axes = [axis + 2 for axis in self.guarded_axes] if guarded else []
        guard: Guard = self.image.guard(position, axes)

        def load(moved: Index) -> Ssa:
            value = self.image.scalar(e.add(guard.offset, moved))
            if guard.inside is not None:
                value = e.select(guard.inside, value, e.number(0.0, 1))
            return e.splat(value, lanes)

        return load

    # A last vector of few outputs serves two pixels

    def paired(self, outputs: OutputBlock, shape: TileShape) -> bool:
        """Whether the last vector serves two pixels: its outputs take at most half of its lanes."""
        tail = outputs.count % shape.lanes
        return 0 < 2 * tail <= shape.lanes and len(shape.places) > 1

    def twice(self, value: Ssa) -> Ssa:
        """The lower half of a vector (or a vector of half the lanes) in both halves."""
        half = self.k.lanes // 2
        return self.e.shuffle(value, None, [*range(half), *range(half)])

    def start(self, outputs: OutputBlock, number: int, shape: TileShape) -> Ssa:
        value = super().start(outputs, number, shape)
        shared = self.paired(outputs, shape) and number == outputs.count // shape.lanes
        return self.twice(value) if shared and self.bias is not None else value

    def paired_products(
        self, own: Sequence[Ssa], shared: Ssa, pixels: Sequence[Callable[[], Ssa]], sums: Carry
    ) -> Carry:
        """As `products`; the last vector multiplies one pixel in its lower and the next one in its upper half."""
        e, half, left = self.e, self.k.lanes // 2, iter(sums)
        following = []
        for number in range(0, len(pixels), 2):
            pair = [load() for load in pixels[number : number + 2]]
            both = pair[0]
            if len(pair) == 2:
                both = e.shuffle(pair[0], pair[1], [*range(half), *range(3 * half, 4 * half)])
            values = [*((pixel, vector) for pixel in pair for vector in own), (both, shared)]
            following += [accumulate(e, pixel, vector, next(left)) for pixel, vector in values]
        return following

    def accumulate(
        self, outputs: OutputBlock, n: Index, first: Sequence[Index], shape: TileShape, guarded: bool
    ) -> dict[Key, Ssa]:
        """As in the base class; of a last vector for two pixels the halves are separated."""
        sums = super().accumulate(outputs, n, first, shape, guarded)
        if not self.paired(outputs, shape):
            return sums
        half, last = self.k.lanes // 2, outputs.count // shape.lanes
        found: dict[Key, Ssa] = {}
        for number, place in enumerate(shape.places):
            found |= {(*place, vector): sums[*place, vector] for vector in range(last)}
            shared = sums[*shape.places[number - number % 2], last]
            found[*place, last] = self.e.shuffle(shared, None, range(number % 2 * half, (number % 2 + 1) * half))
        return found
