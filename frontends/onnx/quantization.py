"""Quantised numbers that are known at compile time: weights of files whose arithmetic is float32.

y = (x − zero point) · scale, with one scale for all elements, for each index of an axis (from opset 13 on), or for
each block of an axis (from opset 21 on). Quantised arithmetic is not supported.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import ModelError, ShapeError
from ...types import Array
from . import parameters
from .call import NodeContext, Unsupported

RANGES = {"uint4": (0, 15), "int4": (-8, 7)}
RANGES |= {name: (np.iinfo(name).min, np.iinfo(name).max) for name in ("uint8", "int8", "uint16", "int16")}
"""The result types of QuantizeLinear, with the numbers at which they saturate."""

NUMBERED = {2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 21: "uint4", 22: "int4"}
"""ONNX's numbers of these types."""

FLOATS = {1: "float32", 10: "float16", 11: "float64"}


def dequantize(call: NodeContext) -> Any:
    """The result has the type of the scale, in which the product is computed, unless `output_dtype` names another."""
    x, scale = call.array(0, "inputs"), call.array(1, "a scale")
    number = call.attribute("output_dtype", 0)
    if number and number not in FLOATS:
        raise Unsupported(f"DequantizeLinear to element type {number} is not supported")
    dtype = np.dtype(FLOATS[number]) if number else scale.dtype
    parameters.room(call, x.shape, np.empty(0, dtype))
    factor, zero = aligned(call, x, scale), zero_point(call, x)
    return (_wide(x) - _wide(zero)).astype(dtype) * factor.astype(dtype)


def quantize(call: NodeContext) -> Any:
    """Rounded to the nearest whole number, ties to even, then saturated."""
    x, scale = call.array(0, "inputs"), call.array(1, "a scale")
    call.ignore("saturate", "precision")  # for float8, which is refused
    name = target(call)
    if name not in RANGES:
        raise Unsupported(f"QuantizeLinear to {name} is not supported")
    parameters.room(call, x.shape, x)
    real = x.astype(np.result_type(scale, np.float32))
    steps = np.rint(real / aligned(call, x, scale).astype(real.dtype)) + _wide(zero_point(call, x))
    if np.isnan(steps).any():
        raise ModelError("QuantizeLinear of NaN has no result")
    return np.clip(steps, *RANGES[name]).astype(name.replace("int4", "int8"))


def target(call: NodeContext) -> str:
    """The type of the result: that of the zero point, or of `output_dtype`, or uint8."""
    if call.has(2):
        return call.array(2, "a zero point").dtype.name
    number = call.attribute("output_dtype", 0) or 2
    return NUMBERED.get(number, f"element type {number}")


def zero_point(call: NodeContext, x: Array) -> Array:
    call.optional("output_dtype")
    return aligned(call, x, call.array(2, "a zero point")) if call.has(2) else np.zeros((), np.int8)


def aligned(call: NodeContext, x: Array, vector: Array) -> Array:
    """Scales or zero points in a shape that broadcasts to x."""
    block, axis = call.attribute("block_size", 0), call.attribute("axis", 1)
    if vector.size == 1 and vector.ndim <= 1:
        return vector.reshape(())
    axis = parameters.front(axis, x.ndim)
    size, behind = x.shape[axis], x.ndim - axis - 1
    blocks = -(-size // block) if block > 0 else size
    expected = (size,) if block <= 0 else (*x.shape[:axis], blocks, *x.shape[axis + 1 :])
    if vector.shape != expected:
        raise ShapeError(f"scales or zero points of shape {vector.shape}, expected {expected} beside {x.shape}")
    if block <= 0:
        return vector.reshape(size, *(1,) * behind)
    return vector.take(np.arange(size) // block, axis)


def _wide(x: Array) -> Array:
    """Exact: whole numbers as int64, float8 and the like as float64."""
    return x.astype(np.int64 if x.dtype.name.startswith(("int", "uint")) else np.float64)
