"""Weights in blocks of outputs: [group][block][taps][channel][output in the block].

Most convolutions read them in this order, from front to back. Winograd's have points of the transform in place of taps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ...types import Array
from ..views import View


def in_blocks(weights: Array, packed: Sequence[int]) -> Array:
    """Weights (O, C / groups, taps…) in blocks of the shape `packed`, the last block padded with zeros."""
    groups, blocks, taps, channels, block = packed
    outputs = weights.shape[0] // groups
    filled = np.zeros((groups, blocks * block, channels, taps), weights.dtype)
    filled[:, :outputs] = weights.reshape(groups, outputs, channels, taps)
    return filled.reshape(groups, blocks, block, channels, taps).transpose(0, 1, 4, 3, 2)


def put_in_blocks(weights: Array, blocks: Array) -> None:
    """Write weights (O, C) of one tap to `blocks` (block, channel, output in the block), rounded to its elements."""
    _, channels, block = blocks.shape
    whole, rest = divmod(len(weights), block)
    blocks[:whole] = weights[: whole * block].reshape(whole, block, channels).transpose(0, 2, 1)
    if rest:
        blocks[whole, :, :rest] = weights[whole * block :].T


def reversed_taps(weights: View, rank: int) -> View:
    """The view with its last `rank` axes reversed."""
    strides, offset = list(weights.strides), weights.offset
    for axis in range(weights.rank - rank, weights.rank):
        offset += (weights.shape[axis] - 1) * strides[axis]
        strides[axis] = -strides[axis]
    return replace(weights, strides=tuple(strides), offset=offset)


def moves_into_blocks(weights: View, buffer: str, packed: Sequence[int], rank: int) -> list[tuple[View, View]]:
    """The copies (source, target) that bring weights ([N,] O, C / groups, taps…) of `rank` tap axes into blocks."""
    groups, blocks, all_taps, channels, block = packed
    first_tap = weights.rank - rank
    taps, (o, i, *tap_strides) = weights.shape[first_tap:], weights.strides[first_tap - 2 :]
    per_image = first_tap == 3
    images, of_image = (weights.shape[0], weights.strides[0]) if per_image else (1, 0)
    per_group = weights.shape[first_tap - 2] // groups
    block_size = all_taps * channels * block
    moves = []
    whole, rest = divmod(per_group, block)
    for first, count, size in ((0, whole, block), (whole, 1, rest)):
        if not count or not size:
            continue
        # Axes: image, group, (a row that is one), block, output in the block, channel, taps.
        shape = (images, groups, 1, count, size, channels, *taps)
        source_strides = (of_image, per_group * o, 0, block * o, o, i, *tap_strides)
        source = View(weights.buffer, shape, source_strides, weights.offset + first * block * o)
        of_group = blocks * block_size
        packed_inner = (s * channels * block for s in dense_strides(taps))
        target_strides = (groups * of_group, of_group, 0, block_size, 1, block, *packed_inner)
        moves.append((source, View(buffer, shape, target_strides, first * block_size)))
    return moves


def dense_strides(shape: Sequence[int]) -> tuple[int, ...]:
    """The strides of a dense array in row-major order."""
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= size
    return tuple(reversed(strides))
