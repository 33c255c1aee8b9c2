"""A value with what may lie between it and another evaluation, and how a result stands to both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..elements import element_of
from ..errors import DifferenceError
from ..types import Array


@dataclass(frozen=True)
class Bound:
    """`reference` (floats in float64) and what may lie between it and another evaluation (`error` ≥ 0, same shape).

    Whole numbers and truth values have an error of 0 or an infinite one.
    """

    reference: Array
    error: Array

    @staticmethod
    def exact(data: Array) -> Bound:
        """Of floats in float64; of whole numbers and truth values as they are."""
        return Bound(data.astype(np.float64) if data.dtype.kind == "f" else data, np.zeros(data.shape))

    @property
    def is_float(self) -> bool:
        return self.reference.dtype.kind == "f"

    @property
    def held(self) -> Array:
        """The reference as a tensor holds it."""
        return self.reference.astype(element_of(self.reference).numpy)


@dataclass(frozen=True)
class Comparison:
    """`worst_ratio` is the largest |actual − reference| / error, at `index`; up to 1 is `ok`.

    `unbounded` elements have an infinite bound, which nothing contradicts.
    """

    ok: bool
    worst_ratio: float
    index: tuple[int, ...]
    unbounded: int = 0


def compare(actual: Array, bound: Bound) -> Comparison:
    """How `actual` stands to `bound`: NaN must meet NaN and an infinity the same one; −0 equals 0.

    An infinite bound accepts everything, and is counted. Raises DifferenceError if the shapes differ.
    """
    if actual.shape != bound.reference.shape:
        raise DifferenceError(f"expected a result of shape {bound.reference.shape}, got {actual.shape}")
    if not bound.is_float and actual.dtype != bound.reference.dtype:
        raise DifferenceError(f"expected a result of {bound.reference.dtype}, got {actual.dtype}")
    found = actual.astype(np.float64) if bound.is_float else actual
    ratio = _ratio(found, bound) if bound.is_float else np.full(bound.error.shape, np.inf)
    ratio = np.where(same(found, bound.reference) | np.isinf(bound.error), 0.0, ratio)
    if not ratio.size:
        return Comparison(True, 0.0, ())
    index = np.unravel_index(int(ratio.argmax()), ratio.shape)
    worst = float(ratio[index])
    return Comparison(worst <= 1, worst, tuple(int(i) for i in index), int(np.isinf(bound.error).sum()))


def _ratio(found: Array, bound: Bound) -> Array:
    """|found − reference| / error; infinite where it is no number."""
    with np.errstate(all="ignore"):
        difference = np.abs(found - bound.reference)
        ratio = np.where(difference == 0, 0.0, difference / bound.error)
    return np.where(np.isnan(ratio), np.inf, ratio)


def same(a: Array, b: Array) -> Array:
    """Equal, or both NaN."""
    return np.asarray((a == b) | (np.isnan(a) & np.isnan(b)))
