"""Bounds where elements are put in order: what is chosen has its own error, and which place it has may be open.

An element certainly stands before another if its lower end is not below the other's upper end: then nothing within the
errors lets them change places, and of equal ones without errors the places decide, as they do without bounds. The place
of an element without a bound is open, and so are all of its line, for it may be NaN.
"""

from __future__ import annotations

import numpy as np

from ..lines import ExtremePlace, Ranked, Ranking
from ..types import Array
from .bound import Bound, same


def ends(x: Bound) -> tuple[Array, Array]:
    """Lower and upper ends: beyond the errors, so that equal ends are those of exact elements."""
    low, high = (x.reference + sign * x.error for sign in (-1.0, 1.0))
    inexact = x.error > 0
    low = np.where(inexact, np.nextafter(low, -np.inf), x.reference)
    return low, np.where(inexact, np.nextafter(high, np.inf), x.reference)


def open_lines(x: Bound, axis: int) -> Array:
    """Which lines have an element without a bound."""
    return np.asarray(np.isinf(x.error).any(axis, keepdims=True))


def placed(x: Bound, value: Array, axis: int) -> Bound:
    """A result of lines that is certain, but for lines with an element without a bound."""
    return Bound(value, np.broadcast_to(np.where(open_lines(x, axis), np.inf, 0.0), value.shape))


def extreme_place(c: ExtremePlace, x: Bound) -> Bound:
    """Certain where no other element may be as good; of NaNs the first one is, however far the numbers reach."""
    found = placed(x, c.made([x.reference]), c.axis)
    if not x.is_float:
        return found
    low, high = ends(x) if c.extreme == "maximum" else tuple(-end for end in reversed(ends(x)))
    best = np.take_along_axis(low, found.reference, c.axis)
    np.put_along_axis(high, found.reference, -np.inf, c.axis)
    rivals = np.where(np.isnan(high), -np.inf, high).max(c.axis, keepdims=True)
    return Bound(found.reference, np.where(np.isnan(best) | (best >= rivals), found.error, np.inf))


def ranking(c: Ranking, x: Bound) -> Bound:
    """Certain where all elements before, and all behind, certainly are so."""
    found = placed(x, c.made([x.reference]), c.axis)
    if not x.is_float:
        return found
    order = Ranking(c.axis, x.reference.shape[c.axis], c.largest).made([x.reference])
    low, high = (np.take_along_axis(numbered(end), order, c.axis) for end in ends(x))
    if not c.largest:
        low, high = -high, -low
    lines = (np.moveaxis(part, c.axis, -1) for part in (low, high))
    sure = np.moveaxis(apart(*lines)[..., : c.count], -1, c.axis)
    return Bound(found.reference, np.where(sure, found.error, np.inf))


def apart(low: Array, high: Array) -> Array:
    """Whether each of falling elements, along the last axis, stands there for certain: behind some, before others."""
    behind, before = np.ones(low.shape, np.bool_), np.ones(low.shape, np.bool_)
    behind[..., 1:] = np.minimum.accumulate(low, -1)[..., :-1] >= high[..., 1:]
    before[..., :-1] = low[..., :-1] >= np.maximum.accumulate(high[..., ::-1], -1)[..., -2::-1]
    return behind & before


def numbered(x: Array) -> Array:
    """NaN as the infinity beyond which it stands."""
    return np.where(np.isnan(x), np.inf, x)


def ranked(c: Ranked, x: Bound) -> Bound:
    """Element number p in order lies between those of the lower and of the upper ends, whichever element it is."""

    def at(part: Array) -> Array:
        return np.take_along_axis(part, Ranking(c.axis, c.count, c.largest).made([part]), c.axis)

    value = at(x.reference)
    if not x.is_float:
        return placed(x, value, c.axis)
    below, above = at(x.reference - x.error), at(x.reference + x.error)
    moved = np.maximum(np.abs(above - value), np.abs(value - below))
    error = np.where(same(above, below), 0.0, np.where(np.isnan(moved), np.inf, moved))
    return Bound(value, np.where(open_lines(x, c.axis), np.inf, error))
