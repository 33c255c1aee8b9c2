"""Random reads and writes at indices, most of which exist; the others are beyond an end, some at that of their type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from cnncc import ops
from cnncc.elements import INT32, INT64, element_of
from cnncc.ir import Value
from cnncc.types import Array
from tests.graphs import ends

if TYPE_CHECKING:
    from .generate import Generator

REDUCTIONS = ("none", "none", "add", "mul", "max", "min")


def indices(g: Generator, shape: Sequence[int], size: int) -> Value:
    """Indices of an axis: an input, or a constant."""
    data = wild(g.rng, shape, size, g.one_of((INT32, INT64)).numpy)
    return g.net.arrives(data, "indices", element_of(data)) if g.chance(0.7) else g.net.known(data, element_of(data))


def updates(g: Generator, shape: Sequence[int]) -> Value:
    data = np.asarray(g.net.random(*shape), np.float32)
    return g.net.arrives(data, "updates") if g.chance(0.5) else g.net.known(data)


def wild(rng: np.random.Generator, shape: Sequence[int], size: int, dtype: np.dtype[np.generic]) -> Array:
    inside = rng.integers(-size, size, shape).astype(dtype)
    beyond = rng.choice(np.array([-size - 1, size, 3 * size, *ends(dtype)], dtype), shape)
    return np.where(rng.random(shape) < 0.85, inside, beyond).astype(dtype)


def some(g: Generator, shape: Sequence[int], axis: int) -> tuple[int, ...]:
    """Sizes of indices for each element: any along `axis`, seldom fewer along another axis."""
    whole = [g.number(1, size) if g.chance(0.1) else size for size in shape]
    whole[axis] = g.number(1, 9)
    return tuple(whole)


def axis_of(g: Generator, rank: int) -> int:
    return g.number(0 if g.chance(0.15) or rank == 1 else 1, rank - 1)


def gather(g: Generator) -> Value:
    x = g.pick((1, 2, 3, 4, 5))
    shape = g.net.shape(x)
    axis = axis_of(g, len(shape))
    chosen = indices(g, [g.number(1, 5) for _ in range(g.number(0, 2))], shape[axis])
    return g.net.apply(ops.Gather(axis=axis - len(shape) if g.chance(0.2) else axis), x, chosen)


def embedding(g: Generator) -> Value:
    """Rows of a table, for each image."""
    rows = g.number(1, 40)
    table = g.weights(rows, g.one_of((1, 3, 8, 16, 33, 70)))
    return g.net.apply(ops.Gather(), table, indices(g, (g.images, *[g.number(1, 9)] * g.number(0, 2)), rows))


def gather_elements(g: Generator) -> Value:
    x = g.pick((1, 2, 3, 4, 5))
    shape = g.net.shape(x)
    axis = axis_of(g, len(shape))
    return g.net.apply(ops.GatherElements(axis), x, indices(g, some(g, shape, axis), shape[axis]))


def gather_nd(g: Generator) -> Value:
    x = g.pick((1, 2, 3, 4, 5))
    shape = g.net.shape(x)
    batch = g.number(0 if g.chance(0.2) or len(shape) == 1 else 1, min(2, len(shape) - 1))
    depth = g.number(1, len(shape) - batch)
    outer = [*shape[:batch], *[g.number(1, 5)] * g.number(0, 2)]
    return g.net.apply(ops.GatherND(batch), x, indices(g, (*outer, depth), min(shape[batch : batch + depth])))


def scatter_elements(g: Generator) -> Value:
    x = g.pick((1, 2, 3, 4, 5))
    shape = g.net.shape(x)
    axis = axis_of(g, len(shape))
    own = some(g, shape, axis)
    op = ops.ScatterElements(axis, g.one_of(REDUCTIONS))
    return g.net.apply(op, x, indices(g, own, shape[axis]), updates(g, own))


def scatter_nd(g: Generator) -> Value:
    x = g.pick((1, 2, 3, 4, 5))
    shape = g.net.shape(x)
    depth = g.number(1, len(shape))
    outer = [g.number(1, 6)] * g.number(0, 2)
    chosen = indices(g, (*outer, depth), min(shape[:depth]))
    return g.net.apply(ops.ScatterND(g.one_of(REDUCTIONS)), x, chosen, updates(g, (*outer, *shape[depth:])))


def grid_sample(g: Generator) -> Value:
    x = g.pick((3, 4, 5))
    shape = g.net.shape(x)
    axes = len(shape) - 2
    mode = g.one_of(("linear", "linear", "nearest", "cubic") if axes < 3 else ("linear", "nearest"))
    op = ops.GridSample(mode, g.one_of(("zeros", "border", "reflection")), g.chance(0.5))
    places = g.net.random(shape[0], *(g.number(1, 6) for _ in range(axes)), axes) * np.float32(0.8)
    return g.net.apply(op, x, g.net.arrives(places, "grid") if g.chance(0.7) else g.net.known(places))


LAYERS = {
    "Gather of indices": gather,
    "Embedding": embedding,
    "GatherElements": gather_elements,
    "GatherND": gather_nd,
    "GridSample": grid_sample,
    "ScatterElements": scatter_elements,
    "ScatterND": scatter_nd,
}
