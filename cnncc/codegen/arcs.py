"""asin, acos and atan: by BEST quotients (see `functions`) near 0, and from there by the angle to π/2.

asin(x) = π/2 − 2·asin(√((1 − x) / 2)) and atan(x) = π/2 − atan(1/x).
"""

from __future__ import annotations

import math

from .functions import Quotient
from .lanes import Lanes
from .trigonometry import HALF_PI, HALF_PI_LOW

# asin(x)/x and atan(x)/x for z = x².
ASIN = Quotient(0.25, 1.0, (-0.0900131762, 0.16666621, 2.53530641e-09), (0.178455755, -0.990155876, 1.0))
ATAN = Quotient(
    1.0,
    1.0,
    (-0.0415620729, -0.287464917, -0.333333224, -8.79112227e-10),
    (0.0504580252, 0.573616385, 1.46238673, 1.0),
)


def atan(x: Lanes) -> Lanes:
    """atan(x) within 3 ulp; keeps −0, ±π/2 at ±∞."""
    size = abs(x)
    inverted = size > 1.0
    t = inverted.where(1.0 / size, size)
    angle = t * ATAN(t * t)
    return inverted.where(_rest(angle), angle).with_sign_of(x)


def asin(x: Lanes) -> Lanes:
    """asin(x) within 4 ulp; keeps −0, NaN beyond ±1."""
    size = abs(x)
    outer = size > 0.5
    angle = _small_angle(size, size)
    return outer.where(_rest(angle + angle), angle).with_sign_of(x)


def acos(x: Lanes) -> Lanes:
    """acos(x) within 3 ulp; NaN beyond ±1."""
    size = abs(x)
    angle = _small_angle(size, x)
    double = angle + angle
    outer = (x > 0.0).where(double, math.pi - double)
    return (size > 0.5).where(outer, _rest(angle))


def _small_angle(size: Lanes, inner: Lanes) -> Lanes:
    """asin of `inner`, x or |x|, up to ½, and beyond of √((1 − |x|) / 2), where it is as small."""
    outer = size > 0.5
    z = outer.where((1.0 - size) * 0.5, size * size)
    return outer.where(z.root(), inner) * ASIN(z)


def _rest(angle: Lanes) -> Lanes:
    """π/2 less an angle."""
    return HALF_PI - (angle - HALF_PI_LOW)
