"""Borders, filled with a value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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

    def moved(self, sources: Sequence[View], result: View) -> int:
        return self.touched(result)

    def describe(self) -> str:
        return f"fill the border with {self.value:g}"
