"""Finds u and v with fl(u·vᵀ) equal to a kernel bit for bit.

The scale between u and v is free, and only some scales are exact in float32, so this is a search. It begins with a few
natural guesses for v (a row, a normalised row, square roots of the diagonal …). From each, u and v are computed in
turn, each element among the floats next to its quotient. A result is exact, bit for bit, but a kernel made from a u and
v of arbitrary scale can be missed. For those, and for kernels computed in float64, `nearly` finds factors whose
products have one rounding more.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ..elements import FLOAT32, bits
from ..types import Array

ROUNDS = 3  # improvements of u and v in turn, from one guess
SCALES = 256  # scales between nearly exact factors that are tried
CORNER = 16  # rows and columns that are tested first
NUDGES = 2  # floats tried on each side of a quotient
LARGEST_EXPONENT = math.frexp(FLOAT32.most)[1] - 1


@np.errstate(all="ignore")  # a guess that overflows is only a wrong guess
def factor(kernel: Array) -> tuple[Array, Array] | None:
    """(u, v) in float32 whose rounded outer product is `kernel` bit for bit; None if there is none or none is found.

    Kernels with NaN, infinities or subnormals never match: a product that underflows has lost its relative precision.
    """
    if not _plausible(kernel):
        return None
    if not kernel.any():
        u, v = np.zeros(kernel.shape[0], kernel.dtype), np.ones(kernel.shape[1], kernel.dtype)
        return (u, v) if same_bits(outer(u, v), kernel) else None
    for guess in _guesses(kernel.astype(np.float64)):
        v = guess.astype(kernel.dtype)
        for _ in range(ROUNDS):
            u = _solve(kernel, v)
            if same_bits(outer(u, v), kernel):
                return _scaled(u, v)
            v = _solve(kernel.T, u)
            if same_bits(outer(u, v), kernel):
                return _scaled(u, v)
    return None


@np.errstate(all="ignore")
def nearly(kernel: Array) -> tuple[Array, Array] | None:
    """(u, v) in float32 with |u·vᵀ − kernel| ≤ 2·2^-24·|u·vᵀ| in every element; None if none is found.

    It is meant for kernels that were multiplied in float64 and rounded once: their factors are no floats, and rounding
    the factors adds as large an error again. Some scales between u and v round better than others, so a few are tried.
    """
    if not _plausible(kernel) or not kernel.any():
        return None
    k = kernel.astype(np.float64)
    left, sizes, right = np.linalg.svd(k)
    u, v = left[:, 0] * sizes[0], right[0]
    u, v = np.where(k.any(axis=1), u, 0), np.where(k.any(axis=0), v, 0)
    for scale in np.linspace(1, 2, SCALES, endpoint=False):
        first, second = (vector.astype(kernel.dtype) for vector in _scaled(u * scale, v / scale))
        product = np.multiply.outer(first.astype(np.float64), second.astype(np.float64))
        # A product with an infinite factor would satisfy any bound.
        if np.isfinite(product).all() and np.all(np.abs(product - k) <= 2 * FLOAT32.unit * np.abs(product)):
            return first, second
    return None


def _scaled(u: Array, v: Array) -> tuple[Array, Array]:
    """u and v times opposite powers of two where |u| exceeds 1, as far as v stays finite.

    Then the first convolution overflows no earlier than the sum of its inputs. No product changes, since the kernel
    has no subnormals.
    """
    first, second = (int(np.ceil(np.log2(np.abs(vector).max()))) for vector in (u, v))
    exponent = max(0, min(first, LARGEST_EXPONENT - second))
    return np.ldexp(u, -exponent), np.ldexp(v, exponent)


def outer(u: Array, v: Array) -> Array:
    """fl(u·vᵀ)"""
    return np.multiply.outer(u, v)


def same_bits(a: Array, b: Array) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def _plausible(kernel: Array) -> bool:
    """Whether all rows can be multiples of one row; a corner is tested first, before millions of weights."""
    return _vanishing(kernel[:CORNER, :CORNER]) and _vanishing(kernel)


def _vanishing(kernel: Array) -> bool:
    """Whether every 2×2 determinant with the largest element vanishes up to rounding."""
    magnitude = np.abs(kernel)
    if not np.isfinite(kernel).all() or np.any((magnitude > 0) & (magnitude < FLOAT32.normal)):
        return False
    k = kernel.astype(np.float64)
    row, column = np.unravel_index(np.argmax(magnitude), k.shape)
    expected, product = k * k[row, column], np.outer(k[:, column], k[row])
    return bool(np.all(np.abs(expected - product) <= 8 * FLOAT32.unit * np.abs(expected)))


def _guesses(k: Array) -> Iterator[Array]:
    """Candidates for v: vectors from which kernels are usually built.

    The largest row comes first: then no |u| exceeds 1, and the convolution along the columns overflows no earlier than
    the sum of its inputs.
    """
    largest = np.abs(k).max(axis=1)
    rows = k[np.argsort(-largest, kind="stable")][: np.count_nonzero(largest)]
    yield from rows
    for row in rows:
        yield row / row[np.argmax(np.abs(row))]
    sums = k.sum(axis=0)
    total = sums.sum()
    if total != 0:
        yield sums / total
        yield sums / np.sqrt(abs(total))
    if k.shape[0] == k.shape[1]:
        signs = np.sign(rows[0]) * np.sign(rows[0][np.argmax(np.abs(rows[0]))])
        yield signs * np.sqrt(np.abs(np.diag(k)))
    yield rows[0] / np.linalg.norm(rows[0])


def _solve(kernel: Array, v: Array) -> Array:
    """For each row of `kernel` the float u with the most exact elements of fl(u·v), signs of zeros included."""
    pivot = int(np.argmax(np.abs(v)))
    quotient = kernel[:, pivot] / v[pivot]
    candidates = [quotient, -quotient]  # the negative one matters for zeros only
    above = below = quotient
    for _ in range(NUDGES):
        above, below = (np.nextafter(x, x.dtype.type(end)) for x, end in ((above, np.inf), (below, -np.inf)))
        candidates += [above, below]
    tried = np.stack(candidates)
    right = bits(tried[..., None] * v) == bits(np.ascontiguousarray(kernel))
    best = np.argmax(right.sum(axis=2), axis=0)
    return np.asarray(tried[best, np.arange(len(quotient))])
