"""Reads and writes at indices that arrive: each element's place, counted out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np

from cnncc.types import Array

from .oracles_moving import at, fetched, gather
from .oracles_resize import keys

Place = tuple[int, ...]


def counted(index: Any, size: int) -> int:
    """An index counted from the front."""
    return int(index) + size if index < 0 else int(index)


def nearest(index: Any, size: int) -> int:
    """The index that is read: beyond an end, the one there."""
    place = counted(index, size)
    return 0 if place < 0 else size - 1 if place >= size else place


def lookup(x: Array, indices: Array, axis: int) -> Array:
    """Another index on one axis; indices of size 1 on an axis are the same along it."""
    shape = at(x.shape, axis, indices.shape[axis])

    def source(where: Sequence[int]) -> Place:
        own = tuple(0 if n == 1 else i for i, n in zip(where, indices.shape, strict=True))
        return at(where, axis, nearest(indices[own], x.shape[axis]))

    return fetched(x, shape, source)


def arriving(op: Any, x: Sequence[Array]) -> Array:
    if op.indices is not None:
        return gather(x[0], op.indices, op.axis)
    data, indices = x
    axis = op.axis % data.ndim
    shape = (*data.shape[:axis], *indices.shape, *data.shape[axis + 1 :])

    def source(where: Sequence[int]) -> Place:
        index = indices[tuple(where[axis : axis + indices.ndim])]
        return (*where[:axis], nearest(index, data.shape[axis]), *where[axis + indices.ndim :])

    return fetched(data, shape, source)


def gather_elements(op: Any, x: Sequence[Array]) -> Array:
    data, indices = x
    axis = op.axis % data.ndim
    return fetched(data, indices.shape, lambda where: at(where, axis, nearest(indices[tuple(where)], data.shape[axis])))


def gather_nd(op: Any, x: Sequence[Array]) -> Array:
    data, indices = x
    batch, outer = op.batch_dims, indices.ndim - 1
    sizes = data.shape[batch : batch + indices.shape[-1]]

    def source(where: Sequence[int]) -> Place:
        chosen = indices[tuple(where[:outer])]
        places = (nearest(index, size) for index, size in zip(chosen, sizes, strict=True))
        return (*where[:batch], *places, *where[outer:])

    return fetched(data, (*indices.shape[:-1], *data.shape[batch + len(sizes) :]), source)


MEETS: dict[str, Callable[[Any, Any], Any]] = {
    "none": lambda old, new: new,
    "replace": lambda old, new: new,
    "add": lambda old, new: old + new,
    "mul": lambda old, new: old * new,
    "max": lambda old, new: old if math.isnan(old) or old > new else new,
    "min": lambda old, new: old if math.isnan(old) or old < new else new,
}
MEETS |= {"multiply": MEETS["mul"], "maximum": MEETS["max"], "minimum": MEETS["min"]}


def written(x: Array, updates: Array, meets: str, place: Callable[[Place], Place | None]) -> Array:
    """x after each update, in row-major order, has met the element at its place, if there is one."""
    result = x.astype(float if x.dtype.kind == "f" else object)
    for where in product(*map(range, updates.shape)):
        there = place(where)
        if there is not None:
            new = updates[where].item() if hasattr(updates[where], "item") else updates[where]
            result[there] = MEETS[meets](result[there], new)
    return result


def scatter(x: Array, indices: Array, updates: Array, axis: int, meets: str) -> Array:
    """Another index on one axis; indices of size 1 on an axis are the same along it."""

    def place(where: Place) -> Place | None:
        own = tuple(0 if n == 1 else i for i, n in zip(where, indices.shape, strict=True))
        index = counted(indices[own], x.shape[axis])
        return at(where, axis, index) if 0 <= index < x.shape[axis] else None

    return written(x, updates, meets, place)


def scatter_nd(op: Any, x: Sequence[Array]) -> Array:
    data, indices, updates = x
    outer, sizes = indices.ndim - 1, data.shape[: indices.shape[-1]]

    def place(where: Place) -> Place | None:
        chosen = [counted(index, size) for index, size in zip(indices[where[:outer]], sizes, strict=True)]
        inside = all(0 <= index < size for index, size in zip(chosen, sizes, strict=True))
        return (*chosen, *where[outer:]) if inside else None

    return written(data, updates, op.reduction, place)


def mirrored(place: float, low: float, high: float) -> float:
    """A walk beyond an end turns back, as often as it takes."""
    if high == low:
        return low
    while not low <= place <= high:
        place = 2 * low - place if place < low else 2 * high - place
    return place


def sampled(op: Any, image: Array, place: Sequence[float]) -> float:
    """One channel at a place, in elements: one axis after the other."""
    size = image.shape[0]
    low, high = (0.0, size - 1.0) if op.align_corners else (-0.5, size - 0.5)
    at, *others = place
    at = round(at) if op.mode == "nearest" else at
    if op.padding == "reflection":
        at = mirrored(at, low, high)
    if op.padding == "border" and op.mode == "linear":
        at = min(max(at, 0), size - 1)
    first = math.floor(at)
    rest = at - first
    kernels = {
        "nearest": {0: 1.0},
        "linear": {0: 1 - rest, 1: rest},
        "cubic": {tap: keys(tap - rest, -0.75) for tap in (-1, 0, 1, 2)},
    }
    total = 0.0
    for tap, weight in kernels[op.mode].items():
        index = first + tap
        if op.padding == "zeros" and not 0 <= index < size:
            continue
        index = int(mirrored(index, low, high)) if op.padding == "reflection" else min(max(index, 0), size - 1)
        total += weight * (sampled(op, image[index], others) if others else float(image[index]))
    return total


def grid_sample(op: Any, x: Sequence[Array]) -> Array:
    data, grid = x
    result = np.zeros((*data.shape[:2], *grid.shape[1:-1]))
    for where in product(*map(range, result.shape)):
        coordinates = [float(g) for g in grid[(where[0], *where[2:])]][::-1]
        pairs = zip(coordinates, data.shape[2:], strict=True)
        if op.align_corners:
            place = [(g + 1) / 2 * (n - 1) for g, n in pairs]
        else:
            place = [((g + 1) * n - 1) / 2 for g, n in pairs]
        result[where] = sampled(op, data[where[:2]], place)
    return result


ORACLES: dict[str, Callable[[Any, Sequence[Array]], Array]] = {
    "Gather": arriving,
    "GatherElements": gather_elements,
    "GatherND": gather_nd,
    "GridSample": grid_sample,
    "ScatterElements": lambda op, x: scatter(x[0], x[1], x[2], op.axis % x[0].ndim, op.reduction),
    "ScatterND": scatter_nd,
}
