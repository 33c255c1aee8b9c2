"""Weights that arrive for a convolution by transforms: packed as for a direct one, then multiplied by a matrix.

The transform G w Gᵀ along all axes of a window is one matrix over its taps, with a row for each point (and phase).
Weights in blocks are [block][tap][channel][output in the block], and packed ones have points in place of taps. So a
block is a matrix of taps × (channels · outputs), and the transform a 1×1 convolution: its channels are taps, its
outputs points, and its positions, which lie along vectors, all weights of a block for one tap.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..machine.target import Target
from ..types import Array
from .kernels import Convolution, direct_tiles
from .views import View, dense_view, planar


@dataclass(frozen=True)
class WeightsTransform:
    """The product with `matrix` (points, taps) of `blocks` blocks with `positions` weights for each tap."""

    matrix: Array
    blocks: int
    positions: int

    def kernel(self, target: Target) -> Convolution:
        """The cheapest kernel of this size."""
        points, taps = self.matrix.shape
        return direct_tiles.of_columns(target, self.positions, taps, points)

    def view(self, buffer: str, rows: int) -> View:
        """All blocks in a buffer, with so many rows each: taps, or points."""
        return dense_view(buffer, (self.blocks, rows, self.positions), planar(3))


def transform_of(kernel: Convolution) -> WeightsTransform | None:
    """What makes the packed weights of a kernel from weights in blocks; None if they are packed as they are."""
    matrix = kernel.of_taps
    if matrix is None:
        return None
    blocks, _, *inner = kernel.moved_shape[1:]
    return WeightsTransform(matrix, blocks, math.prod(inner))
