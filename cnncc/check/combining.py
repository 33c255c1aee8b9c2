"""Bounds of what a float32 sum, product or extreme makes of many elements, in any order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..computation import Combine
from ..elements import FLOAT32
from ..functions import LARGEST, OVERFLOW, TINY, UNIT
from ..types import Array
from .bound import Bound, same

NORMAL = FLOAT32.normal  # below it, digits are lost


def _gamma(n: int | Array) -> float | Array:
    return n * UNIT / (1 - n * UNIT)


def summed(
    value: Array, carried: Array, size: Array, n: int | Array, certain: bool = True, underflow: float = TINY
) -> Bound:
    """A float32 sum of n terms whose absolute values add up to `size`; each lost `underflow` when it was made.

    The error is infinite where a partial sum may overflow, and where `value` is not finite without being
    `certain` to be. The sum overflows in any order where all of it does and its terms of the other sign do not.
    """
    own = _gamma(n) * size + n * underflow
    error = np.where(np.isfinite(value), carried + own, 0.0)
    against = (size - np.abs(value) + carried) / 2 + own
    overflows = np.isfinite(value) & (np.abs(value) - error >= OVERFLOW) & (against <= LARGEST)
    sure = (size + own <= LARGEST) & (np.isfinite(value) | certain)
    sure |= np.isnan(value) & np.isfinite(size) & certain  # which no order of the others changes
    error = np.where(overflows, 0.0, np.where(sure, error, np.inf))
    return Bound(np.where(overflows, np.copysign(np.inf, value), value), error)


def sizes(bound: Bound) -> tuple[Array, Array]:
    """|value| and error, with 0 for a value that is not finite: it is certain, or its error is infinite."""
    return np.where(np.isfinite(bound.reference), np.abs(bound.reference), 0.0), bound.error


def combined(combine: Combine, x: Bound, n: int | Array, over: Callable[[Array, np.ufunc], Array]) -> Bound:
    """The maximum, minimum, sum or product of n elements each, which `over` combines by a function of NumPy's."""
    if not x.is_float:
        value = over(x.reference, getattr(np, combine)).astype(x.reference.dtype)
        return Bound(value, over(x.error, np.maximum))
    if combine in ("maximum", "minimum", "fmax"):
        return extreme(combine, x, over)
    size, error = sizes(x)
    if combine == "multiply":
        return _product(x, n, over)
    total = summed(over(x.reference, np.add), over(error, np.add), over(size + error, np.add), n, underflow=0.0)
    return not_negative(total, over(x.reference - error, np.minimum))


def not_negative(total: Bound, least: Array) -> Bound:
    """A sum of terms from 0 on, of which `least` is the lowest, is no negative number: from 0 to its upper end.

    So the root of a sum of squares stays bounded, however small they are.
    """
    low = (least >= 0) & (total.reference < total.error) & np.isfinite(total.error)
    middle = (total.reference + total.error) / 2
    return Bound(np.where(low, middle, total.reference), np.where(low, middle, total.error))


def extreme(combine: Combine, x: Bound, over: Callable[[Array, np.ufunc], Array]) -> Bound:
    """Between the extremes of the lower and of the upper ends; NaN where one element is it for certain.

    What has no bound may be NaN, and then so is the extreme, also beside an infinity. `fmax` leaves out what is NaN.
    """
    find = getattr(np, combine)

    def some(which: Array) -> Array:
        return over(which.astype(np.float64), np.maximum) > 0

    value, above, below = over(x.reference, find), over(x.reference + x.error, find), over(x.reference - x.error, find)
    error = np.maximum(np.abs(above - value), np.abs(below - value))
    error = np.where(same(above, value) & same(below, value), 0.0, np.where(np.isnan(error), np.inf, error))
    unbounded = np.isinf(x.error)
    surely_nan = some(np.isnan(x.reference) & ~unbounded) & (combine != "fmax")
    return Bound(value, np.where(surely_nan, 0.0, np.where(some(unbounded), np.inf, error)))


def _product(x: Bound, n: int | Array, over: Callable[[Array, np.ufunc], Array]) -> Bound:
    """A float32 product of n: off by γ(n)Π(|x| + e) and the underflow of a partial product, beside what it carries.

    Uncertain where a partial product may overflow; and, beside infinite factors, where one may vanish (0 · ∞ is NaN).
    """
    infinite = ~np.isfinite(x.reference)
    size = np.where(infinite, 1.0, np.abs(x.reference))
    value, most = over(x.reference, np.multiply), over(size + x.error, np.multiply)
    grown = over(np.maximum(size + x.error, 1.0), np.multiply)
    least = np.where(size > 0, np.maximum(size - x.error, 0.0), 1.0)
    shrunk = over(np.minimum(least, 1.0), np.multiply)
    certain = (shrunk >= NORMAL) | over(np.isnan(x.reference), np.logical_or)
    carried = np.maximum(most - over(size, np.multiply), 0) * (1 + 4 * n * 2.0**-53)
    error = np.where(np.isfinite(value), carried + _gamma(n) * most + n * TINY * grown, 0.0)
    overflows = np.isfinite(value) & (np.abs(value) - error >= OVERFLOW) & certain
    sure = (grown <= LARGEST) & (np.isfinite(value) & ~over(infinite, np.logical_or) | certain)
    error = np.where(overflows, 0.0, np.where(sure, error, np.inf))
    return Bound(np.where(overflows, np.copysign(np.inf, value), value), error)
