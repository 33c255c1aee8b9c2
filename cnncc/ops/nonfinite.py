"""Truth values of floats that are no finite numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..elements import BOOL, Element
from ..expr import Apply, Expr, Number, equal, unary
from ..types import Array
from .elementwise import Unary


@dataclass(frozen=True)
class IsNaN(Unary):
    """Whether x is NaN."""

    def result(self, element: Element) -> Element:
        return BOOL

    def formula(self, *x: Array) -> Array:
        return np.isnan(x[0])

    def expression(self, *x: Expr) -> Expr:
        return unary("is_nan", x[0])


@dataclass(frozen=True)
class IsInf(Unary):
    """Whether x is ∞ (with `detect_positive`) or −∞ (with `detect_negative`)."""

    detect_negative: bool = True
    detect_positive: bool = True

    def result(self, element: Element) -> Element:
        return BOOL

    @property
    def infinities(self) -> list[float]:
        asked = {math.inf: self.detect_positive, -math.inf: self.detect_negative}
        return [infinity for infinity, detected in asked.items() if detected]

    def formula(self, *x: Array) -> Array:
        return np.isin(x[0], self.infinities)

    def expression(self, *x: Expr) -> Expr:
        ends = self.infinities
        if len(ends) == 2:
            return equal(unary("absolute", x[0]), Number(math.inf))
        if not ends:
            return Apply("less", (x[0], Number(-math.inf)))  # which holds for none
        return equal(x[0], Number(ends[0]))

    @classmethod
    def variants(cls) -> Iterator[Unary]:
        yield cls()
        yield cls(False, True)
        yield cls(True, False)
        yield cls(False, False)
