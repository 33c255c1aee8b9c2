"""Ops that only move elements, and resampling: for each output element, where it comes from, counted out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np

from cnncc.types import Array

from .oracles_resize import resize


def fetched(x: Array, shape: Sequence[int], source: Callable[[Any], Any]) -> Array:
    """The result of `shape` whose element at `where` is x[source(where)], or a number if source gives one."""
    result = np.zeros(shape)
    for where in product(*map(range, shape)):
        place = source(where)
        result[where] = x[tuple(place)] if isinstance(place, tuple | list) else place
    return result


def at(where: Sequence[int], axis: int, value: int) -> tuple[int, ...]:
    return (*where[:axis], value, *where[axis + 1 :])


def row_major(x: Array, shape: Sequence[int]) -> Array:
    """The elements in their order under another shape, by counting them."""
    flat = [x[where] for where in product(*map(range, x.shape))]
    result = np.zeros(shape)
    for number, where in enumerate(product(*map(range, shape))):
        result[where] = flat[number]
    return result


def flatten(x: Array, axis: int) -> Array:
    axis = axis if axis >= 0 else axis + x.ndim
    rows = math.prod(x.shape[:axis])
    return row_major(x, (rows, x.size // rows))


def reshape(x: Array, sizes: Any) -> Array:
    shape = [x.shape[place] if size == 0 else size for place, size in enumerate(sizes)]
    if -1 in shape:
        rest = -math.prod(shape)
        shape[shape.index(-1)] = next(size for size in range(1, x.size + 1) if size * rest == x.size)
    return row_major(x, tuple(shape))


def squeeze(x: Array, axes: Any) -> Array:
    named = range(x.ndim) if axes is None else [axis % x.ndim for axis in axes]
    return row_major(x, tuple(n for axis, n in enumerate(x.shape) if not (n == 1 and axis in named)))


def unsqueeze(x: Array, axes: Any) -> Array:
    shape = list(x.shape)
    for axis in sorted(axis % (x.ndim + len(axes)) for axis in axes):
        shape.insert(axis, 1)
    return row_major(x, tuple(shape))


def transpose(x: Array, axes: Any) -> Array:
    axes = tuple(range(x.ndim))[::-1] if axes is None else axes
    shape = tuple(x.shape[axis] for axis in axes)
    return fetched(x, shape, lambda where: [where[axes.index(axis)] for axis in range(x.ndim)])


def slice_(x: Array, starts: Any, ends: Any, axes: Any, steps: Any) -> Array:
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        axis, n = axis % x.ndim, x.shape[axis]
        start, end = start + n * (start < 0), end + n * (end < 0)
        least, most = (0, n) if step > 0 else (-1, n - 1)
        place, end, found = min(max(start, max(least, 0)), most), min(max(end, least), most), []
        while (place < end) if step > 0 else (place > end):
            found.append(place)
            place += step

        def source(where: Sequence[int], axis: int = axis, found: Sequence[int] = found) -> tuple[int, ...]:
            return at(where, axis, found[where[axis]])

        x = fetched(x, at(x.shape, axis, len(found)), source)
    return x


def gather(x: Array, indices: Any, axis: int) -> Array:
    axis, n = axis % x.ndim, x.shape[axis % x.ndim]
    extra = []
    level = indices
    while isinstance(level, tuple):
        extra.append(len(level))
        level = level[0]

    def source(where: Sequence[int]) -> Any:
        chosen = indices
        for at_level in where[axis : axis + len(extra)]:
            chosen = chosen[at_level]
        return (*where[:axis], chosen + n if chosen < 0 else chosen, *where[axis + len(extra) :])

    return fetched(x, (*x.shape[:axis], *extra, *x.shape[axis + 1 :]), source)


def expand(x: Array, sizes: Any) -> Array:
    rank = max(x.ndim, len(sizes))
    own, other = ((1,) * (rank - len(shape)) + tuple(shape) for shape in (x.shape, sizes))
    shape = tuple(max(a, b) for a, b in zip(own, other, strict=True))
    return fetched(
        x, shape, lambda where: [0 if n == 1 else i for i, n in zip(where[rank - x.ndim :], x.shape, strict=True)]
    )


def tile(x: Array, repeats: Sequence[int]) -> Array:
    shape = tuple(n * times for n, times in zip(x.shape, repeats, strict=True))
    return fetched(x, shape, lambda where: [i % n for i, n in zip(where, x.shape, strict=True)])


def mirrored(place: int, size: int) -> int:
    """Walk from element 0 and turn round at both ends."""
    at_now, step = 0, 1
    for _ in range(abs(place)):
        if size > 1:
            step = 1 if at_now == 0 else -1 if at_now == size - 1 else step
            at_now += step
    return at_now


def pad(x: Array, pads: Any, mode: str, value: Any) -> Array:
    shape = tuple(low + n + high for n, (low, high) in zip(x.shape, pads, strict=True))
    kept = [(max(0, -low), n - max(0, -low) - max(0, -high)) for n, (low, high) in zip(x.shape, pads, strict=True)]

    def source(where: Sequence[int]) -> Any:
        places = []
        for i, (low, _), (first, size) in zip(where, pads, kept, strict=True):
            place = i - max(low, 0)
            if mode == "constant" and not 0 <= place < size:
                return float(np.float32(value))
            if mode == "edge":
                place = 0 if place < 0 else size - 1 if place >= size else place
            if mode == "reflect":
                place = mirrored(place, size)
            if mode == "wrap":
                while place < 0:
                    place += size
                while place >= size:
                    place -= size
            places.append(first + place)
        return places

    return fetched(x, shape, source)


def depth_to_space(x: Array, block: int, mode: str) -> Array:
    n, c, h, w = x.shape
    channels = c // block // block

    def source(where: Sequence[int]) -> Any:
        image, channel, row, column = where
        square = (row % block) * block + column % block
        place = square * channels + channel if mode == "DCR" else channel * block * block + square
        return image, place, row // block, column // block

    return fetched(x, (n, channels, h * block, w * block), source)


def space_to_depth(x: Array, block: int) -> Array:
    n, c, h, w = x.shape

    def source(where: Sequence[int]) -> Any:
        image, channel, row, column = where
        square, own = divmod(channel, c)
        return image, own, row * block + square // block, column * block + square % block

    return fetched(x, (n, c * block * block, h // block, w // block), source)


def channel_shuffle(x: Array, groups: int) -> Array:
    each = x.shape[1] // groups
    return fetched(x, x.shape, lambda where: at(where, 1, where[1] % groups * each + where[1] // groups))


ORACLES = {
    "ChannelShuffle": channel_shuffle,
    "DepthToSpace": depth_to_space,
    "Expand": expand,
    "Flatten": flatten,
    "Identity": lambda x: row_major(x, x.shape),
    "Dropout": lambda x, rate: row_major(x, x.shape),
    "Pad": pad,
    "Reshape": reshape,
    "Resize": resize,
    "Slice": slice_,
    "SpaceToDepth": space_to_depth,
    "Squeeze": squeeze,
    "Tile": tile,
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
}
"""All take one input and the attributes."""
