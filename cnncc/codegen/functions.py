"""Vector versions of elementary functions; for LLVM's own, the code would call libm for each lane.

Each states its error bound in units in the last place (of the result); tests verify it over all magnitudes, on
targets with and without multiply-add. Unless stated otherwise, NaN gives NaN.

Coefficients called FIT are Chebyshev interpolations in float64 over the stated interval, converted to powers and
rounded to float32; those called BEST are quotients of polynomials with the least error. A test recomputes them.
Argument reductions follow Cody and Waite, Software Manual for the Elementary Functions (1980); see also Muller et al.,
Handbook of Floating-Point Arithmetic, chapter 10.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from .lanes import Bits, Lanes

INFINITY = math.inf

# exp(x) = 2^k · exp(r), k = round(x / ln 2), r = x − k·ln 2. ln 2 is split in two parts; k times the first is exact
# (Cody and Waite).
LOG2_E = 1.4426950408889634
LN2_HIGH = 0.693359375  # 9 bits: the product with any |k| < 2^15 is exact
LN2_LOW = -2.12194440054690583e-4
LEAST, MOST = -104.0, 89.0  # exp of them, and of all beyond, is 0 and +∞
ROUND = 12582912.0  # 1.5 · 2^23: adding it rounds to the nearest whole number, which is then in the lowest bits
WHOLE = 8388608.0  # 2^23: from here on all floats are whole
NORMAL = 2.0**-126  # the smallest normal number
BIAS = 127  # of the exponent of a float

# (exp(r) − 1 − r) / r² for |r| ≤ ln 2 / 2: FIT, of relative error 2^-26 in exp.
EXP_TAIL = (0.00139261759, 0.00836317334, 0.0416665561, 0.166665778, 0.5)


def exp(x: Lanes) -> Lanes:
    """exp(x) within 1.5 ulp, subnormal results included; 0 below its range, +∞ above it."""
    return exp_inside(x.clamped(LEAST, MOST))


def exp_inside(x: Lanes, low: Lanes | None = None) -> Lanes:
    """exp(x) for |x| ≤ 104, or exp(x + low) for |low| below a unit of x in the last place."""
    shifted, r = _less_ln2(x, 2 * BIAS)
    if low is not None:
        r = r + low
    return _scaled(r.polynomial((*EXP_TAIL, 1.0, 1.0)), shifted)


def _less_ln2(x: Lanes, bias: int, sign: int = 1) -> tuple[Lanes, Lanes]:
    """ROUND + bias + k for whole k, and r with ±x = k·ln 2 ± r, |r| ≤ ln 2 / 2."""
    shifted = x.times_plus(sign * LOG2_E, ROUND + bias)
    k = shifted - (ROUND + bias)
    return shifted, k.times_plus(-sign * LN2_LOW, k.times_plus(-sign * LN2_HIGH, x))


def _power_of_two(shifted: Bits) -> Lanes:
    """2^k from the bits of ROUND + BIAS + k: for −127 < k < 128. Any float, if k is NaN."""
    return (shifted << 23).floats()


def _scaled(value: Lanes, shifted: Lanes) -> Lanes:
    """value · 2^k, rounded once, from ROUND + 2·BIAS + k: by two factors, as 2^k alone may not be representable.

    The first product is exact; the second overflows to +∞ and underflows gradually.
    """
    if value.e.target.scales:
        return value.scaled(shifted - (ROUND + 2 * BIAS))
    bits = shifted.bits()
    half = bits.shifted_right(1)
    return value * _power_of_two(half) * _power_of_two(bits - half)


def expm1(x: Lanes) -> Lanes:
    """exp(x) − 1 within 2 ulp, also where exp(x) is near 1; keeps −0.

    2^k·(exp(r) − 1) + (2^k − 1), with all terms halved until the end, since 2^128 is not a float. Up to −20 it is −1,
    and near 0 it is x.
    """
    shifted, r = _less_ln2(x.clamped(-20.0, MOST), BIAS - 1)
    series = r.polynomial(EXP_TAIL).times_plus(r * r, r)
    half = _power_of_two(shifted.bits())
    result = series.times_plus(half, half - 0.5) * 2.0
    return (abs(x) < 2.0**-26).where(x, result)


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


def mantissa(x: Lanes) -> tuple[Lanes, Lanes]:
    """Whole k and m in [√½, √2) with x = m · 2^k, for finite x > 0; subnormal numbers are scaled first."""
    tiny = x < NORMAL
    bits = tiny.where(x * 2.0**24, x).bits()
    k = (bits - ROOT_HALF) >> 23
    m = (bits - (k << 23)).floats()
    return k.numbers() - tiny.where(x.of(24.0), 0.0), m


def _log_sum(k: Lanes, m: Lanes) -> Lanes:
    """k·ln 2 + log(m), the small terms first."""
    f = m - 1.0
    low = f.polynomial(LOG_TAIL).times_plus(f, -0.5) * (f * f)
    return k.times_plus(LN2_HIGH, f + k.times_plus(LN2_LOW, low))


def log_ends(x: Lanes, result: Lanes) -> Lanes:
    """`result`, the logarithm of x, with the special values: −∞ at 0, ∞ at ∞, NaN where x has no logarithm."""
    least = x.equals(0.0).where(-INFINITY, x.of(math.nan))
    return (x > 0.0).where((x < INFINITY).where(result, x), least)


UNDER = 24  # 2^-24: below it 1 / (1 + e) is 1, and times it no e up to 2^150 overflows


def sigmoid(x: Lanes) -> Lanes:
    """1 / (1 + exp(−x)) within 3 ulp, subnormal results included: both parts of the quotient times 2^-24.

    With −x = k·ln 2 − r it is 2^-24 / (2^-24 + exp(−r) · 2^(k − 24)): all exponents are in range.
    """
    shifted, r = _less_ln2(x.clamped(LEAST, 70.0), BIAS - UNDER, -1)
    series = (-r).polynomial((*EXP_TAIL, 1.0, 1.0))
    return 2.0**-UNDER / series.times_plus(_power_of_two(shifted.bits()), 2.0**-UNDER)


@dataclass(frozen=True)
class Quotient:
    """`middle` + numerator(z) / denominator(z), best on [0, `end`] in relative error: BEST, found by Remez's exchange.

    The quotient is the smaller part of the sum, so its roundings count less: without a middle, erf would err by 5 ulp.
    """

    end: float
    middle: float
    numerator: tuple[float, ...]
    denominator: tuple[float, ...]

    def __call__(self, z: Lanes) -> Lanes:
        return z.polynomial(self.numerator) / z.polynomial(self.denominator) + self.middle


# tanh(x)/x and erf(x)/x for z = x², and log(1 + z)/z.
TANH = Quotient(
    81.0,
    0.171875,
    (-1.20304875e-07, -3.58627585e-05, -0.000952018367, 0.0535199791, 0.828125),
    (7.7765543e-07, 0.000328563416, 0.0258769803, 0.467143416, 1.0),
)
ERF = Quotient(
    3.92**2,
    0.34375,
    (-1.10439532e-05, -0.000114741044, -0.00138003938, 0.0135237118, 0.0178183969, 0.784629166),
    (3.80917445e-05, 0.00116254517, 0.0149692912, 0.114109464, 0.502076805, 1.0),
)
LOG1P = Quotient(
    1.0, 0.75, (-0.0233209226, -0.231779903, -0.15820013, 0.249999985), (0.0310945641, 0.474059016, 1.36719167, 1.0)
)


def tanh(x: Lanes) -> Lanes:
    """tanh(x) within 4 ulp; keeps −0."""
    return _odd(x, TANH)


def erf(x: Lanes) -> Lanes:
    """erf(x) within 4 ulp; keeps −0."""
    return _odd(x, ERF)


def _odd(x: Lanes, slope: Quotient) -> Lanes:
    """x · slope(x²), which rises to 1 at the end of the interval and stays there: odd, and never beyond ±1."""
    end = math.sqrt(slope.end)
    inside = x.clamped(-end, end)
    return (inside * slope(inside * inside)).clamped(-1.0, 1.0)


def softplus(x: Lanes) -> Lanes:
    """log(1 + exp(x)) within 3 ulp: max(x, 0) + log(1 + exp(−|x|)), where nothing overflows and no digits are lost."""
    t = exp(-abs(x))
    return x.at_least(0.0) + t * LOG1P(t)


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
