"""Pools, transposed convolution and matrix products as plain loops."""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np

from cnncc.types import Array

from .oracles import padding_of, spread


def taps_of(
    size: int, kernel: int, stride: int, padding: Any, axis: int, dilation: int, ceil: bool
) -> tuple[list[list[int]], tuple[int, int]]:
    """For each window its taps, counted from the first element of the input; and the padding (low, high)."""
    low, high = padding_of(padding, axis, size, kernel, stride, dilation)
    starts, at = [], -low
    while True:
        last = at + (kernel - 1) * dilation
        if last >= size + high and not (ceil and at - stride + (kernel - 1) * dilation < size + high - 1 and at < size):
            break
        starts.append(at)
        at += stride
    return [[start + dilation * k for k in range(kernel)] for start in starts], (low, high)


def pool(
    x: Array,
    kind: str,
    *,
    kernel: Sequence[int],
    stride: Any = None,
    padding: Any = "valid",
    dilation: Any = 1,
    ceil_mode: bool = False,
    count_padding: bool = False,
    **more: Any,
) -> Array:
    rank = len(kernel)
    geometry = zip(kernel, spread(kernel if stride is None else stride, rank), spread(dilation, rank), strict=True)
    axes = [taps_of(x.shape[2 + axis], k, s, padding, axis, d, ceil_mode) for axis, (k, s, d) in enumerate(geometry)]
    result = np.zeros((*x.shape[:2], *(len(taps) for taps, _ in axes)))
    for where in product(*map(range, result.shape)):
        places = list(product(*(taps[at] for (taps, _), at in zip(axes, where[2:], strict=True))))
        inside = [p for p in places if all(0 <= i < n for i, n in zip(p, x.shape[2:], strict=True))]
        margins = [pads for _, pads in axes]
        counted = [
            p
            for p in places
            if all(-low <= i < n + high for i, n, (low, high) in zip(p, x.shape[2:], margins, strict=True))
        ]
        seen = [float(x[(*where[:2], *place)]) for place in inside]
        result[where] = pooled(kind, seen, len(counted if count_padding else inside), **more)
    return result


def pooled(kind: str, seen: Sequence[float], count: int, alpha: float = 0.5, p: int = 2) -> float:
    largest = math.nan if any(map(math.isnan, seen)) else max(seen)
    mean = sum(seen) / count
    if kind == "lp":
        return math.sqrt(sum(v * v for v in seen)) if p == 2 else sum(abs(v) ** p for v in seen) ** (1 / p)
    mixed = float(np.float32(alpha)) * largest + float(np.float32(1 - alpha)) * mean
    return {"max": largest, "average": mean, "mixed": mixed}[kind]


def adaptive(x: Array, kind: str, sizes: Any) -> Array:
    rank = x.ndim - 2
    sizes = (sizes,) * rank if isinstance(sizes, int) else sizes
    result = np.zeros((*x.shape[:2], *sizes))
    for where in product(*map(range, result.shape)):
        spans = []
        for i, out, n in zip(where[2:], sizes, x.shape[2:], strict=True):
            spans.append(range(math.floor(i * n / out), math.ceil((i + 1) * n / out)))
        seen = [float(x[(*where[:2], *place)]) for place in product(*spans)]
        result[where] = pooled(kind, seen, len(seen))
    return result


def pyramid(x: Array, levels: Sequence[int], mode: str) -> Array:
    rows = []
    for image in x:
        row = []
        for level in levels:
            found = adaptive(image[None], mode, level)
            row += [found[where] for where in product(*map(range, found.shape))]
        rows.append(row)
    return np.array(rows)


def spectrum(x: Any) -> Any:
    """The unitary discrete Fourier transform along the spatial axes, term by term."""
    spatial = x.shape[2:]
    result: Any = np.zeros(x.shape, complex)
    for k in product(*map(range, spatial)):
        for place in product(*map(range, spatial)):
            turn = sum(a * b / n for a, b, n in zip(k, place, spatial, strict=True))
            result[(..., *k)] += x[(..., *place)] * cmath.exp(-2j * math.pi * turn)
    return result / math.sqrt(math.prod(spatial))


def spectral(x: Array, sizes: Any) -> Array:
    """Crop the spectrum; what stands alone at the highest frequency of an even size is shared by ±k."""
    spatial = x.shape[2:]
    sizes = (sizes,) * len(spatial) if isinstance(sizes, int) else sizes
    whole = spectrum(x.astype(float))
    result: Any = np.zeros((*x.shape[:2], *sizes), complex)
    kept = []
    for size in sizes:
        own = dict.fromkeys(range(-((size - 1) // 2), (size - 1) // 2 + 1), 1.0)
        if size % 2 == 0:
            own |= {size // 2: 0.5, -size // 2: 0.5}
        kept.append(own)
    for place in product(*map(range, sizes)):
        for k in product(*kept):
            turn = sum(a * b / size for a, b, size in zip(k, place, sizes, strict=True))
            weight = math.prod(own[a] for own, a in zip(kept, k, strict=True))
            bin_of = tuple(a % n for a, n in zip(k, spatial, strict=True))
            result[(..., *place)] += weight * whole[(..., *bin_of)] * cmath.exp(2j * math.pi * turn)
    assert np.abs(result.imag).max() < 1e-9
    return np.asarray(result.real / math.sqrt(math.prod(sizes)))


def conv_transpose(
    x: Array,
    w: Array,
    bias: Array | None = None,
    *,
    kernel: Sequence[int],
    stride: Any = 1,
    dilation: Any = 1,
    padding: Any = "valid",
    output_padding: Any = 0,
    groups: int = 1,
) -> Array:
    """Every input element scatters its multiple of the kernel; then the padding is cut off or added."""
    rank = len(kernel)
    stride, dilation, added = spread(stride, rank), spread(dilation, rank), spread(output_padding, rank)
    lows, sizes = [], []
    for axis, (n, k, s, d) in enumerate(zip(x.shape[2:], kernel, stride, dilation, strict=True)):
        full = (n - 1) * s + (k - 1) * d + 1
        if padding == "same":
            lows.append(max(0, full - n * s) // 2)
            sizes.append(n * s)
        else:
            low, high = padding_of(padding, axis, n, k)
            lows.append(low)
            sizes.append(full - low - high + added[axis])
    each = w.shape[1]
    result = np.zeros((x.shape[0], each * groups, *sizes))
    if bias is not None:
        for channel in range(each * groups):
            result[:, channel] = float(bias[channel])
    for image, channel, *place in product(*map(range, x.shape)):
        first = channel // (x.shape[1] // groups) * each
        for output, *tap in product(range(each), *map(range, kernel)):
            hit = [i * s + t * d - low for i, s, t, d, low in zip(place, stride, tap, dilation, lows, strict=True)]
            if all(0 <= h < size for h, size in zip(hit, sizes, strict=True)):
                product_ = float(x[(image, channel, *place)]) * float(w[(channel, output, *tap)])
                result[(image, first + output, *hit)] += product_
    return result


def matmul(a: Array, b: Array) -> Array:
    left = a if a.ndim > 1 else a[None]
    right = b if b.ndim > 1 else b[:, None]
    batch = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    result = np.zeros((*batch, left.shape[-2], right.shape[-1]))
    for where in product(*map(range, result.shape)):
        *lead, row, column = where

        def own(matrices: Array, lead: Sequence[int] = lead) -> tuple[int, ...]:
            shape = matrices.shape[:-2]
            return tuple(0 if n == 1 else i for i, n in zip(lead[len(lead) - len(shape) :], shape, strict=True))

        for k in range(left.shape[-1]):
            result[where] += float(left[(*own(left), row, k)]) * float(right[(*own(right), k, column)])
    shape = [*batch, *a.shape[-2:-1], *(b.shape[-1:] if b.ndim > 1 else ())]
    return result.reshape(shape)


def whole(x: Array) -> tuple[int, ...]:
    """One bin on every axis."""
    return (1,) * (x.ndim - 2)


def max_pool_indices(op: Any, arrays: Sequence[Array]) -> Array:
    """Tap by tap: the elements are counted one by one, in either order."""
    (x,) = arrays
    rank, sizes = len(op.kernel), x.shape[2:]
    stride = spread(op.kernel if op.stride is None else op.stride, rank)
    geometry = zip(op.kernel, stride, spread(op.dilation, rank), strict=True)
    axes = [taps_of(sizes[axis], k, s, op.padding, axis, d, op.ceil_mode)[0] for axis, (k, s, d) in enumerate(geometry)]
    order = list(product(*map(range, sizes[::-1] if op.column_major else sizes)))
    numbers = {place[::-1] if op.column_major else place: number for number, place in enumerate(order)}
    result = np.zeros((*x.shape[:2], *map(len, axes)), object)
    for where in product(*map(range, result.shape)):
        places = product(*(axis[at] for axis, at in zip(axes, where[2:], strict=True)))
        inside = [place for place in places if place in numbers]
        best = inside[0]
        for place in inside:
            value, old = float(x[(*where[:2], *place)]), float(x[(*where[:2], *best)])
            best = place if not math.isnan(old) and (math.isnan(value) or value > old) else best
        result[where] = numbers[best] + (where[0] * x.shape[1] + where[1]) * len(order)
    return result


ORACLES: dict[str, Callable[[Any, Any], Array]] = {
    "AdaptiveAveragePool": lambda op, x: adaptive(x[0], "average", op.sizes),
    "AdaptiveMaxPool": lambda op, x: adaptive(x[0], "max", op.sizes),
    "AveragePool": lambda op, x: pool(x[0], "average", **vars(op)),
    "ConvTranspose": lambda op, x: conv_transpose(*x, **vars(op)),
    "GlobalAveragePool": lambda op, x: adaptive(x[0], "average", whole(*x)),
    "GlobalMaxPool": lambda op, x: adaptive(x[0], "max", whole(*x)),
    "LpPool": lambda op, x: pool(x[0], "lp", **vars(op)),
    "MatMul": lambda op, x: matmul(*x),
    "MaxPool": lambda op, x: pool(x[0], "max", **vars(op)),
    "MaxPoolIndices": max_pool_indices,
    "MixedPool": lambda op, x: pool(x[0], "mixed", **vars(op)),
    "SpatialPyramidPool": lambda op, x: pyramid(*x, **vars(op)),
    "SpectralPool": lambda op, x: spectral(x[0], op.sizes),
}
