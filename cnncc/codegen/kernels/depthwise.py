"""Depthwise convolution with lanes along the channels.

A pixel vector is loaded once for a row of taps and meets the weights of every tap that reaches it, so that
a 3×3 kernel takes about (columns + 2) loads for each 3·columns multiply-adds of a row. Each output is summed
in the order of its taps, starting at its bias.
"""

from __future__ import annotations

from collections.abc import Sequence

from ...plan.kernels import Depthwise
from ..emitter import Emitter, Index, Ssa
from ..epilogue import Cell, Key, finish
from ..memory import Access
from ..nest import UNROLL_ALL, Carry, interior, lane_runs, outside_axes, reduce_nest, with_guards


class DepthwiseConvolution:
    """Emits one depthwise convolution."""

    def __init__(
        self, e: Emitter, kernel: Depthwise, sources: Sequence[Access], operands: Sequence[Access], target: Access
    ):
        self.e, self.k, self.target, self.operands = e, kernel, target, operands
        self.image, self.weights = sources[0], sources[1]
        self.bias = sources[2] if kernel.bias else None
        self.rank = len(kernel.window)
        self.guarded_axes = outside_axes(kernel.window, self.image)

    def emit(self, a: Index, b: Index) -> None:
        """Images, vectors of channels, rows, tiles of columns."""
        e, k = self.e, self.k

        def channels(channel: Index, lanes: int) -> None:
            self.rows(n.index, channel, lanes, a, b)

        with e.loop(0, self.image.view.shape[0]) as n:
            lane_runs(e, 0, k.channels, k.lanes, channels)

    def rows(self, n: Index, channel: Index, lanes: int, a: Index, b: Index) -> None:
        e = self.e
        if self.rank == 1:
            self.columns(n, channel, lanes, (), a, b)
            return
        with e.loop(a, b) as y:
            width = self.target.view.shape[-1]
            if self.rank == 3:
                with e.loop(0, self.target.view.shape[3]) as z:
                    self.columns(n, channel, lanes, (y.index, z.index), 0, width)
            else:
                self.columns(n, channel, lanes, (y.index,), 0, width)

    def columns(self, n: Index, channel: Index, lanes: int, outer: tuple[Index, ...], a: Index, b: Index) -> None:
        """Tiles of columns, then what is left one by one."""
        e, unit = self.e, self.k.epilogue.pooled(self.rank - 1)
        stored = max(1, self.k.tile.columns // unit)
        if isinstance(a, int) and isinstance(b, int):
            stored = -(-(b - a) // -(-(b - a) // stored))
        whole = e.add(a, e.mul(e.div(e.sub(b, a), stored), stored))
        for begin, end, step in ((a, whole, stored), (whole, b, 1)):
            if isinstance(begin, int) and isinstance(end, int) and begin >= end:
                continue
            with e.loop(begin, end, step) as x:
                self.tile(n, channel, lanes, (*outer, x.index), step)

    def tile(self, n: Index, channel: Index, lanes: int, place: tuple[Index, ...], stored: int) -> None:
        e, k = self.e, self.k
        first = [e.mul(index, k.epilogue.pooled(axis)) for axis, index in enumerate(place)]
        rows = k.epilogue.pooled(0) if self.rank > 1 else 1
        columns = stored * k.epilogue.pooled(self.rank - 1)
        counts = [1] * self.rank
        counts[0], counts[-1] = rows, columns
        if self.rank == 1:
            counts = [columns]

        def body(guarded: bool) -> None:
            cells: dict[Key, Cell] = {}
            for row in range(rows):
                start = list(first)
                if self.rank > 1:
                    start[0] = e.add(start[0], row)
                sums = self.row_of_sums(n, channel, lanes, start, columns, guarded)
                for column, value in enumerate(sums):
                    spatial = start.copy()
                    spatial[-1] = e.add(spatial[-1], column)
                    cells[row, column, 0] = Cell((n, channel, *spatial), value, lanes)
            pooled = {(0, column, 0): (n, channel, *place[:-1], e.add(place[-1], column)) for column in range(stored)}
            finish(e, k.epilogue, cells, pooled, 1, self.target, self.operands)

        with_guards(e, interior(e, k.window, self.guarded_axes, first, counts), body)

    def row_of_sums(
        self, n: Index, channel: Index, lanes: int, start: Sequence[Index], columns: int, guarded: bool
    ) -> Carry:
        """Sums of `columns` outputs side by side."""
        e, k = self.e, self.k
        *outer, last = k.window
        bias = e.number(0.0, lanes)
        if self.bias is not None:
            bias = self.bias.load(self.bias.offset([0, channel, *[0] * self.rank]), 1, lanes)
        unrolled = last.kernel * columns <= UNROLL_ALL

        def taps(indices: list[Index], sums: Carry) -> Carry:
            position = [n, channel]
            for axis, w in enumerate(k.window):
                tap = indices[axis] if axis < len(indices) else 0
                position.append(e.add(e.sub(e.mul(start[axis], w.stride), w.low), e.mul(tap, w.dilation)))
            if unrolled:
                return self.tap_row(indices, position, sums, lanes, channel, guarded)
            weight = self.weight(indices, channel, lanes)
            return [
                e.multiply_add(self.pixel(position, column * last.stride, lanes, guarded), weight, total)
                for column, total in enumerate(sums)
            ]

        extents = [w.kernel for w in (outer if unrolled else k.window)]
        cost = columns * (last.kernel if unrolled else 1)
        return reduce_nest(e, extents, [bias] * columns, cost, taps)

    def tap_row(
        self, outer: list[Index], position: Sequence[Index], sums: Carry, lanes: int, channel: Index, guarded: bool
    ) -> Carry:
        """All taps of one row: every pixel vector is loaded once."""
        e, last = self.e, self.k.window[-1]
        weights = [self.weight([*outer, tap], channel, lanes) for tap in range(last.kernel)]
        sums = list(sums)
        reach: dict[int, list[tuple[int, int]]] = {}
        for column in range(len(sums)):
            for tap in range(last.kernel):
                reach.setdefault(column * last.stride + tap * last.dilation, []).append((column, tap))
        for at in sorted(reach):
            pixel = self.pixel(position, at, lanes, guarded)
            for column, tap in reach[at]:
                sums[column] = e.multiply_add(pixel, weights[tap], sums[column])
        return sums

    def weight(self, tap: Sequence[Index], channel: Index, lanes: int) -> Ssa:
        e = self.e
        number: Index = 0
        for index, w in zip(tap, self.k.window, strict=True):
            number = e.add(e.mul(number, w.kernel), index)
        return self.weights.load_strided(e.add(e.mul(number, self.k.channels), channel), 1, lanes)

    def pixel(self, position: Sequence[Index], at: int, lanes: int, guarded: bool) -> Ssa:
        """The pixel vector `at` columns from a position."""
        place = [*position[:-1], self.e.add(position[-1], at)]
        axes = [axis + 2 for axis in self.guarded_axes] if guarded else []
        guard = self.image.guard(place, axes)
        return self.image.load_guarded(guard, guard.offset, 1, lanes, 0.0)


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
