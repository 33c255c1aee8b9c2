"""Operators on arrays that are known at compile time: shapes computed in the graph, rearranged weights.

One row an operator, in NumPy and in the arrays' own element types. An operator without a row here becomes a layer
on constants.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...errors import ModelError, ShapeError
from ...types import MAX_ELEMENTS, Array
from . import parameters, quantization
from .call import Call, Unsupported

Row = Callable[[Call], Any]
"""From a call to what NumPy makes of it: an array, a number, or a list of arrays for several outputs."""

# ONNX's numbers for element types.
DTYPES = {1: "float32", 2: "uint8", 3: "int8", 5: "int16", 6: "int32", 7: "int64", 9: "bool", 10: "float16"}
DTYPES |= {4: "uint16", 11: "float64", 12: "uint32", 13: "uint64"}


def fold(row: Row, call: Call) -> list[Array]:
    """The row's results as arrays."""
    with np.errstate(all="ignore"):
        result = row(call)
    return [np.asarray(array) for array in (result if isinstance(result, list) else [result])]


def arrays(call: Call) -> list[Array]:
    return [call.array(index, "inputs") for index in range(call.count) if call.has(index)]


def first(call: Call) -> Array:
    return call.array(0, "inputs")


def elementwise(function: Callable[..., Any]) -> Row:
    """A NumPy function of as many inputs as the operator has."""
    return lambda call: function(*arrays(call))


def binary(function: Callable[[Array, Array], Any]) -> Row:
    """A NumPy function of two inputs that broadcast, up to opset 6 under rules of their own."""
    return lambda call: function(first(call), call.array(1, "inputs").reshape(parameters.beside(call)))


def chained(function: Callable[[Any, Any], Any]) -> Row:
    """A NumPy function of two inputs, applied to one after the other."""
    return lambda call: functools.reduce(function, arrays(call))


def reduction(function: Callable[..., Any]) -> Row:
    def row(call: Call) -> Any:
        x = first(call)
        none = () if call.attribute("noop_with_empty_axes", 0) else None
        axes = parameters.axes(call, 1, x.ndim) or none
        return np.asarray(function(x, axis=axes, keepdims=bool(call.attribute("keepdims", 1))), x.dtype)

    return row


def mean(x: Array, axis: tuple[int, ...] | None, keepdims: bool) -> Any:
    """NaN for no elements; NumPy's own warns then."""
    total = np.asarray(np.sum(x, axis=axis, keepdims=keepdims))
    return total / (x.size / max(total.size, 1))


def reshaped(shape: Callable[[Call], tuple[int, ...]]) -> Row:
    return lambda call: first(call).reshape(shape(call))


def divide(a: Array, b: Array) -> Array:
    """Whole numbers are divided towards zero."""
    if np.issubdtype(a.dtype, np.integer):
        if not np.all(b):
            raise ModelError("division of whole numbers by zero")
        quotient: Array = np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b))
        return quotient.astype(a.dtype)
    result: Array = a / b
    return result


def modulo(call: Call) -> Any:
    a, b = arrays(call)
    return np.fmod(a, b) if call.attribute("fmod", 0) else np.mod(a, b)


def cast(call: Call) -> Any:
    number = call.attribute("to", 0)
    call.ignore("saturate", "round_mode")
    if number not in DTYPES:
        raise Unsupported(f"Cast to element type {number} is not supported")
    return first(call).astype(DTYPES[number])


def gather(call: Call) -> Any:
    x, indices = arrays(call)
    return np.take(x, indices, parameters.axis(call, 0, x.ndim))


def concat(call: Call) -> Any:
    parts = arrays(call)
    return np.concatenate(parts, parameters.front(parameters.concat_axis(call), parts[0].ndim))


def split(call: Call) -> Any:
    x = first(call)
    axis = parameters.axis(call, 0, x.ndim)
    borders = np.cumsum(parameters.split_sizes(call, axis))[:-1]
    return np.split(x, borders, axis)


def part(call: Call) -> Any:
    return first(call)[parameters.parts(call)]


def transpose(call: Call) -> Any:
    return first(call).transpose(parameters.permutation(call))


def expand(call: Call) -> Any:
    return np.broadcast_to(first(call), sized(parameters.expanded(call)))


def tile(call: Call) -> Any:
    x, repeats = arrays(call)
    sized([size * int(n) for size, n in zip(x.shape, repeats, strict=True)])
    return np.tile(x, repeats)


def constant_of_shape(call: Call) -> Any:
    value = call.attribute("value", np.zeros(1, np.float32))
    shape = sized([int(size) for size in first(call)])
    return np.full(shape, value.reshape(-1)[0], value.dtype)


def arange(call: Call) -> Any:
    begin, end, step = (array.item() for array in arrays(call))
    sized([max(0, math.ceil((end - begin) / step))])
    return np.arange(begin, end, step).astype(first(call).dtype)


def sized(shape: Sequence[int]) -> tuple[int, ...]:
    """`shape`, if an array of it is worth making; raises ShapeError otherwise."""
    if min(shape, default=1) < 0 or math.prod(shape) > MAX_ELEMENTS // 16:
        raise ShapeError(f"{tuple(shape)} is no shape that a constant can have")
    return tuple(shape)


FOLDS: dict[str, Row] = {
    "Abs": elementwise(np.abs),
    "Add": binary(np.add),
    "And": binary(np.logical_and),
    "Cast": cast,
    "Ceil": elementwise(np.ceil),
    "Concat": concat,
    "ConstantOfShape": constant_of_shape,
    "DequantizeLinear": quantization.dequantize,
    "Div": binary(divide),
    "Equal": binary(np.equal),
    "Exp": elementwise(np.exp),
    "Expand": expand,
    "Flatten": reshaped(parameters.flattened),
    "Floor": elementwise(np.floor),
    "Gather": gather,
    "Greater": binary(np.greater),
    "GreaterOrEqual": binary(np.greater_equal),
    "Less": binary(np.less),
    "LessOrEqual": binary(np.less_equal),
    "Log": elementwise(np.log),
    "Max": chained(np.maximum),
    "Min": chained(np.minimum),
    "Mod": modulo,
    "Mul": binary(np.multiply),
    "Neg": elementwise(np.negative),
    "Not": elementwise(np.logical_not),
    "Or": binary(np.logical_or),
    "Pow": binary(lambda base, exponent: np.float_power(base, exponent).astype(base.dtype)),
    "QuantizeLinear": quantization.quantize,
    "Range": arange,
    "Reciprocal": elementwise(np.reciprocal),
    "ReduceMax": reduction(np.max),
    "ReduceMean": reduction(mean),
    "ReduceMin": reduction(np.min),
    "ReduceProd": reduction(np.prod),
    "ReduceSum": reduction(np.sum),
    "Reshape": reshaped(parameters.new_shape),
    "Round": elementwise(np.round),
    "Sign": elementwise(np.sign),
    "Slice": part,
    "Split": split,
    "Sqrt": elementwise(np.sqrt),
    "Squeeze": reshaped(parameters.squeezed),
    "Sub": binary(np.subtract),
    "Sum": chained(np.add),
    "Tile": tile,
    "Transpose": transpose,
    "Unsqueeze": reshaped(parameters.unsqueezed),
    "Where": elementwise(np.where),
}
