"""Normalisations that are composed of other ops: by moments along any axes, or by a norm."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ... import ops
from ...ir import Value
from . import parameters
from .call import NodeContext, Result, Unsupported


def layer_normalization(call: NodeContext) -> Result:
    """With the mean and the reciprocal of the deviation as further outputs."""
    call.only("stash_type", 1)
    axis, epsilon = call.attribute("axis", -1), call.attribute("epsilon", 1e-5)
    normal = call.add(ops.LayerNormalization(axis, epsilon), *call.values())
    if not (call.reads(1) or call.reads(2)):
        return normal
    mean, centred = centre(call, behind(call, axis))
    deviation = root_mean_square(call, centred, behind(call, axis), epsilon)
    return normal, mean, call.add(ops.Reciprocal(), deviation, role="reciprocal")


def rms_normalization(call: NodeContext) -> Result:
    """x / sqrt(mean of x² + epsilon) · scale, the mean over all axes from `axis` on."""
    call.only("stash_type", 1)
    axes, epsilon = behind(call, call.attribute("axis", -1)), call.attribute("epsilon", 1e-5)
    size = root_mean_square(call, call.value(0), axes, epsilon)
    unit = call.add(ops.Div(), call.value(0), size, role="unit")
    return call.add(ops.Mul(), unit, call.value(1))


def mean_variance_normalization(call: NodeContext) -> Result:
    """(x − mean) / (deviation + 1e-9) over `axes`; up to opset 8 over those of an image, perhaps also its channels."""
    rank = len(call.shape(0))
    if call.version < 9:
        axes = tuple(range(1 if call.attribute("across_channels", 0) else 2, rank))
        if not call.attribute("normalize_variance", 1):
            mean = call.add(ops.ReduceMean(axes), call.value(0), role="mean")
            return call.add(ops.Sub(), call.value(0), mean)
    else:
        axes = parameters.front_all(call.integers("axes", (0, 2, 3)), rank)
    _, centred = centre(call, axes)
    deviation = plus(call, root_mean_square(call, centred, axes), 1e-9, "divisor")
    return call.add(ops.Div(), centred, deviation)


def lp_normalization(call: NodeContext) -> Result:
    """x divided by its norm along an axis; 0 where that is 0."""
    axis, p = call.attribute("axis", -1), call.attribute("p", 2)
    if p not in (1, 2):
        raise Unsupported(f"{call.operator} with p={p} is not supported, only 1 and 2")
    size = call.add((ops.ReduceL1 if p == 1 else ops.ReduceL2)((axis,)), call.value(0), role="norm")
    zero = call.constant(np.zeros((), np.float32), "zero")
    empty = call.add(ops.Equal(), size, zero, role="empty")
    unit = call.add(ops.Div(), call.value(0), size, role="unit")
    return call.add(ops.Where(), empty, zero, unit)


def behind(call: NodeContext, axis: int) -> tuple[int, ...]:
    """All axes of input 0 from `axis` on."""
    rank = len(call.shape(0))
    return tuple(range(parameters.front(axis, rank), rank))


def centre(call: NodeContext, axes: Sequence[int]) -> tuple[Value, Value]:
    """Append the mean of input 0 over axes, which stay, and input 0 less its mean."""
    mean = call.add(ops.ReduceMean(tuple(axes)), call.value(0), role="mean")
    return mean, call.add(ops.Sub(), call.value(0), mean, role="centred")


def root_mean_square(call: NodeContext, x: Value, axes: Sequence[int], epsilon: float = 0.0) -> Value:
    """Append sqrt(mean of x² + epsilon) over axes, which stay."""
    square = call.add(ops.Mul(), x, x, role="square")
    mean = call.add(ops.ReduceMean(tuple(axes)), square, role="mean_square")
    return call.add(ops.Sqrt(), plus(call, mean, epsilon, "shifted") if epsilon else mean, role="deviation")


def plus(call: NodeContext, x: Value, number: float, role: str) -> Value:
    return call.add(ops.Add(), x, call.constant(np.array(number, np.float32), f"{role}.summand"), role=role)
