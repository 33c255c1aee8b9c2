"""Pow, whose exponent may be of another type than the base, which is also that of the result."""

from __future__ import annotations

import numpy as np

from ... import ops
from ...elements import FLOAT32, INT64, Element
from ...ir import Value
from ...types import Array
from .call import NodeContext, Result, Unsupported
from .elementwise import second

WHOLE = 2**24
"""Whole numbers up to this one are exact in float32, so an exponent stays odd or even."""


def power(call: NodeContext) -> Result:
    base, exponent = call.value(0), exponent_of(call)
    own, other = (call.type(value).dtype for value in (base, exponent))
    if own is other:
        return call.add(ops.Pow(), base, exponent)
    if own.is_float:
        return of_float(call, base, exponent, other)
    if other.is_float:
        return of_whole_by_float(call, base, exponent, own)
    return call.add(ops.Cast(own.name), of_long(call, base, exponent))


def exponent_of(call: NodeContext) -> Value:
    """The exponent; a known one of another type than the base is converted to it, where that changes no power."""
    known, own = call.known(1), call.type(call.value(0)).dtype
    if known is None or known.dtype == own.numpy or known.dtype.kind not in "iuf":
        return second(call, call.value(1))
    return second(call, call.constant(fitting(call, known, own), "exponent"))


def fitting(call: NodeContext, known: Array, own: Element) -> Array:
    """Beside floats, floats; beside whole numbers, long ones if all are whole."""
    if not own.is_float and (known == np.rint(known)).all() and (np.abs(known.astype(np.float64)) < 2.0**63).all():
        return known.astype(INT64.numpy)
    with np.errstate(over="ignore"):
        rounded = known.astype(FLOAT32.numpy)
    if own.is_float and np.any((np.abs(known.astype(np.float64)) > WHOLE) & (rounded != known)):
        raise Unsupported(
            f"{call.operator} with whole exponents beyond ±{WHOLE}, which float32 cannot hold, is not supported"
        )
    return rounded


def of_float(call: NodeContext, base: Value, exponent: Value, other: Element) -> Result:
    """A power of floats; of a large odd exponent, which no float may be, one factor is left for the end."""
    if other.exact_in(FLOAT32):
        return call.add(ops.Pow(), base, call.add(ops.Cast(FLOAT32.name), exponent, role="exponent"))
    zero, one = (call.constant(np.array(number, other.numpy), f"number {number}") for number in (0, 1))
    large = call.add(ops.Greater(), call.add(ops.Abs(), exponent, role="size"), known(call, WHOLE, other), role="large")
    odd = call.add(ops.Equal(), call.add(ops.BitwiseAnd(), exponent, one, role="last bit"), one, role="odd")
    apart = call.add(ops.And(), large, odd, role="apart")
    nearer = call.add(ops.Sub(), exponent, call.add(ops.Sign(), exponent, role="sign"), role="nearer to 0")
    even = call.add(ops.Where(), apart, nearer, exponent, role="even")
    raised = call.add(ops.Pow(), base, call.add(ops.Cast(FLOAT32.name), even, role="exponent"), role="power")
    below = call.add(ops.Less(), exponent, zero, role="below")
    factor = call.add(ops.Where(), below, call.add(ops.Reciprocal(), base, role="inverse"), base, role="factor")
    unit = call.constant(np.ones((), FLOAT32.numpy), "unit")
    return call.add(ops.Mul(), raised, call.add(ops.Where(), apart, factor, unit, role="rest"))


def known(call: NodeContext, number: int, element: Element) -> Value:
    return call.constant(np.array(number, element.numpy), f"number {number}")


def of_long(call: NodeContext, base: Value, exponent: Value) -> Value:
    """A power of whole numbers modulo 2^64: what wraps to fewer bits is what those would have made."""
    pair = ((base, "base"), (exponent, "exponent"))
    return call.add(ops.Pow(), *(in_element(call, value, INT64, role) for value, role in pair), role="power")


def in_element(call: NodeContext, value: Value, element: Element, role: str) -> Value:
    return value if call.type(value).dtype is element else call.add(ops.Cast(element.name), value, role=f"{role} cast")


def of_whole_by_float(call: NodeContext, base: Value, exponent: Value, own: Element) -> Result:
    """Exact where the exponent is whole; elsewhere a power of floats, cut off."""
    long = call.add(ops.Cast(INT64.name), exponent, role="whole exponent")
    is_whole = call.add(ops.Equal(), exponent, call.add(ops.Cast(FLOAT32.name), long, role="rounded"), role="is whole")
    exact = call.add(ops.Cast(own.name), of_long(call, base, long), role="exact")
    of_floats = call.add(ops.Pow(), call.add(ops.Cast(FLOAT32.name), base, role="float"), exponent, role="float power")
    cut = call.add(ops.Cast(own.name), of_floats, role="cut off")
    return call.add(ops.Where(), is_whole, exact, cut)
