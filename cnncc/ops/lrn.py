"""Local response normalisation: channels that inhibit their neighbours."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..computation import Lowering, LoweringBuilder, WindowReduction
from ..errors import ShapeError
from ..expr import Arg, power
from ..op import Cost, Op, Sample, expect_count, rounded
from ..types import Array, TensorType
from ..windows import WindowAxis


@dataclass(frozen=True)
class LRN(Op):
    """Local response normalisation: x / (bias + alpha / size · Σ x²)^beta, the sum over `size` channels around each.

    The window of channel c begins ⌊(size − 1) / 2⌋ channels before it; what lies outside counts as 0 (ONNX).
    """

    size: int
    alpha: float = 1e-4
    beta: float = 0.75
    bias: float = 1.0

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        expect_count(self, inputs, 1)
        if inputs[0].rank < 2:
            raise ShapeError(f"local response normalisation takes (N, C, …), got {inputs[0]}")
        if type(self.size) is not int or self.size < 1:
            raise ShapeError(f"size={self.size!r} must be a whole number from 1 on")
        return inputs

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        x = inputs[0].astype(np.float64)
        low = (self.size - 1) // 2
        with np.errstate(all="ignore"):
            total = np.stack([(x[:, max(0, c - low) : c - low + self.size] ** 2).sum(1) for c in range(x.shape[1])], 1)
            return (rounded(x / (self.bias + self.alpha / self.size * total) ** self.beta),)

    def cost(self, *inputs: TensorType) -> Cost:
        low, high = self.reach(inputs[0].shape[1])
        return Cost(flops=(low + high + 5) * inputs[0].size)

    def reach(self, channels: int) -> tuple[int, int]:
        """How many channels before and after its own a window has, of those that there are."""
        low = (self.size - 1) // 2
        return min(low, channels - 1), min(self.size - 1 - low, channels - 1)

    def lower(self, *inputs: TensorType) -> Lowering:
        """The channels become rows of one channel, so that the sum is a window of `size` rows."""
        (x,) = inputs
        channels = x.shape[1]
        low, high = self.reach(channels)
        rows = (x.shape[0], 1, channels, math.prod(x.shape[2:]))
        window = (WindowAxis(channels, low + 1 + high, low=low, high=high), WindowAxis(rows[3]))
        pieces = LoweringBuilder(inputs)
        squares = pieces.reshape(pieces.pointwise(Arg(0) * Arg(0), (0,)), rows)
        total = pieces.add(WindowReduction(window, "add"), (squares,), rows)
        total = pieces.reshape(total, x.shape)
        divisor = power(self.bias + self.alpha / self.size * Arg(1), self.beta)
        return pieces.lowering(pieces.pointwise(Arg(0) / divisor, (0, total)))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(5), ((2, 20, 3, 4),))
        yield Sample(cls(4, 0.5, 0.6, 2.0), ((1, 7, 5),))
        yield Sample(cls(3, 1.0), ((2, 2),))
        yield Sample(cls(64, 32.0), ((2, 5, 3),))
        yield Sample(cls(8, 2.0), ((1, 5, 3),))
