"""Depthwise convolution with lanes along the channels.

A tile holds rows × columns outputs of one vector of channels. Each pixel vector is loaded once and meets the weights
of every tap that reaches it: a 3×3 tile of 2 rows × 7 columns takes 4·9 loads of pixels and 9 of weights for its 126
multiply-adds. Each output is summed in the order of its taps, starting at its bias, since the rows of pixels are taken
from top to bottom and each of them from left to right.

The loops are: images, blocks of channels, rows, tiles of columns, vectors of the block. `plan.depthwise` chooses tile
and block.

What lies outside of the image is masked to the fill value: rows only in single rows at the edges, columns only where
some tile of the row reaches over its ends.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ...plan.kernels import Depthwise, balanced
from ..emitter import Emitter, Index, Ssa
from ..epilogue import Cell, finish
from ..memory import Access, Guard
from ..nest import UNROLL_ALL, Carry, loops, outside_axes, reduce_nest

Place = tuple[Index, ...]
Meeting = tuple[Index, list[tuple[int, Index]]]  # a pixel of a row, and the (column, tap) that it meets
Span = tuple[int, int]


@dataclass(frozen=True)
class Patch:
    """The outputs of one tile: stored ones, or (before pooling) all that are computed.

    `span` holds the least and the largest of the columns `first[-1]` that the code is for; on the axes `edges` its
    windows may leave the image.
    """

    image: Index
    channel: Index
    first: Place
    rows: int
    columns: int
    span: Span
    edges: tuple[int, ...]


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
            self.rows(n.index, (block.index, e.least(end, k.channels) if k.channels % k.block else end), a, b)

    def rows(self, n: Index, channels: tuple[Index, Index], a: Index, b: Index) -> None:
        """Whole tiles of rows inside of the image; single rows at its edges, and those that are left."""
        e, step = self.e, self.stored(0) if self.last else self.stored(self.last)

        def run(begin: Index, end: Index, step: int, edge: bool) -> None:
            with e.loop(begin, end, step) as y:
                self.row(n, channels, y.index, step, edge)

        if 0 not in self.guarded_axes:
            whole = e.add(a, e.mul(e.div(e.sub(b, a), step), step))
            run(a, whole, step, False)
            if step > 1:
                run(whole, b, 1, False)
            return
        first, last = (
            -(-self.k.window[0].interior[0] // self.pooled[0]),
            self.k.window[0].interior[1] // self.pooled[0],
        )
        low = e.least(e.largest(a, first), b)
        whole = e.add(low, e.mul(e.div(e.sub(e.largest(e.least(b, last), low), low), step), step))
        with e.loop(0, 2) as part:  # the code of single rows serves above and below the whole tiles
            above = e.compare("eq", part.index, 0)
            run(e.choose(above, a, whole), e.choose(above, low, b), 1, True)
            run(low, e.choose(above, whole, low), step, False)

    def row(self, n: Index, channels: tuple[Index, Index], y: Index, rows: int, edge: bool) -> None:
        """The middle axes (of volumes), tiles of columns and vectors of channels of a tile of rows."""
        e, sizes = self.e, self.target.view.shape[2:]
        if self.last == 0:
            span = (0, sizes[0] - 1) if edge else (0, 0)
            self.vectors(Patch(n, 0, (y,), 1, rows, span, (0,) if edge else ()), channels)
            return
        edges = tuple(axis for axis in self.guarded_axes if axis or edge)
        with loops(e, sizes[1:-1]) as middle:
            for begin, end, width in self.column_runs():
                with e.loop(begin, end, width) as x:
                    place = y, *middle, x.index
                    self.vectors(Patch(n, 0, place, rows, width, (begin, end - width), edges), channels)

    def vectors(self, patch: Patch, channels: tuple[Index, Index]) -> None:
        """Vectors of channels; the last one slides back over what is there already: the same bits again."""
        e, k = self.e, self.k
        with e.loop(*channels, k.lanes) as c:
            most = k.channels - k.lanes
            self.tile(replace(patch, channel=e.least(c.index, most) if most % k.lanes else c.index))

    def column_runs(self) -> Iterator[tuple[int, int, int]]:
        """(begin, end, width) of balanced tiles of a row: of one or two widths."""
        begin = 0
        for width, group in itertools.groupby(balanced(self.target.view.shape[-1], self.stored(self.last))):
            end = begin + width * len(list(group))
            yield begin, end, width
            begin = end

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
        least, most = (column * self.pooled[-1] for column in patch.span)
        patch = replace(patch, first=first, rows=rows, columns=patch.columns * self.pooled[-1], span=(least, most))
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
        """The row of pixels `shift` from the first one, into the sums of the (row, outer taps) that it meets."""
        e, k = self.e, self.k
        starts = [e.sub(e.mul(at, w.stride), w.low) for at, w in zip(patch.first, k.window, strict=True)]
        row = [e.add(start, by) for start, by in zip(starts, shift, strict=False)]
        tests = []
        for axis in patch.edges:
            if axis < self.last:
                tests.append(e.compare("ult", row[axis], k.window[axis].size))
                row[axis] = e.choose(tests[-1], row[axis], 0)
        inside = e.all_of(tests)
        sums = list(sums)
        for at, columns in across:
            pixel = self.pixel(patch, [patch.image, patch.channel, *row, starts[-1]], at, inside)
            for (y, taps), (x, tap) in itertools.product(met, columns):
                number = y * patch.columns + x
                sums[number] = e.multiply_add(pixel, self.weight((*taps, tap), patch.channel), sums[number])
        return sums

    def pixel(self, patch: Patch, place: list[Index], at: Index, inside: Ssa | None) -> Ssa:
        """The pixel vector `at` columns from a place, if it is `inside` the image."""
        e, image, lanes, size = self.e, self.image, self.k.lanes, self.k.window[-1].size
        column = e.add(place[-1], at)
        if not self.may_be_outside(patch, at):
            offset = e.add(image.offset(place), e.mul(at, image.view.strides[-1]))
        elif isinstance(column, int):
            if not 0 <= column < size:
                return e.number(0.0, lanes)
            offset = image.offset([*place[:-1], column])
        else:
            test = e.compare("ult", column, size)
            inside = test if inside is None else e.all_of([inside, test])
            offset = image.offset([*place[:-1], e.choose(test, column, 0)])
        return image.load_guarded(Guard(offset, inside), offset, 1, lanes, 0.0)

    def may_be_outside(self, patch: Patch, at: Index) -> bool:
        """Whether the pixel column `at` of some tile of the span lies outside."""
        if self.last not in patch.edges:
            return False
        w = self.k.window[-1]
        low, high = (first * w.stride - w.low for first in patch.span)
        return not isinstance(at, int) or low + at < 0 or high + at >= w.size

    def weight(self, taps: Place, channel: Index) -> Ssa:
        e = self.e
        number: Index = 0
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
