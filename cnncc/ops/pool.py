"""Pooling over sliding windows: maximum, average, L2 and mixed; each channel alone, no parameters."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..computation import Lowering, LoweringBuilder, WindowReduction
from ..elements import FLOAT32, NUMBERS, element_of
from ..errors import ShapeError
from ..expr import Arg, Number, maximum, sqrt
from ..op import Cost, Op, Sample, as_held, expect_count, rounded
from ..types import Array, TensorType
from ..windows import Padding, WindowAxis, padded, per_axis, resolve
from .elementwise import widened


@dataclass(frozen=True)
class Pool(Op, abstract=True):
    """What the pooling ops share: the window. `stride` None means the kernel (windows side by side).

    With `ceil_mode` a last window may reach beyond the padding, if it starts before it.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...] | int | None = None
    padding: Padding = "valid"
    dilation: tuple[int, ...] | int = 1
    ceil_mode: bool = False

    def window(self, x: TensorType) -> tuple[WindowAxis, ...]:
        """The window along each spatial axis of x."""
        rank = len(self.kernel)
        stride = self.kernel if self.stride is None else self.stride
        return resolve(
            x.shape[2:],
            per_axis(self.kernel, rank, "kernel"),
            per_axis(stride, rank, "stride"),
            per_axis(self.dilation, rank, "dilation"),
            self.padding,
            self.ceil_mode,
        )

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        expect_count(self, inputs, 1)
        (x,) = inputs
        rank = len(self.kernel)
        if not 1 <= rank <= 3 or x.rank != rank + 2:
            raise ShapeError(f"a {rank}-D pooling takes (N, C, {rank} spatial axes), got {x} of {x.rank} axes")
        window = self.window(x)
        for axis in window:
            outside = axis.low >= axis.extent or axis.high >= axis.extent + axis.stride  # the first or last for certain
            if outside or not taps_inside(axis).all():
                raise ShapeError(
                    f"padding ({axis.low}, {axis.high}) reaches the pooling kernel's size {axis.kernel}: "
                    "some windows would hold padding only"
                )
        return (x.shaped((*x.shape[:2], *(axis.out for axis in window))),)

    def cost(self, *inputs: TensorType) -> Cost:
        (out,) = self.infer(*inputs)
        return Cost(flops=out.size * math.prod(self.kernel))

    def windows(self, x: Array, fill: float) -> Array:
        """x, floats in float64, as (N, C, outputs…, taps…), `fill` in the padding."""
        window = self.window(TensorType.of(x))
        pads = [(0, 0), (0, 0), *((a.low, a.high) for a in window)]
        whole = np.pad(widened(x), pads, constant_values=fill)
        axes = tuple(range(2, x.ndim))
        seen = np.lib.stride_tricks.sliding_window_view(whole, [a.extent for a in window], axes)
        steps = tuple(slice(0, (a.out - 1) * a.stride + 1, a.stride) for a in window)
        taps = tuple(slice(None, None, a.dilation) for a in window)
        return seen[(slice(None), slice(None), *steps, *taps)]

    def slide(self, pieces: LoweringBuilder, x: int, reduction: WindowReduction) -> int:
        """Append a reduction over this window."""
        return pieces.add(reduction, (x,), self.infer(pieces.types[x])[0].shape)

    @property
    def taps(self) -> tuple[int, ...]:
        """The axes of `windows` that hold taps."""
        return tuple(range(-len(self.kernel), 0))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls((2, 2)), ((1, 3, 6, 8),))
        yield Sample(cls((2, 2)), ((2, 20, 7, 5),))
        yield Sample(cls((3, 3), 2, "same"), ((1, 16, 9, 10),))
        yield Sample(cls((3, 2), (1, 2), ((1, 1), (0, 1))), ((1, 5, 6, 7),))
        yield Sample(cls((3,), 1), ((1, 4, 11),))
        yield Sample(cls((2, 2, 2), padding=1), ((1, 3, 4, 5, 6),))
        yield Sample(cls((3, 2), 2, (1, 0), (2, 3)), ((2, 5, 9, 10),))
        yield Sample(cls((3, 3), 2, ceil_mode=True), ((2, 18, 6, 8),))
        yield Sample(cls((3, 2), (2, 3), 1, ceil_mode=True), ((1, 3, 6, 7),))


def taps_inside(axis: WindowAxis, margins: tuple[int, int] = (0, 0)) -> Array:
    """For each window how many of its taps lie inside the axis, widened by `margins` (low, high)."""
    taps = axis.stride * np.arange(axis.out)[:, None] - axis.low + axis.dilation * np.arange(axis.kernel)
    return np.asarray(((taps >= -margins[0]) & (taps < axis.size + margins[1])).sum(1))


@dataclass(frozen=True)
class MaxPool(Pool):
    """Maximum over each window; padding counts as −∞ or the least number, NaN wins (as in NumPy's maximum)."""

    takes = NUMBERS

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        element = element_of(inputs[0])
        least = -np.inf if element.is_float else element.least
        return (np.asarray(self.windows(inputs[0], least).max(axis=self.taps), element.numpy),)

    def lower(self, *inputs: TensorType) -> Lowering:
        pieces = LoweringBuilder(inputs)
        return pieces.lowering(self.slide(pieces, 0, WindowReduction(self.window(inputs[0]), "maximum")))


@dataclass(frozen=True)
class Averaging(Pool, abstract=True):
    """Pools that take a mean: of the elements inside the input or, with `count_padding`, of the padding too.

    What ceil mode adds beyond the padding never counts.
    """

    count_padding: bool = False

    def margins(self, x: TensorType) -> tuple[tuple[int, int], ...]:
        """What counts of the padding, along each axis."""
        window = self.window(x)
        if not self.count_padding:
            return ((0, 0),) * len(window)
        least = padded(
            x.shape[2:],
            [axis.kernel for axis in window],
            [axis.stride for axis in window],
            [axis.dilation for axis in window],
            self.padding,
        )
        return tuple((axis.low, axis.high) for axis in least)

    def mean(self, x: Array) -> Array:
        type = TensorType.of(x)
        with np.errstate(all="ignore"):
            sums = self.windows(x, 0.0).sum(axis=self.taps)
        counts = map(taps_inside, self.window(type), self.margins(type))
        for axis, count in enumerate(counts, start=2):
            sums = sums / count.reshape(-1, *(1,) * (x.ndim - axis - 1))
        return np.asarray(sums)

    def average(self, x: TensorType) -> WindowReduction:
        window, margins = self.window(x), self.margins(x)
        taps = (
            count for axis, own in zip(window, margins, strict=True) for count in taps_inside(axis, own) - axis.kernel
        )
        return WindowReduction(window, "add", "valid", margins) if any(taps) else WindowReduction(window, "add", "taps")

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from super().samples()
        yield Sample(cls((3, 3), 2, 1, count_padding=True), ((1, 6, 7, 8),))
        yield Sample(cls((3, 2), (2, 3), 1, ceil_mode=True, count_padding=True), ((1, 3, 6, 7),))
        yield Sample(cls((2,), 3, 1, 2, ceil_mode=True, count_padding=True), ((2, 20, 9),))
        yield Sample(cls((3,), ceil_mode=True, count_padding=True), ((2, 4, 1),))


@dataclass(frozen=True)
class AveragePool(Averaging):
    """Mean over each window."""

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        return (rounded(self.mean(inputs[0])),)

    def lower(self, *inputs: TensorType) -> Lowering:
        pieces = LoweringBuilder(inputs)
        return pieces.lowering(self.slide(pieces, 0, self.average(inputs[0])))


@dataclass(frozen=True)
class MixedPool(Averaging):
    """alpha · maximum + (1 − alpha) · mean over each window (both factors rounded to float32)."""

    alpha: float = 0.5

    def factors(self) -> tuple[float, float]:
        return as_held("alpha", self.alpha, FLOAT32), as_held("alpha", 1 - self.alpha, FLOAT32)

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        outputs = super().infer(*inputs)
        if not 0 <= self.alpha <= 1:
            raise ShapeError(f"alpha={self.alpha} must lie between 0 and 1")
        return outputs

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        (x,) = inputs
        of_maximum, of_mean = self.factors()
        with np.errstate(all="ignore"):
            result = of_maximum * self.windows(x, -np.inf).max(axis=self.taps) + of_mean * self.mean(x)
        return (rounded(result),)

    def lower(self, *inputs: TensorType) -> Lowering:
        pieces = LoweringBuilder(inputs)
        of_maximum, of_mean = self.factors()
        largest = self.slide(pieces, 0, WindowReduction(self.window(inputs[0]), "maximum"))
        mean = self.slide(pieces, 0, self.average(inputs[0]))
        mixed = Number(of_maximum) * Arg(0) + Number(of_mean) * Arg(1)
        return pieces.lowering(pieces.pointwise(mixed, (largest, mean)))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from super().samples()
        yield Sample(cls((2, 3), 1, alpha=0.3), ((2, 3, 5, 6),))


@dataclass(frozen=True)
class LpPool(Pool):
    """L2 pooling: the root of the sum of squares over each window; with p = 1 the sum of absolute values."""

    p: int = 2

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        if type(self.p) is not int or self.p not in (1, 2):
            raise ShapeError(f"p={self.p!r} is not supported: expected 1 or 2")
        return super().infer(*inputs)

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        seen = self.windows(inputs[0], 0.0)
        with np.errstate(all="ignore"):
            result = np.abs(seen).sum(self.taps) if self.p == 1 else np.sqrt((seen * seen).sum(self.taps))
            return (rounded(result),)

    def lower(self, *inputs: TensorType) -> Lowering:
        pieces = LoweringBuilder(inputs)
        x = Arg(0)
        power = pieces.pointwise(maximum(x, Number(0.0) - x) if self.p == 1 else x * x, (0,))
        total = self.slide(pieces, power, WindowReduction(self.window(inputs[0]), "add"))
        return pieces.lowering(total if self.p == 1 else pieces.pointwise(sqrt(x), (total,)))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from super().samples()
        yield Sample(cls((2, 3), 1, p=1), ((2, 3, 5, 6),))
