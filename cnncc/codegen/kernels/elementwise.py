"""An expression for each element; broadcast operands are views with strides of 0."""

from __future__ import annotations

from collections.abc import Sequence

from ...plan.kernels import Elementwise
from ..emitter import Emitter, Index
from ..expression import emit as emit_expression
from ..memory import Access
from ..nest import positions


def emit(
    e: Emitter,
    kernel: Elementwise,
    sources: Sequence[Access],
    operands: Sequence[Access],
    target: Access,
    a: Index,
    b: Index,
) -> None:
    def at(position: list[Index], lanes: int) -> None:
        values = [source.load_at(position, kernel.lane_axis, lanes) for source in sources]
        target.store(emit_expression(e, kernel.expr, values, lanes), target.offset(position), kernel.lane_axis)

    positions(e, target.view.shape, (a, b), kernel.lane_axis, kernel.lanes, at)
