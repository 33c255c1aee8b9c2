"""Quantisation against the standard's formula in NumPy's float32: ties, saturation, special values; also natively."""

from __future__ import annotations

import numpy as np
import pytest

from cnncc.elements import ELEMENTS, Element
from cnncc.ops import Dequantize, Quantize
from cnncc.ops.quantize import QUANTIZED
from cnncc.types import Array
from tests.graphs import Net, check

SPECIAL = np.float32([np.nan, np.inf, -np.inf, -0.0, 3e38, -3e38, 1e-45])


def numbers(element: Element, scale: float) -> Array:
    """Halves between the steps, and floats next to them, all over the range and beyond it."""
    steps = np.random.default_rng(4).integers(2 * element.least - 9, 2 * element.most + 9, 4000)
    ties = ((steps + 0.5) * np.float32(scale)).astype(np.float32)
    return np.concatenate([ties, np.nextafter(ties, np.float32(0)), np.nextafter(ties, np.float32(np.inf)), SPECIAL])


def expected(x: Array, scale: float, zero: int, element: Element) -> Array:
    with np.errstate(over="ignore"):
        steps = np.rint(x / np.float32(scale)).astype(np.float64)
    return np.clip(np.where(np.isnan(steps), 0, steps) + zero, element.least, element.most).astype(element.numpy)


@pytest.mark.parametrize("scale", [0.5, 1 / 3, 0.0123, 7.7])
@pytest.mark.parametrize("element", QUANTIZED, ids=str)
def test_to_the_nearest_step_and_back(element: Element, scale: float) -> None:
    x, zero = numbers(element, scale), element.most // 3
    net = Net()
    parameters = net.known(np.float32(scale)), net.known(element.numpy.type(zero), element)
    q = net.apply(Quantize(element.name), net.arrives(x), *parameters)
    found, back = check(net.graph(q, net.apply(Dequantize(), q, *parameters)), net.feeds).values()
    np.testing.assert_array_equal(found, expected(x, scale, zero, element))
    np.testing.assert_array_equal(back, (found.astype(np.float32) - np.float32(zero)) * np.float32(scale))


def test_a_scale_of_0_saturates() -> None:
    x, zeros = np.float32([1, -1, 0, -0.0, np.nan]), np.zeros((), np.float32)
    assert Quantize("int8").reference(x, zeros)[0].tolist() == [127, -128, 0, 0, 0]
    assert Quantize("uint8").reference(x, zeros, np.uint8(9))[0].tolist() == [255, 0, 9, 9, 9]


def test_long_numbers_become_floats_first() -> None:
    x, scale = np.int32([2**24 + 1, -(2**31), 7]), np.float32(2**-3)
    assert Quantize("int16").reference(x, np.float32(2**10))[0].tolist() == [2**14, -(2**15), 0]
    np.testing.assert_array_equal(Dequantize().reference(x, scale)[0], x.astype(np.float32) * scale)
    assert Dequantize().reference(x, scale)[0].dtype == ELEMENTS["float32"].numpy
