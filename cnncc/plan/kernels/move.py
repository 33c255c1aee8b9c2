"""Copies, from one memory order into another."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ...elements import Element
from ...machine.target import Target
from ..cost import step, transfer
from ..views import View
from .base import AlongAxis, lane_axis, lanes_on

Form = Literal["runs", "squares", "dealt out", "collected"]


@dataclass(frozen=True)
class Move(AlongAxis):
    """A copy between two views of one shape, whatever their strides.

    - "runs": both sides advance along `lane_axis`.
    - "squares": the innermost axes differ; squares of block × block elements are transposed in registers, in strips
      across `outer_axis`, so many squares wide.
    - "dealt out": so do they, and the target's has a few elements, `block`, in the source as many rows: vectors of
      these rows are interleaved. "collected" is the inverse, with a few elements in the source's axis.

    Runs prefetch the source so many elements `ahead`.
    """

    form: Form
    lane_axis: int
    source_axis: int
    lanes: int
    block: int = 1
    outer_axis: int = 0
    squares: int = 1
    ahead: int = 0

    is_copy = True

    @property
    def sources(self) -> int:
        return 1

    def follows_tables(self, number: int, source: View) -> bool:
        return True

    def cycles(self, target: Target, sources: Sequence[View], result: View) -> float:
        return step.moved(target.core, self.moved(sources, result), self.lanes)

    def describe(self) -> str:
        block = {"runs": "", "squares": f", squares of {self.block}"}.get(self.form, f", {self.block} rows {self.form}")
        return f"move; {lanes_on(self.lanes, self.lane_axis)}{block}"


def kernel(target: Target, source: View, result: View, element: Element) -> Move:
    """The kernel for a copy whose axes stand in the order of the result's memory (`plan.moves`).

    Squares go along the longer axis, so that the lines of the shorter one, which each strip meets again, stay in the
    first cache; but not where lines that are half written would evict each other there. Two squares side by side read
    or write whole lines.
    """
    along, source_along = lane_axis(result), lane_axis(source)
    lanes = 1 if target.lanes == 1 else 4 * target.lanes // element.bytes
    size, source_size = result.shape[along], result.shape[source_along]
    lanes_moved = min(lanes, size)
    if along == source_along or lanes == 1 or not adjacent(source, result, along, source_along):
        return Move("runs", along, along, lanes_moved, ahead=ahead(target, result, element))
    if size <= transfer.SMALL_AXIS and result.strides[source_along] == size:
        return Move("dealt out", along, source_along, min(lanes, source_size), size)
    if source_size <= transfer.SMALL_AXIS and source.strides[along] == source_size:
        return Move("collected", along, source_along, lanes_moved, source_size)
    block = 1 << (min(lanes, source_size, max(4, transfer.SQUARE_BYTES // element.bytes)).bit_length() - 1)
    if block < 4 or size < 4 or source.strides[along] == 0:
        return Move("runs", along, along, lanes_moved)
    crowded = result.strides[source_along] * element.bytes % (transfer.conflict_stride(target.core) or math.inf) == 0
    outer = along if size > source_size and not crowded else source_along
    return Move("squares", along, source_along, block, block, outer, 1 if crowded else transfer.SQUARES)


def ahead(target: Target, result: View, element: Element) -> int:
    """How far a copy prefetches, in elements: not at all if source and result stay in the second cache."""
    return transfer.prefetched(target, 2 * math.prod(result.shape), element)


def adjacent(source: View, result: View, along: int, source_along: int) -> bool:
    """Whether elements are neighbours in memory along both axes, each on its side, and neither is read by a table."""
    plain = not (source.looks_up(along) or source.looks_up(source_along))
    return plain and result.strides[along] == 1 and source.strides[source_along] == 1
