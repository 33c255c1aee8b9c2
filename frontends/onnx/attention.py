"""Attention as what it is made of: softmax(scale · Q · Kᵀ + bias) · V, for several heads."""

from __future__ import annotations

import math

import numpy as np

from ... import ops
from ...elements import BOOL
from ...errors import ShapeError
from ...ir import Value
from ...types import Array
from .call import NodeContext, Result, Unsupported


def attention(call: NodeContext) -> Result:
    """Y, the keys and values with what came before them, and the products as `qk_matmul_output_mode` says."""
    call.only("softmax_precision", 1)
    if call.has(6):
        raise Unsupported(f"{call.operator} with nonpad_kv_seqlen is not supported")
    joined = len(call.shape(0)) == 3
    query, key, value = (heads(call, index, name) for index, name in enumerate(("q", "kv", "kv")))
    key, value = behind_past(call, 4, key, "key"), behind_past(call, 5, value, "value")
    many = call.type(query).shape[1]
    products = call.add(ops.MatMul(), scaled(call, query), turned(call, for_heads(call, key, many)), role="products")
    capped = softcap(call, products)
    biased, masked = with_bias(call, capped)
    shares = call.add(ops.Softmax(-1), biased, role="softmax")
    if masked is not None:
        shares = call.add(ops.Where(), masked, number(call, 0, "zero"), shares, role="shares")
    stages = (products, capped, biased, shares)
    result = call.add(ops.MatMul(), shares, for_heads(call, value, many), role="mixed" if joined else "")
    if joined:
        rows = call.add(ops.Transpose((0, 2, 1, 3)), result, role="rows")
        result = call.add(ops.Reshape((0, call.shape(0)[1], -1)), rows)
    return result, key, value, stages[call.attribute("qk_matmul_output_mode", 0)]


def number(call: NodeContext, value: float, role: str) -> Value:
    return call.constant(np.array(value, np.float32), role)


def heads(call: NodeContext, index: int, name: str) -> Value:
    """An input as (N, heads, length, features): three axes have the heads among the features."""
    shape, count = call.shape(index), call.optional(f"{name}_num_heads")
    if len(shape) == 4:
        return call.value(index)
    if len(shape) != 3 or not count or shape[2] % count:
        raise ShapeError(f"{call.operator}: {shape} does not divide into {count} heads")
    apart = call.add(ops.Reshape((0, shape[1], count, shape[2] // count)), call.value(index), role="apart")
    return call.add(ops.Transpose((0, 2, 1, 3)), apart, role="heads")


def behind_past(call: NodeContext, index: int, value: Value, role: str) -> Value:
    return call.add(ops.Concat(2), call.value(index), value, role=role) if call.has(index) else value


def for_heads(call: NodeContext, value: Value, many: int) -> Value:
    """Keys or values repeated for the heads of queries that share them."""
    _, few, length, features = call.type(value).shape
    if few == many:
        return value
    if many % few:
        raise ShapeError(f"{call.operator}: {many} heads of queries cannot share {few} of keys and values")
    each = call.add(ops.Unsqueeze((2,)), value, role="each")
    shared = call.add(ops.Expand((1, few, many // few, length, features)), each, role="shared")
    return call.add(ops.Reshape((0, many, length, features)), shared, role="repeated")


def turned(call: NodeContext, key: Value) -> Value:
    return call.add(ops.Transpose((0, 1, 3, 2)), key, role="turned")


def scaled(call: NodeContext, query: Value) -> Value:
    given = call.optional("scale")
    factor = 1 / math.sqrt(call.type(query).shape[3]) if given is None else float(given)
    return call.add(ops.Mul(), query, number(call, factor, "scale"), role="scaled")


def softcap(call: NodeContext, products: Value) -> Value:
    """cap · tanh(x / cap), if there is a cap."""
    if (cap := call.attribute("softcap", 0.0)) <= 0:
        return products
    size = number(call, cap, "cap")
    flat = call.add(ops.Tanh(), call.add(ops.Div(), products, size, role="ratio"), role="tanh")
    return call.add(ops.Mul(), flat, size, role="capped")


def with_bias(call: NodeContext, products: Value) -> tuple[Value, Value | None]:
    """The products plus mask and windows, and where a whole row is masked; None where none is for certain.

    A masked row would be NaN behind the softmax; it counts as 0.
    """
    *_, rows, columns = call.type(products).shape
    window, mask = window_bias(call, rows, columns), None
    if call.has(3):
        mask, known = mask_bias(call, columns)
        if known is not None:
            window, mask = known if window is None else known + window, None
    if window is None and mask is None:
        return products, None
    bias = mask if window is None else call.constant(window, "bias")
    assert bias is not None
    if mask is not None and window is not None:
        bias = call.add(ops.Add(), mask, bias, role="masks")
    biased = call.add(ops.Add(), products, bias, role="biased")
    if mask is None and window is not None and not np.isneginf(window.max(-1)).any():
        return biased, None
    most = call.add(ops.ReduceMax((-1,)), bias, role="most")
    return biased, call.add(ops.Equal(), most, number(call, -math.inf, "masked"), role="empty")


def window_bias(call: NodeContext, rows: int, columns: int) -> Array | None:
    """0 at keys that a query may see, −∞ elsewhere: with `is_causal` those up to its place behind the past."""
    past = call.shape(4)[2] if call.has(4) else 0
    ahead = np.arange(columns) - np.arange(rows)[:, None] - past
    left, right = call.attribute("left_window_size", -1), call.attribute("right_window_size", -1)
    seen = np.ones((rows, columns), bool)
    if call.attribute("is_causal", 0):
        seen &= ahead <= 0
    if left >= 0:
        seen &= ahead >= -left
    if right >= 0:
        seen &= ahead <= right
    return None if seen.all() else np.where(seen, 0, -np.inf).astype(np.float32)


def mask_bias(call: NodeContext, columns: int) -> tuple[Value | None, Array | None]:
    """Input 3 as numbers to add, arriving or known: −∞ for False, and behind its last column."""
    missing, known = columns - call.shape(3)[-1], call.known(3)
    if known is not None:
        known = np.where(known, 0, -np.inf).astype(np.float32) if known.dtype == bool else known
        return None, np.pad(known, [*((0, 0),) * (known.ndim - 1), (0, missing)], constant_values=-np.inf)
    mask = call.value(3)
    if call.type(mask).dtype is BOOL:
        ends = number(call, 0, "seen"), number(call, -math.inf, "unseen")
        mask = call.add(ops.Where(), mask, *ends, role="mask")
    if missing > 0:
        sides = (*((0, 0),) * (len(call.shape(3)) - 1), (0, missing))
        mask = call.add(ops.Pad(sides, value=-math.inf), mask, role="padded")
    return mask, None
