"""Operators on arrays that are known at compile time: shapes computed in the graph, rearranged weights.

There is one row for each operator, in NumPy and in the arrays' own element types. An operator without a row here
becomes a layer on constants.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ...errors import ModelError
from ...integers import power
from ...types import Array, expect_rank
from . import indexing, known, parameters, quantization, ranking
from .call import NodeContext, Unsupported
from .known import log_sum_exp, over_all, summed
from .parameters import room

Row = Callable[[NodeContext], Any]
"""From a call to its result in NumPy: an array, a number, or a list of arrays for several outputs."""

# ONNX's numbers for element types.
DTYPES = {1: "float32", 2: "uint8", 3: "int8", 5: "int16", 6: "int32", 7: "int64", 9: "bool", 10: "float16"}
DTYPES |= {4: "uint16", 11: "float64", 12: "uint32", 13: "uint64", 16: "bfloat16"}


def fold(row: Row, call: NodeContext) -> list[Array]:
    """The row's results as arrays."""
    with np.errstate(all="ignore"):
        result = row(call)
    made = [np.asarray(array) for array in (result if isinstance(result, list) else [result])]
    for array in made:
        expect_rank(array.ndim)
    return made


def arrays(call: NodeContext) -> list[Array]:
    return [call.array(index, "inputs") for index in range(call.count) if call.has(index)]


def first(call: NodeContext) -> Array:
    return call.array(0, "inputs")


def together(call: NodeContext) -> list[Array]:
    """All inputs of an operator that broadcasts them to one shape; raises if the result would be too large."""
    given = arrays(call)
    room(call, parameters.broadcast(*(array.shape for array in given)), *given)
    return given


def elementwise(function: Callable[..., Any]) -> Row:
    """A row for a NumPy function of as many inputs as the operator has."""
    return lambda call: function(*together(call))


def binary(function: Callable[[Array, Array], Any]) -> Row:
    """A row for a NumPy function of two inputs that broadcast, up to opset 6 by other rules."""

    def row(call: NodeContext) -> Any:
        a, b = first(call), call.array(1, "inputs").reshape(parameters.beside(call))
        room(call, parameters.broadcast(a.shape, b.shape), a, b)
        return function(a, b)

    return row


def chained(function: Callable[[Any, Any], Any]) -> Row:
    """A row for a NumPy function of two inputs, applied to all inputs from the first to the last."""
    return lambda call: functools.reduce(function, together(call))


def reduction(function: Callable[..., Any], *, copied: bool = False) -> Row:
    """A row for a function of elements along axes; `copied` if it makes an array of float64 of all elements before."""

    def row(call: NodeContext) -> Any:
        x = first(call)
        if copied:
            room(call, x.shape, np.empty(0))
        none = () if call.attribute("noop_with_empty_axes", 0) else None
        axes = parameters.axes(call, 1, x.ndim) or none
        gone = range(x.ndim) if axes is None else axes
        room(call, [1 if axis in gone else size for axis, size in enumerate(x.shape)], x)
        return np.asarray(function(x, axis=axes, keepdims=bool(call.attribute("keepdims", 1))), x.dtype)

    return row


def mean(x: Array, axis: tuple[int, ...] | None, keepdims: bool) -> Any:
    """The mean, NaN for no elements; NumPy's mean would warn."""
    total = np.asarray(np.sum(x, axis=axis, keepdims=keepdims))
    return total / (x.size / max(total.size, 1))


def reshaped(shape: Callable[[NodeContext], tuple[int, ...]]) -> Row:
    def row(call: NodeContext) -> Any:
        x, new = first(call), shape(call)
        if not x.flags.c_contiguous:  # otherwise the result uses the same memory
            room(call, x.shape, x)
        return x.reshape(new)

    return row


def divide(a: Array, b: Array) -> Array:
    """The quotient; that of whole numbers is rounded towards zero."""
    if np.issubdtype(a.dtype, np.integer):
        if not np.all(b):
            raise ModelError("division of whole numbers by zero")
        quotient: Array = np.sign(a) * np.sign(b) * (np.abs(a) // np.abs(b))
        return quotient.astype(a.dtype)
    result: Array = a / b
    return result


def raised(base: Array, exponent: Array) -> Array:
    """The power, of the type of the base; those of whole numbers wrap."""
    if base.dtype.kind in "iu" and exponent.dtype.kind in "iu":
        return power(base.astype(np.int64), exponent.astype(np.int64)).astype(base.dtype)
    return np.float_power(base, exponent).astype(base.dtype)


def modulo(call: NodeContext) -> Any:
    a, b = together(call)
    return np.fmod(a, b) if call.attribute("fmod", 0) else np.mod(a, b)


def cast(call: NodeContext) -> Any:
    number = call.attribute("to", 0)
    call.ignore("saturate", "round_mode")
    if number not in DTYPES:
        raise Unsupported(f"Cast to element type {number} is not supported")
    x, to = first(call), DTYPES[number]
    room(call, x.shape, np.empty(0, to))
    return known.as_type(x, to)


def gather(call: NodeContext) -> Any:
    x, indices = arrays(call)
    axis = parameters.axis(call, 0, x.ndim)
    room(call, (*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]), x)
    return np.take(x, indices, axis)


def compress(call: NodeContext) -> Any:
    x, condition = arrays(call)
    room(call, x.shape, x)
    return np.compress(condition, x, call.optional("axis"))


def concat(call: NodeContext) -> Any:
    parts = arrays(call)
    axis = parameters.front(parameters.concat_axis(call), parts[0].ndim)
    room(call, (sum(part.size for part in parts),), *parts)
    return np.concatenate(parts, axis)


def split(call: NodeContext) -> Any:
    x = first(call)
    axis = parameters.axis(call, 0, x.ndim)
    sizes = parameters.split_sizes(call, axis)
    return np.split(x, np.cumsum(sizes)[:-1], axis)


def part(call: NodeContext) -> Any:
    return first(call)[parameters.parts(call)]


def transpose(call: NodeContext) -> Any:
    return first(call).transpose(parameters.permutation(call))


def expand(call: NodeContext) -> Any:
    x = first(call)
    return np.broadcast_to(x, room(call, parameters.expanded(call), x))


def tile(call: NodeContext) -> Any:
    x, repeats = arrays(call)
    room(call, [size * int(n) for size, n in zip(x.shape, repeats, strict=True)], x)
    return np.tile(x, repeats)


def constant_of_shape(call: NodeContext) -> Any:
    value = call.attribute("value", np.zeros(1, np.float32))
    return np.full(room(call, call.sizes(0, "its shape"), value), value.reshape(-1)[0], value.dtype)


def arange(call: NodeContext) -> Any:
    call.only("stash_type", 1)
    begin, end, step = (array.item() for array in arrays(call))
    room(call, [max(0, math.ceil((end - begin) / step))])
    return np.arange(begin, end, step).astype(first(call).dtype)


FOLDS: dict[str, Row] = {
    "Abs": elementwise(np.abs),
    "Add": binary(np.add),
    "And": binary(np.logical_and),
    "ArgMax": ranking.fold_arg_max,
    "ArgMin": ranking.fold_arg_min,
    "BitwiseAnd": binary(np.bitwise_and),
    "BitwiseNot": elementwise(np.bitwise_not),
    "BitwiseOr": binary(np.bitwise_or),
    "BitwiseXor": binary(np.bitwise_xor),
    "Cast": cast,
    "Ceil": elementwise(np.ceil),
    "Compress": compress,
    "Concat": concat,
    "ConstantOfShape": constant_of_shape,
    "CumProd": ranking.fold_cum_prod,
    "CumSum": ranking.fold_cum_sum,
    "DequantizeLinear": quantization.dequantize,
    "Div": binary(divide),
    "Equal": binary(np.equal),
    "Exp": elementwise(np.exp),
    "Expand": expand,
    "Flatten": reshaped(parameters.flattened),
    "Floor": elementwise(np.floor),
    "Gather": gather,
    "GatherElements": indexing.folded(indexing.gather_elements),
    "GatherND": indexing.folded(indexing.gather_parts),
    "Greater": binary(np.greater),
    "GreaterOrEqual": binary(np.greater_equal),
    "IsNaN": elementwise(np.isnan),
    "Less": binary(np.less),
    "LessOrEqual": binary(np.less_equal),
    "Log": elementwise(np.log),
    "Max": chained(np.maximum),
    "Min": chained(np.minimum),
    "Mod": modulo,
    "Mul": binary(np.multiply),
    "Neg": elementwise(np.negative),
    "Not": elementwise(np.logical_not),
    "OneHot": ranking.fold_one_hot,
    "Or": binary(np.logical_or),
    "Pow": binary(raised),
    "QuantizeLinear": quantization.quantize,
    "Range": arange,
    "Reciprocal": elementwise(np.reciprocal),
    "ReduceL1": reduction(summed(np.abs), copied=True),
    "ReduceL2": reduction(known.norm, copied=True),
    "ReduceLogSum": reduction(known.log_sum, copied=True),
    "ReduceLogSumExp": reduction(log_sum_exp, copied=True),
    "ReduceMax": reduction(over_all(np.max, True)),
    "ReduceMean": reduction(mean),
    "ReduceMin": reduction(over_all(np.min, False)),
    "ReduceProd": reduction(np.prod),
    "ReduceSum": reduction(np.sum),
    "ReduceSumSquare": reduction(summed(np.square), copied=True),
    "Reshape": reshaped(parameters.new_shape),
    "Round": elementwise(np.round),
    "ScatterElements": indexing.folded(indexing.scatter_elements),
    "ScatterND": indexing.folded(indexing.scatter_parts),
    "Sign": elementwise(np.sign),
    "Slice": part,
    "Split": split,
    "Sqrt": elementwise(np.sqrt),
    "Squeeze": reshaped(parameters.squeezed),
    "Sub": binary(np.subtract),
    "Sum": chained(np.add),
    "Tile": tile,
    "TopK": ranking.fold_top_k,
    "Transpose": transpose,
    "Trilu": ranking.fold_trilu,
    "Unsqueeze": reshaped(parameters.unsqueezed),
    "Where": elementwise(np.where),
    "Xor": binary(np.logical_xor),
    **known.FOLDS,
}
