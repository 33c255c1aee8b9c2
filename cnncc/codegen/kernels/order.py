"""The order of elements: the largest or the smallest first; NaN is larger than all numbers, and −0 equals 0."""

from __future__ import annotations

from ..emitter import Emitter
from ..instructions import Predicate
from ..registers import INT32, Ssa

INFINITY = 0x7F80_0000  # the bits of it


def ahead(e: Emitter, largest: bool, a: Ssa, b: Ssa) -> Ssa:
    """Whether element `a` stands before `b` wherever it is."""
    better: Predicate = ">" if largest else "<"
    result = e.compare(better, a, b)
    if a.type.kind != "float":
        return result
    nan, number = (a, b) if largest else (b, a)
    return e.binary("or", result, e.binary("and", e.unordered(nan, nan), e.compare("==", number, number)))


def key(e: Emitter, value: Ssa, largest: bool) -> Ssa:
    """A whole number that is larger the earlier an element stands, and equal for equal ones.

    The bits of a float are in order but for the sign, which stands for a complement of the others here.
    """
    if value.type.kind == "float":
        value = _bits_in_order(e, value)
    return value if largest else e.binary("xor", value, e.constant(-1, value.type))


def _bits_in_order(e: Emitter, value: Ssa) -> Ssa:
    whole = INT32.wide(value.lanes)
    bits = e.reinterpret(e.binary("add", value, e.number(0.0, value.lanes)), whole)
    sign = e.binary("shift_right", bits, e.constant(31, whole))
    order = e.binary("xor", bits, e.binary("and", sign, e.constant(2**31 - 1, whole)))
    return e.select(e.unordered(value, value), e.constant(INFINITY + 1, whole), order)
