"""Quantisation of values that arrive, as layers; `quantization` has it for known ones."""

from __future__ import annotations

import math

import numpy as np

from ... import ops
from ...elements import ELEMENTS, UINT8
from ...errors import ShapeError
from ...ir import Value
from ...ops.quantize import QUANTIZED
from ..counts import equal
from . import parameters
from .call import NodeContext, Result, Unsupported
from .quantization import NUMBERED


def quantize(call: NodeContext) -> Result:
    """To the type of the zero point, or of `output_dtype`, or uint8."""
    call.ignore("saturate")  # for float8, which is refused
    call.only("precision", 0, 1)
    number = call.attribute("output_dtype", 0) or 2
    zero = [beside(call, 2, "zero point")] if call.has(2) else []
    to = str(call.type(zero[0]).dtype) if zero else NUMBERED.get(number, f"element type {number}")
    if ELEMENTS.get(to) not in QUANTIZED:
        raise Unsupported(f"{call.operator} to {to} of values computed at run time is not supported")
    return call.add(ops.Quantize(to), call.value(0), beside(call, 1, "scale"), *zero)


def dequantize(call: NodeContext) -> Result:
    call.only("output_dtype", 0, 1)
    zero = [beside(call, 2, "zero point")] if call.has(2) else []
    return call.add(ops.Dequantize(), call.value(0), beside(call, 1, "scale"), *zero)


def beside(call: NodeContext, index: int, role: str) -> Value:
    """A scale or zero point with the axes with which it broadcasts to x: for all, for an axis, or for blocks of one."""
    block, axis = call.attribute("block_size", 0), call.attribute("axis", 1)
    value, own, shape = call.value(index), call.shape(index), call.shape(0)
    if len(own) <= 1 and math.prod(own) == 1:
        return call.add(ops.Reshape(()), value, role=role) if own else value
    axis = parameters.front(axis, len(shape))
    if block:
        places = tuple(place // block for place in range(shape[axis]))
        return call.add(ops.Gather(places, axis), value, role=role)
    if len(own) != 1 or not equal(own[0], shape[axis]):
        raise ShapeError(f"scales or zero points of shape {own} do not fit axis {axis} of {shape}")
    return call.add(ops.Reshape((own[0], *(1,) * (len(shape) - axis - 1))), value, role=role)


def dynamic(call: NodeContext) -> Result:
    """Scale and zero point from the range of x and 0; the scale is 1 where all x are 0, as in ONNX Runtime."""
    x, zero = call.value(0), call.constant(np.zeros((), np.float32), "zero")
    high = call.add(ops.Max(), call.add(ops.ReduceMax(None, False), x, role="largest"), zero, role="high")
    low = call.add(ops.Min(), call.add(ops.ReduceMin(None, False), x, role="smallest"), zero, role="low")
    width = call.add(ops.Sub(), high, low, role="range")
    steps, one = (call.constant(np.array(number, np.float32), f"number {number}") for number in (UINT8.most, 1))
    step = call.add(ops.Div(), width, steps, role="step")
    scale = call.add(ops.Where(), call.add(ops.Equal(), width, zero, role="flat"), one, step, role="scale")
    point = call.add(ops.Quantize(UINT8.name), call.add(ops.Neg(), low, role="below"), scale, role="zero point")
    return call.add(ops.Quantize(UINT8.name), x, scale, point), scale, point
