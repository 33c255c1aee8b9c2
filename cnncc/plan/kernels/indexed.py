"""Reads and writes at indices that arrive, over views in the form of `plan.indexed`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ...computation import ScatterCombine
from ...elements import Element
from ...machine.target import Target
from ..cost import step
from ..views import View
from .base import AlongAxis, lanes_on


@dataclass(frozen=True)
class IndexedRead(AlongAxis):
    """Elements of the first source at the indices in the second, which count the first one's last axis.

    Vectors lie along the last axis of the result: `whole` if one index serves all of it, so that they are copied, or
    else one element after the other is read into each.
    """

    lane_axis: int
    lanes: int
    whole: bool

    @property
    def sources(self) -> int:
        return 2

    @property
    def roles(self) -> list[str]:
        return ["source", "indices"]

    def moved(self, sources: Sequence[View], result: View) -> int:
        return math.prod(result.shape)

    def cycles(self, target: Target, sources: Sequence[View], result: View) -> float:
        count = self.moved(sources, result)
        return step.moved(target.core, count, self.lanes) if self.whole else step.indexed(target.core, count)

    def describe(self) -> str:
        return f"lookup of {'runs' if self.whole else 'elements'}; {lanes_on(self.lanes, self.lane_axis)}"


@dataclass(frozen=True)
class IndexedWrite(AlongAxis):
    """A copy of the first source, into which the third, at the indices in the second, is written or combined.

    The indices count the result's last axis. Vectors of the copy lie along `lane_axis`, those of the updates, `lanes`
    of them, along the axis before the last: `whole` if one index serves all of it, or else they are single elements.
    """

    combine: ScatterCombine
    lane_axis: int
    copied: int
    lanes: int
    whole: bool

    @property
    def sources(self) -> int:
        return 3

    @property
    def roles(self) -> list[str]:
        return ["source", "indices", "updates"]

    def cycles(self, target: Target, sources: Sequence[View], result: View) -> float:
        count = math.prod(sources[2].shape)
        copy = step.moved(target.core, math.prod(result.shape), self.copied)
        return copy + (
            step.moved(target.core, 2 * count, self.lanes) if self.whole else step.indexed(target.core, count)
        )

    def describe(self) -> str:
        return (
            f"scatter, {self.combine}; copy with {lanes_on(self.copied, self.lane_axis)}, updates {self.lanes} at once"
        )


def lookup(target: Target, indices: View, result: View, element: Element) -> IndexedRead:
    """The kernel for a lookup on views of `plan.indexed`."""
    along = result.rank - 1
    whole = indices.strides[along] == 0
    return IndexedRead(along, min(_lanes(target, element) if whole else target.lanes, result.shape[along]), whole)


def scatter(target: Target, combine: ScatterCombine, indices: View, result: View, element: Element) -> IndexedWrite:
    """The kernel for a scatter on views of `plan.indexed`."""
    along, last = result.rank - 2, result.rank - 1
    whole = indices.strides[along] == 0 and result.strides[along] == 1
    lanes = _lanes(target, element) if combine == "replace" else target.lanes
    copied = last if result.strides[last] == 1 and result.shape[last] > 1 else along
    return IndexedWrite(
        combine,
        copied,
        min(_lanes(target, element), result.shape[copied]),
        min(lanes, result.shape[along]) if whole else 1,
        whole,
    )


def _lanes(target: Target, element: Element) -> int:
    """Elements of a vector that is only moved."""
    return 1 if target.lanes == 1 else 4 * target.lanes // element.bytes
