"""Selections that are known at import: a branch, elements by indices."""

from __future__ import annotations

import math

import numpy as np

from ... import ops
from ...errors import ModelError, ShapeError
from ...ops.axes import expect_tables
from .call import NodeContext, Result, whole
from .read import branch
from .shapes import nested


def conditional(call: NodeContext) -> Result:
    """The branch that a known condition takes; its nodes become layers."""
    condition = call.array(0, "a condition")
    if condition.size != 1:
        raise ModelError(f"If with a condition of shape {condition.shape}, expected one truth value")
    call.ignore("then_branch", "else_branch")
    name = "then_branch" if condition.any() else "else_branch"
    if not hasattr(graph := call.optional(name), "node"):
        raise ModelError(f"If without {name}")
    return call.inline(branch(graph, call.version, call.importer.model.file))


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
