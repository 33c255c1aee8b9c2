"""The places of the largest or smallest elements of several fibres side by side, in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...lines import Ranking
from ...machine.target import Target
from ..cost import lines as cost
from ..views import View
from . import selection
from .base import lanes_on
from .selection import FirstOfLines, Select


@dataclass(frozen=True)
class Rank(FirstOfLines):
    """Of some `fibres`, one a lane: it inserts every element into its few results, which lie in registers."""

    fibres: int

    def describe(self) -> str:
        return f"{super().describe()}, {lanes_on(self.fibres, self.beside)}"

    def cycles(self, target: Target, sources: Sequence[View], result: View) -> float:
        each = cost.insertion(target, self.size, self.count, self.axis < self.lane_axis)
        return target.core.call_cycles + self.units(result) * each


def kernel(target: Target, c: Ranking, sizes: tuple[int, ...], line: tuple[int, ...]) -> Rank | Select:
    """By insertion where there are fibres for the lanes, and few results, or else by selection: what costs less."""
    (axis,) = line
    select = selection.kernel(target, c, sizes, line)
    beside = select.shape[select.beside] if select.kept else 1
    lanes, close = min(target.lanes, beside), axis < len(sizes) - 1
    if c.count > cost.FEW:
        return select
    alone = cost.selection(target, sizes[axis], c.count, not close)
    together = cost.insertion(target, sizes[axis], c.count, close)
    return Rank(sizes, line, c.count, c.largest, lanes) if together <= lanes * alone else select
