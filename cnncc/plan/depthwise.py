"""The tile and the block of channels of a depthwise convolution.

What bounds it: a vector of outputs takes one multiply-add for each tap, on two pipes (4.5 cycles for 3×3); its loads
and its store are fewer, once a tile shares them. The accumulators must cover the latency of the pipes (8 chains) and
leave room for the weights of a row or two of taps: half of the registers. Then memory bounds what remains: every
element is read and written once, if the rows that neighbouring tiles share are still in the first cache.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..computation import Contraction
from ..target import Target
from .kernels import Depthwise, Epilogue, Tile, balanced

UNROLL = 400  # multiply-adds in the code of a tile
SHARE = 2  # a block takes at most this part of the first cache
BYTES = 4


def depthwise(target: Target, c: Contraction, stored: Sequence[int], epilogue: Epilogue) -> Depthwise:
    """The kernel for a contraction of which `stored` are the spatial sizes that it stores."""
    lanes = min(target.lanes, c.channels)
    tile = _tile(target, c, stored, epilogue)
    return Depthwise(c.window, c.channels, c.bias, lanes, _block(target, c, tile, lanes), tile, epilogue)


def _tile(target: Target, c: Contraction, stored: Sequence[int], epilogue: Epilogue) -> Tile:
    """As many columns as accumulators allow in balanced tiles of a row, at most 8, then rows."""
    rank, most = len(c.window), target.registers // 2
    unit = epilogue.pooled(rank - 1)
    columns = max(balanced(stored[-1], max(1, min(8, most) // unit))) * unit
    if rank == 1:
        return Tile(1, columns)
    taps = math.prod(w.kernel for w in c.window)
    high = epilogue.pooled(0)
    rows = min(most // columns, UNROLL // (taps * columns), stored[0] * high) // high * high
    return Tile(max(high, rows), columns)


def _block(target: Target, c: Contraction, tile: Tile, lanes: int) -> int:
    """Equal blocks of the most channels of which the weights, and the rows that a tile reads and writes, fit."""
    first, *rest = c.window
    read = (tile.rows - 1) * first.stride + first.extent
    pixels = read * math.prod(w.size for w in rest) + tile.rows * math.prod(w.out for w in rest)
    taps = math.prod(w.kernel for w in c.window)
    vectors = -(-c.channels // lanes)
    most = max(1, target.l1 // SHARE // (BYTES * lanes * (pixels + taps)))
    return max(balanced(vectors, most)) * lanes
