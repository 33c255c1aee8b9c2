"""Operators of opset 1 that later opsets dropped; old files and converters of other formats still use them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ... import ops
from ...errors import ModelError
from ...ir import Value
from ...op import Op
from .call import NodeContext, Result


def times(call: NodeContext, x: Value, factor: float, role: str) -> Value:
    """`x` times a number; the last layer of a node has no role."""
    number = call.constant(np.array(factor, np.float32), f"{role or 'last'}.factor")
    return call.add(ops.Mul(), x, number, role=role)


def affine(call: NodeContext) -> Result:
    """alpha · x + beta."""
    product = times(call, call.value(0), call.attribute("alpha", 1.0), "product")
    return call.add(ops.Add(), product, call.constant(np.array(call.attribute("beta", 0.0), np.float32), "beta"))


def scale(call: NodeContext) -> Result:
    return times(call, call.value(0), call.attribute("scale", 1.0), "")


def image_scaler(call: NodeContext) -> Result:
    """scale · x + bias, with a bias for each channel; none if the list is empty."""
    biases: tuple[float, ...] = call.attribute("bias", ())
    if not biases:
        return scale(call)
    product = times(call, call.value(0), call.attribute("scale", 1.0), "product")
    bias = np.array(biases, np.float32).reshape(-1, *(1,) * (len(call.shape(0)) - 2))
    return call.add(ops.Add(), product, call.constant(bias, "bias"))


def between(op: Callable[[], Op]) -> Callable[[NodeContext], Result]:
    """A row for alpha · op(beta · x)."""

    def row(call: NodeContext) -> Result:
        inner = times(call, call.value(0), call.required("beta", float), "inner")
        return times(call, call.add(op(), inner, role="curve"), call.required("alpha", float), "")

    return row


def crop(call: NodeContext) -> Result:
    """Without a border of (left, top, right, bottom) elements, or with `scale` so many rows and columns from there."""
    border, size = call.integers("border", ()), call.integers("scale", ())
    *_, height, width = call.shape(0)
    if len(border) != 4 or len(size) not in (0, 2):
        raise ModelError(f"{call.operator} with border {border} and scale {size}: expected 4 numbers, and 2 or none")
    left, top, right, bottom = border
    ends = (top + size[0], left + size[1]) if size else (height - bottom, width - right)
    return call.add(ops.Slice((top, left), ends, (-2, -1)), call.value(0))
