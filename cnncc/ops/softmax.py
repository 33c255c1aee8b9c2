"""Softmax, class probabilities, and their logarithms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..computation import Lowering, LoweringBuilder
from ..expr import Arg, exp, log
from ..op import Cost, Sample, expect_count, rounded
from ..types import Array, TensorType
from .axes import axis_of
from .images import AlongOneAxis


@dataclass(frozen=True)
class _Softmax(AlongOneAxis, abstract=True):
    """What both share: the axis, and the maximum along it, which keeps exp from overflowing and cancels.

    The maximum may leave NaN out: the sum of the powers is NaN then, and all results.
    """

    axis: int = 1

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        expect_count(self, inputs, 1)
        axis_of(self.axis, inputs[0].rank)
        return inputs

    def cost(self, *inputs: TensorType) -> Cost:
        return Cost(flops=5 * inputs[0].size)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), ((2, 10),))
        yield Sample(cls(), ((1, 21, 3, 4),))
        yield Sample(cls(-1), ((1, 3, 35),))
        yield Sample(cls(0), ((3, 4),))


@dataclass(frozen=True)
class Softmax(_Softmax):
    """exp(x − max) / Σ exp(x − max) along `axis` (ONNX's Softmax from opset 13 on)."""

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        x = inputs[0].astype(np.float64)
        with np.errstate(all="ignore"):
            powers = np.exp(x - x.max(axis=self.axis, keepdims=True))
            return (rounded(powers / powers.sum(axis=self.axis, keepdims=True)),)

    def lower(self, *inputs: TensorType) -> Lowering:
        """One division for each sum, which is 1 at least: as the greatest power is."""
        pieces, axis = LoweringBuilder(inputs), (axis_of(self.axis, inputs[0].rank),)
        largest = pieces.reduce(0, axis, "fmax", held=True)
        powers = pieces.pointwise(exp(Arg(0) - Arg(1)), (0, largest))
        share = pieces.pointwise(1 / Arg(0), (pieces.reduce(powers, axis, "add"),))
        return pieces.lowering(pieces.pointwise(Arg(0) * Arg(1), (powers, share)))


@dataclass(frozen=True)
class LogSoftmax(_Softmax):
    """The logarithm of Softmax: x − max − log Σ exp(x − max) along `axis`."""

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        x = inputs[0].astype(np.float64)
        with np.errstate(all="ignore"):
            shifted = x - x.max(axis=self.axis, keepdims=True)
            logarithm = np.log(np.exp(shifted).sum(axis=self.axis, keepdims=True))
            return (rounded(shifted - logarithm),)

    def lower(self, *inputs: TensorType) -> Lowering:
        pieces, axis = LoweringBuilder(inputs), (axis_of(self.axis, inputs[0].rank),)
        largest = pieces.reduce(0, axis, "fmax", held=True)
        shifted = pieces.pointwise(Arg(0) - Arg(1), (0, largest))
        total = pieces.reduce(pieces.pointwise(exp(Arg(0)), (shifted,)), axis, "add")
        return pieces.lowering(pieces.pointwise(Arg(0) - log(Arg(1)), (shifted, total)))
