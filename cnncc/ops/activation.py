"""Activations made of straight lines (and products of such)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..elements import FLOAT32, NUMBERS, Element, element_of
from ..errors import ShapeError
from ..expr import Expr, maximum, minimum, where_less
from ..op import Sample, as_held
from ..types import Array, TensorType
from .elementwise import Binary, Unary


@dataclass(frozen=True)
class Relu(Unary):
    """max(x, 0), with NaN kept."""

    takes = NUMBERS

    def formula(self, *x: Array) -> Array:
        return np.where(x[0] < 0, 0, x[0])

    def expression(self, *x: Expr) -> Expr:
        return maximum(x[0], 0.0)


@dataclass(frozen=True)
class LeakyRelu(Unary):
    """alpha · x where x is negative, x elsewhere."""

    alpha: float = 0.01

    def formula(self, *x: Array) -> Array:
        return np.where(x[0] < 0, self.alpha * x[0], x[0])

    def expression(self, *x: Expr) -> Expr:
        return where_less(x[0], 0.0, self.alpha * x[0], x[0])

    @classmethod
    def variants(cls) -> Iterator[Unary]:
        yield cls()
        yield cls(-0.3)


@dataclass(frozen=True)
class PRelu(Binary):
    """slope · x where x is negative, x elsewhere. The slope broadcasts to x: (C, 1, 1) is one for a channel."""

    takes = NUMBERS

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        (out,) = super().infer(*inputs)
        if out.shape != inputs[0].shape:
            raise ShapeError(f"a slope of shape {inputs[1].shape} does not broadcast to {inputs[0]}")
        return (out,)

    def formula(self, *x: Array) -> Array:
        return np.where(x[0] < 0, x[1] * x[0], x[0])

    def expression(self, *x: Expr) -> Expr:
        return where_less(x[0], 0.0, x[1] * x[0], x[0])

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), ((2, 20, 3, 7), (20, 1, 1)))
        yield Sample(cls(), ((1, 5, 4, 6), (1, 5, 1, 6)))
        yield Sample(cls(), ((3, 17), (1,)))


@dataclass(frozen=True)
class Clip(Unary):
    """x between `minimum` and `maximum` (None or NaN: no end), the latter where they cross; NaN is kept.

    ReLU6 is Clip(0, 6). Ends of whole numbers are whole numbers.
    """

    minimum: float | None = None
    maximum: float | None = None

    takes = NUMBERS

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        outputs = super().infer(*inputs)
        self.ends(inputs[0].dtype)
        return outputs

    def ends(self, element: Element) -> list[float | None]:
        """Both ends as numbers of the input's type; raises ShapeError for one that is none of a type of whole numbers.

        Floats are rounded, so that a result at an end equals it: its gradient is known by that. A NaN is no end, as no
        comparison with it holds (ONNX defines Clip by comparisons).
        """
        ends = {"minimum": self.minimum, "maximum": self.maximum}
        return [None if end is None or math.isnan(end) else as_held(what, end, element) for what, end in ends.items()]

    def formula(self, *x: Array) -> Array:
        low, high = self.ends(element_of(x[0]))
        result = x[0] if low is None else np.where(x[0] < low, low, x[0])
        return result if high is None else np.where(high < result, high, result)

    def expression(self, *x: Expr) -> Expr:
        low, high = self.ends(FLOAT32)
        result = x[0] if low is None else maximum(x[0], low)
        return result if high is None else minimum(result, high)

    @classmethod
    def variants(cls) -> Iterator[Unary]:
        yield cls(-0.5, 0.7)
        yield cls(0.1)
        yield cls(None, 0.1)


@dataclass(frozen=True)
class ThresholdedRelu(Unary):
    """x where it is above alpha, 0 elsewhere, also for NaN."""

    alpha: float = 1.0

    def formula(self, *x: Array) -> Array:
        return np.where(threshold(self.alpha) < x[0], x[0], 0)

    def expression(self, *x: Expr) -> Expr:
        return where_less(threshold(self.alpha), x[0], x[0], 0.0)

    @classmethod
    def variants(cls) -> Iterator[Unary]:
        yield cls(0.5)


@dataclass(frozen=True)
class Shrink(Unary):
    """x + bias where x is below −lambd, else x − bias where it is above lambd, else 0, also for NaN."""

    lambd: float = 0.5
    bias: float = 0.0

    def formula(self, *x: Array) -> Array:
        lambd = threshold(self.lambd)
        return np.where(x[0] < -lambd, x[0] + self.bias, np.where(lambd < x[0], x[0] - self.bias, 0))

    def expression(self, *x: Expr) -> Expr:
        lambd = threshold(self.lambd)
        return where_less(x[0], -lambd, x[0] + self.bias, where_less(lambd, x[0], x[0] - self.bias, 0.0))

    @classmethod
    def variants(cls) -> Iterator[Unary]:
        yield cls()
        yield cls(0.3, 0.3)


@dataclass(frozen=True)
class HardSigmoid(Unary):
    """alpha · x + beta between 0 and 1."""

    alpha: float = 0.2
    beta: float = 0.5

    def formula(self, *x: Array) -> Array:
        return np.clip(self.alpha * x[0] + self.beta, 0, 1)

    def expression(self, *x: Expr) -> Expr:
        return hard_sigmoid(x[0], self.alpha, self.beta)

    @classmethod
    def variants(cls) -> Iterator[Unary]:
        yield cls()
        yield cls(0.5, 0.25)


@dataclass(frozen=True)
class HardSwish(Unary):
    """x · max(0, min(1, x / 6 + 1/2))."""

    def formula(self, *x: Array) -> Array:
        return x[0] * np.clip(x[0] / 6 + 0.5, 0, 1)

    def expression(self, *x: Expr) -> Expr:
        return x[0] * hard_sigmoid(x[0], 1 / 6, 0.5)


def threshold(value: float) -> float:
    """As a float, in which the comparison is made."""
    return as_held("threshold", value, FLOAT32)


def hard_sigmoid(x: Expr, alpha: float, beta: float) -> Expr:
    return maximum(minimum(x * alpha + beta, 1.0), 0.0)
