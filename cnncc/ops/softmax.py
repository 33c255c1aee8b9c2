"""Softmax: class probabilities."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..computation import Lowering, Piece, Pointwise, Reduction
from ..errors import ShapeError
from ..expr import Arg, exp
from ..op import Cost, Op, Sample, expect_count
from ..types import Array, TensorType


@dataclass(frozen=True)
class Softmax(Op):
    """exp(x − max) / Σ exp(x − max) along `axis` (ONNX's Softmax from opset 13 on)."""

    axis: int = 1

    def _axis(self, rank: int) -> int:
        if not -rank <= self.axis < rank:
            raise ShapeError(f"axis {self.axis} does not exist in a tensor of {rank} axes")
        return self.axis % rank

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        expect_count(self, inputs, 1)
        self._axis(inputs[0].rank)
        return inputs

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        x = inputs[0].astype(np.float64)
        with np.errstate(all="ignore"):
            powers = np.exp(x - x.max(axis=self.axis, keepdims=True))
            return ((powers / powers.sum(axis=self.axis, keepdims=True)).astype(np.float32),)

    def cost(self, *inputs: TensorType) -> Cost:
        return Cost(flops=5 * inputs[0].size)

    def lower(self, *inputs: TensorType) -> Lowering:
        """The subtraction of the maximum keeps exp from overflowing; it cancels in the quotient."""
        (x,) = inputs
        axis = self._axis(x.rank)
        reduced = TensorType((*x.shape[:axis], 1, *x.shape[axis + 1 :]))
        aligned = (tuple(range(x.rank)),) * 2
        return Lowering(
            (
                Piece(Reduction((axis,), "maximum"), (0,), reduced),
                Piece(Pointwise(exp(Arg(0) - Arg(1)), aligned), (0, 1), x),
                Piece(Reduction((axis,), "add"), (2,), reduced),
                Piece(Pointwise(Arg(0) / Arg(1), aligned), (2, 3), x),
            ),
            (4,),
        )

    def images(self, *ranks: int) -> tuple[bool, ...] | None:
        return None if self._axis(ranks[0]) == 0 else (True,)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), ((2, 10),))
        yield Sample(cls(), ((1, 21, 3, 4),))
        yield Sample(cls(-1), ((1, 3, 35),))
        yield Sample(cls(0), ((3, 4),))
