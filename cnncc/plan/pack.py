"""Weights in the order in which the kernels read them, and the block that holds them all."""

from __future__ import annotations

import numpy as np

from ..types import Array
from .kernels import Depthwise, Direct
from .views import Buffer, View

ALIGNMENT = 64


class WeightsBlock:
    """Collects packed arrays into one aligned block; equal arrays are stored once."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.known: dict[bytes, int] = {}

    def add(self, name: str, array: Array) -> Buffer:
        """A buffer in the block that holds `array`, rounded to float32."""
        with np.errstate(over="ignore"):
            data = np.ascontiguousarray(array, np.float32).tobytes()
        place = self.known.get(data)
        if place is None:
            self.data += bytes(-len(self.data) % ALIGNMENT)
            place = self.known[data] = len(self.data)
            self.data += data
        return Buffer(name, "weights", len(data) // 4, place)

    def bytes(self) -> bytes:
        return bytes(self.data) + bytes(-len(self.data) % ALIGNMENT)


def packed_shape(kernel: Direct | Depthwise) -> tuple[int, ...]:
    """[group][block][taps][channel][output in the block], or [taps][channel]."""
    taps = 1
    for axis in kernel.window:
        taps *= axis.kernel
    if isinstance(kernel, Depthwise):
        return taps, kernel.channels
    per_group = kernel.outputs // kernel.groups
    return kernel.groups, -(-per_group // kernel.block), taps, kernel.channels // kernel.groups, kernel.block


def pack(kernel: Direct | Depthwise, weights: Array, flip: bool) -> Array:
    """Known weights (O, C / groups, taps…) in packed order, the last block filled up with zeros."""
    if flip:
        weights = np.flip(weights, tuple(range(2, weights.ndim)))
    outputs, channels = weights.shape[:2]
    flat = weights.reshape(outputs, channels, -1)
    if isinstance(kernel, Depthwise):
        return flat[:, 0].T
    groups, blocks, taps, channels, block = packed_shape(kernel)
    grouped = flat.reshape(groups, outputs // groups, channels, taps)
    filled = np.zeros((groups, blocks * block, channels, taps), weights.dtype)
    filled[:, : outputs // groups] = grouped
    return filled.reshape(groups, blocks, block, channels, taps).transpose(0, 1, 4, 3, 2)


def packing_moves(kernel: Direct | Depthwise, weights: View, buffer: str, flip: bool) -> list[tuple[View, View]]:
    """For weights that arrive at run time: the copies (source, target) that pack them.

    `weights` is a view (O, C / groups, taps…). Lanes beyond the last output stay undefined: their results
    are never stored.
    """
    strides, offset = list(weights.strides), weights.offset
    if flip:
        for axis in range(2, weights.rank):
            offset += (weights.shape[axis] - 1) * strides[axis]
            strides[axis] = -strides[axis]
    taps = tuple(weights.shape[2:])
    tap_strides = tuple(strides[2:])
    outputs, channels = weights.shape[:2]
    packed_taps = _dense_strides(taps)
    if isinstance(kernel, Depthwise):
        source = View(weights.buffer, (outputs, 1, *taps), (strides[0], 0, *tap_strides), offset)
        target = View(buffer, source.shape, (1, 0, *(s * outputs for s in packed_taps)))
        return [(source, target)]
    groups, blocks, all_taps, channels, block = packed_shape(kernel)
    per_group = outputs // groups
    block_size = all_taps * channels * block
    moves = []
    whole, rest = divmod(per_group, block)
    for first, count, size in ((0, whole, block), (whole, 1, rest)):
        if not count or not size:
            continue
        # Axes: group, block, (a row that is one), output in the block, channel, taps.
        shape = (groups, count, 1, size, channels, *taps)
        o = strides[0]
        source_strides = (per_group * o, block * o, 0, o, strides[1], *tap_strides)
        source = View(weights.buffer, shape, source_strides, offset + first * block * o)
        target_strides = (
            blocks * block_size, block_size, 0, 1, block, *(s * channels * block for s in packed_taps)
        )  # fmt: skip
        moves.append((source, View(buffer, shape, target_strides, first * block_size)))
    return moves


def _dense_strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return tuple(reversed(strides))
