"""An expression, element by element."""

from __future__ import annotations

from dataclasses import dataclass

from ...expr import Expr
from ...machine.target import Target
from ..views import ROW_AXIS, View
from .base import Kernel, lane_axis, lanes_on


@dataclass(frozen=True)
class Elementwise(Kernel):
    """An expression over `operands` views, element by element."""

    expr: Expr
    operands: int
    lane_axis: int
    lanes: int

    @property
    def sources(self) -> int:
        return self.operands

    @property
    def streams(self) -> bool:
        """False if a vector holds several rows of one column: in a ring it might reach beyond the last row."""
        return self.lane_axis != ROW_AXIS

    @property
    def vector_axis(self) -> int:
        return self.lane_axis

    def follows_tables(self, number: int, source: View) -> bool:
        return True

    def describe(self) -> str:
        return f"elementwise {self.expr}; {lanes_on(self.lanes, self.lane_axis)}"


def kernel(target: Target, expr: Expr, operands: int, result: View) -> Elementwise:
    """The kernel that computes `result`."""
    axis = lane_axis(result)
    return Elementwise(expr, operands, axis, min(target.lanes, result.shape[axis]))
