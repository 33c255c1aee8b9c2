"""Reads and writes at indices: known ones become tables or are checked now, others arrive."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ... import ops
from ...allowance import charge
from ...elements import FLOAT32, INT64
from ...errors import ShapeError
from ...op import Op
from ...ops.axes import expect_tables
from ...types import Array, TensorType
from . import parameters
from .call import NUMBER_BYTES, NodeContext, Result, whole


def gather(call: NodeContext) -> Result:
    """Known indices are a table of the layer."""
    axis, known = call.attribute("axis", 0), call.known(1)
    if known is None:
        return call.add(ops.Gather(axis=axis), *call.values())
    indices = whole(known, "indices")
    charge(NUMBER_BYTES * indices.size, f"{indices.size} indices of Gather")
    return call.add(ops.Gather(nested(indices.tolist()), axis), call.value(0))


def nested(indices: object) -> object:
    """Lists as tuples, since the attributes of an op are hashable."""
    return tuple(map(nested, indices)) if isinstance(indices, list) else indices


def gather_nd(call: NodeContext) -> Result:
    """Known indices of several axes, which are merged, are a table of the layer.

    With `batch_dims` the first axes of both correspond to each other; they are merged, too.
    """
    batch, known, shape = call.attribute("batch_dims", 0), call.known(1), call.shape(0)
    if known is None:
        return layer(gather_parts)(call)
    indices = whole(known, "indices")
    end = batch + (indices.shape[-1] if indices.ndim else 0)
    if not 0 <= batch < indices.ndim or end > len(shape) or indices.shape[:batch] != shape[:batch]:
        raise ShapeError(f"indices of shape {indices.shape} do not fit {shape} with batch_dims={batch}")
    grid = np.indices(indices.shape[:-1])[:batch]
    places = (*grid, *np.moveaxis(indices, -1, 0))
    inside = [np.where(place < 0, place + size, place) for place, size in zip(places, shape, strict=False)]
    flat = np.ravel_multi_index(inside, shape[:end]) if inside else np.zeros(indices.shape[:-1], np.int64)
    expect_tables([flat.size])
    x = call.value(0)
    if end != 1:
        x = call.add(ops.Reshape((math.prod(shape[:end]), *shape[end:])), x, role="joined")
    return call.add(ops.Gather(nested(flat.tolist()), 0), x)


def grid_sample(call: NodeContext) -> Result:
    """Up to opset 19 the modes are named after two axes."""
    mode, aligned = call.attribute("mode", "linear"), bool(call.attribute("align_corners", 0))
    mode = {"bilinear": "linear", "bicubic": "cubic"}.get(mode, mode)
    return call.add(ops.GridSample(mode, call.attribute("padding_mode", "zeros"), aligned), *call.values())


Making = Callable[[NodeContext], Op]
"""From a call to the op whose inputs are those of the node; known indices have to exist."""


def gather_elements(call: NodeContext) -> Op:
    return ops.GatherElements(checked_axis(call))


def scatter_elements(call: NodeContext) -> Op:
    return ops.ScatterElements(checked_axis(call), call.attribute("reduction", "none"))


def gather_parts(call: NodeContext) -> Op:
    batch = call.attribute("batch_dims", 0)
    expect_parts(call, batch)
    return ops.GatherND(batch)


def scatter_parts(call: NodeContext) -> Op:
    expect_parts(call, 0)
    return ops.ScatterND(call.attribute("reduction", "none"))


def layer(make: Making) -> Callable[[NodeContext], Result]:
    """A row for an operator that equals an op."""
    return lambda call: call.add(make(call), *call.values())


def folded(make: Making) -> Callable[[NodeContext], Array]:
    """A row for the same of known arrays."""

    def row(call: NodeContext) -> Array:
        op, arrays = make(call), [call.array(index, "inputs") for index in range(call.count)]
        elements = (FLOAT32, INT64, FLOAT32)
        types = (TensorType(array.shape, element) for array, element in zip(arrays, elements, strict=False))
        parameters.room(call, op.infer(*types)[0].shape, arrays[0])
        return op.reference(*arrays)[0]

    return row


def checked_axis(call: NodeContext) -> int:
    """The axis; raises ShapeError for a known index that does not exist there."""
    axis = parameters.axis(call, 0, len(call.shape(0)))
    if (known := call.known(1)) is not None:
        expect_existing(known, call.shape(0)[axis], axis)
    return axis


def expect_parts(call: NodeContext, batch: int) -> None:
    """Raise ShapeError for a known index, along the last axis, that does not exist on its axis from `batch` on."""
    known = call.known(1)
    sizes = enumerate(call.shape(0)[batch:], start=batch)
    for indices, (axis, size) in zip([] if known is None else np.moveaxis(known, -1, 0), sizes, strict=False):
        expect_existing(indices, size, axis)


def expect_existing(indices: Array, size: int, axis: int) -> None:
    """Raise ShapeError for an index that does not exist."""
    outside = indices[(indices < -size) | (indices >= size)]
    if outside.size:
        raise ShapeError(f"index {outside[0]} does not exist among the {size} elements of axis {axis}")
