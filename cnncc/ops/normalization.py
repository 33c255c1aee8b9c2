"""Batch normalisation (inference form)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..computation import Lowering, Piece, Pointwise
from ..errors import ShapeError
from ..expr import Arg, multiply_add, sqrt
from ..op import Cost, Op, Sample, expect_count
from ..types import Array, TensorType


@dataclass(frozen=True)
class BatchNormalization(Op):
    """(x − mean) / sqrt(variance + epsilon) · scale + bias, per channel (axis 1).

    Inputs as in ONNX: x (N, C, …), scale, bias, mean, variance, each (C,).
    """

    epsilon: float = 1e-5

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        expect_count(self, inputs, 5)
        x, *statistics = inputs
        if x.rank < 2:
            raise ShapeError(f"batch normalisation takes (N, C, …), got {x}")
        for what, vector in zip(("scale", "bias", "mean", "variance"), statistics, strict=True):
            if vector.shape != (x.shape[1],):
                raise ShapeError(f"{what} of shape {vector.shape}, expected ({x.shape[1]},)")
        return (x,)

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        x, *statistics = (array.astype(np.float64) for array in inputs)
        per_channel = (1, -1, *(1,) * (x.ndim - 2))
        scale, bias, mean, variance = (vector.reshape(per_channel) for vector in statistics)
        with np.errstate(all="ignore"):
            result = (x - mean) / np.sqrt(variance + self.epsilon) * scale + bias
            return (result.astype(np.float32),)

    def cost(self, *inputs: TensorType) -> Cost:
        return Cost(flops=2 * inputs[0].size)

    def lower(self, *inputs: TensorType) -> Lowering:
        """factor = scale / sqrt(variance + ε); shift = bias − mean · factor; result = x · factor + shift."""
        x, vector = inputs[0], inputs[1]
        factor = Pointwise(Arg(0) / sqrt(Arg(1) + self.epsilon), ((0,), (0,)))
        shift = Pointwise(Arg(0) - Arg(1) * Arg(2), ((0,), (0,), (0,)))
        affine = Pointwise(multiply_add(Arg(0), Arg(1), Arg(2)), (tuple(range(x.rank)), (1,), (1,)))
        return Lowering(
            (
                Piece(factor, (1, 4), vector),
                Piece(shift, (2, 3, 5), vector),
                Piece(affine, (0, 5, 6), x),
            ),
            (7,),
        )

    def images(self, *ranks: int) -> tuple[bool, ...] | None:
        return (True, False, False, False, False)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), ((2, 20, 4, 5), *((20,),) * 4))
        yield Sample(cls(1e-3), ((1, 7), *((7,),) * 4))
