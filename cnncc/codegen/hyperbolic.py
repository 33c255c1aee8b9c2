"""sinh, cosh and the inverse hyperbolic functions: by exp or log where |x| is large, by a quotient where it is small.

The quotients are BEST (see `functions`): near 0 the large terms of the formulas would cancel.
"""

from __future__ import annotations

import math

from .functions import Quotient, half_exp, log
from .lanes import Lanes

# sinh(x)/x, asinh(x)/x and atanh(x)/x for z = x², and acosh(1 + z)/√(2z).
SINH = Quotient(1.0, 1.0, (0.00290768687, 0.166666672, 4.36193304e-11), (0.000437525887, -0.0325539857, 1.0))
ASINH = Quotient(
    1.0,
    1.0,
    (-0.0195012484, -0.140107632, -0.166666612, -4.38680869e-10),
    (0.0298046339, 0.430002898, 1.29063797, 1.0),
)
ATANH = Quotient(0.25, 1.0, (-0.185665533, 0.33333236, 5.55910606e-09), (0.266460598, -1.1570791, 1.0))
ACOSH = Quotient(
    1.0,
    1.0,
    (-0.000828225689, -0.0274427589, -0.0833332986, -4.07175071e-10),
    (0.000828225689, 0.0677241385, 0.554307222, 1.0),
)
LARGE = 8192.0  # from here on √(x² ± 1) is x for a logarithm, and x² may overflow


def sinh(x: Lanes) -> Lanes:
    """sinh(x) within 3 ulp; keeps −0."""
    half = half_exp(abs(x))
    return odd(x, 1.0, half - 0.25 / half, SINH)


def cosh(x: Lanes) -> Lanes:
    """cosh(x) within 2.5 ulp."""
    half = half_exp(abs(x))
    return half + 0.25 / half


def asinh(x: Lanes) -> Lanes:
    """asinh(x) within 3 ulp; keeps −0."""
    size = abs(x)
    return odd(x, 1.0, _log_of_sum(size, size.times_plus(size, 1.0)), ASINH)


def acosh(x: Lanes) -> Lanes:
    """acosh(x) within 3 ulp; NaN below 1."""
    above = x - 1.0
    near = (above + above).root() * ACOSH(above.clamped(0.0, 1.0))
    return (x < 2.0).where(near, _log_of_sum(x, x.times_plus(x, -1.0)))


def atanh(x: Lanes) -> Lanes:
    """atanh(x) within 2.5 ulp; keeps −0, ±∞ at ±1, NaN beyond."""
    size = abs(x)
    return odd(x, 0.5, log((1.0 + size) / (1.0 - size)) * 0.5, ATANH)


def odd(x: Lanes, end: float, beyond: Lanes, slope: Quotient) -> Lanes:
    """x · slope(x²) for |x| below `end`, else `beyond`, a function of |x|, with the sign of x."""
    inside = x.clamped(-end, end)
    return (abs(x) < end).where(x * slope(inside * inside), beyond.with_sign_of(x))


def _log_of_sum(x: Lanes, square: Lanes) -> Lanes:
    """log(x + √square), where the root is nearly x from LARGE on."""
    near = x < LARGE
    return log(near.where(x + square.root(), x)) + near.where(x.of(0.0), math.log(2))
