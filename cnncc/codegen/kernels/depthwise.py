"""Depthwise convolution with lanes along the channels.

A tile holds rows × columns outputs of one vector of channels. Each pixel vector is loaded once and meets the weights
of every tap that reaches it: a 3×3 tile of 2 rows × 7 columns takes 4·9 loads of pixels and 9 of weights for its 126
multiply-adds. Each output is summed in the order of its taps, starting at its bias, since the rows of pixels are taken
from top to bottom and each of them from left to right.

The loops are: images, blocks of channels, rows, tiles of columns, vectors of the block. `plan.depthwise` chooses tile
and block.

Edges cost next to nothing: which columns of a tile lie outside of the image is known while it is emitted, and only the
rows at the edges test, once for each row of pixels, whether it exists.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ...plan.kernels import Depthwise, balanced
from ..emitter import Emitter, Index, Ssa
from ..epilogue import Cell, finish
from ..memory import Access
from ..nest import UNROLL_ALL, Carry, either, loops, outside_axes, reduce_nest

EDGE_TILES = 4  # tiles of a row that may have code of their own, since they reach over an edge of the image

Place = tuple[Index, ...]
Meeting = tuple[Index, list[tuple[int, Index]]]  # a pixel of a row, and the (column, tap) that it meets


@dataclass(frozen=True)
class Run:
    """Positions begin, begin + step, … of an axis; `edge` if windows there may leave the image."""

    begin: Index
    end: Index
    step: int
    edge: bool


@dataclass(frozen=True)
class Patch:
    """The outputs of one tile, counted before pooling; on the axes `edges` its windows may leave the image."""

    image: Index
    channel: Index
    first: Place
    rows: int
    columns: int
    edges: frozenset[int]


class DepthwiseConvolution:
    """Emits one depthwise convolution."""

    def __init__(
        self, e: Emitter, kernel: Depthwise, sources: Sequence[Access], operands: Sequence[Access], target: Access
    ):
        self.e, self.k, self.target, self.operands = e, kernel, target, operands
        self.image, self.weights = sources[0], sources[1]
        self.bias = sources[2] if kernel.bias else None
        self.last = len(kernel.window) - 1
        self.pooled = [kernel.epilogue.pooled(axis) for axis in range(len(kernel.window))]
        self.guarded_axes = outside_axes(kernel.window, self.image)

    # Loops

    def emit(self, a: Index, b: Index) -> None:
        """Images, blocks of channels, rows."""
        e, k = self.e, self.k
        with e.loop(0, self.image.view.shape[0]) as n, e.loop(0, k.channels, k.block) as block:
            end = e.add(block.index, k.block)
            channels = block.index, e.least(end, k.channels) if k.channels % k.block else end
            for run in self.row_runs(a, b):
                with e.loop(run.begin, run.end, run.step) as y:
                    self.row(n.index, channels, y.index, run)

    def row(self, n: Index, channels: tuple[Index, Index], y: Index, run: Run) -> None:
        """The middle axes (of volumes), tiles of columns and vectors of channels of a tile of rows."""
        e, sizes = self.e, self.target.view.shape[2:]
        edges = {axis for axis in self.guarded_axes if 0 < axis < self.last} | ({0} if run.edge else set())
        if self.last == 0:
            self.vectors(Patch(n, 0, (y,), 1, run.step, frozenset(edges)), channels)
            return
        with loops(e, sizes[1:-1]) as middle:
            for columns in self.column_runs():
                with e.loop(columns.begin, columns.end, columns.step) as x:
                    tested = frozenset(edges | ({self.last} if columns.edge else set()))
                    self.vectors(Patch(n, 0, (y, *middle, x.index), run.step, columns.step, tested), channels)

    def vectors(self, patch: Patch, channels: tuple[Index, Index]) -> None:
        """Vectors of channels; the last one slides back over what is there already: the same bits again."""
        e, k = self.e, self.k
        with e.loop(*channels, k.lanes) as c:
            most = k.channels - k.lanes
            self.tile(replace(patch, channel=e.least(c.index, most) if most % k.lanes else c.index))

    def row_runs(self, a: Index, b: Index) -> Iterator[Run]:
        """Rows [a, b): whole tiles inside of the image; single rows at its edges, and those that are left."""
        e, unit, edge = self.e, self.pooled[0], 0 in self.guarded_axes
        step = self.stored(0) if self.last else self.stored(self.last)
        low, high = a, b
        if edge:
            first, last = self.k.window[0].interior
            low = e.least(e.largest(a, -(-first // unit)), b)
            high = e.largest(e.least(b, last // unit), low)
            yield Run(a, low, 1, True)
        whole = e.add(low, e.mul(e.div(e.sub(high, low), step), step))
        yield Run(low, whole, step, False)
        if step > 1 or edge:
            yield Run(whole, b, 1, edge)

    def column_runs(self) -> Iterator[Run]:
        """Balanced tiles; equal ones side by side inside of the image share their code."""
        w, unit, x = self.k.window[-1], self.pooled[-1], 0
        first, last = w.interior if self.last in self.guarded_axes else (0, w.out)
        tiles = []
        for width in balanced(self.target.view.shape[-1], self.stored(self.last)):
            tiles.append((x, width, x * unit < first or (x + width) * unit > last))
            x += width
        alone = sum(edge for _, _, edge in tiles) <= EDGE_TILES
        for (width, edge), group in itertools.groupby(tiles, key=lambda tile: tile[1:]):
            starts = [start for start, _, _ in group]
            if edge and alone:
                yield from (Run(start, start + width, width, True) for start in starts)
            else:
                yield Run(starts[0], starts[-1] + width, width, edge)

    def stored(self, axis: int) -> int:
        """Positions of the result that a tile makes along the first or last axis."""
        own = self.k.tile.columns if axis == self.last else self.k.tile.rows
        return max(1, own // self.pooled[axis])

    # A tile

    def tile(self, patch: Patch) -> None:
        """`patch` comes with its stored size; it is convolved with all that is pooled of it."""
        e = self.e
        stored = self.places(patch)
        first = tuple(e.mul(index, unit) for index, unit in zip(patch.first, self.pooled, strict=True))
        rows = patch.rows * self.pooled[0] if self.last else 1
        patch = replace(patch, first=first, rows=rows, columns=patch.columns * self.pooled[-1])
        places = self.places(patch)
        sums = self.sums(patch)
        cells = {(*key, 0): Cell(places[key], value, self.k.lanes) for key, value in zip(places, sums, strict=True)}
        pooled = {(*key, 0): place for key, place in stored.items()}
        finish(e, self.k.epilogue, cells, pooled, 1, self.target, self.operands)

    def places(self, patch: Patch) -> dict[tuple[int, int], Place]:
        """The position of each row and column of a patch."""
        found: dict[tuple[int, int], Place] = {}
        for row, column in itertools.product(range(patch.rows), range(patch.columns)):
            place = [patch.image, patch.channel, *patch.first]
            place[2] = self.e.add(place[2], row)
            place[-1] = self.e.add(place[-1], column)
            found[row, column] = tuple(place)
        return found

    def sums(self, patch: Patch) -> Carry:
        """The sums of a patch, row by row."""
        e, k = self.e, self.k
        *outer, last = k.window
        bias = e.number(0.0, k.lanes)
        if self.bias is not None:
            bias = self.bias.load(self.bias.offset([0, patch.channel, *[0] * len(k.window)]), 1, k.lanes)
        sums = [bias] * (patch.rows * patch.columns)
        if patch.rows > 1:
            return self.rows_of_taps(patch, sums)
        whole = last.kernel * patch.columns <= UNROLL_ALL
        taps = range(last.kernel)

        def body(indices: list[Index], sums: Carry) -> Carry:
            tap = tuple(indices[: self.last])
            across = self.reach(patch, taps if whole else indices[self.last :])
            shift = [e.mul(index, w.dilation) for index, w in zip(tap, outer, strict=True)]
            return self.pixel_row(patch, shift, [(0, tap)], across, sums)

        extents = [w.kernel for w in (outer if whole else k.window)]
        return reduce_nest(e, extents, sums, patch.columns * (last.kernel if whole else 1), body)

    def rows_of_taps(self, patch: Patch, sums: Carry) -> Carry:
        """Several rows of outputs: each row of pixels meets all rows of taps that reach it."""
        first, *middle, last = self.k.window
        meeting: dict[int, list[tuple[int, int]]] = {}
        for row, tap in itertools.product(range(patch.rows), range(first.kernel)):
            meeting.setdefault(row * first.stride + tap * first.dilation, []).append((row, tap))
        across = self.reach(patch, range(last.kernel))
        for at in sorted(meeting):
            for inner in itertools.product(*(range(w.kernel) for w in middle)):
                shift = [at, *(tap * w.dilation for tap, w in zip(inner, middle, strict=True))]
                met: list[tuple[int, Place]] = [(row, (tap, *inner)) for row, tap in meeting[at]]
                sums = self.pixel_row(patch, shift, met, across, sums)
        return sums

    def reach(self, patch: Patch, taps: Sequence[Index]) -> list[Meeting]:
        """From the first column on, what each pixel meets of a row of taps: (columns from there, [(column, tap)])."""
        e, w = self.e, self.k.window[-1]
        meeting: dict[Index, list[tuple[int, Index]]] = {}
        for column, tap in itertools.product(range(patch.columns), taps):
            meeting.setdefault(e.add(column * w.stride, e.mul(tap, w.dilation)), []).append((column, tap))
        return sorted(meeting.items()) if all(isinstance(at, int) for at in meeting) else list(meeting.items())

    def pixel_row(
        self, patch: Patch, shift: Sequence[Index], met: Sequence[tuple[int, Place]], across: list[Meeting], sums: Carry
    ) -> Carry:
        """The row of pixels `shift` from the windows' first one, into the sums of the (row, outer taps) that it meets."""
        e, k = self.e, self.k
        starts = [e.sub(e.mul(at, w.stride), w.low) for at, w in zip(patch.first, k.window, strict=True)]
        row = [e.add(start, by) for start, by in zip(starts[:-1], shift, strict=True)]
        tests = [e.compare("ult", row[axis], k.window[axis].size) for axis in sorted(patch.edges - {self.last})]

        def body(inside: bool) -> Carry:
            result = list(sums)
            for at, columns in across:
                place = [patch.image, patch.channel, *row, starts[-1]]
                pixel = self.pixel(place, at, self.last in patch.edges) if inside else e.number(0.0, k.lanes)
                for (y, taps), (x, tap) in itertools.product(met, columns):
                    number = y * patch.columns + x
                    result[number] = e.multiply_add(pixel, self.weight((*taps, tap), patch.channel), result[number])
            return result

        return either(e, e.all_of(tests), body)

    def pixel(self, place: list[Index], at: Index, edge: bool) -> Ssa:
        """The pixel vector `at` columns from a place."""
        e, image, lanes = self.e, self.image, self.k.lanes
        column = e.add(place[-1], at)
        if not edge:
            return image.load(e.add(image.offset(place), e.mul(at, image.view.strides[-1])), 1, lanes)
        if isinstance(column, int) and not 0 <= column < self.k.window[-1].size:
            return e.number(0.0, lanes)
        place = [*place[:-1], column]
        guard = image.guard(place, [] if isinstance(column, int) else [len(place) - 1])
        return image.load_guarded(guard, guard.offset, 1, lanes, 0.0)

    def weight(self, taps: Place, channel: Index) -> Ssa:
        e, number = self.e, 0
        for index, w in zip(taps, self.k.window, strict=True):
            number = e.add(e.mul(number, w.kernel), index)
        return self.weights.load_strided(e.add(e.mul(number, self.k.channels), channel), 1, self.k.lanes)


def emit(
    e: Emitter,
    kernel: Depthwise,
    sources: Sequence[Access],
    operands: Sequence[Access],
    target: Access,
    a: Index,
    b: Index,
) -> None:
    DepthwiseConvolution(e, kernel, sources, operands, target).emit(a, b)
