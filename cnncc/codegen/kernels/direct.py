"""Direct convolution: an explicit register tile, accumulated in one chain for each output.

Each output is summed in the order (taps…, channel), starting at its bias: the same bits for every tile,
thread count and batch. A step of the innermost loop multiplies `s` scalars, each repeated to all lanes, by
`v` vectors into s·v accumulators. Either the scalars are pixels and the vectors hold output channels, or
the scalars are output channels' weights and the vectors hold columns of the image.

Why a tile: one step loads s + v values for s·v multiply-adds. With two multiply-add pipes of latency 4,
s·v ≥ 8 chains are needed to keep them busy, and s·v + v + 1 registers hold a tile without spilling.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from ...plan.kernels import Direct
from ..emitter import Emitter, Index, Ssa
from ..epilogue import Cell, Key, finish
from ..memory import Access, Guard
from ..nest import UNROLL_LOOP, UNROLL_TAPS, Carry, block_parts, interior, outside_axes, reduce_nest, with_guards

LINE = 16  # floats in a cache line
Range = tuple[Index, Index]


@dataclass(frozen=True)
class Shape:
    """The tile at hand: rows, and columns (scalars) or the starts of vectors of `lanes` columns.

    A vector of columns may hold those of `folded` rows, one after the other.
    """

    rows: int
    columns: tuple[int, ...]
    lanes: int
    folded: int = 1

    @property
    def width(self) -> int:
        """Columns of a vector."""
        return self.lanes // self.folded

    @property
    def places(self) -> list[tuple[int, int]]:
        """(row of vectors, number of the column), row by row."""
        return [(row, column) for row in range(self.rows // self.folded) for column in range(len(self.columns))]


@dataclass(frozen=True)
class Outputs:
    """The block of output channels at hand: its first channel, its number, and its place in the weights."""

    first: Index
    count: int
    weights: Index
    group: Index


@dataclass(frozen=True)
class Place:
    """Where a tile lies: image, stored position on each spatial axis (before the tile's own offsets)."""

    image: Index
    spatial: tuple[Index, ...]


class DirectConvolution:
    """Emits one direct convolution: `emit` is the loop nest, the methods below are its levels."""

    def __init__(
        self, e: Emitter, kernel: Direct, sources: Sequence[Access], operands: Sequence[Access], target: Access
    ):
        self.e, self.k, self.target, self.operands = e, kernel, target, operands
        self.image, self.weights = sources[0], sources[1]
        self.bias = sources[2] if kernel.bias else None
        self.rank = len(kernel.window)
        self.by_channels = kernel.lanes_along == "channels"
        self.lane_axis = 1 if self.by_channels else self.rank + 1
        self.guarded_axes = outside_axes(kernel.window, self.image)
        self.group_channels = kernel.channels // kernel.groups
        self.unit = kernel.epilogue.pooled(self.rank - 1) if self.rank else 1  # columns for each one stored
        self.block_weights = self.group_channels * kernel.taps * kernel.block
        self.group_weights = self.block_weights * -(-(kernel.outputs // kernel.groups) // kernel.block)

    # The nest: images, groups, chunks of rows, blocks of outputs, rows, columns

    def emit(self, a: Index, b: Index) -> None:
        """Rows [a, b), or groups or blocks of outputs [a, b) where shards share those."""
        e, k = self.e, self.k
        rows: Range = a, b
        groups: Range = 0, k.groups
        blocks: Range = 0, -(-(k.outputs // k.groups) // k.block) * k.parts
        if k.shared == "blocks":
            rows = 0, self.target.view.rows
            groups, blocks = ((a, b), blocks) if k.groups > 1 else (groups, (a, b))
        with e.loop(0, self.image.view.shape[0]) as n, e.loop(*groups) as g:
            weights = e.mul(g.index, self.group_weights)
            if k.weights_per_image:
                weights = e.add(weights, e.mul(n.index, self.group_weights * k.groups))
            with self.chunks(*rows) as chunk:
                self.blocks(n.index, g.index, weights, blocks, chunk)

    @contextmanager
    def chunks(self, a: Index, b: Index) -> Iterator[Range]:
        """The rows [a, b) in parts of `chunk`, the last one up to twice as long."""
        e, chunk = self.e, self.k.chunk
        if not chunk:
            yield a, b
            return
        count = e.largest(e.div(e.sub(b, a), chunk), 1)
        with e.loop(0, count) as part:
            begin = e.add(a, e.mul(part.index, chunk))
            last = e.compare("eq", e.add(part.index, 1), count)
            yield begin, e.choose(last, b, e.add(begin, chunk))

    def blocks(self, n: Index, g: Index, weights: Index, blocks: Range, rows: Range) -> None:
        """Outputs of a group, a block at a time; `weights` is where those of the group begin."""
        e, k = self.e, self.k
        per_group = k.outputs // k.groups
        full, rest = divmod(per_group, k.block)
        first, (begin, end) = e.mul(g, per_group), blocks
        if k.parts > 1:
            for number, part, count in block_parts(e, begin, end, k.parts):
                inner = e.mul(part, k.block // k.parts)
                channel = e.add(e.mul(number, k.block), inner)
                place = e.add(e.add(weights, e.mul(number, self.block_weights)), inner)
                self.rows(n, Outputs(channel, count * k.block // k.parts, place, g), *rows)
            return
        if full:
            with e.loop(begin, e.least(end, full)) as block:
                channel = e.add(first, e.mul(block.index, k.block))
                place = e.add(weights, e.mul(block.index, self.block_weights))
                self.rows(n, Outputs(channel, k.block, place, g), *rows)
        if rest:
            with e.loop(e.largest(begin, full), end):  # the last block, which is not full
                place = e.add(weights, full * self.block_weights)
                self.rows(n, Outputs(e.add(first, full * k.block), rest, place, g), *rows)

    def rows(self, n: Index, outputs: Outputs, a: Index, b: Index) -> None:
        e, tile = self.e, self.k.tile
        if self.rank == 0:
            with e.loop(a, b):
                self.tile(outputs, Place(n, ()), Shape(1, (0,), self.k.lanes))
            return
        if self.rank == 1:
            self.unknown_columns(a, b, lambda x, shape: self.tile(outputs, Place(n, (x,)), shape))
            return
        if self.rank == 3:
            with e.loop(a, b) as y, e.loop(0, self.target.view.shape[3]) as z:
                self.columns(outputs, Place(n, (y.index, z.index)), tile.rows)
            return
        least = self.k.epilogue.pooled(0)
        stored = tile.rows // least
        whole = e.sub(b, e.remainder(e.sub(b, a), stored))
        with e.loop(a, whole, stored) as y:
            self.columns(outputs, Place(n, (y.index,)), tile.rows)
        if stored > 1 and whole != b:
            with e.loop(whole, b) as y:
                self.columns(outputs, Place(n, (y.index,)), least)

    def columns(self, outputs: Outputs, place: Place, rows: int) -> None:
        """A whole row: tiles of nearly equal width (30 = 10 + 10 + 10), or vectors of which the last slides back."""
        e, width = self.e, self.target.view.shape[-1]

        def at(x: Index, shape: Shape) -> None:
            self.tile(outputs, Place(place.image, (*place.spatial, x)), shape)

        if self.by_channels:
            per_tile = self.k.tile.columns // self.unit
            count = -(-width // per_tile)
            size, wider = divmod(width, count)
            for begin, tiles, stored in ((0, wider, size + 1), (wider * (size + 1), count - wider, size)):
                if tiles:
                    with e.loop(begin, begin + tiles * stored, stored) as x:
                        at(x.index, self.shape(rows, stored))
            return
        if self.k.tile.folded > 1:
            at(0, Shape(rows, (0,), self.k.lanes, self.k.tile.folded))
            return
        per_vector = self.k.lanes // self.unit
        vectors = -(-width // per_vector)
        starts = [index * per_vector for index in range(vectors - 1)] + [width - per_vector]
        regular = vectors if width % per_vector == 0 else vectors - 1
        step = self.k.tile.vectors
        whole = regular // step * step
        if whole:
            with e.loop(0, whole * per_vector, step * per_vector) as x:
                at(x.index, self.vectors(rows, range(step)))
        for first in range(whole, vectors, step):
            chosen = starts[first : first + step]
            relative = [(start - chosen[0]) * self.unit for start in chosen]
            at(chosen[0], Shape(rows, tuple(relative), self.k.lanes))

    def unknown_columns(self, a: Index, b: Index, at: Callable[[Index, Shape], None]) -> None:
        """A range of columns known only at run time: tiles of which the last slides back, or one by one."""
        stored = self.k.tile.columns // self.unit
        sizes = [(stored, self.shape(1, stored)), (1, self.shape(1, 1))]
        if not self.by_channels:
            per_vector, vectors = self.k.lanes // self.unit, self.k.tile.vectors
            sizes = [(vectors * per_vector, self.vectors(1, range(vectors)))] if vectors > 1 else []
            sizes += [(per_vector, self.vectors(1, range(1))), (1, Shape(1, (0,), self.unit))]
        self.sliding(a, b, sizes, at)

    def sliding(
        self, a: Index, b: Index, sizes: Sequence[tuple[int, Shape]], at: Callable[[Index, Shape], None]
    ) -> None:
        """Tiles of the first of `sizes` that is not longer than the range.

        What the last tile computes again comes out with the same bits.
        """
        e, (stored, shape) = self.e, sizes[0]
        if stored == 1 or len(sizes) == 1:
            with e.loop(a, b) as x:
                at(x.index, shape)
            return
        long_enough = e.compare("sge", e.sub(b, a), stored)
        with e.when(long_enough):
            last = e.sub(b, stored)
            with e.loop(a, b, stored) as x:
                at(e.least(x.index, last), shape)
        with e.when(e.compare("slt", e.sub(b, a), stored)):
            self.sliding(a, b, sizes[1:], at)

    def shape(self, rows: int, stored: int) -> Shape:
        return Shape(rows, tuple(range(stored * self.unit)), self.k.lanes)

    def vectors(self, rows: int, numbers: Sequence[int]) -> Shape:
        return Shape(rows, tuple(number * self.k.lanes for number in numbers), self.k.lanes)

    # One tile

    def tile(self, outputs: Outputs, place: Place, shape: Shape) -> None:
        """Sum up a tile and store it, with guards only where its windows leave the image."""
        e, k = self.e, self.k
        first = [e.mul(index, k.epilogue.pooled(axis)) for axis, index in enumerate(place.spatial)]
        counts = [1] * self.rank
        if self.rank:
            counts[0] = shape.rows
            counts[-1] = shape.columns[-1] + (1 if self.by_channels else shape.width)
        inside = interior(e, k.window, self.guarded_axes, first, counts)

        def body(guarded: bool) -> None:
            sums = self.accumulate(outputs, place.image, first, shape, guarded)
            self.store(outputs, place, first, shape, sums)

        with_guards(e, inside, body)

    def keys(self, outputs: Outputs, shape: Shape) -> list[Key]:
        """Accumulators in the order in which they are carried: scalars outside, vectors inside."""
        places = shape.places
        if self.paired(outputs, shape):
            full = outputs.count // shape.lanes
            pairs = [places[first : first + 2] for first in range(0, len(places), 2)]
            owns = [[(*place, vector) for place in pair for vector in range(full)] for pair in pairs]
            return [key for pair, own in zip(pairs, owns, strict=True) for key in (*own, (*pair[0], full))]
        if self.by_channels:
            vectors = range(-(-outputs.count // shape.lanes))
            return [(row, column, vector) for row, column in places for vector in vectors]
        return [(row, column, channel) for channel in range(outputs.count) for row, column in places]

    def channel(self, outputs: Outputs, number: int) -> Index:
        """First output channel of vector (or scalar) `number` of the block."""
        return self.e.add(outputs.first, number * self.k.lanes if self.by_channels else number)

    def counted_lanes(self, outputs: Outputs, number: int, shape: Shape) -> int:
        """Lanes of a register that hold results."""
        return min(shape.lanes, outputs.count - number * shape.lanes) if self.by_channels else shape.lanes

    def initial(self, outputs: Outputs, keys: Sequence[Key], shape: Shape) -> Carry:
        """The bias in every accumulator, or zero."""
        e = self.e
        if self.bias is None:
            return [e.number(0.0, shape.lanes)] * len(keys)
        loaded: dict[int, Ssa] = {}
        for _, _, number in keys:
            if number not in loaded:
                position = [0, self.channel(outputs, number), *[0] * self.rank]
                lanes = self.counted_lanes(outputs, number, shape)
                value = self.bias.load(self.bias.offset(position), self.lane_axis, lanes)
                loaded[number] = e.resize(value, shape.lanes)
                if self.is_shared(outputs, number, shape):
                    loaded[number] = self.twice(loaded[number])
        return [loaded[number] for _, _, number in keys]

    def accumulate(
        self, outputs: Outputs, n: Index, first: Sequence[Index], shape: Shape, guarded: bool
    ) -> dict[Key, Ssa]:
        e, k = self.e, self.k
        keys = self.keys(outputs, shape)
        cost = len(keys)
        kernel = [axis.kernel for axis in k.window]

        ahead = self.prefetch(outputs, first)

        def tap(indices: list[Index], sums: Carry) -> Carry:
            number: Index = 0
            for index, size in zip(indices, kernel, strict=True):
                number = e.add(e.mul(number, size), index)
            weights = e.add(outputs.weights, e.mul(number, self.group_channels * k.block))
            pixels = self.pixels(outputs, n, first, indices, shape, guarded)
            numbers = range(1 + max(key[2] for key in keys))

            def channel(index: list[Index], sums: Carry) -> Carry:
                at = e.add(weights, e.mul(index[0], k.block))
                ahead(index[0], number)
                moved = self.image.along(1, index[0])
                if self.by_channels:
                    loaded = [self.weights.load_strided(e.add(at, v * shape.lanes), 1, shape.lanes) for v in numbers]
                    if self.paired(outputs, shape):
                        half = self.weights.load_strided(e.add(at, numbers[-1] * shape.lanes), 1, shape.lanes // 2)
                        loaded[-1] = self.twice(half)
                        return self.paired_step(loaded, [partial(pixel, moved) for pixel in pixels], sums)
                    return self.step(loaded, [partial(pixel, moved) for pixel in pixels], sums)
                columns = [pixel(moved) for pixel in pixels]
                return self.step(columns, [partial(self.weight, e.add(at, o), shape.lanes) for o in numbers], sums)

            return reduce_nest(e, [self.group_channels], sums, cost, channel, budget=UNROLL_LOOP)

        # Taps are unrolled only together with all channels of a group, and only few: each has loads of its own, and
        # LLVM would load for many steps at once and spill the sums.
        first_sums = self.initial(outputs, keys, shape)
        sums = reduce_nest(e, kernel, first_sums, cost * self.group_channels, tap, budget=UNROLL_TAPS)
        return self.parted(outputs, shape, dict(zip(keys, sums, strict=True)))

    def prefetch(self, outputs: Outputs, first: Sequence[Index]) -> Callable[[Index, Index], None]:
        """Ask, step by step, for a part of the weights of the next block: each tile for another part."""
        e, k = self.e, self.k
        if not k.ahead:
            return lambda channel, tap: None
        position: Index = 0
        for axis, index in zip(k.window, first, strict=True):
            position = e.add(e.mul(position, axis.out), index)
        steps = self.group_channels * k.taps
        begin = e.add(e.add(outputs.weights, self.block_weights), e.mul(position, k.ahead))
        each = -(-k.ahead * k.tile.rows * k.tile.columns // steps)

        def ahead(channel: Index, tap: Index) -> None:
            step = e.add(e.mul(tap, self.group_channels), channel)
            for line in range(-(-each // LINE)):
                self.weights.prefetch(e.add(begin, e.add(e.mul(step, each), LINE * line)))

        return ahead

    def pixels(
        self, outputs: Outputs, n: Index, first: Sequence[Index], tap: Sequence[Index], shape: Shape, guarded: bool
    ) -> list[Callable[[Index], Ssa]]:
        """For each row and column of the tile, how to load its value under a tap, given a channel's offset."""
        e, k = self.e, self.k
        channel = e.mul(outputs.group, self.group_channels)
        loads: list[Callable[[Index], Ssa]] = []
        for row in range(shape.rows):
            start: list[Index] = []
            for axis, w in enumerate(k.window):
                output = e.add(first[axis], row) if axis == 0 and self.rank > 1 else first[axis]
                start.append(e.add(e.sub(e.mul(output, w.stride), w.low), e.mul(tap[axis], w.dilation)))
            for column in shape.columns:
                place = start.copy()
                if self.rank:
                    place[-1] = e.add(place[-1], column * k.window[-1].stride)
                position = [n, channel, *place]
                load = self.scalar_load if self.by_channels else self.vector_load
                loads.append(load(position, shape.width, guarded))
        if shape.folded == 1:
            return loads
        groups = [loads[first : first + shape.folded] for first in range(0, shape.rows, shape.folded)]
        return [partial(self.side_by_side, group) for group in groups]

    def side_by_side(self, loads: Sequence[Callable[[Index], Ssa]], moved: Index) -> Ssa:
        """Several rows in one vector."""
        first, *others = (load(moved) for load in loads)
        for other in others:
            first = self.e.join(first, other)
        return first

    def weight(self, at: Index, lanes: int) -> Ssa:
        """One weight in all lanes."""
        return self.e.splat(self.weights.scalar(at), lanes)

    def scalar_load(self, position: Sequence[Index], lanes: int, guarded: bool) -> Callable[[Index], Ssa]:
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

    def vector_load(self, position: list[Index], lanes: int, guarded: bool) -> Callable[[Index], Ssa]:
        """A vector of columns, one window apart."""
        e, step = self.e, self.k.window[-1].stride
        last = self.rank + 1
        if not guarded:
            offset, distance = self.image.offset(position), step * self.image.view.strides[last]
            return lambda moved: self.image.load_strided(e.add(offset, moved), distance, lanes)
        rows = [axis + 2 for axis in self.guarded_axes if axis + 2 != last]
        guard = self.image.guard([*position[:-1], 0], rows)
        column = position[-1]
        if last - 2 not in self.guarded_axes:
            offset = e.add(guard.offset, self.image.along(last, column))
            distance = step * self.image.view.strides[last]

            def load(moved: Index) -> Ssa:
                value = self.image.load_strided(e.add(offset, moved), distance, lanes)
                return e.select(guard.inside, value, e.number(0.0, lanes)) if guard.inside else value

            return load
        return lambda moved: self.image.load_columns(e.add(guard.offset, moved), column, step, lanes, 0.0, guard.inside)

    def step(self, vectors: Sequence[Ssa], scalars: Sequence[Callable[[], Ssa]], sums: Carry) -> Carry:
        """Each scalar, loaded when its turn comes so that one register holds it, times every vector."""
        following = []
        for number, load in enumerate(scalars):
            scalar = load()
            for place, vector in enumerate(vectors):
                total = sums[number * len(vectors) + place]
                following.append(self.e.multiply_add(scalar, vector, total))
        return following

    # A last vector of few outputs, shared by two pixels

    def paired(self, outputs: Outputs, shape: Shape) -> bool:
        """Whether the outputs of the last vector take at most half its lanes, so that it serves two pixels."""
        tail = outputs.count % shape.lanes
        return self.by_channels and 0 < 2 * tail <= shape.lanes and len(shape.places) > 1

    def is_shared(self, outputs: Outputs, number: int, shape: Shape) -> bool:
        return self.paired(outputs, shape) and number == outputs.count // shape.lanes

    def twice(self, value: Ssa) -> Ssa:
        """The lower half of a vector (or a vector of half the lanes) in both halves."""
        half = self.k.lanes // 2
        return self.e.shuffle(value, None, [*range(half), *range(half)])

    def paired_step(self, vectors: Sequence[Ssa], scalars: Sequence[Callable[[], Ssa]], sums: Carry) -> Carry:
        """As `step`; the last vector meets one pixel in its lower and the next one in its upper half."""
        e, (*own, tail) = self.e, vectors
        half, left = self.k.lanes // 2, iter(sums)
        following = []
        for number in range(0, len(scalars), 2):
            pair = [load() for load in scalars[number : number + 2]]
            both = pair[0]
            if len(pair) == 2:
                both = e.shuffle(pair[0], pair[1], [*range(half), *range(3 * half, 4 * half)])
            values = [*((scalar, vector) for scalar in pair for vector in own), (both, tail)]
            following += [e.multiply_add(scalar, vector, next(left)) for scalar, vector in values]
        return following

    def parted(self, outputs: Outputs, shape: Shape, sums: dict[Key, Ssa]) -> dict[Key, Ssa]:
        """The sums of each place by itself."""
        if not self.paired(outputs, shape):
            return sums
        half, last = self.k.lanes // 2, outputs.count // shape.lanes
        found: dict[Key, Ssa] = {}
        for number, place in enumerate(shape.places):
            found |= {(*place, vector): sums[*place, vector] for vector in range(last)}
            shared = sums[*shape.places[number - number % 2], last]
            found[*place, last] = self.e.shuffle(shared, None, range(number % 2 * half, (number % 2 + 1) * half))
        return found

    def store(self, outputs: Outputs, place: Place, first: Sequence[Index], shape: Shape, sums: dict[Key, Ssa]) -> None:
        """Hand the tile to the epilogue, with the position of every register before and after pooling."""
        e, k = self.e, self.k
        sums = self.unfolded(sums, shape)
        shape = replace(shape, lanes=shape.width, folded=1)
        cells: dict[Key, Cell] = {}
        pooled: dict[Key, tuple[Index, ...]] = {}
        height = k.epilogue.pooled(0) if self.rank > 1 else 1
        for (row, column, number), value in sums.items():
            channel = self.channel(outputs, number)
            spatial = list(first)
            if self.rank:
                spatial[-1] = e.add(spatial[-1], shape.columns[column])
            if self.rank > 1:
                spatial[0] = e.add(spatial[0], row)
            lanes = self.counted_lanes(outputs, number, shape)
            cells[row, column, number] = Cell((place.image, channel, *spatial), value, lanes)
            if not k.epilogue.pool or row % height:
                continue
            across = self.unit if self.by_channels else 1
            if column % across == 0:
                stored = list(place.spatial)
                if self.rank > 1:
                    stored[0] = e.add(stored[0], row // height)
                stored[-1] = e.add(stored[-1], shape.columns[column] // self.unit)
                key = row // height, column // across, number
                pooled[key] = (place.image, channel, *stored)
        if k.epilogue.pool and not self.by_channels:
            cells = self.joined(cells, shape)
            pooled = {key: position for key, position in pooled.items() if key in cells}
        finish(e, k.epilogue, cells, pooled, self.lane_axis, self.target, self.operands)

    def unfolded(self, sums: dict[Key, Ssa], shape: Shape) -> dict[Key, Ssa]:
        """A register for each row."""
        if shape.folded == 1:
            return sums
        parts = [range(row * shape.width, (row + 1) * shape.width) for row in range(shape.folded)]
        return {
            (row * shape.folded + inner, column, number): self.e.shuffle(value, None, part)
            for (row, column, number), value in sums.items()
            for inner, part in enumerate(parts)
        }

    def joined(self, cells: dict[Key, Cell], shape: Shape) -> dict[Key, Cell]:
        """Pairs of neighbouring vectors of columns as one: what a pool takes apart then fills whole vectors."""
        result: dict[Key, Cell] = {}
        second: set[int] = set()
        for (row, column, number), cell in cells.items():
            if column in second:
                continue
            other = cells.get((row, column + 1, number))
            if other and shape.columns[column + 1] - shape.columns[column] == shape.lanes:
                second.add(column + 1)
                pair = self.e.shuffle(cell.value, other.value, range(2 * shape.lanes))
                cell = replace(cell, value=pair, lanes=2 * shape.lanes)
            result[row, column, number] = cell
        return result


def emit(
    e: Emitter,
    kernel: Direct,
    sources: Sequence[Access],
    operands: Sequence[Access],
    target: Access,
    a: Index,
    b: Index,
) -> None:
    DirectConvolution(e, kernel, sources, operands, target).emit(a, b)
