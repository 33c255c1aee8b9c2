"""Where in each fibre its maximum or minimum stands."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ...lines import ExtremePlace
from ...machine.target import Target
from ..cost import lines as cost
from ..cost.sweep import fold_cycles
from ..views import View
from .base import lanes_on
from .fibre_axes import OverLines


@dataclass(frozen=True)
class FindExtreme(OverLines):
    """The best element so far and its place, a pair of vectors: of so many fibres or, if `within`, of parts of one."""

    shape: tuple[int, ...]
    reduced: tuple[int, ...]
    fibres: int
    lanes: int
    within: bool
    extreme: Literal["maximum", "minimum"]
    last: bool

    operations = cost.OPERATIONS
    """Of vectors, for a vector of elements."""

    def describe(self) -> str:
        which = "last" if self.last else "first"
        axis = self.axis if self.within else self.beside
        return f"place of the {which} {self.extreme} along axis {self.axis}; {lanes_on(self.lanes, axis)}"

    def cycles(self, target: Target, sources: Sequence[View], result: View) -> float:
        """Its operations; within a fibre also a fold, of pairs, for each."""
        core, width = target.core, min(target.lanes, self.lanes)
        vectors = math.prod(self.shape) / width
        folds = 2 * fold_cycles(core, width, 1) * self.units(result) if self.within else 0
        return core.call_cycles + cost.extreme(core, vectors) + folds


def kernel(target: Target, c: ExtremePlace, sizes: tuple[int, ...], line: tuple[int, ...]) -> FindExtreme:
    """Lanes lie along a long fibre that is innermost in memory, else each lane has a fibre of its own.

    Pairs fill twice the registers of single partial results.
    """
    (axis,) = line
    kept = [size for number, size in enumerate(sizes) if number != axis]
    beside = kept[-1] if kept else 1
    within = axis == len(sizes) - 1 and (sizes[axis] >= cost.LONG * target.lanes or beside < target.lanes)
    along = sizes[axis] if within else beside
    close = within or axis < len(sizes) - 1
    lanes = min(max(1, target.registers // 8) if close else 1, along // target.lanes) * target.lanes or along
    return FindExtreme(sizes, line, 1 if within else lanes, lanes, within, c.extreme, c.last)
