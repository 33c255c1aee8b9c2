"""The largest or smallest elements of each fibre, in order: their places, and then the elements at these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...lines import Ranking
from ...machine.target import Target
from ..cost import lines as cost
from ..views import View
from . import selection
from .base import lanes_on
from .fibre_axes import OverFibres
from .selection import Select


@dataclass(frozen=True)
class Rank(OverFibres):
    """The places of the first `count` elements of some `fibres`, one a lane.

    Each lane inserts every element into its few results, which lie in registers.
    """

    shape: tuple[int, ...]
    reduced: tuple[int, ...]
    count: int
    largest: bool
    fibres: int

    @property
    def sources(self) -> int:
        return 1

    def describe(self) -> str:
        which = "largest" if self.largest else "smallest"
        beside = self.kept[-1] if self.kept else self.lane_axis
        return f"places of the {self.count} {which} along axis {self.reduced[0]}, {lanes_on(self.fibres, beside)}"

    def cycles(self, target: Target, sources: Sequence[View], result: View) -> float:
        (axis,) = self.reduced
        each = cost.insertion(target, self.shape[axis], self.count, axis < self.lane_axis)
        return target.core.call_cycles + self.units(result) * each


def kernel(target: Target, c: Ranking, sizes: tuple[int, ...], line: tuple[int, ...]) -> Rank | Select:
    """By insertion where there are fibres for the lanes, and few results, or else by selection: what costs less."""
    (axis,) = line
    select = selection.kernel(target, c, sizes, line)
    beside = select.shape[select.kept[-1]] if select.kept else 1
    lanes, close = min(target.lanes, beside), axis < len(sizes) - 1
    if c.count > cost.FEW:
        return select
    alone = cost.selection(target, sizes[axis], c.count, not close)
    together = cost.insertion(target, sizes[axis], c.count, close)
    return Rank(sizes, line, c.count, c.largest, lanes) if together <= lanes * alone else select


@dataclass(frozen=True)
class Pick(OverFibres):
    """The elements of the first source at `count` places of each fibre that the second one has."""

    shape: tuple[int, ...]
    reduced: tuple[int, ...]
    count: int

    fibres = 1

    @property
    def sources(self) -> int:
        return 2

    @property
    def roles(self) -> list[str]:
        return ["elements", "places"]

    def describe(self) -> str:
        return f"elements at {self.count} places along axis {self.reduced[0]}"

    def cycles(self, target: Target, sources: Sequence[View], result: View) -> float:
        return target.core.call_cycles + self.units(result) * cost.picking(self.count)
