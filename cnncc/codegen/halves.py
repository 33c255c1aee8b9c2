"""Numbers of 16 bits (IEEE 754 binary16) on registers of 32, in integers: no target needs an instruction or a library.

A register holds them as float32, of which every half is one.
"""

from __future__ import annotations

import math

from .emitter import Emitter
from .lanes import Bits, Lanes
from .registers import INT16, INT32, Ssa

DROPPED = 13  # bits of a float's significand that a half does not have
LEAST_NORMAL = 2.0**-14
SPACING = 0.5  # from here to 1, neighbouring floats are as far apart as halves are below their least normal number
BEYOND = 65536.0  # the first power of two that is none
BIAS = 2.0**112  # the exponents' biases are so far apart


def rounded(x: Lanes) -> Lanes:
    """The nearest half; of two, the even one; an infinity from 65520 on."""
    size = abs(x)
    bits = size.bits()
    even = bits.shifted_right(DROPPED) & 1
    normal = ((bits + ((1 << DROPPED - 1) - 1) + even) & -(1 << DROPPED)).floats()
    small = (size + SPACING) - SPACING
    nearest = (size < LEAST_NORMAL).where(small, (normal < BEYOND).where(normal, x.of(math.inf)))
    return (size <= math.inf).where(nearest, x).with_sign_of(x)


def widened(e: Emitter, stored: Ssa) -> Ssa:
    """The floats that 16-bit integers stand for."""
    bits = Bits(e, e.convert(stored, INT32.wide(stored.lanes), signed=False))
    size = ((bits & 0x7FFF) << DROPPED).floats() * BIAS
    special = (size.bits() | 0x7F800000).floats()  # infinities and NaN, which come out from 2^16 on
    return ((size < BEYOND).where(size, special).bits() | ((bits & 0x8000) << 16)).floats().ssa


def narrowed(e: Emitter, value: Ssa) -> Ssa:
    """The 16-bit integers that stand for floats, each of which is a half."""
    x = Lanes(e, value)
    size = abs(x)
    finite = (size * (1 / BIAS)).bits().shifted_right(DROPPED)
    special = size.equals(math.inf).choose(0x7C00, finite.of(0x7E00))
    bits = (size < BEYOND).choose(finite, special) | (x.bits().shifted_right(16) & 0x8000)
    return e.convert(bits.ssa, INT16.wide(value.lanes))
