"""Comparisons, element by element, whose results are truth values; no order holds where either side is NaN."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..elements import BOOL, COMPUTED, INT32, INT64, NUMBERS, Element
from ..expr import Expr, equal, less, less_equal, unary
from ..op import Sample
from ..types import Array
from .elementwise import Binary


@dataclass(frozen=True)
class Comparison(Binary, abstract=True):
    """A truth value of two numbers, with broadcasting."""

    takes = NUMBERS

    def result(self, element: Element) -> Element:
        return BOOL

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from super().samples()
        yield Sample(cls(), ((2, 7, 3), (7, 1)), (INT32,))
        yield Sample(cls(), ((3, 19), (3, 19)), (INT64,))


@dataclass(frozen=True)
class Equal(Comparison):
    """a = b; also of truth values."""

    takes = COMPUTED

    def formula(self, *x: Array) -> Array:
        return np.equal(*x)

    def expression(self, *x: Expr) -> Expr:
        return equal(*x)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield from super().samples()
        yield Sample(cls(), ((2, 17), (17,)), (BOOL,))


@dataclass(frozen=True)
class NotEqual(Equal):
    """a ≠ b, which holds where either is NaN; also of truth values."""

    def formula(self, *x: Array) -> Array:
        return np.not_equal(*x)

    def expression(self, *x: Expr) -> Expr:
        return unary("not", equal(*x))


@dataclass(frozen=True)
class Less(Comparison):
    """a < b."""

    def formula(self, *x: Array) -> Array:
        return np.less(*x)

    def expression(self, *x: Expr) -> Expr:
        return less(*x)


@dataclass(frozen=True)
class LessOrEqual(Comparison):
    """a ≤ b."""

    def formula(self, *x: Array) -> Array:
        return np.less_equal(*x)

    def expression(self, *x: Expr) -> Expr:
        return less_equal(*x)


@dataclass(frozen=True)
class Greater(Comparison):
    """a > b."""

    def formula(self, *x: Array) -> Array:
        return np.greater(*x)

    def expression(self, *x: Expr) -> Expr:
        return less(x[1], x[0])


@dataclass(frozen=True)
class GreaterOrEqual(Comparison):
    """a ≥ b."""

    def formula(self, *x: Array) -> Array:
        return np.greater_equal(*x)

    def expression(self, *x: Expr) -> Expr:
        return less_equal(x[1], x[0])
