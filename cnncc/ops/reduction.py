"""Reductions over whole axes: what is done to each element, how they combine, what is done to the result."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..computation import Combine, Lowering, LoweringBuilder
from ..elements import COMPUTED, FLOATS, INT32, INT64, NUMBERS, element_of
from ..expr import Arg, Expr, exp, log, maximum, minimum, sqrt, unary
from ..functions import LARGEST
from ..integers import quotient
from ..op import Cost, Op, Sample, expect_count
from ..types import Array, TensorType
from .axes import axes_of
from .elementwise import widened


@dataclass(frozen=True)
class Reducing(Op, abstract=True):
    """A reduction over `axes` (None: all), which stay with size 1 if `keepdims`.

    A new one says `combine`, perhaps `before` and `after`, and its meaning in NumPy.
    """

    axes: tuple[int, ...] | None = None
    keepdims: bool = True

    combine: ClassVar[Combine] = "add"

    def formula(self, x: Array, axes: tuple[int, ...]) -> Array:
        """The meaning in float64, or in whole numbers as they are, with the axes kept."""
        raise NotImplementedError

    def before(self, x: Expr) -> Expr:
        return x

    def after(self, total: Expr, count: int) -> Expr:
        """The result from the combination of `count` elements."""
        return total

    def reduced(self, rank: int) -> tuple[int, ...]:
        """The axes from the front, in ascending order."""
        return tuple(range(rank)) if self.axes is None else tuple(sorted(axes_of(self.axes, rank)))

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        expect_count(self, inputs, 1)
        (x,) = inputs
        axes = self.reduced(x.rank)
        sizes = [1 if axis in axes else size for axis, size in enumerate(x.shape)]
        kept = [size for axis, size in enumerate(sizes) if self.keepdims or axis not in axes]
        return (x.shaped(kept),)

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        (x,) = inputs
        axes = self.reduced(x.ndim)
        with np.errstate(all="ignore"):
            result = self.formula(widened(x), axes)
            return (np.asarray(result if self.keepdims else result.squeeze(axes), element_of(x).numpy),)

    def cost(self, *inputs: TensorType) -> Cost:
        return Cost(flops=inputs[0].size)

    def lower(self, *inputs: TensorType) -> Lowering:
        (out,) = self.infer(*inputs)
        pieces = LoweringBuilder(inputs)
        result = self.combined(pieces, self.reduced(inputs[0].rank))
        return pieces.ending(pieces.reshape(result, out.shape))

    def combined(self, pieces: LoweringBuilder, axes: tuple[int, ...]) -> int:
        """The pieces up to the result with the axes kept."""
        count = math.prod(pieces.shape(0)[axis] for axis in axes)
        before, after = self.before(Arg(0)), self.after(Arg(0), count)
        x = 0 if before == Arg(0) else pieces.pointwise(before, (0,))
        total = pieces.reduce(x, axes, self.combine) if axes else x
        return total if after == Arg(0) else pieces.pointwise(after, (total,))

    def images(self, *ranks: int) -> tuple[bool, ...] | None:
        return None if 0 in self.reduced(ranks[0]) else (True,)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls((2, 3)), ((2, 20, 3, 7),))
        yield Sample(cls((1,), False), ((2, 5, 4),))
        yield Sample(cls((-1, 1)), ((1, 3, 4, 9),))
        yield Sample(cls(), ((3, 7),))
        yield Sample(cls(None, False), ((5,),))


@dataclass(frozen=True)
class ReduceSum(Reducing):
    """The sum."""

    takes = NUMBERS

    def formula(self, x: Array, axes: tuple[int, ...]) -> Array:
        return np.asarray(x.sum(axes, keepdims=True)) if axes else x  # NumPy begins with 0, to which −0 would be lost


@dataclass(frozen=True)
class ReduceMean(Reducing):
    """The mean; of whole numbers the quotient, toward zero, of a sum that wraps."""

    takes = (*FLOATS, INT32, INT64)

    def formula(self, x: Array, axes: tuple[int, ...]) -> Array:
        if x.dtype.kind == "f":
            return np.asarray(x.mean(axes, keepdims=True))
        total = np.asarray(x.sum(axes, x.dtype, keepdims=True))
        return quotient(total, np.asarray(x.size // total.size, x.dtype))

    def after(self, total: Expr, count: int) -> Expr:
        return total / count


@dataclass(frozen=True)
class ReduceMax(Reducing):
    """The maximum; NaN if one element is NaN; of truth values, whether any holds."""

    takes = COMPUTED
    combine: ClassVar[Combine] = "maximum"

    def formula(self, x: Array, axes: tuple[int, ...]) -> Array:
        return np.asarray(x.max(axes, keepdims=True))


@dataclass(frozen=True)
class ReduceMin(Reducing):
    """The minimum; NaN if one element is NaN; of truth values, whether all hold."""

    takes = COMPUTED
    combine: ClassVar[Combine] = "minimum"

    def formula(self, x: Array, axes: tuple[int, ...]) -> Array:
        return np.asarray(x.min(axes, keepdims=True))


@dataclass(frozen=True)
class ReduceProd(Reducing):
    """The product."""

    takes = NUMBERS
    combine: ClassVar[Combine] = "multiply"

    def formula(self, x: Array, axes: tuple[int, ...]) -> Array:
        return np.asarray(x.prod(axes, keepdims=True))


@dataclass(frozen=True)
class ReduceL1(Reducing):
    """The sum of the absolute values."""

    takes = NUMBERS

    def formula(self, x: Array, axes: tuple[int, ...]) -> Array:
        return np.asarray(np.abs(x).sum(axes, keepdims=True))

    def before(self, x: Expr) -> Expr:
        return unary("absolute", x)


@dataclass(frozen=True)
class ReduceL2(Reducing):
    """The root of the sum of squares."""

    def formula(self, x: Array, axes: tuple[int, ...]) -> Array:
        return np.asarray(np.sqrt((x * x).sum(axes, keepdims=True)))

    def before(self, x: Expr) -> Expr:
        return x * x

    def after(self, total: Expr, count: int) -> Expr:
        return sqrt(total)


@dataclass(frozen=True)
class ReduceSumSquare(Reducing):
    """The sum of squares."""

    takes = NUMBERS

    def formula(self, x: Array, axes: tuple[int, ...]) -> Array:
        return np.asarray((x * x).sum(axes, keepdims=True))

    def before(self, x: Expr) -> Expr:
        return x * x


@dataclass(frozen=True)
class ReduceLogSum(Reducing):
    """The logarithm of the sum."""

    def formula(self, x: Array, axes: tuple[int, ...]) -> Array:
        return np.asarray(np.log(x.sum(axes, keepdims=True)))

    def after(self, total: Expr, count: int) -> Expr:
        return log(total)


@dataclass(frozen=True)
class ReduceLogSumExp(Reducing):
    """The logarithm of the sum of exp(x)."""

    def formula(self, x: Array, axes: tuple[int, ...]) -> Array:
        return np.asarray(np.logaddexp.reduce(x, axes, keepdims=True)) if axes else x

    def combined(self, pieces: LoweringBuilder, axes: tuple[int, ...]) -> int:
        """log Σ exp(x − m) + m with the maximum m, or the finite number nearest to it: then ∞ − ∞ never meets."""
        largest = pieces.reduce(0, axes, "maximum", held=True) if axes else 0
        shift = pieces.pointwise(maximum(minimum(Arg(0), LARGEST), -LARGEST), (largest,))
        powers = pieces.pointwise(exp(Arg(0) - Arg(1)), (0, shift))
        total = pieces.reduce(powers, axes, "add") if axes else powers
        return pieces.pointwise(log(Arg(0)) + Arg(1), (total, shift))
