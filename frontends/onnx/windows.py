"""Convolutions and pools: operators with a window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import ops
from ...errors import ModelError
from ...ir import Value
from ...ops.pool import MAX_P
from ...windows import brief, brief_padding
from .call import NodeContext, Result, Unsupported

Pairs = tuple[tuple[int, int], ...]


def pairs(pads: Sequence[int]) -> Pairs:
    """ONNX's (begins…, ends…) as (begin, end) for each axis."""
    half = len(pads) // 2
    return tuple(zip(pads[:half], pads[half:], strict=True))


def padding(call: NodeContext, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> Pairs:
    """The window's padding, also from auto_pad, which requires n / stride outputs, rounded up."""
    rank, mode = len(kernel), call.attribute("auto_pad", "NOTSET")
    given = pairs(call.integers("pads", (0,) * 2 * rank))
    if mode == "NOTSET":
        return given
    if mode == "VALID":
        return ((0, 0),) * rank
    sizes = call.shape(0)[2:]
    totals = (
        max(0, (-(-n // s) - 1) * s + (k - 1) * d + 1 - n)
        for n, k, s, d in zip(sizes, kernel, stride, dilation, strict=True)
    )
    return tuple(halves(call, mode, total) for total in totals)


def halves(call: NodeContext, mode: str, total: int) -> tuple[int, int]:
    """The padding before and after an axis; the mode decides the side of an odd element."""
    if mode not in ("SAME_UPPER", "SAME_LOWER"):
        raise Unsupported(f"{call.operator} with auto_pad={mode!r} is not supported")
    less, more = total // 2, total - total // 2
    return (less, more) if mode == "SAME_UPPER" else (more, less)


def geometry(call: NodeContext, kernel: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Kernel, stride and dilation, one number for each spatial axis."""
    ones = (1,) * len(kernel)
    return tuple(kernel), call.integers("strides", ones), call.integers("dilations", ones)


def conv(call: NodeContext) -> Result:
    kernel, stride, dilation = geometry(call, call.integers("kernel_shape", call.shape(1)[2:]))
    pads = brief_padding(padding(call, kernel, stride, dilation))
    op = ops.Conv(kernel, brief(stride), brief(dilation), pads, call.attribute("group", 1))
    return call.add(op, *call.values())


def conv_transpose(call: NodeContext) -> Result:
    kernel, stride, dilation = geometry(call, call.integers("kernel_shape", call.shape(1)[2:]))
    added = call.integers("output_padding", (0,) * len(kernel))
    full = [
        (n - 1) * s + (k - 1) * d + 1 + a
        for n, k, s, d, a in zip(call.shape(0)[2:], kernel, stride, dilation, added, strict=True)
    ]
    pads, more = transposed_padding(call, full, stride)
    total = brief([a + b for a, b in zip(added, more, strict=True)])
    groups = call.attribute("group", 1)
    op = ops.ConvTranspose(kernel, brief(stride), brief(dilation), brief_padding(pads), total, groups)
    return call.add(op, *call.values())


def transposed_padding(call: NodeContext, full: Sequence[int], stride: Sequence[int]) -> tuple[Pairs, tuple[int, ...]]:
    """(elements to crop from `full` on each axis, elements to add at the end), from pads, auto_pad or output sizes.

    One element more than `full` is added at the end. For more, or for one with SAME_UPPER, the standard halves a
    negative number without a rule for rounding, and engines differ, so these are refused.
    """
    rank, mode = len(full), call.attribute("auto_pad", "NOTSET")
    given = pairs(call.integers("pads", (0,) * 2 * rank))
    wanted = call.integers("output_shape", ())[-rank:]
    if mode == "VALID" and not wanted:
        return ((0, 0),) * rank, (0,) * rank
    if mode == "NOTSET" and not wanted:
        return given, (0,) * rank
    wanted = wanted or tuple(n * s for n, s in zip(call.shape(0)[2:], stride, strict=True))
    totals = [size - asked for size, asked in zip(full, wanted, strict=True)]
    rule = "SAME_LOWER" if mode in ("NOTSET", "VALID") else mode
    if min(totals) < (0 if rule == "SAME_UPPER" else -1):
        raise Unsupported(
            f"{call.operator} to {wanted}, where the windows end after {tuple(full)} elements, is not supported"
        )
    return tuple(halves(call, rule, max(0, t)) for t in totals), tuple(max(0, -t) for t in totals)


def pooled(call: NodeContext) -> dict[str, Any]:
    """The attributes of every pool: its window."""
    if not (kernel := call.integers("kernel_shape", ())):
        raise ModelError(f"{call.operator} without kernel_shape")
    kernel, stride, dilation = geometry(call, kernel)
    return {
        "kernel": kernel,
        "stride": None if stride == kernel else brief(stride),
        "padding": brief_padding(padding(call, kernel, stride, dilation)),
        "dilation": brief(dilation),
        "ceil_mode": bool(call.attribute("ceil_mode", 0)),
    }


def max_pool(call: NodeContext) -> Result:
    """The maxima and, where they are read, their numbers."""
    window, x, by_columns = pooled(call), call.value(0), bool(call.attribute("storage_order", 0))
    maxima = call.add(ops.MaxPool(**window), x)
    if not call.reads(1):
        return maxima
    return maxima, call.add(ops.MaxPoolIndices(**window, column_major=by_columns), x, role="indices")


def average_pool(call: NodeContext) -> Result:
    counted = bool(call.attribute("count_include_pad", 0))
    return call.add(ops.AveragePool(**pooled(call), count_padding=counted), call.value(0))


def lp_pool(call: NodeContext) -> Result:
    return call.add(ops.LpPool(**pooled(call), p=exponent(call)), call.value(0))


def global_lp_pool(call: NodeContext) -> Result:
    """The norm over all spatial axes."""
    axes, p = tuple(range(2, len(call.shape(0)))), exponent(call)
    if p <= 2:
        return call.add((ops.ReduceL1 if p == 1 else ops.ReduceL2)(axes), call.value(0))
    raised = call.add(ops.Pow(), call.add(ops.Abs(), call.value(0), role="size"), number(call, p), role="raised")
    total = call.add(ops.ReduceSum(axes), raised, role="total")
    return call.add(ops.Pow(), total, number(call, 1 / p))


def exponent(call: NodeContext) -> int:
    """The p of a norm, a float in opset 1."""
    p = call.attribute("p", 2.0)
    if not 1 <= p <= MAX_P or p != int(p):
        raise Unsupported(f"{call.operator} with p={p:g} is not supported, only whole numbers from 1 to {MAX_P}")
    return int(p)


def number(call: NodeContext, value: float) -> Value:
    return call.constant(np.array(value, np.float32), "exponent")
