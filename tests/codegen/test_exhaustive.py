"""Transposed and dilated convolution: every small size, kernel, stride and dilation, against loops and natively."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from cnncc.errors import ShapeError
from cnncc.ops import Conv, ConvTranspose
from cnncc.types import TensorType
from tests.graphs import Net, check

pytestmark = pytest.mark.combinations

GEOMETRIES = list(itertools.product(range(1, 8), range(1, 5), range(1, 4), range(1, 4)))
"""(size, kernel, stride, dilation): sizes ≤ 7, kernels ≤ 4, strides and dilations ≤ 3."""


def valid(op: Conv | ConvTranspose, size: int) -> bool:
    try:
        op.infer(TensorType((1, 1, size)), TensorType((1, 1, *op.kernel)))
    except ShapeError:
        return False
    return True


def transposed(size: int, kernel: int, stride: int, dilation: int) -> Iterator[ConvTranspose]:
    """All ways to pad that leave something."""
    pairs = [((low, high),) for low in range(3) for high in range(3)]
    for padding, added in itertools.product(["valid", "same", *pairs], range(max(stride, dilation))):
        op = ConvTranspose((kernel,), stride, dilation, padding, added)
        if valid(op, size) and not (padding == "same" and added):
            yield op


def scattered(op: ConvTranspose, x: list[float], w: list[float]) -> list[float]:
    """By the definition: input i times tap k is added to place i·stride + k·dilation of a long row."""
    row = [0.0] * 99
    for (i, a), (k, b) in itertools.product(enumerate(x), enumerate(w)):
        row[i * op.stride + k * op.dilation] += a * b
    full = (len(x) - 1) * op.stride + (len(w) - 1) * op.dilation + 1
    if op.padding == "same":
        low = max(0, full - len(x) * op.stride) // 2
        return row[low : low + len(x) * op.stride]
    low, high = (0, 0) if op.padding == "valid" else op.padding[0]
    return row[low : full - high + op.output_padding]


def test_transposed_reference_is_the_scatter() -> None:
    """Whole numbers, so that every sum is exact."""
    count = 0
    for size, kernel, stride, dilation in GEOMETRIES:
        x, w = [float(2 * i + 1) for i in range(size)], [float(3 * k - 4) for k in range(kernel)]
        arrays = [np.array(values, np.float32).reshape(1, 1, -1) for values in (x, w)]
        for op in transposed(size, kernel, stride, dilation):
            (found,) = op.reference(*arrays)
            assert found.ravel().tolist() == scattered(op, x, w), op
            count += 1
    assert count > 3000


def dilated(size: int, kernel: int, stride: int, dilation: int) -> Iterator[Conv]:
    for padding in ("valid", "same", "full", 1, ((2, 0),), ((0, 2),)):
        op = Conv((kernel,), stride, dilation, padding)
        if valid(op, size):
            yield op


def gathered(op: Conv, x: list[float], w: list[float]) -> list[float]:
    """By the definition: output o is the sum over taps k of x[o·stride − low + k·dilation]."""
    (axis,) = op.window(TensorType((1, 1, len(x))))
    room = [0.0] * 20 + x + [0.0] * 20
    starts = range(20 - axis.low, 20 + len(x) + axis.high - (len(w) - 1) * op.dilation, op.stride)
    return [sum(b * room[start + k * op.dilation] for k, b in enumerate(w)) for start in starts]


def test_dilated_reference_is_the_sum_over_taps() -> None:
    for size, kernel, stride, dilation in GEOMETRIES:
        x, w = [float(2 * i + 1) for i in range(size)], [float(3 * k - 4) for k in range(kernel)]
        arrays = [np.array(values, np.float32).reshape(1, 1, -1) for values in (x, w)]
        for op in dilated(size, kernel, stride, dilation):
            assert op.reference(*arrays)[0].ravel().tolist() == gathered(op, x, w), op


def paired(number: int) -> tuple[tuple[int, int], ...]:
    """Geometry `number` along the rows and another one along the columns: every one stands once on each axis."""
    return tuple(zip(GEOMETRIES[number], GEOMETRIES[number * 61 % len(GEOMETRIES)], strict=True))


@pytest.mark.parametrize("padding", ["valid", "same", "cut"])
@pytest.mark.parametrize("part", range(4))
def test_transposed_natively(part: int, padding: str) -> None:
    """One graph of many outputs; channels, groups, bias and weights at run time change with the number."""
    net, outputs = Net(part), []
    for number in range(part, len(GEOMETRIES), 4):
        sizes, kernel, stride, dilation = paired(number)
        groups, inputs, each = ((1, 3, 5), (2, 2, 3), (1, 17, 1), (3, 1, 2))[number % 4]
        full = [(n - 1) * s + (k - 1) * d + 1 for n, k, s, d in zip(sizes, kernel, stride, dilation, strict=True)]
        cut = tuple((1, 0) if length > 1 else (0, 0) for length in full)
        more = tuple(number % 2 * (max(s, d) > 1) for s, d in zip(stride, dilation, strict=True))
        added = more if padding == "cut" else 0
        op = ConvTranspose(kernel, stride, dilation, cut if padding == "cut" else padding, added, groups)
        x = net.input(1 + number % 2, groups * inputs, *sizes)
        parameters = [net.weights(groups * inputs, each, *kernel, arrive=number % 5 == 0)]
        if number % 3:
            parameters.append(net.weights(groups * each))
        outputs.append(net.apply(op, x, *parameters))
    check(net.graph(*outputs), net.feeds)


@pytest.mark.parametrize("padding", ["valid", "same", "full"])
@pytest.mark.parametrize("part", range(4))
def test_dilated_natively(part: int, padding: str) -> None:
    net, outputs = Net(part), []
    for number in range(part, len(GEOMETRIES), 4):
        sizes, kernel, stride, dilation = paired(number)
        extents = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
        if padding == "valid" and any(extent > size for extent, size in zip(extents, sizes, strict=True)):
            continue
        groups, inputs, each = ((1, 3, 5), (2, 2, 3), (1, 17, 1), (4, 1, 1))[number % 4]
        op = Conv(kernel, stride, dilation, padding, groups)
        x = net.input(1 + number % 2, groups * inputs, *sizes)
        parameters = [net.weights(groups * each, inputs, *kernel, arrive=number % 5 == 0)]
        if number % 3:
            parameters.append(net.weights(groups * each))
        outputs.append(net.apply(op, x, *parameters))
    check(net.graph(*outputs), net.feeds)
