"""An expression, element by element."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ...elements import FLOAT32
from ...expr import Expr
from ...machine.target import Target
from ..cost import step, transfer
from ..views import ROW_AXIS, View
from .base import AlongAxis, lane_axis, lanes_on


@dataclass(frozen=True)
class Elementwise(AlongAxis):
    """An expression over `operands` views, element by element, up to `vectors` vectors of `lanes` side by side.

    It prefetches its operands so many elements `ahead`. If it works `in_place`, some operand is the result's own
    memory, and no element is computed twice.
    """

    expr: Expr
    operands: int
    lane_axis: int
    lanes: int
    vectors: int
    ahead: int = 0
    in_place: bool = False

    by_rows = True

    @property
    def sources(self) -> int:
        return self.operands

    def follows_tables(self, number: int, source: View) -> bool:
        return True

    def divides_images(self, sources: Sequence[View], result: View) -> bool:
        return 0 not in self.run(sources, result)

    def run(self, sources: Sequence[View], result: View) -> tuple[int, ...]:
        """The lane axis, and the axes around it that follow it without a gap in every view: together one long axis.

        The row axis is the last of them, since a call computes some rows.
        """
        axes = [self.lane_axis]
        while axes[-1] != ROW_AXIS:
            others = [axis for axis in range(result.rank) if axis not in axes]
            around = [axis for axis in others if self._follows(axis, axes, sources, result)]
            if not around:
                break
            axes.append(around[0])
        return tuple(axes)

    def _follows(self, axis: int, axes: Sequence[int], sources: Sequence[View], result: View) -> bool:
        size = math.prod(result.shape[inner] for inner in axes)
        return all(
            view.strides[axis] == size * view.strides[self.lane_axis]
            and not any(view.looks_up(each) for each in (axis, *axes))
            and not (view.ring and axis == ROW_AXIS)
            for view in (result, *sources)
        )

    def side_by_side(self, count: int) -> int:
        """How many vectors of a run of `count` are computed at once, some of them twice."""
        vectors = self.vectors
        while -count % vectors > step.COMPUTED_TWICE * count:
            vectors //= 2
        return vectors

    def describe(self) -> str:
        return f"elementwise {self.expr}; {lanes_on(self.lanes, self.lane_axis)}"

    def cycles(self, target: Target, sources: Sequence[View], result: View) -> float:
        """The data move while the series are computed: the longer of the two."""
        vectors = math.prod(result.shape) / self.lanes
        return max(super().cycles(target, sources, result), vectors * step.series_cycles(target.core, self.expr))


def kernel(target: Target, expr: Expr, operands: int, result: View) -> Elementwise:
    """The kernel that computes `result`."""
    vectors = step.SIDE_BY_SIDE if step.series(expr) and not step.branches(expr) else 1
    far = 0 if step.series(expr) else transfer.prefetched(target, (operands + 1) * math.prod(result.shape), FLOAT32)
    return Elementwise(expr, operands, lane_axis(result), target.lanes, vectors, far)
