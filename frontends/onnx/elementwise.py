"""Operators that compute each element alone, and others that are one of our ops as they stand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ... import ops
from ...errors import ModelError
from ...ir import Value
from ...op import Op
from .call import Call, Result


def plain(op: Callable[..., Op], **defaults: Any) -> Callable[[Call], Result]:
    """A row for an operator that our op equals; `defaults` are the attributes that both have, under ONNX's names."""

    def row(call: Call) -> Result:
        attributes = {name: call.attribute(name, default) for name, default in defaults.items()}
        return call.add(op(**attributes), *call.values())

    return row


def binary(op: Callable[[], Op]) -> Callable[[Call], Result]:
    """A row for two inputs that broadcast; up to opset 6 under rules of their own."""

    def row(call: Call) -> Result:
        return call.add(op(), call.value(0), call.value(1) if call.version >= 7 else aligned(call))

    return row


def aligned(call: Call) -> Value:
    """Input 1 for opset 6 and before: its axes stand under those of input 0 from `axis` on, the last ones without."""
    ours, rank = call.shape(1), len(call.shape(0))
    call.only("broadcast", 0, 1)
    behind = rank - len(ours) - call.attribute("axis", rank - len(ours)) % max(rank, 1)
    if behind <= 0:
        return call.value(1)
    return call.add(ops.Reshape((*ours, *(1,) * behind)), call.value(1), role="aligned")


def clip(call: Call) -> Result:
    """Bounds are attributes up to opset 10, inputs from 11 on."""
    return call.add(ops.Clip(bound(call, "min", 1), bound(call, "max", 2)), call.value(0))


def bound(call: Call, name: str, index: int) -> float | None:
    if not call.has(index):
        given = call.optional(name)
        return None if given is None else float(given)
    array = call.array(index, name)
    if array.size != 1:
        raise ModelError(f"{name} of shape {array.shape}, expected a number")
    return float(array.reshape(()))


def prelu(call: Call) -> Result:
    """Up to opset 6 a vector of slopes holds one for each channel."""
    slope, shape = call.value(1), call.shape(1)
    behind = len(call.shape(0)) - 2
    if call.version < 7 and len(shape) == 1 and shape[0] > 1 and behind > 0:
        slope = call.add(ops.Reshape((*shape, *(1,) * behind)), slope, role="slope")
    return call.add(ops.PRelu(), call.value(0), slope)
