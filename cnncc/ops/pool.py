"""Maximum and average pooling: each channel alone, no parameters."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..computation import Lowering, WindowReduction, single
from ..errors import ShapeError
from ..op import Cost, Op, Sample, expect_count
from ..types import Array, TensorType
from ..windows import Padding, WindowAxis, per_axis, resolve


@dataclass(frozen=True)
class Pool(Op, abstract=True):
    """What the pooling ops share: the window. `stride` None means the kernel (windows side by side)."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...] | int | None = None
    padding: Padding = "valid"

    def window(self, x: TensorType) -> tuple[WindowAxis, ...]:
        """The window along each spatial axis of x."""
        rank = len(self.kernel)
        stride = self.kernel if self.stride is None else self.stride
        return resolve(
            x.shape[2:],
            per_axis(self.kernel, rank, "kernel"),
            per_axis(stride, rank, "stride"),
            (1,) * rank,
            self.padding,
        )

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        expect_count(self, inputs, 1)
        (x,) = inputs
        rank = len(self.kernel)
        if not 1 <= rank <= 3 or x.rank != rank + 2:
            raise ShapeError(f"a {rank}-D pooling takes (N, C, {rank} spatial axes), got {x} of {x.rank} axes")
        window = self.window(x)
        for axis in window:
            if max(axis.low, axis.high) >= axis.kernel:
                raise ShapeError(
                    f"padding ({axis.low}, {axis.high}) reaches the pooling kernel's size {axis.kernel}: "
                    "some windows would hold padding only"
                )
        return (TensorType((*x.shape[:2], *(axis.out for axis in window))),)

    def cost(self, *inputs: TensorType) -> Cost:
        (out,) = self.infer(*inputs)
        return Cost(flops=out.size * math.prod(self.kernel))

    def windows(self, x: Array, fill: float) -> Array:
        """x in float64 as (N, C, outputs…, taps…), `fill` in the padding."""
        window = self.window(TensorType(x.shape))
        padded = np.pad(
            x.astype(np.float64), [(0, 0), (0, 0), *((a.low, a.high) for a in window)], constant_values=fill
        )
        axes = tuple(range(2, x.ndim))
        seen = np.lib.stride_tricks.sliding_window_view(padded, self.kernel, axes)
        steps = tuple(slice(0, (a.out - 1) * a.stride + 1, a.stride) for a in window)
        return seen[(slice(None), slice(None), *steps)]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls((2, 2)), ((1, 3, 6, 8),))
        yield Sample(cls((2, 2)), ((2, 20, 7, 5),))
        yield Sample(cls((3, 3), 2, "same"), ((1, 16, 9, 10),))
        yield Sample(cls((3, 2), (1, 2), ((1, 1), (0, 1))), ((1, 5, 6, 7),))
        yield Sample(cls((3,), 1), ((1, 4, 11),))
        yield Sample(cls((2, 2, 2), padding=1), ((1, 3, 4, 5, 6),))


@dataclass(frozen=True)
class MaxPool(Pool):
    """Maximum over each window; padding counts as −∞, NaN wins (as in NumPy's maximum)."""

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        axes = tuple(range(-len(self.kernel), 0))
        return (self.windows(inputs[0], -np.inf).max(axis=axes).astype(np.float32),)

    def lower(self, *inputs: TensorType) -> Lowering:
        return single(WindowReduction(self.window(inputs[0]), "maximum"), 1, self.infer(*inputs)[0])


@dataclass(frozen=True)
class AveragePool(Pool):
    """Mean over each window: of its elements inside the input, or of all taps with `count_padding`."""

    count_padding: bool = False

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        axes = tuple(range(-len(self.kernel), 0))
        with np.errstate(all="ignore"):
            sums = self.windows(inputs[0], 0.0).sum(axis=axes)
        inside = self.windows(np.ones_like(inputs[0]), 1.0 if self.count_padding else 0.0).sum(axis=axes)
        return ((sums / inside).astype(np.float32),)

    def lower(self, *inputs: TensorType) -> Lowering:
        window = self.window(inputs[0])
        padded = any(axis.reach != (0, 0) for axis in window) and not self.count_padding
        reduction = WindowReduction(window, "add", "valid" if padded else "taps")
        return single(reduction, 1, self.infer(*inputs)[0])

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from super().samples()
        yield Sample(cls((3, 3), 2, 1, count_padding=True), ((1, 6, 7, 8),))
