"""Matrix products."""

from __future__ import annotations

import numpy as np

from ... import ops
from ...elements import INTEGERS
from ...errors import ShapeError
from ...ir import Value
from ...types import Array
from ..counts import equal
from .call import NodeContext, Result

UNEQUAL = "the last axis of the first must be as long as the first axis of the second"


def gemm(call: NodeContext) -> Result:
    """alpha · A · B + beta · C as a dense layer, whose weights are B transposed. With beta = 0, C is not read.

    Factors are multiplied into known weights, rounded once, if the products are in the range of float32; otherwise
    they become layers of their own.
    """
    alpha, beta = call.attribute("alpha", 1.0), call.attribute("beta", 1.0)
    call.only("broadcast", 0, 1)  # opset 6 and before: C is broadcast anyway
    x = call.value(0)
    if call.attribute("transA", 0):
        x = call.add(ops.Transpose((1, 0)), x, role="transposed")
    inside = call.known(1) is not None and fits(call.array(1, "weights"), alpha)
    weights = dense_weights(call, bool(call.attribute("transB", 0)), alpha if inside else 1.0)
    outputs = call.type(weights).shape[0]
    added = call.has(2) and beta != 0
    bias = dense_bias(call, outputs, beta) if added else None
    if (bias is not None or not added) and (inside or alpha == 1.0):
        return call.add(ops.Dense(), x, weights, *([] if bias is None else [bias]))
    product = call.add(ops.Dense(), x, weights, role="product")
    if not inside:
        product = scaled(call, product, alpha, "scaled" if added else "")
    if not added:
        return product
    return call.add(ops.Add(), product, scaled(call, call.value(2), beta, "addend") if bias is None else bias)


def fits(data: Array, factor: float) -> bool:
    """Whether `data` times a number has full precision: no product is infinite, subnormal or rounded to 0."""
    with np.errstate(all="ignore"):
        size = np.abs(data.astype(np.float64) * factor)
        kept = ~np.isfinite(data) | (size == 0) | ((size >= 2.0**-126) & (size <= np.finfo(np.float32).max))
    return bool(np.all(kept))


def dense_weights(call: NodeContext, transposed: bool, alpha: float = 1.0) -> Value:
    """Input 1, multiplied by `alpha` if it is known, as a dense layer's weights (outputs, features)."""
    known = call.known(1)
    if len(call.shape(1)) != 2:
        raise ShapeError(f"{call.operator} takes matrices, got B of shape {call.shape(1)}")
    if known is None:
        return call.value(1) if transposed else call.add(ops.Transpose((1, 0)), call.value(1), role="weights")
    if transposed and alpha == 1.0:
        return call.value(1)
    return scaled_constant(call, known if transposed else known.T, alpha, "weights")


def dense_bias(call: NodeContext, outputs: int, beta: float) -> Value | None:
    """Input 2 as a dense layer's bias; None if it is not the same for all rows."""
    known, shape = call.known(2), call.shape(2)
    if known is None or known.size not in (1, outputs) or (known.size > 1 and shape[-1] != outputs):
        return None
    if shape == (outputs,) and beta == 1.0:
        return call.value(2)
    return scaled_constant(call, np.broadcast_to(known.reshape(-1), (outputs,)), beta, "bias")


def scaled_constant(call: NodeContext, data: Array, factor: float, role: str) -> Value:
    if factor == 1.0:
        return call.constant(data, role)
    return call.constant(data.astype(np.float64) * factor, role, rounded=True)


def scaled(call: NodeContext, value: Value, factor: float, role: str) -> Value:
    """`value` times a number, as a layer if it changes anything."""
    if factor == 1.0:
        return value
    number = call.constant(np.array(factor, np.float32), f"{role}.factor" if role else "factor")
    return call.add(ops.Mul(), value, number, role=role)


def matmul(call: NodeContext) -> Result:
    """A matrix (two axes) times known weights is a dense layer, everything else a matrix product."""
    if call.type(call.value(0)).dtype in INTEGERS:
        return matrix_product(call, call.value(0), call.value(1))
    if call.known(1) is not None and len(call.shape(0)) == len(call.shape(1)) == 2:
        if not equal(call.shape(0)[1], call.shape(1)[0]):
            raise ShapeError(f"{call.operator} of shapes {call.shape(0)} and {call.shape(1)}: {UNEQUAL}")
        return call.add(ops.Dense(), call.value(0), dense_weights(call, False))
    return call.add(ops.MatMul(), *call.values())


def matrix_product(call: NodeContext, a: Value, b: Value, role: str = "") -> Value:
    """The matrix product; of whole numbers as a sum of products of elements, which wraps like the elements do."""
    left, right = call.type(a), call.type(b)
    if left.dtype not in INTEGERS or not (left.rank and right.rank):
        return call.add(ops.MatMul(), a, b, role=role)
    if left.shape[-1] != right.shape[-2:][0]:
        raise ShapeError(f"cannot multiply {left.shape} by {right.shape}: the inner sizes must agree")
    if right.rank > 1:
        a = call.add(ops.Unsqueeze((-1,)), a, role="rows")
        if left.rank > 1:
            b = call.add(ops.Unsqueeze((-3,)), b, role="columns")
    products = call.add(ops.Mul(), a, b, role="products")
    return call.add(ops.ReduceSum((-2 if right.rank > 1 else -1,), keepdims=False), products, role=role)
