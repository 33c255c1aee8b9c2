"""Arithmetic, element by element, under ONNX's names."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..elements import INT32, INT64, NUMBERS
from ..expr import Apply, Expr, exp, log, maximum, minimum, power, sqrt, unary
from ..functions import ieee_power
from ..integers import modulo, quotient, remainder
from ..integers import power as whole_power
from ..op import Sample
from ..types import Array
from .elementwise import Binary, Unary, Variadic


@dataclass(frozen=True)
class Add(Binary):
    """a + b with broadcasting."""

    takes = NUMBERS

    def formula(self, *x: Array) -> Array:
        return x[0] + x[1]

    def expression(self, *x: Expr) -> Expr:
        return x[0] + x[1]


@dataclass(frozen=True)
class Sub(Binary):
    """a − b with broadcasting."""

    takes = NUMBERS

    def formula(self, *x: Array) -> Array:
        return x[0] - x[1]

    def expression(self, *x: Expr) -> Expr:
        return x[0] - x[1]


@dataclass(frozen=True)
class Mul(Binary):
    """a · b with broadcasting."""

    takes = NUMBERS

    def formula(self, *x: Array) -> Array:
        return x[0] * x[1]

    def expression(self, *x: Expr) -> Expr:
        return x[0] * x[1]


@dataclass(frozen=True)
class Div(Binary):
    """a / b with broadcasting; of whole numbers toward zero, and a / 0 = 0 (see `integers`)."""

    takes = NUMBERS

    def formula(self, *x: Array) -> Array:
        return x[0] / x[1] if x[0].dtype.kind == "f" else quotient(*x)

    def expression(self, *x: Expr) -> Expr:
        return x[0] / x[1]


@dataclass(frozen=True)
class Mod(Binary):
    """The rest of a / b with broadcasting: with the sign of b (Python's `%`), or with `fmod` of a (C's `%` and `fmod`).

    The rest of a division by 0 is a of whole numbers (see `integers`), NaN of floats.
    """

    fmod: bool = False

    takes = NUMBERS

    def formula(self, *x: Array) -> Array:
        if x[0].dtype.kind == "f":
            return np.asarray(np.fmod(*x) if self.fmod else np.mod(*x))
        return remainder(*x) if self.fmod else modulo(*x)

    def expression(self, *x: Expr) -> Expr:
        return Apply("remainder" if self.fmod else "modulo", x)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), ((2, 20, 3, 7), (2, 20, 3, 7)), (INT32,))
        yield Sample(cls(True), ((1, 5, 4, 6), (5, 1, 1)), (INT32,))
        yield Sample(cls(), ((1, 3, 1, 6), (1, 3, 4, 1)), (INT64,))
        yield Sample(cls(True), ((4, 9), (9,)), (INT64,))
        yield Sample(cls(), ((2, 7, 3), (7, 1)))
        yield Sample(cls(True), ((2, 7, 3), (7, 1)))


@dataclass(frozen=True)
class Pow(Binary):
    """a to the power of b with broadcasting (IEEE 754): a finite negative a takes whole b only, else it is NaN.

    Powers of whole numbers wrap; negative ones are those of 1 / a toward zero (see `integers`).
    """

    takes = NUMBERS

    def formula(self, *x: Array) -> Array:
        return ieee_power(x[0], x[1]) if x[0].dtype.kind == "f" else whole_power(*x)

    def expression(self, *x: Expr) -> Expr:
        return power(x[0], x[1])

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from super().samples()
        yield Sample(cls(), ((1, 9), ()))


@dataclass(frozen=True)
class Min(Variadic):
    """The smallest of all inputs; NaN if one is NaN."""

    takes = NUMBERS
    meaning = np.minimum

    def combined(self, a: Expr, b: Expr) -> Expr:
        return minimum(a, b)


@dataclass(frozen=True)
class Max(Variadic):
    """The largest of all inputs; NaN if one is NaN."""

    takes = NUMBERS
    meaning = np.maximum

    def combined(self, a: Expr, b: Expr) -> Expr:
        return maximum(a, b)


@dataclass(frozen=True)
class Sum(Variadic):
    """The sum of all inputs."""

    takes = NUMBERS
    meaning = np.add

    def combined(self, a: Expr, b: Expr) -> Expr:
        return a + b


@dataclass(frozen=True)
class Mean(Variadic):
    """The mean of all inputs."""

    meaning = np.add

    def combined(self, a: Expr, b: Expr) -> Expr:
        return a + b

    def finished(self, total: Any, count: int) -> Any:
        return total / count


@dataclass(frozen=True)
class Abs(Unary):
    """|x|."""

    takes = NUMBERS

    def formula(self, *x: Array) -> Array:
        return np.abs(x[0])

    def expression(self, *x: Expr) -> Expr:
        return unary("absolute", x[0])


@dataclass(frozen=True)
class Neg(Unary):
    """−x."""

    takes = NUMBERS

    def formula(self, *x: Array) -> Array:
        return -x[0]

    def expression(self, *x: Expr) -> Expr:
        return unary("negate", x[0])


@dataclass(frozen=True)
class Exp(Unary):
    """e to the power of x."""

    def formula(self, *x: Array) -> Array:
        return np.exp(x[0])

    def expression(self, *x: Expr) -> Expr:
        return exp(x[0])


@dataclass(frozen=True)
class Log(Unary):
    """The natural logarithm: −∞ at 0, NaN below."""

    def formula(self, *x: Array) -> Array:
        return np.log(x[0])

    def expression(self, *x: Expr) -> Expr:
        return log(x[0])


@dataclass(frozen=True)
class Sqrt(Unary):
    """The square root; NaN below 0."""

    def formula(self, *x: Array) -> Array:
        return np.sqrt(x[0])

    def expression(self, *x: Expr) -> Expr:
        return sqrt(x[0])


@dataclass(frozen=True)
class Reciprocal(Unary):
    """1 / x."""

    def formula(self, *x: Array) -> Array:
        return 1 / x[0]

    def expression(self, *x: Expr) -> Expr:
        return 1 / x[0]


@dataclass(frozen=True)
class Floor(Unary):
    """The largest whole number up to x."""

    def formula(self, *x: Array) -> Array:
        return np.floor(x[0])

    def expression(self, *x: Expr) -> Expr:
        return unary("floor", x[0])


@dataclass(frozen=True)
class Ceil(Unary):
    """The smallest whole number from x on."""

    def formula(self, *x: Array) -> Array:
        return np.ceil(x[0])

    def expression(self, *x: Expr) -> Expr:
        return unary("ceil", x[0])


@dataclass(frozen=True)
class Round(Unary):
    """The nearest whole number; of two, the even one."""

    def formula(self, *x: Array) -> Array:
        return np.rint(x[0])

    def expression(self, *x: Expr) -> Expr:
        return unary("rint", x[0])


@dataclass(frozen=True)
class Sign(Unary):
    """−1, 0 or 1."""

    takes = NUMBERS

    def formula(self, *x: Array) -> Array:
        return np.sign(x[0])

    def expression(self, *x: Expr) -> Expr:
        return unary("sign", x[0])


@dataclass(frozen=True)
class Sin(Unary):
    """The sine of an angle in radians."""

    def formula(self, *x: Array) -> Array:
        return np.sin(x[0])

    def expression(self, *x: Expr) -> Expr:
        return unary("sin", x[0])


@dataclass(frozen=True)
class Cos(Unary):
    """The cosine of an angle in radians."""

    def formula(self, *x: Array) -> Array:
        return np.cos(x[0])

    def expression(self, *x: Expr) -> Expr:
        return unary("cos", x[0])
