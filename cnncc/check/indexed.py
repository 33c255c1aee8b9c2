"""Bounds of what is read and written at indices that arrive."""

from __future__ import annotations

import numpy as np

from ..computation import Lookup, Scatter, replaced
from ..types import Array
from . import combining
from .bound import Bound


def spread(bound: Bound) -> Bound:
    """The same with an error for each element."""
    return Bound(bound.reference, np.broadcast_to(bound.error, bound.reference.shape))


def looked_up(c: Lookup, x: Bound, indices: Bound) -> Bound:
    """The errors of elements go where the elements go; nothing is held where an index has no bound."""
    shape = replaced(x.reference.shape, c.axis, indices.reference.shape[c.axis])
    value, error = (c.apply((array, indices.reference), shape) for array in (x.reference, x.error))
    return Bound(value, np.where(np.isinf(indices.error), np.inf, error))


def scattered(c: Scatter, x: Bound, indices: Bound, updates: Bound) -> Bound:
    """As a reduction of each element and of the updates that meet it.

    Nothing is held on the whole axis of an index that has no bound.
    """
    own, places = x.reference.size, indices.reference
    terms = Bound(
        np.concatenate([x.reference.ravel(), updates.reference.ravel()]),
        np.concatenate([x.error.ravel(), updates.error.ravel()]),
    )

    def over(array: Array, combine: np.ufunc | None) -> Array:
        parts = array[:own].reshape(x.reference.shape), array[own:].reshape(updates.reference.shape)
        return c.written(parts[0], places, parts[1], combine)

    if c.combine == "replace":
        bound = Bound(over(terms.reference, None), over(terms.error, None))
    else:
        met = over(np.ones(terms.reference.shape), np.add)
        bound = combining.combined(c.combine, terms, met, over)
        bound = Bound(bound.reference, np.where(met == 1, x.error, bound.error))
    unsure = np.isinf(indices.error).any(axis=c.axis, keepdims=True)
    return Bound(bound.reference, np.where(unsure, np.inf, bound.error))
