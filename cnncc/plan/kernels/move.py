"""Copies, from one memory order into another."""

from __future__ import annotations

from dataclasses import dataclass

from ...machine.target import Target
from ..views import ROW_AXIS, View
from .base import AlongAxis, lane_axis, lanes_on


@dataclass(frozen=True)
class Move(AlongAxis):
    """A copy between two views of one shape, whatever their strides.

    With `block` > 1 and different innermost axes, squares of block × block elements are transposed in
    registers.
    """

    lane_axis: int
    source_axis: int
    lanes: int
    block: int = 1

    is_copy = True

    @property
    def sources(self) -> int:
        return 1

    def follows_tables(self, number: int, source: View) -> bool:
        return True

    def describe(self) -> str:
        block = f", squares of {self.block}" if self.block > 1 else ""
        return f"move; {lanes_on(self.lanes, self.lane_axis)}{block}"


def kernel(target: Target, source: View, result: View) -> Move:
    """Plain vectors if both views advance along one axis, transposed squares if not."""
    along, source_along = lane_axis(result), lane_axis(source)
    width = min(target.lanes, result.shape[along])
    block = 1
    by_table = source.looks_up(along) or source.looks_up(source_along)
    across = along != source_along and ROW_AXIS not in (along, source_along)
    if across and source.strides[source_along] == 1 and not by_table:
        # The source's axis fills the vectors; along the other axis the squares may have fewer rows.
        block = 1 << (min(target.lanes, result.shape[source_along]).bit_length() - 1)
        block = min(block, 1 << (width - 1).bit_length())
    return Move(along, source_along, width, block if block >= 4 else 1)
