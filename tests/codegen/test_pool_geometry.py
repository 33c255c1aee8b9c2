"""Ceil mode, dilation, counted padding and adaptive bins: every small geometry, against loops and natively."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import pytest

from cnncc.errors import ShapeError
from cnncc.ops import AdaptiveAveragePool, AdaptiveMaxPool, AveragePool, MaxPool, Resize
from cnncc.ops.pool import Pool
from cnncc.types import TensorType
from tests.graphs import Net, check
from tests.ops import oracles_moving, oracles_pooling

pytestmark = pytest.mark.combinations

SIZES, KERNELS, STRIDES, DILATIONS = range(1, 9), range(1, 4), range(1, 4), range(1, 3)
PADS = [(0, 0), (1, 0), (0, 1), (1, 1), (2, 1), (2, 2)]


def pools(kind: type[Pool], size: int, **more: bool) -> Iterator[Pool]:
    """Each pool that fits this size."""
    for kernel, stride, dilation, pads in itertools.product(KERNELS, STRIDES, DILATIONS, PADS):
        op = kind((kernel,), stride, (pads,), dilation, True, **more)
        try:
            op.infer(TensorType((1, 1, size)))
        except ShapeError:
            continue
        yield op


def row(size: int) -> np.ndarray:
    return np.array([[[(7 * i) % 11 - 3 for i in range(size)]]], np.float32)


@pytest.mark.parametrize("size", SIZES)
def test_ceil_mode_has_the_windows_of_the_formula(size: int) -> None:
    """⌈(n + low + high − extent) / stride⌉ + 1, less one if the last window began in the high padding."""
    for op in pools(MaxPool, size):
        ((low, high),) = op.padding
        extent = (op.kernel[0] - 1) * op.dilation + 1
        count = -(-(size + low + high - extent) // op.stride) + 1
        count -= (count - 1) * op.stride >= size + low
        assert op.infer(TensorType((1, 1, size)))[0].shape == (1, 1, count), op


@pytest.mark.parametrize("size", SIZES)
def test_references_are_the_loops(size: int) -> None:
    x = row(size)
    averages = itertools.chain(pools(AveragePool, size), pools(AveragePool, size, count_padding=True))
    for op in itertools.chain(pools(MaxPool, size), averages):
        expected = oracles_pooling.ORACLES[op.name](op, [x])
        np.testing.assert_allclose(op.reference(x)[0], expected, rtol=2.0**-23, err_msg=str(op))


@pytest.mark.parametrize("channels", [1, 18])
def test_natively(channels: int) -> None:
    """Every third geometry of every size, from maxima over means to means that count the padding."""
    net, outputs = Net(), []
    for size in SIZES:
        every = [
            *pools(MaxPool, size),
            *pools(AveragePool, size),
            *pools(AveragePool, size, count_padding=True),
        ]
        x = net.input(2, channels, size)
        outputs += [net.apply(op, x) for op in every[size % 3 :: 3]]
    check(net.graph(*outputs), net.feeds)


@pytest.mark.parametrize("kind", [AdaptiveAveragePool, AdaptiveMaxPool])
def test_adaptive_bins(kind: type[AdaptiveAveragePool] | type[AdaptiveMaxPool]) -> None:
    """Every size up to 10 into every number of bins up to 7."""
    net, outputs = Net(), []
    for size in range(1, 11):
        x = net.input(2, 3, size)
        for count in range(1, 8):
            (found,) = kind(count).reference(net.feeds[x.node])
            expected = oracles_pooling.ORACLES[kind.__name__](kind(count), [net.feeds[x.node]])
            np.testing.assert_allclose(found, expected, rtol=2.0**-23, atol=1e-7)
            outputs.append(net.apply(kind(count), x))
    check(net.graph(*outputs), net.feeds)


@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_antialiased_resizing(mode: str) -> None:
    """Every way of shrinking 1 to 11 elements, along the rows and along the columns, and of the channels."""
    net, outputs = Net(), []
    for size, out in itertools.product((1, 2, 5, 11), (1, 2, 3, 7)):
        x = net.input(1, 3, size, 4)
        for axis in (2, 3, 1):
            op = Resize((out,), mode=mode, axes=(axis,), antialias=True, exclude_outside=(size + out) % 2 == 0)
            found, expected = op.reference(net.feeds[x.node])[0], oracles_moving.resize(net.feeds[x.node], **vars(op))
            np.testing.assert_allclose(found, expected, rtol=2.0**-22, atol=1e-6, err_msg=str((op, size)))
            outputs.append(net.apply(op, x))
    check(net.graph(*outputs), net.feeds)


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_resizing(mode: str) -> None:
    """Every size up to 6 into every other one up to 9, in each coordinate mode."""
    net, outputs = Net(), []
    modes = ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric")
    for size, out in itertools.product(range(1, 7), range(1, 10)):
        x = net.input(1, 2, size)
        for coordinates in modes:
            op = Resize((out,), mode=mode, coordinates=coordinates)
            found, expected = op.reference(net.feeds[x.node])[0], oracles_moving.resize(net.feeds[x.node], **vars(op))
            # Where a place is half-way between two elements, floating point may round it to either side.
            if mode != "nearest" or coordinates == "half_pixel":
                np.testing.assert_allclose(found, expected, rtol=2.0**-22, atol=1e-6, err_msg=str((op, size)))
        outputs.append(net.apply(Resize((out,), mode=mode, coordinates=modes[(size + out) % 5]), x))
    check(net.graph(*outputs), net.feeds)
