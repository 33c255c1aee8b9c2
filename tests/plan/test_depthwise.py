"""Tiles of depthwise convolutions: what bounds a layer decides."""

from __future__ import annotations

import pytest

from cnncc.computation import Contraction
from cnncc.machine.target import named
from cnncc.plan.kernels import Layer, Tile, depthwise
from cnncc.windows import WindowAxis


def tile(channels: int, size: int, kernel: int, stride: int, target: str = "x86-64-v4") -> Tile:
    low = kernel // 2
    axis = WindowAxis(size, kernel, stride, 1, low, low)
    c = Contraction((axis, axis), channels, channels, channels, True)
    return chosen(c, axis.out, target)


def chosen(c: Contraction, size: int, target: str = "x86-64-v4") -> Tile:
    kernel = depthwise.kernel(named(target), Layer(c, (size, size)))
    assert kernel
    return kernel.tile


@pytest.mark.parametrize(
    ("channels", "size", "kernel", "stride", "expected"),
    [
        (64, 56, 3, 1, Tile(1, 14)),  # bound by its multiply-adds: sums enough for the latency, in one row or in two
        (64, 7, 3, 1, Tile(2, 7)),
        (64, 56, 5, 2, Tile(1, 14)),
        (64, 56, 3, 2, Tile(1, 14, 2)),  # bound by reading: two lines at a time
        (64, 14, 3, 2, Tile(2, 7, 2)),
        (80, 112, 3, 2, Tile(1, 28)),  # five vectors, and too few channels for two
        (24, 56, 3, 2, Tile(1, 28)),
    ],
)
def test_what_bounds_a_layer_decides(channels: int, size: int, kernel: int, stride: int, expected: Tile) -> None:
    assert tile(channels, size, kernel, stride) == expected


@pytest.mark.parametrize(
    ("target", "vectors"), [("x86-64-v2", 1), ("x86-64-v3", 2), ("aarch64", 1), ("cortex-a53", 1), ("cortex-m4", 1)]
)
def test_narrow_vectors_read_less_for_each_multiply_add(target: str, vectors: int) -> None:
    """Of the targets with narrow vectors, reading bounds the one whose second cache gives half as much."""
    assert tile(64, 56, 3, 2, target).vectors == vectors


def test_rows_of_a_tile_divide_those_inside_of_the_image() -> None:
    """Six rows of 14² are two tiles of three, not one of four and two of one."""
    axis = WindowAxis(14, 3, 2, 1, 0, 1)
    c = Contraction((axis, axis), 80, 80, 80, True)
    assert chosen(c, 7) == Tile(3, 7)
