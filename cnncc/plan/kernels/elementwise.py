"""An expression, element by element."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...expr import Expr
from ...machine.target import Target
from ..cost import step
from ..views import View, elements
from .base import AlongAxis, lane_axis, lanes_on


@dataclass(frozen=True)
class Elementwise(AlongAxis):
    """An expression over `operands` views, element by element."""

    expr: Expr
    operands: int
    lane_axis: int
    lanes: int

    by_rows = True

    @property
    def sources(self) -> int:
        return self.operands

    def follows_tables(self, number: int, source: View) -> bool:
        return True

    def cycles(self, target: Target, sources: Sequence[View], result: View) -> float:
        along = max(1, min(self.lanes, target.lanes))
        series = step.series_cycles(target.core, self.expr) * elements(result.shape) / along
        return super().cycles(target, sources, result) + series

    def describe(self) -> str:
        return f"elementwise {self.expr}; {lanes_on(self.lanes, self.lane_axis)}"


def kernel(target: Target, expr: Expr, operands: int, result: View) -> Elementwise:
    """The kernel that computes `result`."""
    axis = lane_axis(result)
    return Elementwise(expr, operands, axis, min(target.lanes, result.shape[axis]))
