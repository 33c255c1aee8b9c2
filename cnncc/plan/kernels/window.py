"""Pooling: a maximum or a (weighted) sum over a window, per channel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ...computation import Combine, WindowReduction
from ...machine.target import Target
from ...windows import WindowAxis
from ..cost.step import POOL_COLUMNS
from ..views import View, elements
from .base import AlongAxis, balanced, lanes_on, taps_of
from .convolution import Tile

Divisor = Literal["none", "taps", "valid"]


@dataclass(frozen=True)
class Window(AlongAxis):
    """Maximum or (weighted) sum over a window, per channel; the tile is used with lanes along the channels."""

    window: tuple[WindowAxis, ...]
    combine: Combine
    divisor: Divisor
    counted: tuple[tuple[int, int], ...]
    lane_axis: int
    lanes: int
    tile: Tile

    by_rows = True

    @property
    def sources(self) -> int:
        return 1

    @property
    def own_window(self) -> tuple[WindowAxis, ...]:
        return self.window

    def moved(self, sources: Sequence[View], result: View) -> int:
        taps = math.prod(axis.kernel for axis in self.window)
        return max(elements(result.shape) * taps, elements(sources[0].shape))

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
    """As `base.lane_axis`, of the two axes that lanes of a window can lie along: channels and columns."""
    last = view.rank - 1
    return 1 if view.strides[1] == 1 and (view.strides[last] != 1 or view.shape[1] > view.shape[last]) else last
