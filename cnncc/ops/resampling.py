"""Where the elements of a resampled axis come from, and with which weights; and the pieces that compute it."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

import numpy as np

from ..computation import LoweringBuilder
from ..expr import Arg, Expr, multiply_add
from ..types import Array

HALF = Fraction(1, 2)
FEW = 8
"""Taps that one expression reads: each has two operands, whose addresses take registers."""


@dataclass(frozen=True)
class ResizedAxis:
    """An axis of `size` elements that becomes `out`; `scale` is their ratio, or what the user gave for it.

    `region` is what tf_crop_and_resize takes of it, as fractions of the way from the first to the last element.
    """

    size: int
    out: int
    scale: Fraction
    region: tuple[Fraction, Fraction] = (Fraction(0), Fraction(1))


@dataclass(frozen=True)
class Places:
    """Where outputs lie between the inputs: each at a whole number over `unit`, exactly."""

    numerators: Array
    unit: int

    @staticmethod
    def of(start: Fraction, step: Fraction, count: int) -> Places:
        """`count` places from `start` on, as integers of NumPy if their doubles are, else as Python's."""
        unit = math.lcm(start.denominator, step.denominator)
        first, each = int(start * unit), int(step * unit)
        fits = max(abs(first) + count * abs(each), unit) < 2**52
        return Places(first + each * np.arange(count, dtype=np.int64 if fits else object), unit)

    def before(self) -> Array:
        """The whole numbers below the places, or at them."""
        return np.asarray(self.numerators // self.unit)

    def rests(self) -> Array:
        """What the places have beyond these."""
        return np.asarray(self.numerators % self.unit / self.unit, np.float64)

    def inside(self, size: int) -> Array:
        """Which ones lie between the first and the last of so many elements."""
        return np.asarray((self.numerators >= 0) & (self.numerators <= (size - 1) * self.unit), bool)


Line = tuple[Fraction, Fraction]
"""The place of the first output, and the way to the next one."""


def _half_pixel(axis: ResizedAxis) -> Line:
    return HALF / axis.scale - HALF, 1 / axis.scale


def _symmetric(axis: ResizedAxis) -> Line:
    start, step = _half_pixel(axis)
    return start + Fraction(axis.size, 2) * (1 - axis.out / (axis.scale * axis.size)), step


def _within_region(axis: ResizedAxis) -> Line:
    begin, end = (place * (axis.size - 1) for place in axis.region)
    return (begin, (end - begin) / (axis.out - 1)) if axis.out > 1 else ((begin + end) / 2, Fraction(0))


COORDINATES: Mapping[str, Callable[[ResizedAxis], Line]] = {
    "half_pixel": _half_pixel,
    "half_pixel_symmetric": _symmetric,
    "pytorch_half_pixel": lambda axis: _half_pixel(axis) if axis.out > 1 else (Fraction(0), Fraction(0)),
    "align_corners": lambda axis: (Fraction(0), Fraction(axis.size - 1, max(1, axis.out - 1))),
    "asymmetric": lambda axis: (Fraction(0), 1 / axis.scale),
    "tf_half_pixel_for_nn": lambda axis: (HALF / axis.scale, 1 / axis.scale),
    "tf_crop_and_resize": _within_region,
}
"""ONNX's coordinate_transformation_mode."""

ROUNDING: Mapping[str, Callable[[Array, int], Array]] = {
    "round_prefer_floor": lambda place, unit: -((unit - 2 * place) // (2 * unit)),
    "round_prefer_ceil": lambda place, unit: (2 * place + unit) // (2 * unit),
    "floor": lambda place, unit: place // unit,
    "ceil": lambda place, unit: -(-place // unit),
}
"""The whole numbers for places / unit."""


@dataclass(frozen=True)
class Kernel:
    """Weights by distance, 0 from `reach` on.

    With `antialias` an axis that shrinks widens it by as much, and the weights of an output are divided by their sum.
    With `inside_only` taps beyond the ends have no weight, and the others are divided by their sum; else they read the
    element at the end.
    """

    weight: Callable[[Array], Array]
    reach: int
    antialias: bool = False
    inside_only: bool = False

    def shrink(self, axis: ResizedAxis) -> Fraction:
        return min(axis.scale, Fraction(1)) if self.antialias else Fraction(1)

    def offsets(self, axis: ResizedAxis) -> range:
        """The places of taps, counted from the element before an output."""
        reach = math.ceil(self.reach / self.shrink(axis))
        return range(1 - reach, reach + 1)


def linear(t: Array) -> Array:
    return np.asarray(np.maximum(1 - t, 0))


N = TypeVar("N", Array, Expr)


def near(t: N, a: float) -> N:
    """Keys' kernel at a distance of at most 1."""
    return ((a + 2) * t - (a + 3)) * t * t + 1


def far(t: N, a: float) -> N:
    """The same from 1 to 2."""
    return ((a * t - 5 * a) * t + 8 * a) * t - 4 * a


def cubic(a: float) -> Callable[[Array], Array]:
    """Keys, Cubic convolution interpolation for digital image processing (1981), with a free coefficient a."""
    return lambda t: np.where(t <= 1, near(t, a), np.where(t < 2, far(t, a), 0))


def cubic_weights(t: N, a: float) -> tuple[N, N, N, N]:
    """Weights of the elements before, at, after and second after a place, t beyond the one `at`."""
    return far(t + 1, a), near(t, a), near(1 - t, a), far(2 - t, a)


Taps = list[tuple[Array, Array]]
"""(index, weight) of each output, for each tap that counts for some output."""


def nearest_taps(axis: ResizedAxis, places: Places, rounding: str) -> Taps:
    indices = within(ROUNDING[rounding](places.numerators, places.unit), 0, axis.size - 1)
    return [(indices, np.ones(axis.out))]


def kernel_taps(axis: ResizedAxis, places: Places, kernel: Kernel) -> Taps:
    offsets, shrink = np.array(kernel.offsets(axis))[:, None], float(kernel.shrink(axis))
    rests, far = places.rests(), 2 * len(offsets) + axis.size  # farther than that, all taps are beyond an end
    indices = within(places.before(), -far, far) + offsets
    weights = kernel.weight(np.abs(offsets - rests) * shrink)
    if kernel.inside_only:
        weights = np.where((indices >= 0) & (indices < axis.size), weights, 0)
    if kernel.inside_only or shrink < 1:
        total = weights.sum(0)
        weights = weights / np.where(total == 0, 1, total)
    return [(index.clip(0, axis.size - 1), own) for index, own in zip(indices, weights, strict=True) if own.any()]


def within(indices: Array, least: int, most: int) -> Array:
    """The nearest indices between two ends, as integers of NumPy."""
    return np.asarray(np.clip(indices, least, most), np.int64)


def summed(x: Array, axis: int, taps: Taps) -> Array:
    """The meaning of taps along an axis."""
    along = (-1, *(1,) * (x.ndim - axis - 1))
    parts = [x.take(index, axis) * weights.reshape(along) for index, weights in taps]
    return functools.reduce(np.add, parts)  # without a 0 to begin with, to which −0 would be lost


def resampled(pieces: LoweringBuilder, x: int, axis: int, taps: Taps) -> int:
    """Append one axis: the sum of look-ups, each times weights that are known."""
    if len(taps) == 1 and (taps[0][1] == 1).all():
        index = taps[0][0].tolist()
        return x if index == list(range(pieces.shape(x)[axis])) else pieces.lookup(x, axis, index)
    total = None
    for first in range(0, len(taps), FEW):
        total = added(pieces, x, axis, taps[first : first + FEW], total)
    assert total is not None, "some tap of every axis counts"
    return total


def added(pieces: LoweringBuilder, x: int, axis: int, taps: Taps, before: int | None) -> int:
    """Append one expression of a look-up for each tap, which goes on with the sum of those before."""
    behind = len(pieces.shape(x)) - axis - 1
    operands = [] if before is None else [before]
    total: Expr | None = None if before is None else Arg(0)
    for index, weights in taps:
        value, weight = Arg(len(operands)), Arg(len(operands) + 1)
        operands += [pieces.lookup(x, axis, index.tolist()), pieces.known(weights.reshape(-1, *(1,) * behind))]
        total = value * weight if total is None else multiply_add(value, weight, total)
    assert total is not None, "there is a tap"
    return pieces.pointwise(total, operands)
