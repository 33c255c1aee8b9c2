"""Weights as pruning, initialisation and hand-made filters leave them, and windows that are larger than the image.

Rewrites ask for exactly such numbers: rings, rows and blocks of zeros, kernels of rank one, equal weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from cnncc.types import Array

Structure = Callable[[np.random.Generator, Array], Array]


def cut(rng: np.random.Generator, size: int) -> tuple[int, int]:
    """A random range [begin, end) of an axis, perhaps empty, often a single element or all."""
    kind = int(rng.integers(5))
    if kind == 0:
        return 0, size
    if kind == 1:
        begin = int(rng.integers(size))
        return begin, begin + 1
    begin, end = sorted(int(n) for n in rng.integers(0, size + 1, 2))
    return begin, end


def rings(rng: np.random.Generator, w: Array) -> Array:
    """Zero outside of a box of taps, which may be empty or lie in a corner."""
    result = np.zeros_like(w)
    box: Any = (..., *(slice(*cut(rng, size)) for size in w.shape[2:]))
    result[box] = w[box]
    return result


def single_tap(rng: np.random.Generator, w: Array) -> Array:
    result = np.zeros_like(w)
    tap: Any = (..., *(int(rng.integers(size)) for size in w.shape[2:]))
    result[tap] = w[tap]
    return result


def rows(rng: np.random.Generator, w: Array) -> Array:
    """Zero slices along some axis: outputs, inputs or taps that were pruned."""
    result, axis = w.copy(), int(rng.integers(w.ndim))
    gone = rng.random(w.shape[axis]) < 0.5
    result[(slice(None),) * axis + (gone,)] = 0
    return result


def blocks(rng: np.random.Generator, w: Array) -> Array:
    """Blocks on the diagonal of (outputs, inputs)."""
    if w.ndim < 2:
        return rows(rng, w)
    counts = [n for n in range(1, min(w.shape[:2]) + 1) if not w.shape[0] % n and not w.shape[1] % n]
    count = counts[int(rng.integers(len(counts)))]
    mask = np.kron(np.eye(count), np.ones((w.shape[0] // count, w.shape[1] // count)))
    return np.asarray(w * mask.reshape(*mask.shape, *(1,) * (w.ndim - 2)), np.float32)


def rank_one(rng: np.random.Generator, w: Array) -> Array:
    """A product of a vector for each axis, with small whole numbers, some of them 0."""
    result = np.ones(w.shape)
    for axis, size in enumerate(w.shape):
        numbers = rng.integers(-1 if axis else 1, 4, size)
        result = result * numbers.reshape(-1, *(1,) * (w.ndim - axis - 1))
    return (result / 16).astype(np.float32)


def few(rng: np.random.Generator, w: Array) -> Array:
    """Two or three different numbers, zeros of both signs among them."""
    numbers = np.array([0.0, -0.0, 1.0, -1.0, 0.5, float(w.flat[0])], np.float32)
    return rng.choice(rng.choice(numbers, int(rng.integers(2, 4))), w.shape).astype(np.float32)


def repeated(rng: np.random.Generator, w: Array) -> Array:
    """The same weights for each output."""
    return np.broadcast_to(w[:1], w.shape).copy()


STRUCTURES: Mapping[str, Structure] = {
    "zeros": lambda rng, w: np.zeros_like(w),
    "negative zeros": lambda rng, w: np.full_like(w, -0.0),
    "ones": lambda rng, w: np.ones_like(w),
    "signs": lambda rng, w: np.sign(w),
    "equal": lambda rng, w: np.full_like(w, w.flat[0]),
    "subnormal": lambda rng, w: w * np.float32(2.0**-130),
    "small": lambda rng, w: w * np.float32(2.0**-100),
    "huge": lambda rng, w: np.clip(w, -4, 4) * np.float32(2.0**100),
    "rings": rings,
    "rings again": rings,
    "single tap": single_tap,
    "rows": rows,
    "blocks": blocks,
    "rank one": rank_one,
    "few": few,
    "repeated": repeated,
}


def structured(rng: np.random.Generator, w: Array) -> Array:
    """`w` with one of the structures, seldom with two."""
    names = list(STRUCTURES)
    for _ in range(1 if rng.random() < 0.8 else 2):
        w = STRUCTURES[names[int(rng.integers(len(names)))]](rng, w)
    return w
