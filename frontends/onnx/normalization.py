"""Normalisation and softmax."""

from __future__ import annotations

from collections.abc import Callable

from ... import ops
from ...op import Op
from . import parameters
from .call import Call, Result


def batch_normalization(call: Call) -> Result:
    """The form with known statistics."""
    call.ignore("momentum")
    call.only("spatial", 1)  # up to opset 8
    call.only("training_mode", 0)
    if call.version < 7:
        call.only("is_test", 1)
    return call.add(ops.BatchNormalization(call.attribute("epsilon", 1e-5)), *call.values())


def softmax(call: Call) -> Result:
    return over_axis(call, ops.Softmax)


def log_softmax(call: Call) -> Result:
    return over_axis(call, ops.LogSoftmax)


def over_axis(call: Call, make: Callable[[int], Op]) -> Result:
    """Up to opset 12 all axes from `axis` on count as one, from 13 on `axis` alone."""
    shape = call.shape(0)
    if call.version >= 13:
        return call.add(make(call.attribute("axis", -1)), call.value(0))
    axis = parameters.axis(call, 1, len(shape))
    long = [k for k in range(axis, len(shape)) if shape[k] > 1] or [axis]
    if len(long) == 1:
        return call.add(make(long[0]), call.value(0))
    joined = ops.Reshape((0, *shape[1:axis], -1)) if axis > 1 else ops.Flatten(axis)
    rows = call.add(joined, call.value(0), role="flat")
    soft = call.add(make(max(axis, 1)), rows, role="rows")
    return call.add(ops.Reshape((0 if axis else shape[0], *shape[1:])), soft)


def group_normalization(call: Call) -> Result:
    """Up to opset 20 scale and bias are given for each group, from 21 on for each channel."""
    call.only("stash_type", 1)
    groups, channels = call.attribute("num_groups", 1), call.shape(0)[1]
    vectors = [call.value(1), call.value(2)]
    if call.version < 21 and groups and channels % groups == 0:
        each = channels // groups
        vectors = [
            call.constant(call.array(index, role).repeat(each), role) for index, role in ((1, "scale"), (2, "bias"))
        ]
    return call.add(ops.GroupNormalization(groups, call.attribute("epsilon", 1e-5)), call.value(0), *vectors)


def layer_normalization(call: Call) -> Result:
    call.only("stash_type", 1)
    op = ops.LayerNormalization(call.attribute("axis", -1), call.attribute("epsilon", 1e-5))
    return call.add(op, *call.values())


def reduction(op: Callable[[tuple[int, ...] | None, bool], Op]) -> Callable[[Call], Result]:
    """A row for a reduction: over the axes given as an attribute or an input, or without any over all of them."""

    def row(call: Call) -> Result:
        axes, none = call.setting("axes", 1), () if call.attribute("noop_with_empty_axes", 0) else None
        return call.add(op(axes or none, bool(call.attribute("keepdims", 1))), call.value(0))

    return row
