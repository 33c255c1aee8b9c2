"""The largest or smallest elements of a fibre, in order: candidates are selected, and only these are sorted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...elements import INT32, INT64, Element
from ...lines import Ranking
from ...machine.target import Target
from ..cost import lines as cost
from ..views import View
from .base import lanes_on
from .fibre_axes import OverLines


@dataclass(frozen=True)
class FirstOfLines(OverLines):
    """The places of the first `count` elements of each fibre."""

    shape: tuple[int, ...]
    reduced: tuple[int, ...]
    count: int
    largest: bool

    def describe(self) -> str:
        return f"places of the {self.count} {'largest' if self.largest else 'smallest'} along axis {self.axis}"


@dataclass(frozen=True)
class Select(FirstOfLines):
    """Of one fibre after the other, by candidates.

    The largest of each of `groups` groups tell a bound (none: all elements are candidates). Elements that are not below
    it are candidates, of which the scratch memory has `room` for so many; when it is full, the first of them stay.
    The last wanted key is found bit by bit, if `bits`, and candidates are sorted by `digits`; else both by counting.
    """

    lanes: int
    groups: int
    room: int
    bits: bool
    digits: bool

    fibres = 1
    state = 16
    """Words of scratch memory before the candidates, a cache line."""
    values = cost.DIGITS
    """Of a digit, each with a counter."""

    @property
    def scratch(self) -> int:
        """The state, then keys and places of candidates, before and behind a sort, and counters."""
        return self.state + 4 * self.room + (self.values if self.digits else 0)

    def scratch_element(self, source: Element) -> Element:
        return INT64 if source.in_register.bytes == INT64.bytes else INT32

    def describe(self) -> str:
        sort = "digits" if self.digits else "counting"
        return f"{super().describe()}, selected, sorted by {sort}; {lanes_on(self.lanes, self.axis)}"

    def cycles(self, target: Target, sources: Sequence[View], result: View) -> float:
        close = self.axis == self.lane_axis
        return target.core.call_cycles + self.units(result) * cost.selection(target, self.size, self.count, close)


def kernel(target: Target, c: Ranking, sizes: tuple[int, ...], line: tuple[int, ...]) -> Select:
    """Twice as many groups as results, if these have two elements at least: half of them tell a near bound.

    Of elements in random order, some 1.4 times as many are candidates as are wanted.
    """
    size, count, lanes = sizes[line[0]], c.count, target.lanes
    groups, room = cost.groups(target, size, count), 2 * count + cost.SPARE + lanes
    bits, digits = cost.searches_bits(target, groups), cost.sorts_digits(target, cost.candidates(size, count, groups))
    return Select(sizes, line, count, c.largest, lanes, groups, lanes + (room if groups else size), bits, digits)
