"""The rest of a division of floats, exactly: long division of their significands, bit by bit.

The quotient may have 277 bits; there are as many steps as the largest one of a vector has (Knuth, vol. 2, 4.3.1).
"""

from __future__ import annotations

import math

from .emitter import Emitter
from .lanes import Bits, Lanes
from .registers import Index

HIDDEN = 1 << 23  # the bit of a significand that a normal float leaves out
SUBNORMAL_SCALE = 24  # 2^24 makes every subnormal number a normal one
BIAS = 127 + 23  # of the exponent beside a whole significand


def fmod(x: Lanes, y: Lanes) -> Lanes:
    """x − trunc(x / y) · y with the sign of x; NaN for an infinite x and for y = 0, and x for an infinite y."""
    a, b = abs(x), abs(y)
    over, exponent = _parts(a)
    under, low = _parts(b)
    rest = _long_division(over, under, exponent - low)
    found = _scaled(rest.numbers(), low - BIAS)
    whole = (a < b).where(a, found)  # also for y = ∞ and x = 0, which have no significands
    defined = (a < math.inf) & (b > 0.0)  # and neither is NaN
    return defined.where(whole, x.of(math.nan)).with_sign_of(x)


def mod(x: Lanes, y: Lanes) -> Lanes:
    """The same with the sign of y; a rest of 0 has it, too."""
    rest = fmod(x, y)
    crossed = (rest < 0.0) & (y > 0.0) | (rest > 0.0) & (y < 0.0)
    return rest.equals(0.0).where(rest.with_sign_of(y), crossed.where(rest + y, rest))


def _parts(size: Lanes) -> tuple[Bits, Bits]:
    """Significand (24 bits, the first one set) and exponent of a number without sign, other than 0, ∞ and NaN."""
    small = size < 2.0**-126
    normal = small.where(size * 2.0**SUBNORMAL_SCALE, size).bits()
    exponent = normal.shifted_right(23)
    return normal & (HIDDEN - 1) | HIDDEN, small.choose(exponent - SUBNORMAL_SCALE, exponent)


def _long_division(x: Bits, y: Bits, shifts: Bits) -> Bits:
    """The rest of x · 2^shifts by y; lanes with fewer shifts begin later."""
    e = x.e
    most = _largest(e, shifts)
    with e.loop(0, most, carry=[x.ssa]) as loop:
        rest = Bits(e, loop.values[0])
        left = e.splat(e.convert(e.value(e.sub(most, loop.index)), x.ssa.type.wide(1)), x.ssa.lanes)
        late = e.compare("<", shifts.ssa, left)
        loop.next([e.select(late, rest.ssa, (_less(rest, y) << 1).ssa)])
    return _less(Bits(e, loop.results[0]), y)


def _less(x: Bits, y: Bits) -> Bits:
    """x − y where that is not negative."""
    return x.below(y).choose(x, x - y)


def _largest(e: Emitter, numbers: Bits) -> Index:
    """The largest number of all lanes, at least 0."""
    found: Index = 0
    for lane in range(numbers.ssa.lanes):
        found = e.largest(e.convert(e.extract(numbers.ssa, lane), e.index_type), found)
    return found


def _scaled(x: Lanes, k: Bits) -> Lanes:
    """x · 2^k, in two steps, since 2^k may be no float; the result is exact."""
    half = k >> 1
    return x * _power_of_two(half) * _power_of_two(k - half)


def _power_of_two(k: Bits) -> Lanes:
    return ((k + 127) << 23).floats()
