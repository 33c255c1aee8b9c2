"""Element-wise operators, and others that equal one op of cnncc."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import ops
from ...elements import FLOAT32
from ...errors import ModelError
from ...ir import Value
from ...op import Op
from . import parameters
from .call import NodeContext, Result
from .floats import LARGEST, WIDE


def plain(op: Callable[..., Op], **defaults: Any) -> Callable[[NodeContext], Result]:
    """A row for an operator that equals `op`; `defaults` are the attributes that both have, under ONNX's names.

    A type in place of a default marks a required attribute of this type.
    """

    def row(call: NodeContext) -> Result:
        attributes = {
            name: call.required(name, default) if isinstance(default, type) else call.attribute(name, default)
            for name, default in defaults.items()
        }
        return call.add(op(**attributes), *call.values())

    return row


def binary(op: Callable[[], Op]) -> Callable[[NodeContext], Result]:
    """A row for two inputs that broadcast; up to opset 6 under rules of their own."""

    return lambda call: call.add(op(), call.value(0), second(call, call.value(1)))


def second(call: NodeContext, value: Value) -> Value:
    """`value`, in place of input 1, with the axes with which it broadcasts to input 0."""
    shape = parameters.beside(call)
    return value if shape == call.shape(1) else call.add(ops.Reshape(shape), value, role="aligned")


def modulo(call: NodeContext) -> Result:
    """The rest with the sign of input 1, or with `fmod` of input 0."""
    return call.add(ops.Mod(bool(call.attribute("fmod", 0))), call.value(0), call.value(1))


def shift(call: NodeContext) -> Result:
    return call.add(ops.BitShift(call.required("direction", str).lower()), call.value(0), call.value(1))


def infinite(call: NodeContext) -> Result:
    signs = (bool(call.attribute(f"detect_{sign}", 1)) for sign in ("negative", "positive"))
    return call.add(ops.IsInf(*signs), call.value(0))


def selu(call: NodeContext) -> Result:
    """Up to opset 5 the defaults have four decimals."""
    alpha, gamma = (1.6732, 1.0507) if call.version < 6 else (1.67326319217681884765625, 1.05070102214813232421875)
    return call.add(ops.Selu(call.attribute("alpha", alpha), call.attribute("gamma", gamma)), call.value(0))


def swish(call: NodeContext) -> Result:
    """x · sigmoid(alpha · x)."""
    alpha, x = call.attribute("alpha", 1.0), call.value(0)
    if alpha == 1.0:
        return call.add(ops.Silu(), x)
    steep = call.add(ops.Mul(), x, call.constant(np.array(alpha, np.float32), "alpha"), role="steep")
    return call.add(ops.Mul(), x, call.add(ops.Sigmoid(), steep, role="sigmoid"))


def clip(call: NodeContext) -> Result:
    """Bounds are attributes up to opset 10, inputs from 11 on; a missing bound is the largest number (not ∞).

    That is the largest of the type that the file states, of float64 that of float32.
    """
    x, stated = call.value(0), call.stated(0)
    most = LARGEST.get(FLOAT32.name if stated == WIDE else stated) if call.version >= 6 else None
    low, high = bound(call, "min", 1, most and -most), bound(call, "max", 2, most)
    if not isinstance(low, Value) and not isinstance(high, Value):
        return call.add(ops.Clip(low, high), x)
    if isinstance(low, Value):
        x = call.add(ops.Where(), call.add(ops.Less(), x, low, role="below"), low, x, role="raised")
    else:
        x = call.add(ops.Clip(low, None), x, role="raised")
    if not isinstance(high, Value):  # the upper bound comes last: it counts where it is below the lower one
        return call.add(ops.Clip(None, high), x)
    return call.add(ops.Where(), call.add(ops.Less(), high, x, role="above"), high, x)


def bound(call: NodeContext, name: str, index: int, missing: float | None) -> float | Value | None:
    """A bound of Clip; one that arrives at run time as a value that broadcasts."""
    if not call.has(index):
        given = call.optional(name)
        given = missing if given is None else given
        return None if given is None else float(given)
    if math.prod(call.shape(index)) != 1:
        raise ModelError(f"{name} of shape {call.shape(index)}, expected a number")
    array = call.known(index)
    if array is None:
        value = call.value(index)
        return call.add(ops.Reshape(()), value, role=name) if call.shape(index) else value
    number: float = array.item()
    return number


def prelu(call: NodeContext) -> Result:
    """Up to opset 6 a vector of slopes holds one for each channel."""
    slope, shape = call.value(1), call.shape(1)
    behind = len(call.shape(0)) - 2
    if call.version < 7 and len(shape) == 1 and shape[0] > 1 and behind > 0:
        slope = call.add(ops.Reshape((*shape, *(1,) * behind)), slope, role="slope")
    return call.add(ops.PRelu(), call.value(0), slope)
