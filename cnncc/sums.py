"""Sums over windows in float64, as meanings and the analysis of errors need them: of values, sizes and errors alike."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .computation import Contraction
from .types import Array
from .windows import WindowAxis


def per_channel(vector: Array, rank: int) -> Array:
    return vector.reshape(-1, *(1,) * (rank - 2))


def _seen(window: tuple[WindowAxis, ...]) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
    """Each tap with the slice of the padded input that it sees from all window positions."""
    for tap in itertools.product(*(range(axis.kernel) for axis in window)):
        starts = (t * axis.dilation for t, axis in zip(tap, window, strict=True))
        yield (
            tap,
            tuple(
                slice(start, start + (axis.out - 1) * axis.stride + 1, axis.stride)
                for start, axis in zip(starts, window, strict=True)
            ),
        )


def _padded(window: tuple[WindowAxis, ...], x: Array, fill: float) -> Array:
    pads = [(0, 0), (0, 0), *((axis.low, axis.high) for axis in window)]
    return np.pad(x, pads, constant_values=fill)


def slide(
    window: tuple[WindowAxis, ...], x: Array, combine: np.ufunc, fill: float, ones: Sequence[tuple[int, int]] = ()
) -> Array:
    """`combine` over the taps of each window position, in float64; `ones` counts so much of the padding as 1."""
    padded = _padded(window, x, fill)
    if ones:
        widened = np.pad(x, [(0, 0), (0, 0), *ones], constant_values=1.0)
        rest = [(a.low - low, a.high - high) for a, (low, high) in zip(window, ones, strict=True)]
        padded = np.pad(widened, [(0, 0), (0, 0), *rest], constant_values=fill)
    result: Array | None = None
    for _, place in _seen(window):
        part = padded[(slice(None), slice(None), *place)]
        result = part if result is None else combine(result, part)
    assert result is not None
    return result


def contract(c: Contraction, x: Array, w: Array, bias: Array | None = None) -> Array:
    """The contraction in float64."""
    if c.flip:
        w = np.flip(w, axis=tuple(range(w.ndim - len(c.window), w.ndim)))
    padded = _padded(c.window, x, 0.0)
    grouped = padded.reshape(len(x), c.groups, c.channels // c.groups, *padded.shape[2:])
    leading = w.shape[:1] if c.weights_per_image else ()
    filters = w.reshape(*leading, c.groups, c.outputs // c.groups, *w.shape[len(leading) + 1 :])
    rule = "ngoc,ngc...->ngo..." if c.weights_per_image else "goc,ngc...->ngo..."
    result = np.zeros((len(x), c.outputs, *(axis.out for axis in c.window)))
    every: tuple[Any, ...] = (slice(None),) * 3
    for tap, place in _seen(c.window):
        of_tap: tuple[Any, ...] = (..., *tap)
        weights, seen = filters[of_tap], grouped[(*every, *place)]
        result += np.einsum(rule, weights, seen).reshape(result.shape)
    return result if bias is None else result + per_channel(bias, result.ndim)
