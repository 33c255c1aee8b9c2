"""One register tile of direct convolution: its sums over taps and channels, and the store (see `direct.py`)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from ...plan.kernels import Direct
from ...plan.views import line_elements
from ..emitter import Emitter
from ..epilogue import Key, ResultVector, finish
from ..macs import accumulate, nothing
from ..nest import UNROLL_LOOP, UNROLL_ROWS, UNROLL_STREAM, UNROLL_TAPS, Carry, flat, interior, reduce_nest, with_guards
from ..registers import Index, Ssa
from .family import ConvolutionEmitter, Tensors

Load = Callable[[Index], Ssa]  # a register of pixels, given the offset of a channel


@dataclass(frozen=True)
class TileShape:
    """The shape of a tile: rows, and columns (scalars) or the first columns of vectors of `lanes` columns.

    A vector of columns may hold the columns of `rows_per_vector` rows, one row after the other.
    """

    rows: int
    columns: tuple[int, ...]
    lanes: int
    rows_per_vector: int = 1

    @property
    def width(self) -> int:
        """Columns of a vector."""
        return self.lanes // self.rows_per_vector

    @property
    def places(self) -> list[tuple[int, int]]:
        """(row of vectors, number of the column), row by row."""
        return [
            (row, column) for row in range(self.rows // self.rows_per_vector) for column in range(len(self.columns))
        ]


@dataclass(frozen=True)
class OutputBlock:
    """A block of output channels: its first channel, its number, and the offset of its weights."""

    first: Index
    count: int
    weights: Index
    group: Index


@dataclass(frozen=True)
class TilePosition:
    """The position of a tile: image, and stored position on each spatial axis (before offsets inside the tile)."""

    image: Index
    spatial: tuple[Index, ...]


class DirectTile(ConvolutionEmitter[Direct]):
    """Sums up and stores a tile; subclasses have the code that depends on the axis of the lanes."""

    def __init__(self, e: Emitter, kernel: Direct, tensors: Tensors):
        super().__init__(e, kernel, tensors)
        self.group_channels = kernel.channels // kernel.groups
        self.unit = kernel.epilogue.pooled(self.rank - 1) if self.rank else 1  # columns for each one stored
        self.block_weights = self.group_channels * kernel.taps * kernel.block
        self.group_weights = self.block_weights * -(-(kernel.outputs // kernel.groups) // kernel.block)

    def tile(self, outputs: OutputBlock, place: TilePosition, shape: TileShape) -> None:
        """Sum up a tile and store it, with guards only where its windows leave the image."""
        e, k = self.e, self.k
        first = [e.mul(index, k.epilogue.pooled(axis)) for axis, index in enumerate(place.spatial)]
        counts = [1] * self.rank
        if self.rank:
            counts[0] = shape.rows
            counts[-1] = self.span(shape)
        inside = interior(e, k.window, self.guarded_axes, first, counts)

        def body(guarded: bool) -> None:
            sums = self.accumulate(outputs, place.image, first, shape, guarded)
            self.store(outputs, place, first, shape, sums)

        with_guards(e, inside, body)

    def accumulate(
        self, outputs: OutputBlock, n: Index, first: Sequence[Index], shape: TileShape, guarded: bool
    ) -> dict[Key, Ssa]:
        """The sums of a tile.

        Taps are unrolled only together with all channels of a group, and only if they are few. Each has its own loads;
        LLVM would load for many steps at once and spill the sums.
        """
        e, k = self.e, self.k
        keys = self.keys(outputs, shape)
        kernel = [axis.kernel for axis in k.window]
        ahead = self.prefetch(outputs, first)

        def tap(indices: list[Index], sums: Carry) -> Carry:
            number = flat(e, indices, kernel)
            weights = e.add(outputs.weights, e.mul(number, self.group_channels * k.block))
            pixels = self.pixels(outputs, n, first, indices, shape, guarded)

            def channel(index: list[Index], sums: Carry) -> Carry:
                at = e.add(weights, e.mul(index[0], k.block))
                ahead(index[0], number)
                moved = self.image.along(1, index[0])
                return self.step(outputs, shape, at, [partial(pixel, moved) for pixel in pixels], sums)

            weights_stream = k.lanes_along == "channels" and len(pixels) == 1
            budget = UNROLL_STREAM if weights_stream else UNROLL_ROWS if k.images > 1 else UNROLL_LOOP
            return reduce_nest(e, [self.group_channels], sums, len(keys), channel, budget=budget)

        cost = len(keys) * self.group_channels
        sums = reduce_nest(e, kernel, self.initial(outputs, keys, shape), cost, tap, budget=UNROLL_TAPS)
        return dict(zip(keys, sums, strict=True))

    @abstractmethod
    def step(
        self, outputs: OutputBlock, shape: TileShape, at: Index, pixels: Sequence[Callable[[], Ssa]], sums: Carry
    ) -> Carry:
        """Each pixel of a tile (or vector of pixels) times each weight of a block; the weights begin at `at`."""

    def products(self, vectors: Sequence[Ssa], scalars: Sequence[Callable[[], Ssa]], sums: Carry) -> Carry:
        """Each scalar times every vector; a scalar is loaded just before its use, so one register holds it."""
        following = []
        for number, load in enumerate(scalars):
            scalar = load()
            for place, vector in enumerate(vectors):
                total = sums[number * len(vectors) + place]
                following.append(accumulate(self.e, scalar, vector, total))
        return following

    def initial(self, outputs: OutputBlock, keys: Sequence[Key], shape: TileShape) -> Carry:
        """The bias in every accumulator, or zero."""
        numbers = dict.fromkeys(number for _, _, number in keys)
        loaded = {number: self.start(outputs, number, shape) for number in numbers}
        return [loaded[number] for _, _, number in keys]

    def start(self, outputs: OutputBlock, number: int, shape: TileShape) -> Ssa:
        """The initial value of the accumulators of a vector of outputs (or of one output)."""
        if self.bias is None:
            return nothing(self.e, shape.lanes)
        lanes = self.counted_lanes(outputs, number, shape)
        return self.e.resize(self.bias_of(self.channel(outputs, number), lanes, self.lane_axis), shape.lanes)

    def pixels(
        self,
        outputs: OutputBlock,
        n: Index,
        first: Sequence[Index],
        tap: Sequence[Index],
        shape: TileShape,
        guarded: bool,
    ) -> list[Load]:
        """For each row and column of the tile a function that loads its value under a tap, given a channel's offset."""
        e, k = self.e, self.k
        channel = e.mul(outputs.group, self.group_channels)
        loads: list[Load] = []
        for row in range(shape.rows):
            start: list[Index] = []
            for axis, w in enumerate(k.window):
                output = e.add(first[axis], row) if axis == 0 and self.rank > 1 else first[axis]
                start.append(e.add(e.sub(e.mul(output, w.stride), w.low), e.mul(tap[axis], w.dilation)))
            for column in shape.columns:
                place = start.copy()
                if self.rank:
                    place[-1] = e.add(place[-1], column * k.window[-1].stride)
                loads.append(self.load([n, channel, *place], shape.width, guarded))
        return loads

    def prefetch(self, outputs: OutputBlock, first: Sequence[Index]) -> Callable[[Index, Index], None]:
        """A function that prefetches, step by step, a part of the next block's weights; each tile has another part."""
        e, k = self.e, self.k
        if not k.prefetch_elements:
            return lambda channel, tap: None
        position = flat(e, first, [axis.out for axis in k.window])
        steps = self.group_channels * k.taps
        begin = e.add(e.add(outputs.weights, self.block_weights), e.mul(position, k.prefetch_elements))
        each = -(-k.prefetch_elements * k.tile.rows * k.tile.columns // steps)

        def ahead(channel: Index, tap: Index) -> None:
            step = e.add(e.mul(tap, self.group_channels), channel)
            for begins in range(0, each, line_elements(self.weights.element)):
                self.weights.prefetch(e.add(begin, e.add(e.mul(step, each), begins)))

        return ahead

    # What depends on the axis of the lanes

    @property
    @abstractmethod
    def lane_axis(self) -> int:
        """The axis of the target that vectors lie along."""

    @property
    @abstractmethod
    def across(self) -> int:
        """Columns of a tile (pixels, or vectors of them) for each column that is stored."""

    @abstractmethod
    def span(self, shape: TileShape) -> int:
        """Columns from the first to the last of a tile."""

    @abstractmethod
    def keys(self, outputs: OutputBlock, shape: TileShape) -> list[Key]:
        """Accumulators in the order in which they are carried: scalars outside, vectors inside."""

    @abstractmethod
    def channel(self, outputs: OutputBlock, number: int) -> Index:
        """First output channel of vector (or scalar) `number` of the block."""

    @abstractmethod
    def counted_lanes(self, outputs: OutputBlock, number: int, shape: TileShape) -> int:
        """Lanes of a register that hold results."""

    @abstractmethod
    def load(self, position: list[Index], lanes: int, guarded: bool) -> Load:
        """A pixel in all lanes, or a vector of neighbouring pixels."""

    # Results

    def store(
        self, outputs: OutputBlock, place: TilePosition, first: Sequence[Index], shape: TileShape, sums: dict[Key, Ssa]
    ) -> None:
        """Pass the tile to the epilogue, with the position of every register before and after pooling."""
        k = self.k
        cells: dict[Key, ResultVector] = {}
        pooled: dict[Key, tuple[Index, ...]] = {}
        height = k.epilogue.pooled(0) if self.rank > 1 else 1
        for (row, column, number), value in sums.items():
            channel = self.channel(outputs, number)
            own = self.moved(first, row, shape.columns[column])
            lanes = self.counted_lanes(outputs, number, shape)
            cells[row, column, number] = ResultVector((place.image, channel, *own), value, lanes)
            if k.epilogue.pool and row % height == 0 and column % self.across == 0:
                stored = self.moved(place.spatial, row // height, shape.columns[column] // self.unit)
                pooled[row // height, column // self.across, number] = (place.image, channel, *stored)
        self.finish(cells, pooled, shape)

    def moved(self, spatial: Sequence[Index], row: int, column: int) -> list[Index]:
        """The position `row` rows and `column` columns after `spatial`."""
        place = list(spatial)
        if self.rank > 1:
            place[0] = self.e.add(place[0], row)
        if self.rank:
            place[-1] = self.e.add(place[-1], column)
        return place

    def finish(
        self, cells: Mapping[Key, ResultVector], pooled: Mapping[Key, tuple[Index, ...]], shape: TileShape
    ) -> None:
        finish(self.e, self.k.epilogue, cells, pooled, self.lane_axis, self.target, self.operands)
