"""Resampling as nested loops; see `oracles`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from cnncc.types import Array


def place_of(i: int, n: int, out: int, scale: float, coordinates: str, region: tuple[float, float]) -> float:
    if coordinates == "align_corners":
        return i * (n - 1) / (out - 1) if out > 1 else 0.0
    if coordinates == "asymmetric":
        return i / scale
    if coordinates == "pytorch_half_pixel" and out == 1:
        return 0.0
    if coordinates == "half_pixel_symmetric":
        return n / 2 * (1 - out / (scale * n)) + (i + 0.5) / scale - 0.5
    if coordinates == "tf_half_pixel_for_nn":
        return (i + 0.5) / scale
    if coordinates == "tf_crop_and_resize":
        begin, end = (place * (n - 1) for place in region)
        return begin + i * (end - begin) / (out - 1) if out > 1 else (begin + end) / 2
    return (i + 0.5) / scale - 0.5


def keys(distance: float, a: float) -> float:
    """Keys' kernel at a distance from the place."""
    d = abs(distance)
    if d < 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0.0


def nearest_of(place: float, nearest: str) -> int:
    low, half = math.floor(place), place - math.floor(place)
    up = {"floor": False, "ceil": half > 0, "round_prefer_floor": half > 0.5, "round_prefer_ceil": half >= 0.5}
    return low + up[nearest]


def weights_of(
    place: float, n: int, mode: str, nearest: str, a: float, shrink: float = 1.0, exclude: bool = False
) -> dict[int, float]:
    """{index: weight}; elements beyond the ends are those at the ends, or do not count."""
    if mode == "nearest":
        return {min(max(nearest_of(place, nearest), 0), n - 1): 1.0}
    reach = math.ceil(2 / shrink) + 1
    found: dict[int, float] = {}
    for index in range(math.floor(place) - reach, math.floor(place) + reach + 1):
        distance = (place - index) * shrink
        weight = max(0.0, 1 - abs(distance)) if mode == "linear" else keys(distance, a)
        if not (exclude and not 0 <= index < n):
            inside = min(max(index, 0), n - 1)
            found[inside] = found.get(inside, 0.0) + weight
    total = sum(found.values()) if exclude or shrink < 1 else 1.0
    return {index: weight / total for index, weight in found.items()}


def outs_of(lengths: Sequence[int], sizes: Any, scales: Any, policy: str) -> tuple[Sequence[int], Sequence[float]]:
    """New lengths, and scales."""
    if sizes is None:
        return [math.floor(n * scale) for n, scale in zip(lengths, scales, strict=True)], scales
    sizes = (sizes,) * len(lengths) if isinstance(sizes, int) else sizes
    scales = [out / n for out, n in zip(sizes, lengths, strict=True)]
    if policy == "stretch":
        return sizes, scales
    scale = min(scales) if policy == "not_larger" else max(scales)
    return [math.floor(n * scale + 0.5) for n in lengths], [scale] * len(lengths)


def resize(
    x: Array,
    sizes: Any,
    scales: Any,
    mode: str,
    coordinates: str,
    nearest: str,
    cubic: float,
    axes: Any = None,
    antialias: bool = False,
    exclude_outside: bool = False,
    policy: str = "stretch",
    roi: Sequence[float] = (),
    extrapolation: float = 0.0,
) -> Array:
    axes = range(2, x.ndim) if axes is None else [axis % x.ndim for axis in axes]
    lengths = [x.shape[axis] for axis in axes]
    outs, scales = outs_of(lengths, sizes, scales, policy)
    weights: list[list[dict[int, float] | None]] = [[{i: 1.0} for i in range(n)] for n in x.shape]
    for number, (axis, n, out, scale) in enumerate(zip(axes, lengths, outs, scales, strict=True)):
        region = (roi[number], roi[number + len(lengths)]) if roi else (0.0, 1.0)
        places = [place_of(i, n, out, scale, coordinates, region) for i in range(out)]
        shrink = min(scale, 1.0) if antialias else 1.0
        weights[axis] = [
            None
            if coordinates == "tf_crop_and_resize" and not 0 <= place <= n - 1
            else weights_of(place, n, mode, nearest, cubic, shrink, exclude_outside)
            for place in places
        ]
    result = np.full([len(own) for own in weights], extrapolation, np.float64)
    for where in np.ndindex(*result.shape):
        chosen = [weights[axis][i] for axis, i in enumerate(where)]
        if None not in chosen:
            terms = product(*(own.items() for own in chosen if own is not None))
            result[where] = sum(
                math.prod(weight for _, weight in taps) * float(x[tuple(index for index, _ in taps)]) for taps in terms
            )
    return result
