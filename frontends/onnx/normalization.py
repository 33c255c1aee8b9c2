"""Normalisation and softmax."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ... import ops
from ...errors import ShapeError
from ...ir import Value
from ...op import Op
from . import parameters
from .call import NodeContext, Result, Unsupported
from .standardization import centre


def batch_normalization(call: NodeContext) -> Result:
    """With known statistics, or as in training with those of the batch.

    Running statistics are computed from opset 14 on: before, the standard does not say which variance they hold.
    """
    epsilon, momentum = call.attribute("epsilon", 1e-5), call.attribute("momentum", 0.9)
    if call.version >= 9:
        call.only("spatial", 1)
    if not call.attribute("spatial", 1):
        return each_element_alone(call, epsilon)
    if not training(call):
        return call.add(ops.BatchNormalization(epsilon), *call.values())
    normal = call.add(ops.BatchStandardization(epsilon), *call.values()[:3])
    if call.version < 14 or not (call.reads(1) or call.reads(2)):
        return normal
    return normal, *running_statistics(call, momentum)


def running_statistics(call: NodeContext, momentum: float) -> tuple[Value, Value]:
    """Old mean and variance times `momentum`, plus those of the batch times what it leaves of 1."""
    rank = len(call.shape(0))
    axes = (0, *range(2, rank))
    mean, centred = centre(call, axes)
    square = call.add(ops.Mul(), centred, centred, role="square")
    variance = call.add(ops.ReduceMean(axes), square, role="variance")
    return mixed(call, 3, mean, momentum, "running_mean"), mixed(call, 4, variance, momentum, "running_variance")


def mixed(call: NodeContext, index: int, new: Value, momentum: float, role: str) -> Value:
    vector = call.add(ops.Reshape((-1,)), new, role=f"{role}.new")
    parts = [
        call.add(ops.Mul(), part, call.constant(np.array(factor, np.float32), f"{role}.factor"), role=f"{role}.part")
        for part, factor in ((call.value(index), momentum), (vector, 1 - momentum))
    ]
    return call.add(ops.Add(), *parts, role=role)


def training(call: NodeContext) -> bool:
    """Whether the statistics of the batch are used; up to opset 13 the number of outputs tells it."""
    if call.version >= 14:
        return bool(call.attribute("training_mode", 0))
    if call.version < 7 and call.optional("is_test"):
        return False
    several = any(call.node.outputs[1:])
    if "is_test" in call.node.attributes and not several:
        raise Unsupported(f"{call.operator} with is_test=0 and one output is not supported: is it training or not?")
    return several


def each_element_alone(call: NodeContext, epsilon: float) -> Result:
    """spatial = 0, up to opset 8: each element of an image has its own statistics (C, spatial…), as if a channel."""
    if training(call):
        raise Unsupported(f"{call.operator} with spatial=0 in training mode is not supported")
    shape = call.shape(0)
    if any(call.shape(index) != shape[1:] for index in range(1, 5)):
        raise ShapeError(f"with spatial=0 scale, bias, mean and variance must have the shape {shape[1:]}")
    rows = call.add(ops.Flatten(1), call.value(0), role="rows")
    vectors = [call.add(ops.Reshape((-1,)), call.value(index), role="flat") for index in range(1, 5)]
    normal = call.add(ops.BatchNormalization(epsilon), rows, *vectors, role="normal")
    return call.add(ops.Reshape((0, *shape[1:])), normal)


def softmax(call: NodeContext) -> Result:
    return over_axis(call, ops.Softmax)


def log_softmax(call: NodeContext) -> Result:
    return over_axis(call, ops.LogSoftmax)


def hardmax(call: NodeContext) -> Result:
    return over_axis(call, ops.Hardmax)


def over_axis(call: NodeContext, make: Callable[[int], Op]) -> Result:
    """Up to opset 12 over all axes from `axis` on as one, from 13 on over `axis` alone."""
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


def group_normalization(call: NodeContext) -> Result:
    """Up to opset 20 scale and bias are given for each group, from 21 on for each channel."""
    call.only("stash_type", 1)
    groups: int = call.required("num_groups", int)
    channels = call.shape(0)[1]
    each = channels // groups if call.version < 21 and groups > 0 and channels % groups == 0 else 1
    vectors = [spread(call, index, each, role) for index, role in ((1, "scale"), (2, "bias"))]
    return call.add(ops.GroupNormalization(groups, call.attribute("epsilon", 1e-5)), call.value(0), *vectors)


def spread(call: NodeContext, index: int, times: int, role: str) -> Value:
    """A vector with each element repeated `times` times."""
    known = call.known(index)
    if times == 1:
        return call.value(index)
    if known is not None:
        return call.constant(known.repeat(times), role)
    places = tuple(place // times for place in range(call.shape(index)[0] * times))
    return call.add(ops.Gather(places, 0), call.value(index), role=role)


def reduction(op: Callable[[tuple[int, ...] | None, bool], Op]) -> Callable[[NodeContext], Result]:
    """A row for a reduction: over the axes of an attribute or an input; without any, over all axes."""
    return lambda call: call.add(op(*reduced(call)), call.value(0))


def reduced(call: NodeContext) -> tuple[tuple[int, ...] | None, bool]:
    """The axes of a reduction, and whether they stay.

    PyTorch, and so its export, calls a scalar's only element axis 0 or −1.
    """
    axes, none = call.setting("axes", 1), () if call.attribute("noop_with_empty_axes", 0) else None
    if axes in ((0,), (-1,)) and not call.shape(0):
        axes = ()
    return axes or none, bool(call.attribute("keepdims", 1))
