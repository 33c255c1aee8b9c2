"""Weights in the order in which the kernels read them, and the block that holds them all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..abi import ALIGNMENT
from ..cook_toom import transforms
from ..types import Array
from .kernels import Convolution, Depthwise, Direct, Grouped, Winograd
from .views import Buffer, View


class WeightsBlock:
    """Collects packed arrays into one aligned block; equal arrays are stored once."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.known: dict[bytes, int] = {}

    def add(self, name: str, array: Array) -> Buffer:
        """A buffer in the block that holds `array`, rounded to float32."""
        with np.errstate(over="ignore"):
            return self._store(name, np.ascontiguousarray(array, np.float32).tobytes())

    def add_table(self, name: str, indices: Sequence[int]) -> Buffer:
        """A buffer in the block that holds indices as 32-bit integers."""
        return self._store(name, np.asarray(indices, np.int32).tobytes())

    def _store(self, name: str, data: bytes) -> Buffer:
        place = self.known.get(data)
        if place is None:
            self.data += bytes(-len(self.data) % ALIGNMENT)
            place = self.known[data] = len(self.data)
            self.data += data
        return Buffer(name, "weights", len(data) // 4, place)

    def bytes(self) -> bytes:
        return bytes(self.data) + bytes(-len(self.data) % ALIGNMENT)


def packed_shape(kernel: Convolution) -> tuple[int, ...]:
    """[group][block][taps][channel][output in the block], or [taps][channel]; Winograd has points in place of taps."""
    if isinstance(kernel, Winograd):
        return 1, kernel.blocks, math.prod(kernel.points), kernel.channels, kernel.block
    taps = kernel.taps
    if isinstance(kernel, Depthwise):
        return taps, kernel.channels
    if isinstance(kernel, Grouped):  # blocks of all outputs, whatever their group
        return 1, -(-kernel.outputs // kernel.block), taps, kernel.channels // kernel.groups, kernel.block
    per_group = kernel.outputs // kernel.groups
    return kernel.groups, -(-per_group // kernel.block), taps, kernel.channels // kernel.groups, kernel.block


def pack(kernel: Convolution, weights: Array, flip: bool) -> Array:
    """Known weights (O, C / groups, taps…) in packed order, the last block filled up with zeros.

    Weights of several images, (N, O, C / groups, taps…), follow each other.
    """
    if isinstance(kernel, Direct) and kernel.weights_per_image:
        one = replace(kernel, weights_per_image=False)
        return np.stack([pack(one, weights_of_image, flip) for weights_of_image in weights])
    if flip:
        weights = np.flip(weights, tuple(range(2, weights.ndim)))
    if isinstance(kernel, Winograd):
        weights = transformed(kernel, weights)
    outputs, channels = weights.shape[:2]
    flat = weights.reshape(outputs, channels, -1)
    if isinstance(kernel, Depthwise):
        return flat[:, 0].T
    groups, blocks, taps, channels, block = packed_shape(kernel)
    grouped = flat.reshape(groups, outputs // groups, channels, taps)
    filled = np.zeros((groups, blocks * block, channels, taps), weights.dtype)
    filled[:, : outputs // groups] = grouped
    return filled.reshape(groups, blocks, block, channels, taps).transpose(0, 1, 4, 3, 2)


def transformed(kernel: Winograd, weights: Array) -> Array:
    """G w along every axis, in float64: rounded once, where they are stored."""
    weights = weights.astype(np.float64)
    for axis, (m, w) in enumerate(zip(kernel.steps, kernel.window, strict=True), start=2):
        matrix = np.array(transforms(m, w.kernel).weights, np.float64)
        weights = np.moveaxis(np.tensordot(weights, matrix, (axis, 1)), -1, axis)
    return weights


def packing_moves(kernel: Convolution, weights: View, buffer: str, flip: bool) -> list[tuple[View, View]]:
    """For weights that arrive at run time: the copies (source, target) that pack them.

    `weights` is a view ([N,] O, C / groups, taps…). Lanes beyond the last output stay undefined: their results
    are never stored.
    """
    first_tap = weights.rank - len(kernel.window)
    strides, offset = list(weights.strides), weights.offset
    if flip:
        for axis in range(first_tap, weights.rank):
            offset += (weights.shape[axis] - 1) * strides[axis]
            strides[axis] = -strides[axis]
    taps, tap_strides = weights.shape[first_tap:], tuple(strides[first_tap:])
    o, i = strides[first_tap - 2], strides[first_tap - 1]
    packed_taps = _dense_strides(taps)
    if isinstance(kernel, Depthwise):
        outputs = weights.shape[0]
        source = View(weights.buffer, (outputs, 1, *taps), (o, 0, *tap_strides), offset)
        target = View(buffer, source.shape, (1, 0, *(s * outputs for s in packed_taps)))
        return [(source, target)]
    per_image = isinstance(kernel, Direct) and kernel.weights_per_image
    images = weights.shape[0] if per_image else 1
    groups, blocks, all_taps, channels, block = packed_shape(kernel)
    per_group = kernel.outputs // groups
    block_size = all_taps * channels * block
    moves = []
    whole, rest = divmod(per_group, block)
    for first, count, size in ((0, whole, block), (whole, 1, rest)):
        if not count or not size:
            continue
        # Axes: image, group, (a row that is one), block, output in the block, channel, taps.
        shape = (images, groups, 1, count, size, channels, *taps)
        of_image = strides[0] if per_image else 0
        source_strides = (of_image, per_group * o, 0, block * o, o, i, *tap_strides)
        source = View(weights.buffer, shape, source_strides, offset + first * block * o)
        of_group = blocks * block_size
        packed_inner = (s * channels * block for s in packed_taps)
        target_strides = (groups * of_group, of_group, 0, block_size, 1, block, *packed_inner)
        moves.append((source, View(buffer, shape, target_strides, first * block_size)))
    return moves


def _dense_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return tuple(reversed(strides))
