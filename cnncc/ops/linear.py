"""The dense (fully connected) layer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..computation import Contraction, Lowering, single
from ..errors import ShapeError
from ..op import Cost, Op, Sample, expect_count
from ..types import Array, TensorType


@dataclass(frozen=True)
class Dense(Op):
    """x (N, K) times weights (O, K) transposed, plus an optional bias (O,): ONNX's Gemm with transB."""

    linear_inputs = (0, 1)

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        expect_count(self, inputs, 2, 3)
        x, w, *bias = inputs
        if x.rank != 2:
            raise ShapeError(f"a dense layer takes (N, features), got {x}; flatten it first")
        if w.rank != 2 or w.shape[1] != x.shape[1]:
            raise ShapeError(f"weights of shape {w.shape} do not fit input {x}: expected (outputs, {x.shape[1]})")
        if bias and bias[0].shape != w.shape[:1]:
            raise ShapeError(f"bias of shape {bias[0].shape}, expected ({w.shape[0]},)")
        return (TensorType((x.shape[0], w.shape[0])),)

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        x, w, *bias = (array.astype(np.float64) for array in inputs)
        with np.errstate(all="ignore"):
            result = np.einsum("nk,ok->no", x, w)
            if bias:
                result = result + bias[0]
            return (result.astype(np.float32),)

    def cost(self, *inputs: TensorType) -> Cost:
        return Cost(macs=inputs[0].size * inputs[1].shape[0])

    def lower(self, *inputs: TensorType) -> Lowering:
        outputs, channels = inputs[1].shape
        contraction = Contraction((), channels, outputs, bias=len(inputs) == 3)
        return single(contraction, len(inputs), self.infer(*inputs)[0])

    def images(self, *ranks: int) -> tuple[bool, ...] | None:
        return (True, *(False for _ in ranks[1:]))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), ((1, 37), (10, 37), (10,)))
        yield Sample(cls(), ((3, 64), (130, 64)))
