"""Vector versions of elementary functions; for LLVM's own, the code would call libm for each lane.

Each states its error bound in units in the last place (of the result); tests verify it over all magnitudes, on
targets with and without multiply-add. Unless stated otherwise, NaN gives NaN.

Coefficients called FIT are Chebyshev interpolations in float64 over the stated interval, converted to powers and
rounded to float32; a test recomputes them. Argument reductions follow Cody and Waite, Software Manual for the
Elementary Functions (1980); see also Muller et al., Handbook of Floating-Point Arithmetic, chapter 10.
"""

from __future__ import annotations

import math

from .lanes import Bits, Lanes

INFINITY = math.inf

# exp(x) = 2^k · exp(r), k = round(x / ln 2), r = x − k·ln 2. ln 2 is split in two parts; k times the first is exact
# (Cody and Waite).
LOG2_E = 1.4426950408889634
LN2_HIGH = 0.693359375  # 9 bits: the product with any |k| < 2^15 is exact
LN2_LOW = -2.12194440054690583e-4
EXP_OVERFLOW = 88.72283172607422  # the largest float32 whose exp is finite
EXP_UNDERFLOW = -103.97208404541016  # below it exp rounds to 0
ROUND = 12582912.0  # 1.5 · 2^23: adding it rounds to the nearest whole number
WHOLE = 8388608.0  # 2^23: from here on all floats are whole
NORMAL = 2.0**-126  # the smallest normal number

# Taylor coefficients from r^7/7! down to r^2/2!: for |r| ≤ ln 2 / 2 the first term left out is below 2^-27
# of the result, less than a quarter of a unit in the last place.
COEFFICIENTS = (1 / 5040, 1 / 720, 1 / 120, 1 / 24, 1 / 6, 1 / 2)


def exp(x: Lanes) -> Lanes:
    """exp(x) within 2 ulp; 0 below its range, +∞ above it.

    Subnormal results are scaled in two steps, so that they are rounded once.
    """
    above, below = x > EXP_OVERFLOW, x < EXP_UNDERFLOW
    result = exp_inside((above | below).where(0.0, x))
    return below.where(0.0, above.where(INFINITY, result))


def exp_inside(x: Lanes, low: Lanes | None = None) -> Lanes:
    """exp(x) for |x| ≤ 104, or exp(x + low) for |low| below a unit of x in the last place."""
    k, r = _less_ln2(x)
    if low is not None:
        r = r + low
    series = r.polynomial(COEFFICIENTS).times_plus(r * r, r) + 1.0
    return _scale(series, k)


def _less_ln2(x: Lanes) -> tuple[Lanes, Lanes]:
    """Whole k and r with x = k·ln 2 + r, |r| ≤ ln 2 / 2."""
    k = x.times_plus(LOG2_E, ROUND) - ROUND
    return k, k.times_plus(-LN2_LOW, k.times_plus(-LN2_HIGH, x))


def _scale(value: Lanes, k: Lanes) -> Lanes:
    """value · 2^k for whole k: two factors, since one alone may not be representable."""
    # NaN cannot be converted to an integer: its exponent is replaced; `value` is NaN already.
    whole = k.equals(k).where(k, 0.0).whole()
    half = whole >> 1
    return value * _power_of_two(half) * _power_of_two(whole - half)


def _power_of_two(k: Bits) -> Lanes:
    return ((k + 127) << 23).floats()


def expm1(x: Lanes) -> Lanes:
    """exp(x) − 1 within 2 ulp, also where exp(x) is near 1; keeps −0.

    2^k·(exp(r) − 1) + (2^k − 1), with all terms halved until the end, since 2^128 is not a float. Up to −20 it is −1,
    and near 0 it is x.
    """
    above = x > EXP_OVERFLOW
    safe = above.where(0.0, (x < -20.0).where(-20.0, x))
    k, r = _less_ln2(safe)
    series = r.polynomial(COEFFICIENTS).times_plus(r * r, r)
    whole = k.equals(k).where(k, 0.0).whole()
    half = _power_of_two(whole - 1)
    result = series.times_plus(half, half - 0.5) * 2.0
    return above.where(INFINITY, (abs(x) < 2.0**-26).where(x, result))


# (log(1 + f) − f + f²/2) / f³ for 1 + f in [√½, √2]: FIT, of relative error 2^-28 in log(1 + f).
LOG_TAIL = (
    0.0697161183,
    -0.114797339,
    0.116854198,
    -0.124256872,
    0.142490581,
    -0.166678026,
    0.200007156,
    -0.24999997,
    0.333333313,
)
ROOT_HALF = 0x3F3504F3  # the bits of √½


def log(x: Lanes) -> Lanes:
    """The natural logarithm within 2 ulp: −∞ at 0, NaN below 0."""
    return log_ends(x, _log_sum(*mantissa(x)))


def log1p(x: Lanes) -> Lanes:
    """log(1 + x) within 2 ulp, also for x near 0: −∞ at −1, NaN below −1; keeps −0.

    The rounding error of 1 + x is computed exactly (Knuth's two-sum). Divided by the sum it is added to the logarithm.
    """
    total = x + 1.0
    of_x = total - 1.0
    lost = (x - of_x) + (1.0 - (total - of_x))
    result = _log_sum(*mantissa(total), lost / total)
    return x.equals(0.0).where(x, log_ends(total, result))


def mantissa(x: Lanes) -> tuple[Lanes, Lanes]:
    """Whole k and m in [√½, √2) with x = m · 2^k, for finite x > 0; subnormal numbers are scaled first."""
    tiny = x < NORMAL
    bits = tiny.where(x * 2.0**24, x).bits()
    k = (bits - ROOT_HALF) >> 23
    m = (bits - (k << 23)).floats()
    return k.numbers() - tiny.where(x.of(24.0), 0.0), m


def _log_sum(k: Lanes, m: Lanes, more: Lanes | None = None) -> Lanes:
    """k·ln 2 + log(m) + more, the small terms first."""
    f = m - 1.0
    low = f.polynomial(LOG_TAIL).times_plus(f, -0.5) * (f * f)
    if more is not None:
        low = low + more
    return k.times_plus(LN2_HIGH, f + k.times_plus(LN2_LOW, low))


def log_ends(x: Lanes, result: Lanes) -> Lanes:
    """`result`, the logarithm of x, with the special values: −∞ at 0, ∞ at ∞, NaN where x has no logarithm."""
    least = x.equals(0.0).where(-INFINITY, x.of(math.nan))
    return (x > 0.0).where((x < INFINITY).where(result, x), least)


def tanh(x: Lanes) -> Lanes:
    """tanh(x) within 3 ulp; keeps −0. With t = exp(−2|x|) − 1 it is −t / (2 + t), without cancellation.

    From |x| = 10 on it is 1, so t = 2^k·(exp(r) − 1) + (2^k − 1) has −29 ≤ k ≤ 0. So 2^k follows from the lowest
    bits of k + 1.5·2^23. For NaN the power is arbitrary, and the series gives NaN.
    """
    y = abs(x) * -2.0
    k, r = _less_ln2((y < -20.0).where(-20.0, y))
    series = r.polynomial(COEFFICIENTS).times_plus(r * r, r)
    power = (((k + ROUND).bits() << 23) + (127 << 23)).floats()
    t = series.times_plus(power, power - 1.0)
    return (-t / (t + 2.0)).with_sign_of(x)


def sigmoid(x: Lanes) -> Lanes:
    """1 / (1 + exp(−x)) within 3 ulp, subnormal results included, from exp(−|x|), which does not overflow."""
    t = exp(-abs(x))
    return (x < 0.0).where(t, 1.0) / (t + 1.0)


# erf(x)/x − 1 in powers of x² for x in [0, 1]: FIT, of relative error 2^-27 in erf.
ERF_NEAR = (7.87587487e-05, -0.00080168643, 0.00518908724, -0.0268542115, 0.112835944, -0.37612626, 0.128379166)
# log(1 − erf(x)) for x in [1, 4]: FIT, of relative error 2^-27 in erf.
ERF_FAR = (
    1.6371514e-06,
    -4.6058045e-05,
    0.00059680565,
    -0.0047595962,
    0.0264211353,
    -0.110080086,
    -0.631826043,
    -1.13023341,
    0.00032013806,
)


def erf(x: Lanes) -> Lanes:
    """erf(x) within 2 ulp; keeps −0. A series up to |x| = 1, beyond it the logarithm of 1 − erf(|x|)."""
    size = abs(x)
    near = (x * x).polynomial(ERF_NEAR).times_plus(x, x)
    clamped = (size > 4.0).where(4.0, size)
    far = 1.0 - exp(clamped.polynomial(ERF_FAR))
    return (size < 1.0).where(near, far.with_sign_of(x))


def rint(x: Lanes) -> Lanes:
    """The nearest whole number, exactly; ties go to the even one, and −0.3 to −0.

    Adding and subtracting 2^23 rounds the fraction away. `llvm.roundeven` would call libm where the target has no
    instruction for it.
    """
    size = abs(x)
    rounded = ((size + WHOLE) - WHOLE).with_sign_of(x)
    return (size < WHOLE).where(rounded, x)


def floor(x: Lanes) -> Lanes:
    """The largest whole number ≤ x, exactly; keeps −0."""
    nearest = rint(x)
    return (nearest > x).where(nearest - 1.0, nearest)


def ceil(x: Lanes) -> Lanes:
    """The smallest whole number ≥ x, exactly; −0.3 gives −0."""
    return -floor(-x)


def sign(x: Lanes) -> Lanes:
    """−1, 0 or 1; NaN for NaN, and +0 for both zeros, as NumPy has it (−0 + 0 is 0)."""
    return (x > 0.0).where(1.0, (x < 0.0).where(-1.0, x + 0.0))


def where_less(x: Lanes, y: Lanes, a: Lanes, b: Lanes) -> Lanes:
    """`a` where x < y, else `b`, also where x or y is NaN."""
    return (x < y).where(a, b)
