"""The largest or smallest elements of each fibre, in order: their places, and then the elements at these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...lines import Ranking
from ...machine.target import Target
from ..cost import lines as cost
from ..views import View
from .base import lanes_on
from .fibre_axes import OverFibres


@dataclass(frozen=True)
class Rank(OverFibres):
    """The places of the first `count` elements: of one fibre by heapsort (Williams, 1964), of several by insertion.

    For a heap, the result itself holds the places, whose root is the worst of the best so far; so it takes no other
    memory. An element that is better takes the place of the root and sinks. At last the root goes behind the others
    until none is left. n elements take n comparisons, and log `count` steps for each better one and for each result.

    Of `fibres` side by side, each lane inserts every element into its few results, which lie in registers.
    """

    shape: tuple[int, ...]
    reduced: tuple[int, ...]
    count: int
    largest: bool
    fibres: int = 1

    @property
    def sources(self) -> int:
        return 1

    def describe(self) -> str:
        which = "largest" if self.largest else "smallest"
        way = lanes_on(self.fibres, self.kept[-1]) if self.fibres > 1 else "one fibre after the other"
        return f"places of the {self.count} {which} along axis {self.reduced[0]}, {way}"

    def cycles(self, target: Target, sources: Sequence[View], result: View) -> float:
        size, core = self.shape[self.reduced[0]], target.core
        each = cost.insertion(core, size, self.count) if self.fibres > 1 else cost.heap(size, self.count)
        return core.call_cycles + self.units(result) * each


def kernel(target: Target, c: Ranking, sizes: tuple[int, ...], line: tuple[int, ...]) -> Rank:
    """By insertion where a vector of fibres has neighbours in memory, and few results."""
    (axis,) = line
    close = axis < len(sizes) - 1 and sizes[-1] >= target.lanes > 1
    return Rank(sizes, line, c.count, c.largest, target.lanes if close and c.count <= cost.FEW else 1)


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
