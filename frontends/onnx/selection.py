"""Selections that are known at import."""

from __future__ import annotations

import numpy as np

from ... import ops
from ...allowance import charge
from ...ops.axes import expect_tables
from .call import NUMBER_BYTES, NodeContext, Result


def compress(call: NodeContext) -> Result:
    """The elements along `axis`, or of the flattened input, for which a known condition holds; it may be shorter."""
    places = np.flatnonzero(call.array(1, "a condition"))
    x, axis = call.value(0), call.optional("axis")
    if axis is None:
        x, axis = call.add(ops.Reshape((-1,)), x, role="flat"), 0
    expect_tables([places.size])
    charge(NUMBER_BYTES * places.size, f"{places.size} elements of Compress")
    return call.add(ops.Gather(tuple(places.tolist()), axis), x)
