"""The largest or smallest elements of each fibre, in order: their places, and then the elements at these."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ...machine.target import Target
from ..views import View
from .fibre_axes import OverFibres

STEP_CYCLES = 12
"""Of one level of a heap: the places of two children and their elements are loaded, compared and stored, in a chain."""
LOOK_CYCLES = 2
"""Of an element that is compared with the worst of the best so far, and mostly left."""


@dataclass(frozen=True)
class Rank(OverFibres):
    """The places of the first `count` elements, by heapsort (Williams, 1964).

    The result itself holds the heap of places, whose root is the worst of the best so far; so it takes no other
    memory. An element that is better takes the place of the root and sinks. At last the root goes behind the others
    until none is left. n elements take n comparisons, and log `count` steps for each better one and for each result.
    """

    shape: tuple[int, ...]
    reduced: tuple[int, ...]
    count: int
    largest: bool

    fibres = 1

    @property
    def sources(self) -> int:
        return 1

    def describe(self) -> str:
        which = "largest" if self.largest else "smallest"
        return f"places of the {self.count} {which} along axis {self.reduced[0]}, one fibre after the other"

    def cycles(self, target: Target, sources: Sequence[View], result: View) -> float:
        """Of elements in random order, number i is among the best with probability count / i."""
        size = self.shape[self.reduced[0]]
        sinking = self.count * (2 + math.log(size / self.count)) * math.log2(self.count + 1)
        each = size * LOOK_CYCLES + sinking * STEP_CYCLES
        return target.core.call_cycles + self.units(result) * each


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
        return target.core.call_cycles + self.units(result) * self.count * LOOK_CYCLES
