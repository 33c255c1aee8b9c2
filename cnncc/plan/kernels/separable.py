"""Pooling one axis after the other, where windows share partial results: cost hardly grows with the window.

A maximum or a sum over k × k taps is one over k rows, then one over k columns. Along an axis that no lanes lie on,
`block` neighbouring results are computed in registers together; along the axis of the lanes, partial results of
1, 2, 4… neighbours come from each other by shifts of lanes. What lies between two axes is scratch memory, with the
fill value around it: only the first axis meets the border of the source.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ...alignment import rounded_up
from ...computation import WindowReduction
from ...machine.target import Target
from ...windows import WindowAxis
from ..cost.pooling import DIVISION, FEWEST, LINES, RESULTS, ROW_VECTORS, STRIDED, Work, shift
from ..views import ROW_AXIS, View, elements
from . import window
from .base import balanced, lanes_on, sizes, taps_of
from .overlaps import doublings, maxima, sums
from .window import Pool, Window


@dataclass(frozen=True)
class Separable(Pool):
    """A pool that is computed axis by axis.

    `block` has the results along each axis that share partial results in registers: of all axes, or of all but the
    last if lanes lie along that one.
    """

    block: tuple[int, ...]

    @property
    def last(self) -> int:
        return len(self.window) - 1

    @property
    def shifts(self) -> bool:
        """Whether the last axis is the one of the lanes."""
        return self.lane_axis != 1

    @property
    def row_vectors(self) -> int:
        """Vectors of a row that one piece of code computes."""
        return ROW_VECTORS

    def in_rounds(self, rows: int) -> Separable:
        """Blocks of at most `rows`: fewer than a block has are computed by halves of it, or one by one."""
        return replace(self, block=(min(self.block[0], rows), *self.block[1:]))

    # Scratch memory: one area for each axis but the last

    def before(self, axis: int) -> int:
        """Positions of scratch memory before the source's first one on an axis.

        Where lanes lie along it, the source begins at the begin of a vector, so that stores do not cross cache lines.
        """
        low = self.window[axis].low
        return rounded_up(low, self.lanes) if self.shifts and axis == self.last else low

    def extent(self, axis: int) -> int:
        """Positions of an axis in scratch memory, padding included."""
        w = self.window[axis]
        if not self.shifts or axis < self.last:
            return w.low + w.size + w.reach[1]
        seen = (rounded_up(w.out, self.lanes) - 1) * w.stride + w.extent  # from the first tap to the last of all lanes
        read = self.before(axis) - w.low + rounded_up(seen, self.lanes * w.stride)
        return rounded_up(max(read, self.before(axis) + rounded_up(w.size, self.lanes)), self.lanes)

    def pitch(self, axis: int) -> int:
        """Elements from one position of an axis to the next, in any area."""
        later = (self.extent(number) for number in range(axis + 1, self.last + 1))
        return math.prod(later) * (1 if self.shifts else self.lanes)

    def area(self, axis: int) -> int:
        """Elements between this axis and the next."""
        return self.block[axis] * self.pitch(axis)

    @property
    def areas(self) -> tuple[int, ...]:
        """Where the area behind each axis begins, and at last where all end."""
        sizes = (self.area(axis) for axis in range(self.last))
        return tuple(itertools.accumulate(sizes, initial=0))

    @property
    def counts(self) -> int:
        """Elements of the number of taps that count, for each position of the last axis."""
        return rounded_up(self.window[-1].out, self.lanes) if self.divisor == "valid" else 0

    @property
    def scratch(self) -> int:
        return self.areas[-1] + self.counts

    # Cost

    def cycles(self, target: Target, sources: Sequence[View], result: View) -> float:
        along = result.shape[self.lane_axis]
        vectors = elements(result.shape) / along * -(-along // self.lanes)
        return target.core.call_cycles + vectors * self.work(sources[0]).cycles(target, self.lanes)

    def work(self, source: View) -> Work:
        """For each vector of results."""
        total = self.search() if self.combine == "maximum" else Work()
        for axis in range(len(self.block)):
            total += self.along(axis).times(self.results(axis))
        strided = STRIDED if not self.shifts and source.shape[1] > self.lanes else 1.0
        total += Work(lines=strided * self.along(0).loads * self.results(0))  # the other axes read the first cache
        if self.shifts:
            total += self.along_lanes()
        return total + Work(0.0, DIVISION if self.divisor != "none" else 0.0, 1.0)

    def vectors(self, axis: int, size: int) -> int:
        """Vectors for so many positions of an axis."""
        return -(-size // self.lanes) if self.shifts and axis == self.last else size

    def results(self, reduced: int) -> float:
        """Vectors of intermediate results of an axis for each vector of the final ones."""
        later = enumerate(self.window[reduced + 1 :], start=reduced + 1)
        return math.prod(self.vectors(axis, w.size) / self.vectors(axis, w.out) for axis, w in later)

    def search(self) -> Work:
        """Each vector of the source is looked at for NaN."""
        every = math.prod(self.vectors(axis, w.size) / self.vectors(axis, w.out) for axis, w in enumerate(self.window))
        return Work(every, every, every)

    def along(self, axis: int) -> Work:
        """The work for one of a block's results along an axis."""
        w, count = self.window[axis], self.block[axis]
        starts = range(0, count * w.stride, w.stride)
        seen = {start + tap * w.dilation for start in starts for tap in range(w.kernel)}
        joins = 0
        for phase in {start % w.dilation for start in starts}:
            own = [start // w.dilation for start in starts if start % w.dilation == phase]
            joins += (maxima if self.combine == "maximum" else sums)(own, w.kernel)
        return Work(len(seen) / count, 1 + joins / count)

    def along_lanes(self) -> Work:
        """A shift and a join for each doubling on each phase, whose vectors are picked out of `stride` others."""
        w = self.window[-1]
        count = min(self.vectors(self.last, w.out), ROW_VECTORS)
        phases = min(w.stride, w.kernel)
        joins = phases * doublings(-(-w.kernel // phases), self.combine == "maximum")
        picked = phases * w.stride if w.stride > 1 else 0
        again = (count + 1) / count
        return Work(w.stride * again, (joins * (1 + shift(self.lanes)) + picked) * again + phases - 1 + 1)

    def describe(self) -> str:
        mean = {"none": "", "taps": ", divided by the taps", "valid": ", divided by the taps inside"}[self.divisor]
        what = f"window {taps_of(self.window)} {self.combine} by axes{mean}"
        return f"{what}; {lanes_on(self.lanes, self.lane_axis)}; blocks of {sizes(self.block)}"


def pooling(
    target: Target, computation: WindowReduction, source: View, result: View
) -> tuple[Window | Separable, View, View]:
    """The cheaper kernel that pools `source` into `result`, and the views that it takes of them.

    Their sums differ in the last bits, so neither rings nor shards have a say.
    """
    whole, separable = window.kernel(target, computation, result), None
    if window.lane_axis(result) != ROW_AXIS:
        seen, made, c = source, result, computation
    elif source.lookups:
        return whole, source, result
    else:
        seen, made = channels_as_rows(source), channels_as_rows(result)
        c = replace(computation, window=(WindowAxis(seen.rows), *computation.window))
        c = replace(c, counted=((0, 0), *c.counted) if c.counted else ())
    separable = kernel(target, c, made)
    if separable and separable.cycles(target, [seen], made) < whole.cycles(target, [source], result):
        return separable, seen, made
    return whole, source, result


def channels_as_rows(view: View) -> View:
    """A view of a tensor with one spatial axis as of one channel, whose rows are the channels.

    Shards then divide the channels, not the positions that lanes lie along.
    """
    (n, c, x), (by_n, by_c, by_x) = view.shape, view.strides
    border = (view.border[0], (0, 0), *view.border[1:]) if view.border else ()
    return replace(view, shape=(n, 1, c, x), strides=(by_n, 0, by_c, by_x), border=border)


def kernel(target: Target, computation: WindowReduction, result: View) -> Separable | None:
    """The kernel that pools into `result` axis by axis, or None if a window is too long for a block."""
    c, axis = computation, window.lane_axis(result)
    in_registers = c.window if axis == 1 else c.window[:-1]
    possible = c.combine in ("maximum", "add") and all(map(reached, c.window))
    if not possible or max(w.extent for w in in_registers) > LINES:
        return None
    lanes = target.lanes if axis != 1 else min(target.lanes, result.shape[1])
    found = Separable(c.window, c.combine, c.divisor, c.counted, axis, lanes, (1,) * len(in_registers))
    room = target.l1 // 2 // target.mac.sum.bytes
    block = [results(w, room // found.pitch(at)) for at, w in enumerate(in_registers)]
    return replace(found, block=tuple(block))


def results(w: WindowAxis, fitting: int) -> int:
    """Results along an axis that are computed together: the parts of the whole are about equal."""
    most = min(RESULTS, max(fitting, FEWEST), (LINES - w.extent) // w.stride + 1)
    return max(balanced(w.out, most))


def reached(w: WindowAxis) -> bool:
    """Whether the first and the last window have a tap inside."""
    return w.low < w.extent and w.start(w.out - 1) < w.size
