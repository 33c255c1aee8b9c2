"""Smooth activations: made of exp and its kin, so that small results keep all their digits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..errors import ShapeError
from ..expr import Expr, exp, minimum, multiply_add, unary, where_less
from ..functions import erf
from ..types import Array, TensorType
from .elementwise import Unary


@dataclass(frozen=True)
class Sigmoid(Unary):
    """1 / (1 + exp(−x))."""

    def formula(self, *x: Array) -> Array:
        return 1 / (1 + np.exp(-x[0]))

    def expression(self, *x: Expr) -> Expr:
        return unary("sigmoid", x[0])


@dataclass(frozen=True)
class Tanh(Unary):
    """The hyperbolic tangent."""

    def formula(self, *x: Array) -> Array:
        return np.tanh(x[0])

    def expression(self, *x: Expr) -> Expr:
        return unary("tanh", x[0])


@dataclass(frozen=True)
class Erf(Unary):
    """The error function."""

    def formula(self, *x: Array) -> Array:
        return erf(x[0])

    def expression(self, *x: Expr) -> Expr:
        return unary("erf", x[0])


@dataclass(frozen=True)
class Elu(Unary):
    """alpha · (exp(x) − 1) where x is negative, x elsewhere."""

    alpha: float = 1.0

    def formula(self, *x: Array) -> Array:
        return np.where(x[0] < 0, self.alpha * np.expm1(x[0]), x[0])

    def expression(self, *x: Expr) -> Expr:
        return where_less(x[0], 0.0, self.alpha * unary("expm1", x[0]), x[0])

    @classmethod
    def variants(cls) -> Iterator[Unary]:
        yield cls()
        yield cls(0.3)


@dataclass(frozen=True)
class Selu(Unary):
    """gamma · Elu(x) with the alpha that keeps mean and variance (Klambauer et al., 2017)."""

    alpha: float = 1.67326319217681884765625
    gamma: float = 1.05070102214813232421875

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        outputs = super().infer(*inputs)
        if not math.isfinite(self.alpha):
            raise ShapeError(f"alpha={self.alpha} must be a finite number: alpha · exp(x) − alpha has no value else")
        return outputs

    def formula(self, *x: Array) -> Array:
        return self.gamma * np.where(x[0] < 0, self.alpha * np.expm1(x[0]), x[0])

    def expression(self, *x: Expr) -> Expr:
        return self.gamma * where_less(x[0], 0.0, self.alpha * unary("expm1", x[0]), x[0])

    @classmethod
    def variants(cls) -> Iterator[Unary]:
        yield cls()
        yield cls(0.5, 2.0)


@dataclass(frozen=True)
class Celu(Unary):
    """alpha · (exp(x / alpha) − 1) where x is negative, x elsewhere."""

    alpha: float = 1.0

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        outputs = super().infer(*inputs)
        if self.alpha == 0 or not math.isfinite(self.alpha):
            raise ShapeError(f"alpha={self.alpha} must be a finite number other than 0: x is divided by it")
        return outputs

    def formula(self, *x: Array) -> Array:
        return np.where(x[0] < 0, self.alpha * np.expm1(x[0] / self.alpha), x[0])

    def expression(self, *x: Expr) -> Expr:
        return where_less(x[0], 0.0, self.alpha * unary("expm1", x[0] / self.alpha), x[0])

    @classmethod
    def variants(cls) -> Iterator[Unary]:
        yield cls()
        yield cls(0.5)


@dataclass(frozen=True)
class Gelu(Unary):
    """x · Φ(x), Φ the normal distribution: by erf, or by its approximation with 'tanh'."""

    approximate: Literal["none", "tanh"] = "none"

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        if self.approximate not in ("none", "tanh"):
            raise ShapeError(f"approximate {self.approximate!r} is unknown: expected 'none' or 'tanh'")
        return super().infer(*inputs)

    def formula(self, *x: Array) -> Array:
        if self.approximate == "tanh":
            inner = math.sqrt(2 / math.pi) * (x[0] + 0.044715 * x[0] ** 3)
            return np.asarray(0.5 * x[0] * (1 + np.tanh(inner)))
        return np.asarray(0.5 * x[0] * (1 + erf(x[0] / math.sqrt(2))))

    def expression(self, *x: Expr) -> Expr:
        """(1 + tanh(y)) / 2 is sigmoid(2y), which keeps the digits of small results."""
        if self.approximate == "tanh":
            slope = math.sqrt(8 / math.pi)
            return x[0] * unary("sigmoid", x[0] * multiply_add(x[0] * x[0], 0.044715 * slope, slope))
        half = 0.5 * x[0]
        return multiply_add(half, unary("erf", math.sqrt(0.5) * x[0]), half)

    @classmethod
    def variants(cls) -> Iterator[Unary]:
        yield cls()
        yield cls("tanh")


@dataclass(frozen=True)
class Silu(Unary):
    """x / (1 + exp(−x)), also called swish."""

    def formula(self, *x: Array) -> Array:
        return np.asarray(x[0] / (1 + np.exp(-x[0])))

    def expression(self, *x: Expr) -> Expr:
        return x[0] * unary("sigmoid", x[0])


@dataclass(frozen=True)
class Softplus(Unary):
    """log(1 + exp(x))."""

    def formula(self, *x: Array) -> Array:
        return np.logaddexp(0, x[0])

    def expression(self, *x: Expr) -> Expr:
        return unary("softplus", x[0])


@dataclass(frozen=True)
class Mish(Unary):
    """x · tanh(log(1 + exp(x)))."""

    def formula(self, *x: Array) -> Array:
        return x[0] * np.tanh(np.logaddexp(0, x[0]))

    def expression(self, *x: Expr) -> Expr:
        """With e = exp(x) and n = e (e + 2) it is x · n / (n + 2), which is x from 20 on."""
        e = exp(minimum(x[0], 20.0))
        n = e * (e + 2)
        return x[0] * (n / (n + 2))


@dataclass(frozen=True)
class Softsign(Unary):
    """x / (1 + |x|)."""

    def formula(self, *x: Array) -> Array:
        return np.asarray(x[0] / (1 + np.abs(x[0])))

    def expression(self, *x: Expr) -> Expr:
        return x[0] / (1 + unary("absolute", x[0]))
