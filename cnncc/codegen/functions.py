"""Vector functions of our own: LLVM would call libm for them, lane by lane."""

from __future__ import annotations

from .emitter import Emitter, Ssa, lanes_of

# exp(x) = 2^k · exp(r), k = round(x / ln 2), r = x − k·ln 2 with ln 2 split in two parts, so that k times the
# first is exact (Cody and Waite, Software Manual for the Elementary Functions, 1980).
LOG2_E = 1.4426950408889634
LN2_HIGH = 0.693359375  # 9 bits: exact times any |k| < 2^15
LN2_LOW = -2.12194440054690583e-4
LARGEST = 88.72283172607422  # the largest float32 whose exp is finite
SMALLEST = -103.97208404541016  # below it exp rounds to 0
ROUND = 12582912.0  # 1.5 · 2^23: adding it rounds to the nearest whole number

# Taylor coefficients from r^7/7! down to r^2/2!: for |r| ≤ ln 2 / 2 the first term left out is below 2^-27
# of the result, less than a quarter of a unit in the last place.
COEFFICIENTS = (1 / 5040, 1 / 720, 1 / 120, 1 / 24, 1 / 6, 1 / 2)


def exp(e: Emitter, x: Ssa) -> Ssa:
    """exp(x) within 2 units in the last place; 0 below its range, +∞ above it, NaN for NaN.

    Results below the normal numbers are scaled in two steps, so that they round once.
    """
    lanes = lanes_of(x.type)

    def number(value: float) -> Ssa:
        return e.number(value, lanes)

    above = e.compare_floats("ogt", x, number(LARGEST))
    below = e.compare_floats("olt", x, number(SMALLEST))
    outside = e.assign(above.type, f"or {above.type} {above}, {below}")
    safe = e.select(outside, number(0.0), x)
    shifted = e.multiply_add(safe, number(LOG2_E), number(ROUND))
    k = e.binary("fsub", shifted, number(ROUND))
    r = e.multiply_add(k, number(-LN2_HIGH), safe)
    r = e.multiply_add(k, number(-LN2_LOW), r)
    tail = number(COEFFICIENTS[0])
    for coefficient in COEFFICIENTS[1:]:
        tail = e.multiply_add(tail, r, number(coefficient))
    r2 = e.binary("fmul", r, r)
    series = e.binary("fadd", e.multiply_add(tail, r2, r), number(1.0))
    result = _scale(e, series, k)
    result = e.select(above, number(float("inf")), result)
    return e.select(below, number(0.0), result)


def _scale(e: Emitter, value: Ssa, k: Ssa) -> Ssa:
    """value · 2^k for whole k: two factors, since one alone may not be representable."""
    lanes = lanes_of(value.type)
    integer = "i32" if lanes == 1 else f"<{lanes} x i32>"

    def numbers(value: int) -> str:
        return str(value) if lanes == 1 else "<" + ", ".join([f"i32 {value}"] * lanes) + ">"

    # NaN has no whole number: its exponent is replaced, the NaN is in `value` already.
    known = e.compare_floats("oeq", k, k)
    whole = e.assign(integer, f"fptosi {value.type} {e.select(known, k, e.number(0.0, lanes))} to {integer}")
    half = e.assign(integer, f"ashr {integer} {whole}, {numbers(1)}")
    rest = e.assign(integer, f"sub {integer} {whole}, {half}")
    for exponent in (half, rest):
        biased = e.assign(integer, f"add {integer} {exponent}, {numbers(127)}")
        bits = e.assign(integer, f"shl {integer} {biased}, {numbers(23)}")
        factor = e.assign(value.type, f"bitcast {integer} {bits} to {value.type}")
        value = e.binary("fmul", value, factor)
    return value
