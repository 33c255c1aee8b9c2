"""Borders, filled with a value."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ...machine.target import Target
from ..views import ROW_AXIS, View, elements
from .base import Kernel


@dataclass(frozen=True)
class Fill(Kernel):
    """Fills the border of the target; its rows are those of the buffer, border included."""

    value: float

    only_border = True

    @property
    def sources(self) -> int:
        return 0

    def units(self, result: View) -> int:
        low, high = result.border[ROW_AXIS] if result.rank > ROW_AXIS else (0, 0)
        return low + result.rows + high

    @property
    def writes_own_rows(self) -> bool:
        """False: its rows count the border, so they differ from those of the image."""
        return False

    def divides_images(self, sources: Sequence[View], result: View) -> bool:
        """Unless the border has whole images, before or behind those of the target."""
        return result.rank > ROW_AXIS and not any(result.border[0])

    def touched(self, view: View) -> int:
        return elements(view.shape, view.border) - elements(view.shape)

    def cycles(self, target: Target, sources: Sequence[View], result: View) -> float:
        axes = sorted(range(result.rank), key=lambda axis: -result.strides[axis])
        return target.core.call_cycles + target.core.store_cycles * stores(target.lanes, result, axes)

    def moved(self, sources: Sequence[View], result: View) -> int:
        return self.touched(result)

    def describe(self) -> str:
        return f"fill the border with {self.value:g}"


def stores(lanes: int, view: View, axes: Sequence[int]) -> int:
    """Stores that fill the border of a view along axes, the innermost last: whole runs by vectors, ends one by one."""
    if not axes:
        return 0
    axis, *rest = axes
    before, after = view.border[axis]
    inside = view.shape[axis] * stores(lanes, view, rest) if any(map(any, view.border)) else 0
    extents = [sum(view.border[other]) + view.shape[other] for other in rest]
    return inside + (before + after) * (math.prod(extents[:-1]) * -(-extents[-1] // lanes) if rest else 1)
