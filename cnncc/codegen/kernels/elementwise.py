"""An expression for each element; broadcast operands are views with strides of 0."""

from __future__ import annotations

from ...plan.kernels import Elementwise
from ..expression import emit
from ..nest import positions
from ..registers import Index
from .family import KernelEmitter


class ElementwiseExpression(KernelEmitter[Elementwise]):
    """Emits one expression over all positions."""

    def emit(self, a: Index, b: Index) -> None:
        by_table = any(source.view.looks_up(self.k.lane_axis) for source in self.sources)
        positions(self.e, self.target.view.shape, (a, b), self.k.lane_axis, self.k.lanes, self.at, by_table)

    def at(self, position: list[Index], lanes: int) -> None:
        values = [source.load_at(position, self.k.lane_axis, lanes) for source in self.sources]
        result = emit(self.e, self.k.expr, values, [source.element for source in self.sources], lanes)
        self.target.store(result, self.target.offset(position), self.k.lane_axis)
