"""Inputs with the distribution that a model is made for, as far as its constants imply one.

An input whose only reader is (x − m) / s, a batch norm, or any other scale and shift by constants, is around m and off
by about s: for each channel, each pixel, or for all, as the constants are. Arrangements may stand between (a
transposition, a flattening). All other inputs are what `TensorType.random` makes of their type.
"""

from __future__ import annotations

import numpy as np

from ..ir import Graph, Value
from ..types import Array
from .affine import Affine, Typical, elementwise
from .moves import Origins

FARTHEST = 24  # layers that an input is followed through
LARGEST = 1e37  # times any normal deviate it is still a float
RESOLVED = 2.0**-20  # of a mean: what a deviation has to be for a float to show it


def feeds(graph: Graph, rng: np.random.Generator) -> dict[str, Array]:
    """An array for each input; the same for the same generator."""
    return {name: _scaled(graph, name, type.random(rng)) for name, type in graph.inputs.items()}


def _scaled(graph: Graph, name: str, noise: Array) -> Array:
    known = expected(graph, Value(name)) if noise.dtype.kind == "f" else None
    if known is None:
        return noise
    with np.errstate(all="ignore"):
        deviation = np.maximum(known.deviation, RESOLVED * np.abs(known.mean))
        usable = (np.abs(known.mean) + deviation < LARGEST) & (deviation > 0)  # and not NaN
        return np.where(usable, known.mean + deviation * noise, noise).astype(noise.dtype)


def expected(graph: Graph, value: Value, steps: int = FARTHEST) -> Typical | None:
    """The distribution of `value` that its only reader implies, in shapes that broadcast to it; None if unknown."""
    readers = graph.consumers[value]
    if len(readers) != 1 or not steps or value in graph.outputs.values():
        return None
    (reader,) = readers
    found = elementwise(graph, reader)
    if found is not None:
        result = expected(graph, reader.values[0], steps - 1)
        return _before(found[1], result)
    origins = Origins(graph).of(reader)
    result = expected(graph, reader.values[0], steps - 1) if origins and len(origins) == 1 else None
    if origins is None or result is None:
        return None
    return _arranged_back(graph, value, origins[0].index, result)


def _before(map: Affine, result: Typical | None) -> Typical:
    """The distribution of the input of `map` for that of its result; an unknown result counts as 0 ± 1."""
    later = Affine(np.ones(()), np.zeros(()), result)
    return map.then(later).typical


def _arranged_back(graph: Graph, value: Value, index: Array, result: Typical) -> Typical:
    """The distribution of each element, from its place after an arrangement; 0 ± 1 if the arrangement drops it."""
    type, moved = graph.type(value), ~np.isnan(index)
    arrays = []
    for filler, of_result in ((0.0, result.mean), (1.0, result.deviation)):
        whole = np.full(type.size, filler)
        whole[index[moved].astype(np.int64)] = np.broadcast_to(of_result, index.shape)[moved]
        arrays.append(whole.reshape(type.shape))
    return Typical(*arrays)
