"""Indices, and quantised elements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cnncc.types import Array

from .maker import FLOAT, WHOLE, Maker


def indexed(m: Maker, shape: Sequence[int], size: int, dtype: np.dtype[Any] = WHOLE) -> None:
    """Indices of an axis of this size, from both ends where the version allows it."""
    least = -size if m.version >= 11 else 0

    def fill(rng: np.random.Generator, sizes: Sequence[int]) -> Array:
        return rng.integers(least, size, sizes)

    if m.chance():
        m.arrive(shape, dtype, fill=fill)
    else:
        m.known(fill(m.rng, [int(size) for size in shape]), dtype)


def gather(m: Maker) -> None:
    shape, dtype = m.shape(2), m.element()
    axis = m.axis(len(shape), 1)
    m.arrive(shape, dtype)
    indexed(m, m.one_of(((), (2,), (2, 3))), shape[axis], m.one_of((WHOLE, np.dtype(np.int32))))
    m.must(axis=axis)


def gather_elements(m: Maker) -> None:
    shape, dtype = m.shape(2), m.element()
    axis = m.axis(len(shape), 1)
    m.arrive(shape, dtype)
    sizes = list(shape)
    sizes[axis] = m.random.randint(1, 4)
    indexed(m, sizes, shape[axis])
    m.must(axis=axis)


def gather_nd(m: Maker) -> None:
    m.arrive((m.n, 3, 4), m.element())
    if m.has("batch_dims") and m.chance():
        m.must(batch_dims=1)
        indexed(m, (m.n, 2, 1), 3)
    else:
        indexed(m, m.one_of(((2, 1), (5, 1))), 1)


def scatter_elements(m: Maker) -> None:
    shape, dtype = m.shape(2), m.element()
    axis = m.axis(len(shape), 1)
    m.arrive(shape, dtype)
    places = m.random.sample(range(shape[axis]), shape[axis])
    spread = np.array(places).reshape([-1 if a == axis % len(shape) else 1 for a in range(len(shape))])
    m.known(np.broadcast_to(spread, [int(n) for n in shape]).copy(), WHOLE)
    m.arrive(shape, dtype)
    m.must(axis=axis)
    m.set(reduction=m.one_of(("none", "add", *(("max", "min", "mul") if m.version >= 18 else ()))))
    if dtype.kind == "b":
        m.attributes.pop("reduction", None)


def scatter_nd(m: Maker) -> None:
    dtype = m.element()
    m.arrive((m.n, 4, 3), dtype)
    m.known([[0, 1], [0, 3]], WHOLE)
    m.arrive((2, 3), dtype)
    m.set(reduction=m.one_of(("none", "add", *(("max", "min", "mul") if m.version >= 18 else ()))))
    if dtype.kind == "b":
        m.attributes.pop("reduction", None)


def one_hot(m: Maker) -> None:
    shape = m.shape(1, 3)
    least = -4 if m.version >= 11 else 0  # before, what is negative is no index; others take it for one
    m.arrive(shape, m.one_of((WHOLE, np.dtype(np.int32), FLOAT)), fill=lambda rng, sizes: rng.integers(least, 6, sizes))
    m.known(4, WHOLE)
    m.known([0, 1], m.one_of((FLOAT, WHOLE)))
    m.set(axis=m.one_of((-1, 0, 1)))


# Quantised


def quantize(m: Maker) -> None:
    shape, kind = m.shape(2), np.dtype(m.one_of((np.uint8, np.int8)))
    arrives = FLOAT if m.schema.name == "QuantizeLinear" else kind
    m.arrive(shape, arrives, -3 if arrives == FLOAT else -50, 3 if arrives == FLOAT else 50)
    axis = m.axis(len(shape), 1)
    each = m.version >= 13 and m.chance()
    size = [shape[axis]] if each else []
    m.known(m.rng.uniform(0.01, 0.1, size), FLOAT)
    m.known(m.rng.integers(0, 50, size), kind)
    m.must(axis=axis) if each else None


def dynamic(m: Maker) -> None:
    m.arrive(m.shape())
    m.outputs = 3


def dropout(m: Maker) -> None:
    m.arrive(m.shape())
    m.set(ratio=0.3)
    m.must(is_test=1)
    if m.version >= 12 and m.chance(0.3):  # of the mask of older versions everyone says something else
        m.outputs = 2
