"""Winograd convolution: input transform, one matrix product for each point, output transform.

The arithmetic is that of `cook_toom`: straight-line vector code made from its matrices, with lanes along channels.
All tiles of an image are numbered in one row, so their number, not the width of the image, decides how well the
products fill their register tiles. All three stages are computed for a block of tiles while its transformed inputs
are in the second-level cache; the weights are read once for each block.

The grid of tiles belongs to the image, not to the range of rows: a tile with rows in the range is computed as a whole,
and its rows in the range are stored.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

from ...plan.kernels import Winograd
from ...plan.kernels.winograd_phases import Spot
from ...plan.views import line_elements
from ..emitter import Emitter
from ..epilogue import Key, ResultVector, finish
from ..macs import accumulate, nothing
from ..nest import Carry, block_parts, lane_runs, reduce_nest, with_guards
from ..registers import Index, Ssa
from .family import ConvolutionEmitter, Tensors
from .winograd_inputs import InputTransform, WinogradTile, fetch, transformed

Range = tuple[Index, Index]
Wanted = Sequence[Sequence[Ssa | None]]


class WinogradConvolution(ConvolutionEmitter[Winograd]):
    """Emits one Winograd convolution: `emit` is the loop nest, the methods below are its stages."""

    def __init__(self, e: Emitter, kernel: Winograd, tensors: Tensors):
        super().__init__(e, kernel, tensors)
        (self.scratch,) = tensors.scratch
        self.phases = kernel.phases
        self.inner = math.prod(kernel.grid[1:])
        self.planes = kernel.plane(kernel.pitch), kernel.plane(kernel.block)
        self.inputs = InputTransform(e, kernel, self.image, self.scratch)

    def emit(self, a: Index, b: Index) -> None:
        """Images, blocks of tiles, blocks of outputs.

        [a, b) are rows or, where shards divide these, blocks of outputs or rows of tiles.
        """
        e, k = self.e, self.k
        rows: Range = (a, b) if k.partition_axis == "rows" else (0, self.target.view.rows)
        blocks: Range = (a, b) if k.partition_axis == "blocks" else (0, k.blocks * k.parts)
        first, last = (e.mul(at, self.inner) for at in (a, b)) if k.partition_axis == "tiles" else self.range(*rows)
        with e.loop(*self.images) as n, e.loop(first, last, k.tiles) as begin:
            count = e.least(k.tiles, e.sub(last, begin.index))
            with e.loop(0, count) as tile:
                place = self.place(n.index, begin.index, tile.index)
                self.inputs.emit(place)
                self.fetch(place)
            for block, inner, size in self.blocks(*blocks):
                self.products(block, inner, size, count)
                with e.loop(0, count) as tile:
                    place = self.place(n.index, begin.index, tile.index)
                    self.transform_outputs(place, e.add(e.mul(block, k.block), inner), inner, size, rows)

    def blocks(self, begin: Index, end: Index) -> Iterator[tuple[Index, Index, int]]:
        """A loop over blocks of outputs or their parts; yields the block, its first output and their number."""
        e, k = self.e, self.k
        if k.parts > 1:
            size = k.block // k.parts
            for number, part, count in block_parts(e, begin, end, k.parts):
                yield number, e.mul(part, size), count * size
            return
        full, rest = divmod(k.outputs, k.block)
        if full:
            with e.loop(begin, e.least(end, full)) as block:
                yield block.index, 0, k.block
        if rest:
            with e.loop(e.largest(begin, full), end):
                yield full, 0, rest

    # Tiles

    def range(self, a: Index, b: Index) -> tuple[Index, Index]:
        """The numbers of the tiles with rows in [a, b)."""
        e, k = self.e, self.k
        begin, end = e.div(a, k.tile_rows), e.div(e.add(b, k.tile_rows - 1), k.tile_rows)
        step = k.window[0].dilation * self.inner
        return e.mul(begin, step), e.mul(end, step)

    def place(self, n: Index, block: Index, number: Index) -> WinogradTile:
        """The position of a tile of a block: its number in the image, split into positions along the axes."""
        left, first = self.e.add(block, number), []
        axes = list(zip(self.k.grid, self.k.steps, self.k.window, strict=True))
        for size, m, w in reversed(axes[1:]):
            left, along = self.split(left, size)
            first.append(self.begin(along, m, w.dilation))
        first.append(self.begin(left, axes[0][1], axes[0][2].dilation))
        return WinogradTile(n, number, tuple(reversed(first)))

    def begin(self, along: Index, m: int, dilation: int) -> Index:
        """The first output of tile `along` of an axis; tiles of all residues of a dilation are numbered together."""
        group, phase = self.split(along, dilation)
        return self.e.add(self.e.mul(group, m * dilation), phase)

    def split(self, number: Index, size: int) -> tuple[Index, Index]:
        """Quotient and remainder."""
        if size == 1:
            return number, 0
        quotient = self.e.div(number, size)
        return quotient, self.e.sub(number, self.e.mul(quotient, size))

    # Products

    def products(self, block: Index, inner: Index, size: int, count: Index) -> None:
        """M[ξ] = V[ξ] · U[ξ] for `size` outputs of a block from `inner` on: loops over points, then groups of tiles.

        If at most half a group is left at the end, half a group is computed. The last group may reach beyond the last
        tile: the scratch memory has room for it, and nothing reads those elements.
        """
        e, k = self.e, self.k
        pairs, half = self.phases.pairs, self.half_group()
        groups = e.div(e.add(count, k.tile.columns - 1 - half), k.tile.columns)
        whole = e.mul(groups, k.tile.columns)
        for run in self.phases.runs:
            channels = run.phases * k.channels
            with e.loop(0, run.points) as point:
                before = e.add(e.mul(point.index, run.phases), run.before)
                weights = e.mul(e.add(e.mul(block, pairs), before), k.channels * k.block)
                inputs, results = (e.mul(e.add(point.index, run.first), plane) for plane in self.planes)
                results = e.add(results, math.prod(k.points) * self.planes[0])
                weights, results = e.add(weights, inner), e.add(results, inner)
                with e.loop(0, whole, k.tile.columns) as tile:
                    self.group(tile.index, k.tile.columns, inputs, weights, results, size, channels)
                if half:
                    with e.loop(whole, count, half) as tile:
                        self.group(tile.index, half, inputs, weights, results, size, channels)

    def half_group(self) -> int:
        """Tiles of half a group, or 0 if no possible range leaves so few tiles, or fewer, at its end."""
        columns, half = self.k.tile.columns, (self.k.tile.columns + 1) // 2
        lines = [self.k.grid[0]] if self.k.partition_axis == "blocks" else range(1, self.k.grid[0] + 1)
        return half if any(0 < line * self.inner % columns <= half for line in lines) else 0

    def group(
        self, tile: Index, columns: int, inputs: Index, weights: Index, results: Index, size: int, channels: int
    ) -> None:
        """The products of some tiles and outputs for one point."""
        e, k = self.e, self.k
        vectors = -(-size // k.lanes)
        results = e.add(results, e.mul(tile, k.block))
        sums = self.product(e.add(inputs, e.mul(tile, k.pitch)), weights, columns, vectors, channels)
        for number, total in enumerate(sums):
            column, vector = divmod(number, vectors)
            self.scratch.store(total, e.add(results, column * k.block + vector * k.lanes), 0)

    def product(self, inputs: Index, weights: Index, columns: int, vectors: int, channels: int) -> Carry:
        """A register tile: `columns` scalars times `vectors` vectors for each channel."""
        e, k = self.e, self.k
        zeros = [nothing(e, k.lanes)] * (columns * vectors)

        def step(index: list[Index], sums: Carry) -> Carry:
            at = e.add(weights, e.mul(index[0], k.block))
            loaded = [self.weights.load_strided(e.add(at, v * k.lanes), 1, k.lanes) for v in range(vectors)]
            if k.prefetch_elements:
                for begin in range(0, k.block, line_elements(self.weights.element)):
                    self.weights.prefetch(e.add(at, k.prefetch_elements + begin))
            following = []
            for column in range(columns):
                scalar = self.scratch.scalar(e.add(e.add(inputs, index[0]), column * k.pitch))
                spread = e.splat(scalar, k.lanes)
                for number, vector in enumerate(loaded):
                    following.append(accumulate(e, spread, vector, sums[column * vectors + number]))
            return following

        return reduce_nest(e, [channels], zeros, len(zeros), step)

    def fetch(self, place: WinogradTile) -> None:
        """Prefetch what the epilogue will read and write of a tile, long before: products stand between."""
        k = self.k
        if not k.next_image or k.epilogue.pool:
            return
        dilations = [w.dilation for w in k.window]
        for tensor in (*self.operands, self.target):
            if all(tensor.view.strides):
                fetch(self.e, tensor, [place.image, 0, *place.first], k.steps, dilations, k.outputs)

    # Output transform

    def transform_outputs(self, place: WinogradTile, first: Index, inner: Index, size: int, rows: Range) -> None:
        """Aᵀ M A of one tile for `size` outputs from `first` on, `inner` in their block, then bias and epilogue."""
        e, k = self.e, self.k
        at = e.add(math.prod(k.points) * self.planes[0], e.mul(place.number, k.block))
        at = e.add(at, inner)
        wanted = self.wanted(place, rows)

        def vector(begin: Index, lanes: int) -> None:
            channel = e.add(first, begin)
            results = self.results(e.add(at, begin), channel, lanes)
            with_guards(
                e, whole, lambda guarded: self.store(place, channel, results, lanes, wanted if guarded else None)
            )

        tests = [test for axis in wanted for test in (axis[0], axis[-1]) if test is not None]
        inside = e.all_of(tests)
        whole: Ssa | bool = True if inside is None else inside
        lane_runs(e, 0, size, k.lanes, vector)

    def results(self, at: Index, channel: Index, lanes: int) -> dict[Spot, Ssa]:
        """The outputs of a tile for one vector of channels, bias included."""
        e, k = self.e, self.k
        products = {
            spot: self.scratch.load_strided(e.add(at, self.phases.numbers[spot] * self.planes[1]), 1, k.lanes)
            for spot in itertools.product(*map(range, k.points))
        }
        results = dict(transformed(e, self.phases.outputs, products))
        if self.bias is None:
            return results
        bias = e.resize(self.bias_of(channel, lanes), k.lanes)
        return {spot: e.binary("add", value, bias) for spot, value in results.items()}

    def stored(self, place: WinogradTile, axis: int, number: int) -> Index:
        """The position, along an axis, of the result `number` that a tile stores."""
        pool, dilation = self.k.epilogue.pooled(axis), self.k.window[axis].dilation
        return self.e.add(self.e.div(place.first[axis], pool), number * dilation)

    def wanted(self, place: WinogradTile, rows: Range) -> Wanted:
        """For each axis and each result along it: whether it exists and lies in `rows` (None: always)."""
        tests = []
        for axis, (m, size) in enumerate(zip(self.k.steps, self.target.view.shape[2:], strict=True)):
            count = m // self.k.epilogue.pooled(axis)
            places = [self.stored(place, axis, number) for number in range(count)]
            begin, end = (0, size) if axis else rows
            always = (begin, end) == (0, size) and self.k.grid[axis] * count == size
            tests.append([None if always else self.between(begin, at, end) for at in places])
        return tests

    def between(self, begin: Index, at: Index, end: Index) -> Ssa | None:
        """begin ≤ at < end."""
        e = self.e
        tests = [] if begin == 0 else [e.compare(">=", at, begin)]
        return e.all_of([*tests, e.compare("<", at, end)])

    def store(
        self, place: WinogradTile, channel: Index, results: Mapping[Spot, Ssa], lanes: int, wanted: Wanted | None
    ) -> None:
        """Pass a tile to the epilogue: the whole tile, or each stored position that is `wanted`."""
        e, k = self.e, self.k
        cells: dict[Key, ResultVector] = {}
        for spot, value in results.items():
            steps = zip(place.first, spot, k.window, strict=True)
            position = (place.image, channel, *(e.add(first, at * w.dilation) for first, at, w in steps))
            cells[self.key(spot, k.steps)] = ResultVector(position, value, lanes)
        pools = [k.epilogue.pooled(axis) for axis in range(len(k.window))]
        sizes = [m // pool for m, pool in zip(k.steps, pools, strict=True)]
        pooled: dict[Key, tuple[Index, ...]] = {}
        for spot in itertools.product(*map(range, sizes)):
            at = (self.stored(place, axis, number) for axis, number in enumerate(spot))
            pooled[self.key(spot, sizes)] = (place.image, channel, *at)
        if wanted is None:
            finish(e, k.epilogue, cells, pooled, 1, self.target, self.operands)
            return
        for spot in itertools.product(*map(range, sizes)):
            windows = [range(at * pool, (at + 1) * pool) for at, pool in zip(spot, pools, strict=True)]
            members = [self.key(member, k.steps) for member in itertools.product(*windows)]
            key = self.key(spot, sizes)
            test = e.all_of([test for tests, at in zip(wanted, spot, strict=True) if (test := tests[at]) is not None])
            assert test is not None, "what is always wanted has no guards"
            with e.when(test):
                own = {member: cells[member] for member in members}
                finish(e, k.epilogue, own, {key: pooled[key]}, 1, self.target, self.operands)

    def key(self, spot: Spot, sizes: Sequence[int]) -> Key:
        """An index in a tile as the key of the epilogue: row and column."""
        row, *columns = (0, *spot) if len(spot) == 1 else spot
        return row, math.prod(sizes[2:]) * columns[0] + sum(columns[1:]), 0
