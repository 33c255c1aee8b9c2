"""x to the power of y, with pairs of floats: the exponent y·log(x) needs eight bits more than a float has."""

from __future__ import annotations

import math
from dataclasses import dataclass

from .functions import INFINITY, LN2_HIGH, LN2_LOW, WHOLE, exp_inside, log_ends, mantissa, rint
from .lanes import Lanes, Mask

# 3/5, 3/7, 3/9, 3/11: see `_log`. The first term left out is below 2^-34 of the logarithm.
ATANH = (3 / 11, 3 / 9, 3 / 7, 3 / 5)
TWO_THIRDS = 11184811 * 2.0**-24  # the float32 nearest to 2/3
BEYOND = 104.0  # exp of it overflows, exp of −it rounds to 0


@dataclass(frozen=True)
class Pair:
    """The unevaluated sum of two floats; the second is smaller than a unit in the last place of the first."""

    high: Lanes
    low: Lanes

    def __mul__(self, other: Pair) -> Pair:
        product = two_product(self.high, other.high)
        cross = self.high * other.low + self.low * other.high
        return fast_two_sum(product.high, product.low + cross)


def fast_two_sum(a: Lanes, b: Lanes) -> Pair:
    """a + b exactly, for |a| ≥ |b| (Dekker, 1971)."""
    total = a + b
    return Pair(total, b - (total - a))


def two_product(a: Lanes, b: Lanes) -> Pair:
    """a · b exactly, from halves of 12 bits, whose products are exact (Dekker; here split by masking)."""
    product = a * b
    if a.e.target.fma:
        return Pair(product, a.times_plus(b, -product))
    a_high, b_high = _upper(a), _upper(b)
    a_low, b_low = a - a_high, b - b_high
    error = (a_high * b_high - product) + a_high * b_low + a_low * b_high + a_low * b_low
    return Pair(product, error)


def _upper(x: Lanes) -> Lanes:
    return (x.bits() & -4096).floats()


def _log(x: Lanes) -> Pair:
    """The natural logarithm of finite x > 0, with an error below 2^-33.

    With x = m·2^k and s = (m − 1)/(m + 1), log(m) = 2 artanh(s) = 2s/3 · (3 + s² + s⁴(3/5 + 3/7 s² + …)).
    """
    k, m = mantissa(x)
    f, divisor = m - 1.0, fast_two_sum(m.of(1.0), m)
    quotient = f / divisor.high
    back = two_product(quotient, divisor.high)
    rest = (f - back.high) - back.low - quotient * divisor.low
    s = fast_two_sum(quotient, rest / divisor.high)
    z = s * s
    series = fast_two_sum(z.high.of(3.0), z.high)
    series = Pair(series.high, series.low + z.low + z.high.polynomial(ATANH) * (z.high * z.high))
    of_mantissa = s * series * Pair(x.of(TWO_THIRDS), x.of(2 / 3 - TWO_THIRDS))
    # If k is not 0, the term of k is the larger one; if k is 0, the sum is exact in any order.
    whole = fast_two_sum(k * LN2_HIGH, of_mantissa.high)
    return fast_two_sum(whole.high, whole.low + of_mantissa.low + k * LN2_LOW)


def power(x: Lanes, y: Lanes) -> Lanes:
    """x to the power of y within 2 ulp, with the special cases of IEEE 754's `pow`, which are NumPy's.

    A negative x needs a whole y (else NaN), and the result is negative if y is odd. y = 0 and x = 1 give 1, even if
    the other is NaN, and so does x = −1 with y = ±∞.
    """
    size, exponent = abs(x), abs(y)
    result = _power_of_size(size, y)
    odd = has_fraction(exponent * 0.5) & (exponent < 2 * WHOLE) & exponent.equals(rint(exponent))
    result = odd.where(result.with_sign_of(x), result)
    result = ((x < 0.0) & (x > -INFINITY) & has_fraction(exponent)).where(math.nan, result)
    one = x.equals(1.0) | y.equals(0.0) | (size.equals(1.0) & exponent.equals(INFINITY))
    return one.where(1.0, result)


def has_fraction(x: Lanes) -> Mask:
    """Where x is not a whole number; infinity and NaN count as whole."""
    return (rint(x) < x) | (rint(x) > x)


def _power_of_size(size: Lanes, y: Lanes) -> Lanes:
    """For size ≥ 0: exp(y · log(size))."""
    log = _log(size)
    estimate = y * log_ends(size, log.high)
    inside = abs(estimate) < BEYOND
    exponent = two_product(inside.where(y, 0.0), log.high)
    exponent = fast_two_sum(exponent.high, exponent.low + y * log.low)
    outside = (estimate > 0.0).where(INFINITY, (estimate < 0.0).where(0.0, estimate))
    return inside.where(exp_inside(exponent.high, exponent.low), outside)
