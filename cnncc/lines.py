"""Computations of lines: what the elements along one axis make of each other in their order.

A line is what one position of the other axes has along `axis`; each line is computed by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from .elements import INT64, Element
from .types import Array


@dataclass(frozen=True)
class Linewise:
    """A computation of lines; operand 0 has the lines, and the result as many, of some length."""

    axis: int

    def made(self, operands: Sequence[Array]) -> Array:
        """The meaning in NumPy: floats are summed in float64, whole numbers wrap."""
        raise NotImplementedError

    def element(self, elements: Sequence[Element]) -> Element:
        """The element of the result, from those of the operands."""
        return elements[0]

    def length(self, size: int) -> int:
        """The elements of a line of the result, from those of a line of operand 0."""
        return size


@dataclass(frozen=True)
class ExtremePlace(Linewise):
    """Where in a line its maximum or minimum stands: the first such place, or the `last`; a NaN is either extreme."""

    extreme: Literal["maximum", "minimum"]
    last: bool = False
    index: Element = INT64

    def made(self, operands: Sequence[Array]) -> Array:
        (x,) = operands
        find = np.argmax if self.extreme == "maximum" else np.argmin
        if not self.last:
            return np.asarray(find(x, self.axis, keepdims=True), self.index.numpy)
        from_back = find(np.flip(x, self.axis), self.axis, keepdims=True)
        return np.asarray(x.shape[self.axis] - 1 - from_back, self.index.numpy)

    def element(self, elements: Sequence[Element]) -> Element:
        return self.index

    def length(self, size: int) -> int:
        return 1


@dataclass(frozen=True)
class Ranking(Linewise):
    """The places of the `count` largest or smallest elements of a line, the best first; of equal ones the lower first.

    NaN is larger than all numbers, as it is for `numpy.sort`.
    """

    count: int
    largest: bool = True

    def made(self, operands: Sequence[Array]) -> Array:
        """By falling elements; `~x` turns the order of whole numbers around and never overflows."""
        (x,) = operands
        if x.dtype.kind == "f":
            falls, nan = (-x, ~np.isnan(x)) if self.largest else (x, np.isnan(x))
            order = np.lexsort((falls, nan), axis=self.axis)
        else:
            order = np.argsort(~x if self.largest else x, axis=self.axis, kind="stable")
        return np.asarray(order.take(range(self.count), self.axis), INT64.numpy)

    def element(self, elements: Sequence[Element]) -> Element:
        return INT64

    def length(self, size: int) -> int:
        return self.count


@dataclass(frozen=True)
class Ranked(Linewise):
    """The elements themselves: those of operand 0 at the places that operand 1, a `Ranking` of it, has."""

    count: int
    largest: bool = True

    def made(self, operands: Sequence[Array]) -> Array:
        x, places = operands
        return np.take_along_axis(x, places, self.axis)

    def length(self, size: int) -> int:
        return self.count


@dataclass(frozen=True)
class Running(Linewise):
    """The sum or product of a line up to each element, with it or, if `exclusive`, without it; if `reverse`, from the
    back.

    Elements are combined in that order, one after the other.
    """

    exclusive: bool = False
    reverse: bool = False
    combine: Literal["add", "multiply"] = "add"

    def made(self, operands: Sequence[Array]) -> Array:
        return self.along(operands[0], getattr(np, self.combine))

    def along(self, x: Array, combine: np.ufunc) -> Array:
        """What another function makes of the same elements; of none it is its identity, or else 0."""
        x = np.flip(x, self.axis) if self.reverse else x
        if self.exclusive:
            none = np.full_like(x.take([0], self.axis), combine.identity or 0)
            x = np.concatenate([none, x.take(range(x.shape[self.axis] - 1), self.axis)], self.axis)
        made = combine.accumulate(x, self.axis, dtype=x.dtype)
        return np.flip(made, self.axis) if self.reverse else made
