"""Element types: a row for each, and whatever else there is to know of one follows from its row.

Three things are kept apart: what a value is (the graph: `Element`), how it lies in memory (the plan), and what a
register holds of it (the kernels: `Element.register`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

Kind = Literal["float", "signed", "unsigned", "truth"]
Role = Literal["computed", "carried"]


@dataclass(frozen=True, eq=False)
class Element:
    """One element type; there is one object for each, so `is` compares.

    `digits` are those of a float's significand, and all bits of a whole number. `register` is the element that a load
    makes of it. `c` is its type in C; how a back end spells it follows from kind and bytes. `role` says where it may
    stand in a graph: 'computed' everywhere, 'carried' from inputs on to the Cast that converts it and from a Cast to
    outputs (weights, too, may lie so in memory).
    """

    name: str
    bytes: int
    kind: Kind
    digits: int
    register: str
    numpy: np.dtype[Any]
    c: str
    role: Role = "computed"

    @property
    def is_float(self) -> bool:
        return self.kind == "float"

    @property
    def is_integer(self) -> bool:
        return self.kind in ("signed", "unsigned")

    @property
    def is_signed(self) -> bool:
        return self.kind == "signed"

    @cached_property
    def unit(self) -> float:
        """The unit roundoff: half a unit in the last place of 1; 0 for what is never rounded."""
        return 2.0**-self.digits if self.is_float else 0.0

    @cached_property
    def _bias(self) -> int:
        """The largest exponent of a float: what sign and significand leave of its bits are the exponent's."""
        return int(2 ** (8 * self.bytes - self.digits - 1) - 1)

    @cached_property
    def least(self) -> float | int:
        """The lowest finite number."""
        return -self.most if self.is_float else -(2 ** (self.digits - 1)) if self.kind == "signed" else 0

    @cached_property
    def most(self) -> float | int:
        """The highest finite number."""
        if self.is_float:
            return math.ldexp(2.0 - 2 * self.unit, self._bias)
        return int(2 ** (self.digits - (self.kind == "signed")) - 1)

    @cached_property
    def overflow(self) -> float:
        """From here on a number is rounded to an infinity: half a unit in the last place above `most`."""
        return self.most + math.ldexp(self.unit, self._bias)

    @cached_property
    def normal(self) -> float:
        """The smallest normal number of a float: below it, digits are lost."""
        return math.ldexp(1.0, 1 - self._bias)

    @cached_property
    def tiny(self) -> float:
        """The smallest subnormal number of a float: what underflow may lose."""
        return self.normal * 2 * self.unit

    @property
    def in_register(self) -> Element:
        """The row of `register`."""
        return ELEMENTS[self.register]

    @property
    def computed(self) -> Element:
        """The element of what a load gives: itself, or of one that is not computed with, that of the register."""
        return self if self.role == "computed" else self.in_register

    def holds(self, value: float) -> bool:
        """Whether a number is one of a type that is not float."""
        return math.isfinite(value) and value == int(value) and self.least <= value <= self.most

    def exact_in(self, element: Element) -> bool:
        """Whether every number of this type is one of a float type."""
        return element.is_float and self.digits - self.is_signed <= element.digits

    def __repr__(self) -> str:
        return self.name

    __str__ = __repr__

    def __reduce__(self) -> tuple[object, ...]:
        return (_element, (self.name,))


def _element(name: str) -> Element:
    return ELEMENTS[name]


FLOAT32 = Element("float32", 4, "float", 24, "float32", np.dtype(np.float32), "float")
FLOAT16 = Element("float16", 2, "float", 11, "float32", np.dtype(np.float16), "uint16_t", "carried")
INT8 = Element("int8", 1, "signed", 8, "int32", np.dtype(np.int8), "int8_t")
INT16 = Element("int16", 2, "signed", 16, "int32", np.dtype(np.int16), "int16_t")
INT32 = Element("int32", 4, "signed", 32, "int32", np.dtype(np.int32), "int32_t")
INT64 = Element("int64", 8, "signed", 64, "int64", np.dtype(np.int64), "int64_t")
UINT8 = Element("uint8", 1, "unsigned", 8, "int32", np.dtype(np.uint8), "uint8_t")
UINT16 = Element("uint16", 2, "unsigned", 16, "int32", np.dtype(np.uint16), "uint16_t")
UINT32 = Element("uint32", 4, "unsigned", 32, "int64", np.dtype(np.uint32), "uint32_t")
BOOL = Element("bool", 1, "truth", 1, "int32", np.dtype(np.bool_), "uint8_t")

ELEMENTS: dict[str, Element] = {
    row.name: row for row in (FLOAT32, FLOAT16, INT8, INT16, INT32, INT64, UINT8, UINT16, UINT32, BOOL)
}

_OF_DTYPE = {row.numpy: row for row in ELEMENTS.values()} | {np.dtype(np.float64): FLOAT32}

COMPUTED = tuple(row for row in ELEMENTS.values() if row.role == "computed")
"""What ops compute with, and what constants are."""
VALUES = tuple(ELEMENTS.values())
"""What a value of a graph may be."""
WIDEST_BYTES = max(row.bytes for row in VALUES)
FLOATS = tuple(row for row in COMPUTED if row.is_float)
INTEGERS = tuple(row for row in COMPUTED if row.is_integer)
UNSIGNED = tuple(row for row in INTEGERS if not row.is_signed)
NUMBERS = FLOATS + INTEGERS
"""What arithmetic takes: truth values have logic instead."""


def element_of(array: np.ndarray[Any, np.dtype[Any]]) -> Element:
    """The row of an array's elements; float32 for float64, in which the interpreter computes with it.

    Raises KeyError for an array of other elements.
    """
    return _OF_DTYPE.get(array.dtype) or ELEMENTS[array.dtype.name]  # of another byte order, by name


def bits(array: np.ndarray[Any, np.dtype[Any]]) -> np.ndarray[Any, np.dtype[Any]]:
    """The elements of an array as unsigned numbers of the same bits: −0 differs from 0, and a NaN equals itself."""
    return np.asarray(array).view(f"u{array.dtype.itemsize}")
