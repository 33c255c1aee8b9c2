"""Square roots; where there is no instruction for them, digit by digit in integers: LLVM would call the C library."""

from __future__ import annotations

import math

from .emitter import Emitter
from .registers import FLOAT, INT32, Ssa

DIGITS = 25  # of a float's significand, and one that rounds
NORMAL = 2.0**-126  # the smallest normal number


def square_root(e: Emitter, x: Ssa) -> Ssa:
    """The nearest float to √x; keeps −0, and is NaN below it."""
    if e.target.float_unit:
        return e.unary("square_root", x)
    zero, infinity, nan = (e.number(value, x.lanes) for value in (0.0, math.inf, math.nan))
    finite = e.select(e.compare("<", x, infinity), _of_positive(e, x), x)
    result = e.select(e.compare(">", x, zero), finite, e.binary("add", x, x))
    return e.select(e.compare("<", x, zero), nan, result)


def _of_positive(e: Emitter, x: Ssa) -> Ssa:
    """√(m · 2^2k) = √m · 2^k with m in [1, 4); a subnormal number is scaled by a power of 4 before."""
    tiny = e.compare("<", x, e.number(NORMAL, x.lanes))
    normal = e.select(tiny, e.binary("multiply", x, e.number(2.0**48, x.lanes)), x)
    bits = e.reinterpret(normal, INT32.wide(x.lanes))
    one, place = e.constant(1, bits.type), e.constant(23, bits.type)
    exponent = e.binary("subtract", e.binary("shift_right", bits, place), e.constant(127, bits.type))
    fraction = e.binary("and", bits, e.constant((1 << 23) - 1, bits.type))
    significand = e.binary("or", fraction, e.constant(1 << 23, bits.type))
    digits = _root(e, e.binary("shift_left", significand, e.binary("and", exponent, one)))
    power = e.binary("shift_left", e.binary("shift_right", exponent, one), place)
    unit = e.constant(126 << 23, bits.type)  # the digits' first one adds 1 to the exponent
    root = e.reinterpret(e.binary("add", e.binary("add", digits, unit), power), FLOAT.wide(x.lanes))
    return e.select(tiny, e.binary("multiply", root, e.number(2.0**-24, x.lanes)), root)


def _root(e: Emitter, m: Ssa) -> Ssa:
    """√(m · 2^23), rounded to the nearest integer: digit after digit from the highest, as by hand (fdlibm, e_sqrtf.c).

    No root is half way between two integers, so the last digit decides.
    """
    zero, one, top = (e.constant(value, m.type) for value in (0, 1, 1 << DIGITS - 1))
    with e.loop(0, DIGITS, carry=[e.binary("shift_left", m, one), zero, zero, top]) as loop:
        rest, twice, root, digit = loop.values
        taken = e.binary("add", twice, digit)
        fits = e.compare("<=", taken, rest)
        rest = e.select(fits, e.binary("subtract", rest, taken), rest)
        loop.next(
            [
                e.binary("shift_left", rest, one),
                e.select(fits, e.binary("add", taken, digit), twice),
                e.select(fits, e.binary("add", root, digit), root),
                e.binary("shift_right", digit, one),
            ]
        )
    root = loop.results[2]
    return e.binary("shift_right", e.binary("add", root, e.binary("and", root, one)), one)
