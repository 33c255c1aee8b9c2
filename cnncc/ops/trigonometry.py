"""Functions of angles, their hyperbolic relatives, and the inverses of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..expr import Expr, unary
from ..functions import FUNCTIONS
from ..types import Array
from .elementwise import Unary


@dataclass(frozen=True)
class Named(Unary, abstract=True):
    """A function of the vocabulary, alone."""

    function: ClassVar[str]

    def formula(self, *x: Array) -> Array:
        return np.asarray(FUNCTIONS[self.function].meaning(x[0]))

    def expression(self, *x: Expr) -> Expr:
        return unary(self.function, x[0])


@dataclass(frozen=True)
class Sin(Named):
    """The sine of an angle in radians."""

    function = "sin"


@dataclass(frozen=True)
class Cos(Named):
    """The cosine of an angle in radians."""

    function = "cos"


@dataclass(frozen=True)
class Tan(Named):
    """The tangent of an angle in radians."""

    function = "tan"


@dataclass(frozen=True)
class Asin(Named):
    """The angle whose sine is x, between −π/2 and π/2; NaN beyond ±1."""

    function = "asin"


@dataclass(frozen=True)
class Acos(Named):
    """The angle whose cosine is x, between 0 and π; NaN beyond ±1."""

    function = "acos"


@dataclass(frozen=True)
class Atan(Named):
    """The angle whose tangent is x, between −π/2 and π/2."""

    function = "atan"


@dataclass(frozen=True)
class Sinh(Named):
    """The hyperbolic sine: (exp(x) − exp(−x)) / 2."""

    function = "sinh"


@dataclass(frozen=True)
class Cosh(Named):
    """The hyperbolic cosine: (exp(x) + exp(−x)) / 2."""

    function = "cosh"


@dataclass(frozen=True)
class Asinh(Named):
    """The number whose hyperbolic sine is x."""

    function = "asinh"


@dataclass(frozen=True)
class Acosh(Named):
    """The number from 0 on whose hyperbolic cosine is x; NaN below 1."""

    function = "acosh"


@dataclass(frozen=True)
class Atanh(Named):
    """The number whose hyperbolic tangent is x; NaN beyond ±1."""

    function = "atanh"
