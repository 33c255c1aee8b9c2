"""Pooling: a maximum or a (weighted) sum over a window, per channel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ...computation import Combine, WindowReduction
from ...machine.target import Target
from ...windows import WindowAxis
from ..cost.pooling import DIVISION, JOIN, TILE_LOADS, Work, careful
from ..cost.step import POOL_COLUMNS, unaligned_loads
from ..views import View, elements
from .base import AlongAxis, balanced, lanes_on, taps_of
from .convolution import Tile

Divisor = Literal["none", "taps", "valid"]


@dataclass(frozen=True)
class Pool(AlongAxis):
    """Maximum or (weighted) sum over a window, per channel."""

    window: tuple[WindowAxis, ...]
    combine: Combine
    divisor: Divisor
    counted: tuple[tuple[int, int], ...]
    lane_axis: int
    lanes: int

    by_rows = True

    @property
    def sources(self) -> int:
        return 1

    def divides_images(self, sources: Sequence[View], result: View) -> bool:
        return self.lane_axis != 0

    @property
    def own_window(self) -> tuple[WindowAxis, ...]:
        return self.window


@dataclass(frozen=True)
class Window(Pool):
    """A pool whose windows are computed one by one, or in tiles with lanes along the channels."""

    tile: Tile

    @property
    def taps(self) -> int:
        return math.prod(axis.kernel for axis in self.window)

    @property
    def in_tiles(self) -> bool:
        """Whether neighbouring results are computed together: lanes lie along the channels, and a tile is short."""
        return self.lane_axis == 1 and self.taps * self.tile.columns <= TILE_LOADS

    def cycles(self, target: Target, sources: Sequence[View], result: View) -> float:
        vectors = elements(result.shape) / result.shape[self.lane_axis] * -(-result.shape[self.lane_axis] // self.lanes)
        return target.core.call_cycles + vectors * self.work(target).cycles(target, self.lanes)

    def work(self, target: Target) -> Work:
        """For each vector of results."""
        steps = math.prod(min(axis.stride, axis.extent) for axis in self.window)
        if self.in_tiles:
            loads, joins = self.tile_work()
        else:
            step = self.window[-1].stride if self.lane_axis != 1 else 1
            loads = self.taps * (1.0 if self.lane_axis == 1 else unaligned_loads(target) * min(step, 2))
            joins = self.taps * (JOIN if self.combine == "maximum" else 1) + self.taps * (min(step, self.lanes) - 1)
        return Work(loads, joins + 1 + (DIVISION if self.divisor != "none" else 0), steps + 1)

    def tile_work(self) -> tuple[float, float]:
        """Loads and operations for each result of a tile."""
        *outer, last = self.window
        rows, columns = math.prod(axis.kernel for axis in outer), self.tile.columns
        starts = range(0, columns * last.stride, last.stride)
        seen = len({start + tap * last.dilation for start in starts for tap in range(last.kernel)}) / columns
        if self.combine != "maximum":
            return rows * seen, self.taps - 1
        return rows * seen, seen * careful(rows) + careful(last.kernel)

    def describe(self) -> str:
        mean = {"none": "", "taps": ", divided by the taps", "valid": ", divided by the taps inside"}[self.divisor]
        return f"window {taps_of(self.window)} {self.combine}{mean}; {lanes_on(self.lanes, self.lane_axis)}"


def kernel(target: Target, computation: WindowReduction, result: View) -> Window:
    """The kernel that pools into `result`."""
    axis = lane_axis(result)
    return Window(
        computation.window,
        computation.combine,
        computation.divisor,
        computation.counted,
        axis,
        min(target.lanes, result.shape[axis]),
        Tile(1, max(balanced(result.shape[-1], POOL_COLUMNS))),
    )


def lane_axis(view: View) -> int:
    """The axis that lanes of a window lie along: the channels if they are innermost in memory, else the columns.

    An axis of one element is left out: its stride depends on borders, and these must not decide how a sum is added.
    """
    last = view.rank - 1
    long = [axis for axis, size in enumerate(view.shape) if size > 1]
    return 1 if min(long, key=lambda axis: abs(view.strides[axis]), default=last) == 1 else last
