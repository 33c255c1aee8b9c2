"""Selections that are known at import: elements by indices, elements by a mask."""

from __future__ import annotations

import math

import numpy as np

from ... import ops
from ...errors import ShapeError
from ...ir import Value
from ...ops.axes import expect_tables
from ..counts import equal
from . import parameters
from .call import NodeContext, Result, whole
from .shapes import nested


def gather_nd(call: NodeContext) -> Result:
    """Elements at known indices: the last axis of the indices has one for each of several axes, which are merged.

    With `batch_dims` the first axes of both correspond to each other; they are merged, too.
    """
    indices, shape = whole(call.array(1, "indices"), "indices"), call.shape(0)
    batch = call.attribute("batch_dims", 0)
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


def where(call: NodeContext) -> Result:
    """Elements of input 1 where a known mask holds, else of input 2: a gather from the concatenation of both.

    So the other element, for example NaN, has no effect. All axes from the first one along which the mask varies are
    merged for the gather; the axis of images is not merged if the mask is the same for all.
    """
    mask = call.array(0, "a condition").astype(bool)
    shape = parameters.broadcast(mask.shape, call.shape(1), call.shape(2))
    mask = mask.reshape((1,) * (len(shape) - mask.ndim) + mask.shape)
    axis = next((axis for axis, size in enumerate(mask.shape) if size > 1), max(len(shape) - 1, 0))
    holds = np.broadcast_to(mask.reshape(mask.shape[axis:]), shape[axis:]).reshape(-1)
    expect_tables([holds.size])
    places, behind = np.arange(holds.size), holds.size
    if (index := number(call)) is None:
        both = call.add(ops.Concat(axis), *(joined(call, k, shape, axis) for k in (1, 2)), role="both")
        table = np.where(holds, places, places + behind)
    else:
        fill = ops.Pad((*((0, 0),) * axis, (0, 1)), value=float(call.array(index, "a number").reshape(())))
        both = call.add(fill, joined(call, 3 - index, shape, axis), role="both")
        table = np.where(holds == (index == 1), behind, places)
    chosen = call.add(ops.Gather(tuple(table.tolist()), axis), both, role="chosen")
    return call.add(ops.Reshape((0, *shape[1:]) if axis else shape), chosen)


def number(call: NodeContext) -> int | None:
    """The input of Where that is one known number, if any: a single element after the other input suffices for it."""
    for index in (1, 2):
        known = call.known(index)
        if known is not None and known.size == 1 and known.dtype == np.float32 and call.known(3 - index) is None:
            return index
    return None


def joined(call: NodeContext, index: int, shape: tuple[int, ...], axis: int) -> Value:
    """An input of Where, broadcast to `shape`, with all axes from `axis` on merged."""
    value = call.value(index)
    own = call.shape(index)
    if len(own) != len(shape) or not all(map(equal, own, shape)):
        value = call.add(ops.Expand(parameters.expansion(own, shape)), value, role="expanded")
    kept = (0, *shape[1:axis]) if axis else ()
    return call.add(ops.Reshape((*kept, math.prod(shape[axis:]))), value, role="joined")
