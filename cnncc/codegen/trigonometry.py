"""sin, cos and tan of any float: from r, what |x| has beyond whole quarter turns, and the number of these.

Up to 6400, q·π/2 is subtracted in parts of 12 bits, whose products with q are exact (Cody and Waite, Software Manual
for the Elementary Functions, 1980).

Beyond, the angle is reduced with integer arithmetic, which is exact (Payne and Hanek, Radian Reduction for
Trigonometric Functions, 1983): |x| · 2/π is the angle in quarter turns. Only the last two bits before its point matter,
and those after it. With |x| = m · 2^(e − 150), e the biased exponent, these are the low bits of m times a window of the
bits of 2/π. The window begins at a bit that depends on e; bits further left give whole turns. Vectors without such a
lane branch around this.
"""

from __future__ import annotations

import itertools
import math

from .functions import INFINITY, ROUND
from .lanes import Bits, Lanes
from .power import Pair, fast_two_sum
from .registers import Ssa

# The bits of 2/π in words of 32, after a word of zeros; the last window begins in word 4 and reads up to word 7.
TWO_OVER_PI = (0, 0xA2F9836E, 0x4E441529, 0xFC2757D1, 0xF534DDC0, 0xDB629599, 0x3C439041, 0xFE5163AB)
STARTS = 5  # words in which a window of 96 bits may begin
FIRST = 120  # the exponent whose window begins with the table
NEAR = 6400.0  # up to here, 4096 quarter turns: their number has 12 bits
QUARTER = (1.5703125, 0.0004837512969970703, 7.549533620476723e-08, 2.5633440682570896e-12)
HALF_PI = 13176795 * 2.0**-23  # the float32 nearest to π/2
HALF_PI_LOW = -4.37113900018624e-08  # π/2 − HALF_PI

# Taylor coefficients of (sin(r) − r)/r³ and (cos(r) − 1 + r²/2)/r⁴ in powers of r²: for |r| ≤ π/4 the first terms left
# out are below 2^-28 of the result.
SINE = (1 / 362880, -1 / 5040, 1 / 120, -1 / 6)
COSINE = (-1 / 3628800, 1 / 40320, -1 / 720, 1 / 24)


def sin(x: Lanes) -> Lanes:
    """sin(x) within 2 ulp for any angle; keeps −0, NaN at ±∞."""
    return _turned(x, 0) * x.of(1.0).with_sign_of(x)


def cos(x: Lanes) -> Lanes:
    """cos(x) within 2 ulp for any angle; NaN at ±∞."""
    return _turned(x, 1)


def tan(x: Lanes) -> Lanes:
    """tan(x) within 4 ulp for any angle; keeps −0, NaN at ±∞."""
    turns, r = _reduced(abs(x))
    sine, cosine = _sine_and_cosine(r)
    even = (turns & 1).equals(0)
    return even.where(sine, -cosine) / even.where(cosine, sine) * x.of(1.0).with_sign_of(x)


def _sine_and_cosine(r: Lanes) -> tuple[Lanes, Lanes]:
    """For |r| ≤ π/4."""
    z = r * r
    return z.polynomial(SINE).times_plus(z * r, r), z.polynomial((*COSINE, -0.5, 1.0))


def _turned(x: Lanes, quarters: int) -> Lanes:
    """sin(|x| + quarters · π/2)."""
    turns, r = _reduced(abs(x))
    sine, cosine = _sine_and_cosine(r)
    turns = turns + quarters
    result = (turns & 1).equals(0).where(sine, cosine)
    return ((turns & 2) << 30 ^ result.bits()).floats()


def _reduced(size: Lanes) -> tuple[Bits, Lanes]:
    """Whole q, correct in its last two bits, and r with size = q · π/2 + r, |r| ≤ π/4."""
    shifted = size.times_plus(2 / math.pi, ROUND)
    q, r = shifted - ROUND, size
    for part in QUARTER:
        r = q.times_plus(-part, r)
    far = size > NEAR

    def beyond() -> list[Ssa]:
        whole, rest = _quarters(size)
        angle = (size < INFINITY).where(rest.high, math.nan)
        return [far.choose(whole, shifted.bits()).ssa, far.where(angle, r).ssa]

    turns, angle = size.e.if_any(far.ssa, beyond, [shifted.bits().ssa, r.ssa])
    return Bits(size.e, turns), Lanes(size.e, angle)


def _quarters(size: Lanes) -> tuple[Bits, Pair]:
    """Whole q, correct in its last two bits, and r with size = q · π/2 + r, |r| ≤ π/4, for size ≥ 2^-7.

    The product is truncated 62 bits after the point. No float of this size is nearer than 2^-30 to a whole number of
    quarter turns (16367173 · 2^72 is the nearest). So at least 32 bits of the remainder are correct.
    """
    bits = size.bits()
    mantissa = (bits & 0x7FFFFF) | 0x800000
    top, middle, bottom = _window((bits >> 23) - FIRST)
    low = middle * mantissa
    total = low + bottom.times_high(mantissa)
    carry = total.below(low).choose(1, total.of(0))
    high = top * mantissa + middle.times_high(mantissa) + carry
    whole = (high + (1 << 29)).shifted_right(30)
    return whole, _rest(high - (whole << 30), total)


def _window(begin: Bits) -> list[Bits]:
    """96 bits of the table from bit `begin` on, in three words."""
    start = begin >> 5
    words = [begin.of(word) for word in TWO_OVER_PI[:4]]
    for number in range(1, STARTS):
        here = start.equals(number)
        words = [here.choose(TWO_OVER_PI[number + place], word) for place, word in enumerate(words)]
    return [a.followed_by(b, begin) for a, b in itertools.pairwise(words)]


def _rest(high: Bits, low: Bits) -> Pair:
    """π/2 times the 64-bit number (high, low) with 62 bits after its point.

    Three floats hold its bits exactly: the first 24 bits that may differ from the sign, 24 more, and the last 14.
    """
    first = (high & -64).numbers() * 2.0**-30
    second = ((high & 63) << 18 | low.shifted_right(14)).numbers() * 2.0**-48
    third = (low & 0x3FFF).numbers() * 2.0**-62
    sum = fast_two_sum(first, second)
    angle = fast_two_sum(sum.high, sum.low + third)
    return angle * Pair(angle.high.of(HALF_PI), angle.high.of(HALF_PI_LOW))
