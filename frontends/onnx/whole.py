"""Functions of real numbers on whole ones: the real result, cut off toward zero, as exact arithmetic of long integers.

So every target has the same bits. What is cut off wraps to the element type of the input, as sums do.
"""

from __future__ import annotations

import math

import numpy as np

from ... import ops
from ...elements import INT32, INT64, Element
from ...ir import Value
from ...types import Array
from .call import NodeContext, Result, Unsupported
from .known import POWERS_OF_E
from .normalization import reduced
from .powers import in_element

ERF_IS_ONE = 4
"""From here on the float32 nearest to erf(x) is 1."""

NEWTON = 6
"""Steps after which a root that began less than twice too large is off by less than 2⁻⁶⁰ of itself."""


POWERS_OF_4 = np.array([4**k for k in range(1, 32)], np.int64)


def shrink(call: NodeContext) -> Result:
    """x + bias below −lambd, x − bias above lambd, 0 between; beside whole numbers the ends may be fractions."""
    lambd, bias, x = call.attribute("lambd", 0.5), call.attribute("bias", 0.0), call.value(0)
    own = call.type(x).dtype
    if not own.is_integer:
        return call.add(ops.Shrink(lambd, bias), x)
    if max(abs(lambd), abs(bias)) >= INT64.most // 2 or math.isnan(lambd + bias):
        raise Unsupported(f"Shrink of whole numbers with lambd={lambd} and bias={bias} is not supported")
    long = in_element(call, x, INT64, "long")
    below = call.add(ops.Less(), long, number(call, math.ceil(-lambd)), role="below")
    above = call.add(ops.Greater(), long, number(call, math.floor(lambd)), role="above")
    lower = call.add(ops.Where(), above, moved(call, long, -bias, "lowered"), number(call, 0), role="not below")
    result = call.add(ops.Where(), below, moved(call, long, bias, "raised"), lower, role="moved")
    return call.add(ops.Cast(own.name), result)


def moved(call: NodeContext, x: Value, by: float, role: str) -> Value:
    """x + by, cut off toward zero: the whole part is added, and a fraction leads sums below 0 nearer to it."""
    total = call.add(ops.Add(), x, number(call, math.floor(by)), role=f"{role} whole")
    if by == math.floor(by):
        return total
    negative = call.add(ops.Less(), total, number(call, 0), role=f"{role} negative")
    nearer = call.add(ops.Add(), total, number(call, 1), role=f"{role} nearer")
    return call.add(ops.Where(), negative, nearer, total, role=role)


def number(call: NodeContext, value: int, element: Element = INT64) -> Value:
    return call.constant(np.array(value, element.numpy), f"number {value}")


def erf(call: NodeContext) -> Result:
    """1 or −1 where a float32 would be, else 0."""
    x = call.value(0)
    own = call.type(x).dtype
    if not own.is_integer:
        return call.add(ops.Erf(), x)
    quarter = call.add(ops.Div(), x, number(call, ERF_IS_ONE, own), role="quarter")
    return call.add(ops.Clip(-1 if own.is_signed else None, 1), quarter)


def norm(call: NodeContext) -> Result:
    """ReduceL2: of int32 the root of the sum of squares, at most the largest number; of int64, that sum wraps.

    The upper halves of the squares of int32 tell without overflow when the root is beyond: from a sum of 2^62 on. Below
    that, what the lower halves add keeps the sum below 2^63.
    """
    over, x = reduced(call), call.value(0)
    own = call.type(x).dtype
    if own not in (INT32, INT64):
        return call.add(ops.ReduceL2(*over), x)
    long = in_element(call, x, INT64, "long")
    square = call.add(ops.Mul(), long, long, role="square")
    total = call.add(ops.ReduceSum(*over), square, role="sum")
    if own is INT64:
        return root(call, total, "")
    halves = call.add(ops.Div(), square, number(call, 2**32), role="upper halves")
    size = call.add(ops.ReduceSum(*over), halves, role="upper sum")
    beyond = call.add(ops.GreaterOrEqual(), size, number(call, 2**30), role="beyond")
    most = number(call, int(INT32.most))
    held = call.add(ops.Min(), root(call, total, "root"), most, role="held")
    return call.add(ops.Cast(own.name), call.add(ops.Where(), beyond, most, held, role="in range"))


def log_sum(call: NodeContext) -> Result:
    """ReduceLogSum: of whole numbers how many powers of e fit into the sum; of none, or less, the least number."""
    over, x = reduced(call), call.value(0)
    own = call.type(x).dtype
    if not own.is_integer:
        return call.add(ops.ReduceLogSum(*over), x)
    total = call.add(ops.ReduceSum(*over), in_element(call, x, INT64, "long"), role="sum")
    positive = call.add(ops.Greater(), total, number(call, 0), role="positive")
    fit = fits(call, total, POWERS_OF_E, "powers")
    fitting = call.add(ops.Where(), positive, fit, number(call, int(own.least)), role="fitting")
    return call.add(ops.Cast(own.name), fitting)


def fits(call: NodeContext, x: Value, limits: Array, role: str) -> Value:
    """How many of some limits are not above x."""
    rank = call.type(x).rank
    apart = call.add(ops.Unsqueeze((rank,)), x, role=f"{role} apart")
    reaches = call.add(ops.GreaterOrEqual(), apart, call.constant(limits, role), role=f"{role} reached")
    ones = call.add(ops.Cast(INT64.name), reaches, role=f"{role} ones")
    return call.add(ops.ReduceSum((rank,), False), ones, role=f"{role} count")


def root(call: NodeContext, x: Value, role: str) -> Value:
    """The root of a long whole number, cut off, by Newton's method from above; 0 below 0 (Cohen, algorithm 1.7.1)."""
    x = call.add(ops.Max(), x, number(call, 0), role="not negative")
    two = number(call, 2)
    digits = call.add(ops.Add(), fits(call, x, POWERS_OF_4, "digits"), number(call, 1), role="digits")
    found = call.add(ops.Pow(), two, digits, role="begin")
    for turn in range(NEWTON):
        other = call.add(ops.Div(), x, found, role=f"quotient {turn}")
        found = call.add(ops.Div(), call.add(ops.Add(), found, other, role=f"both {turn}"), two, role=f"mean {turn}")
    above = call.add(ops.Greater(), found, call.add(ops.Div(), x, found, role="last quotient"), role="above")
    return call.add(ops.Sub(), found, call.add(ops.Cast(INT64.name), above, role="one less"), role=role)
