"""What each op means, written a second time: plain loops, Python floats, nothing of ours imported.

An error in shared window arithmetic cannot hide here, because here it is counted out tap by tap.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from cnncc.types import Array


def positions(size: int, extent: int, stride: int) -> list[int]:
    """Starts of all windows that lie inside `size` elements, found by walking."""
    starts, at = [], 0
    while at + extent <= size:
        starts.append(at)
        at += stride
    return starts


def padding_of(padding: Any, axis: int, size: int, kernel: int, stride: int = 1, dilation: int = 1) -> tuple[int, int]:
    """(low, high) along one axis for whatever may be given as padding."""
    extent = 1 + dilation * (kernel - 1)
    if padding == "valid":
        return 0, 0
    if padding == "full":
        return extent - 1, extent - 1
    if padding == "same":
        wanted = len(range(0, size, stride))
        total = 0
        while len(positions(size + total, extent, stride)) < wanted:
            total += 1
        return total // 2, total - total // 2
    if isinstance(padding, int):
        return padding, padding
    entry = padding[axis]
    return (entry, entry) if isinstance(entry, int) else entry


def spread(value: Any, rank: int) -> tuple[int, ...]:
    return (value,) * rank if isinstance(value, int) else tuple(value)


def windows(
    sizes: Any, kernel: Sequence[int], stride: Any, dilation: Any, padding: Any
) -> list[list[list[int | None]]]:
    """For each axis a list over outputs of lists over taps of input indices; None stands for padding."""
    axes = []
    for axis, (n, k, s, d) in enumerate(zip(sizes, kernel, stride, dilation, strict=True)):
        low, high = padding_of(padding, axis, n, k, s, d)
        starts = positions(n + low + high, 1 + d * (k - 1), s)
        taps = [[start + d * t - low for t in range(k)] for start in starts]
        axes.append([[i if 0 <= i < n else None for i in row] for row in taps])
    return axes


def conv(
    x: Array,
    w: Array,
    bias: Array | None = None,
    *,
    kernel: Sequence[int],
    stride: Any = 1,
    dilation: Any = 1,
    padding: Any = "valid",
    groups: int = 1,
    flip: bool = False,
) -> Array:
    rank = len(kernel)
    axes = windows(x.shape[2:], kernel, spread(stride, rank), spread(dilation, rank), padding)
    outputs, group_channels = w.shape[:2]
    result = np.zeros((x.shape[0], outputs, *map(len, axes)))
    x, w = x.astype(float), w.astype(float)
    for where in product(*map(range, result.shape)):
        image, output, *spot = where
        first = output // (outputs // groups) * group_channels
        total = 0.0
        for tap in product(*map(range, kernel)):
            place = tuple(axis[at][t] for axis, at, t in zip(axes, spot, tap, strict=True))
            if None in place:
                continue
            used = tuple(k - 1 - t for k, t in zip(kernel, tap, strict=True)) if flip else tap
            for channel in range(group_channels):
                total += x[(image, first + channel, *place)] * w[(output, channel, *used)]
        result[where] = total + (0.0 if bias is None else float(bias[output]))
    return result


def pool(
    x: Array,
    kind: str,
    *,
    kernel: Sequence[int],
    stride: Any = None,
    padding: Any = "valid",
    count_padding: bool = False,
    dilation: Any = 1,
) -> Array:
    rank = len(kernel)
    stride = kernel if stride is None else spread(stride, rank)
    axes = windows(x.shape[2:], kernel, stride, spread(dilation, rank), padding)
    result = np.zeros((*x.shape[:2], *map(len, axes)))
    for where in product(*map(range, result.shape)):
        image, channel, *spot = where
        places = list(product(*(axis[at] for axis, at in zip(axes, spot, strict=True))))
        seen = [float(x[(image, channel, *place)]) for place in places if None not in place]
        if kind == "max":
            result[where] = math.nan if any(map(math.isnan, seen)) else max(seen)
        else:
            divisor = {"sum": 1, "average": len(places) if count_padding else len(seen)}[kind]
            result[where] = sum(seen) / divisor
    return result


def dense(x: Array, w: Array, bias: Array | None = None) -> Array:
    result = np.zeros((x.shape[0], w.shape[0]))
    for n, o in product(*map(range, result.shape)):
        total = 0.0
        for k in range(x.shape[1]):
            total += float(x[n, k]) * float(w[o, k])
        result[n, o] = total + (0.0 if bias is None else float(bias[o]))
    return result


def batch_normalization(
    x: Array, scale: Array, bias: Array, mean: Array, variance: Array, epsilon: float = 1e-5
) -> Array:
    result = np.zeros(x.shape)
    for where in product(*map(range, x.shape)):
        c = where[1]
        centred = (float(x[where]) - float(mean[c])) / math.sqrt(float(variance[c]) + epsilon)
        result[where] = centred * float(scale[c]) + float(bias[c])
    return result


def image_to_tensor(
    x: Array, factor: Array | None = None, shift: Array | None = None, *, channels_last: bool = False
) -> Array:
    shape = (x.shape[0], x.shape[-1], *x.shape[1:-1]) if channels_last else x.shape
    result = np.zeros(shape)
    for where in product(*map(range, shape)):
        image, channel, *spot = where
        value = float(x[(image, *spot, channel) if channels_last else where])
        result[where] = (
            value if factor is None or shift is None else value * float(factor[channel]) + float(shift[channel])
        )
    return result


def broadcast_index(where: Sequence[int], shape: Sequence[int]) -> tuple[int, ...]:
    """Where a tensor of `shape` is read for output position `where`: axes from the back, size 1 stays at 0."""
    tail = where[len(where) - len(shape) :]
    return tuple(0 if size == 1 else at for at, size in zip(tail, shape, strict=True))


def softmax(x: Array, axis: int = 1) -> Array:
    axis %= x.ndim
    result = np.zeros(x.shape)
    for where in product(*map(range, x.shape)):
        line = [float(x[(*where[:axis], i, *where[axis + 1 :])]) for i in range(x.shape[axis])]
        # Divided through by the numerator: no maximum is subtracted, so this is another formula than ours.
        result[where] = 1.0 / math.fsum(math.exp(other - float(x[where])) for other in line)
    return result


def concat(*parts: Array, axis: int = 1) -> Array:
    axis %= parts[0].ndim
    shape = list(parts[0].shape)
    shape[axis] = sum(part.shape[axis] for part in parts)
    result, offset = np.zeros(shape), 0
    for part in parts:
        for where in product(*map(range, part.shape)):
            result[(*where[:axis], where[axis] + offset, *where[axis + 1 :])] = part[where]
        offset += part.shape[axis]
    return result


def split(x: Array, sizes: Any, axis: int = 1) -> list[Array]:
    axis %= x.ndim
    results, offset = [], 0
    for size in sizes:
        part = np.zeros((*x.shape[:axis], size, *x.shape[axis + 1 :]))
        for where in product(*map(range, part.shape)):
            part[where] = x[(*where[:axis], where[axis] + offset, *where[axis + 1 :])]
        results.append(part)
        offset += size
    return results
