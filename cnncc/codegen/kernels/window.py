"""Pooling: maximum or average over a window, per channel, with lanes along channels or along columns.

With lanes along the channels, neighbouring outputs reuse the pixels that both read, and the maxima of columns of
pixels: 3×3 with stride 2 takes 6 loads instead of 9 and half of the operations.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

from ...plan.kernels import Window
from ...windows import WindowAxis
from ..emitter import Emitter
from ..epilogue import combine, combine_all, identity
from ..nest import Carry, interior, outside_axes, positions, reduce_nest, with_guards
from ..registers import FLOAT, Index, Ssa
from .family import KernelEmitter, Tensors
from .sliding import Patch, Sliding


class WindowReductionEmitter(KernelEmitter[Window]):
    """Emits one pooling kernel."""

    def __init__(self, e: Emitter, kernel: Window, tensors: Tensors):
        super().__init__(e, kernel, tensors)
        (self.source,) = self.sources
        self.guarded_axes = outside_axes(kernel.window, self.source)
        self.fill = identity(kernel.combine, self.source.read_as)
        self.along_columns = kernel.lane_axis != 1

    def emit(self, a: Index, b: Index) -> None:
        shape = self.target.view.shape
        positions(self.e, shape, self.images, (a, b), self.k.lane_axis, self.k.lanes, self.at)

    def at(self, position: list[Index], lanes: int) -> None:
        """One vector of results."""
        counts = [1] * len(self.k.window)
        if self.along_columns:
            counts[-1] = lanes
        inside = interior(self.e, self.k.window, self.guarded_axes, position[2:], counts)

        def body(guarded: bool) -> None:
            value = self.divide(self.reduce(position, lanes, guarded), position, lanes, guarded)
            self.target.store(value, self.target.offset(position), self.k.lane_axis)

        with_guards(self.e, inside, body)

    def reduce(self, position: Sequence[Index], lanes: int, guarded: bool) -> Ssa:
        e, k = self.e, self.k
        starts = [e.sub(e.mul(p, w.stride), w.low) for p, w in zip(position[2:], k.window, strict=True)]

        def tap(indices: list[Index], carry: Carry) -> Carry:
            place = [*position[:2]]
            for start, index, w in zip(starts, indices, k.window, strict=True):
                place.append(e.add(start, e.mul(index, w.dilation)))
            return [combine(e, k.combine, carry[0], self.load(place, lanes, guarded))]

        kernel = [w.kernel for w in k.window]
        return reduce_nest(e, kernel, [self.source.number(self.fill, lanes)], 1, tap)[0]

    def load(self, place: list[Index], lanes: int, guarded: bool) -> Ssa:
        """The values under a tap, one for each lane."""
        source, step = self.source, self.k.window[-1].stride
        last = source.view.rank - 1
        axes = [axis + 2 for axis in self.guarded_axes] if guarded else []
        if not self.along_columns:
            guard = source.guard(place, axes)
            return source.load_guarded(guard, guard.offset, 1, lanes, self.fill)
        if not axes:
            return source.load_strided(source.offset(place), step * source.view.strides[last], lanes)
        guard = source.guard([*place[:-1], 0], [axis for axis in axes if axis != last])
        return source.load_columns(guard.offset, place[-1], step, lanes, self.fill, guard.inside)

    def divide(self, total: Ssa, position: Sequence[Index], lanes: int, guarded: bool) -> Ssa:
        """The average: the sum over the number of taps, or of those inside the source."""
        e, k = self.e, self.k
        if k.divisor == "none":
            return total
        if k.divisor == "taps" or not guarded:
            count = e.number(float(math.prod(w.kernel for w in k.window)), lanes)
            return e.binary("divide", total, count)
        last = len(k.window) - 1
        number: Index = 1
        for axis in range(last):
            number = e.mul(number, self.taps_counted(axis, position[axis + 2]))
        if not self.along_columns:
            count = self.as_float(e.mul(number, self.taps_counted(last, position[-1])))
            return e.binary("divide", total, e.splat(count, lanes))
        divisor = e.undefined(total.type)
        for lane in range(lanes):
            count = self.as_float(e.mul(number, self.taps_counted(last, e.add(position[-1], lane))))
            divisor = e.insert(divisor, count, lane)
        return e.binary("divide", total, divisor)

    def taps_counted(self, axis: int, index: Index) -> Index:
        return taps_counted(self.e, self.k.window[axis], self.k.counted[axis] if self.k.counted else (0, 0), index)

    def as_float(self, index: Index) -> Ssa:
        e = self.e
        if isinstance(index, int):
            return e.number(float(index), 1)
        return e.convert(index, FLOAT)


def taps_counted(e: Emitter, w: WindowAxis, margins: tuple[int, int], index: Index) -> Index:
    """Taps of the window at output `index` inside the source and the counted part of its padding.

    Taps t with −low ≤ start + t·d < size + high: from ⌈(−low − start) / d⌉ to ⌊(size + high − 1 − start) / d⌋.
    """
    low, high = margins
    start = e.sub(e.mul(index, w.stride), w.low)
    before = e.largest(e.sub(-low, start), 0)
    first = e.div(e.add(before, w.dilation - 1), w.dilation)
    last = e.least(e.div(e.sub(w.size + high - 1, start), w.dilation), w.kernel - 1)
    return e.add(e.sub(last, first), 1)


class Tiles(Sliding[Window]):
    """Pooling in tiles: lanes along the channels, and windows of few taps."""

    def __init__(self, e: Emitter, kernel: Window, tensors: Tensors):
        channels = tensors.target.view.shape[1]
        super().__init__(e, kernel, tensors, block=channels, pooled=(1,) * len(kernel.window))
        self.one = WindowReductionEmitter(e, kernel, tensors)
        self.fill = self.one.fill

    def tile(self, patch: Patch) -> None:
        e, k = self.e, self.k
        *outer, last = k.window
        shifts = itertools.product(*(range(0, w.kernel * w.dilation, w.dilation) for w in outer))
        rows = [self.row_of_pixels(patch, shift) for shift in shifts]
        reach = [
            [column * last.stride + tap * last.dilation for tap in range(last.kernel)]
            for column in range(patch.columns)
        ]
        pixels = {at: [self.pixel(patch, row, at) for row in rows] for at in sorted({*itertools.chain(*reach)})}
        if k.combine == "maximum":  # any order gives the same maximum; a sum goes from left to right in each row
            pixels = {at: [combine_all(e, k.combine, column)] for at, column in pixels.items()}
        for column, window in enumerate(reach):
            place = [patch.image, patch.channel, *patch.first[:-1], e.add(patch.first[-1], column)]
            members = zip(*(pixels[at] for at in window), strict=True)
            total = combine_all(e, k.combine, [*itertools.chain(*members)])
            value = self.one.divide(total, place, k.lanes, bool(patch.edges))
            self.target.store(value, self.target.offset(place), 1)


def pooling(e: Emitter, kernel: Window, tensors: Tensors) -> KernelEmitter[Window]:
    """Pooling in tiles if lanes lie along the channels and the code of a tile is short, else one vector at a time."""
    return (Tiles if kernel.in_tiles else WindowReductionEmitter)(e, kernel, tensors)
