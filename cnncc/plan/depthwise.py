"""The tile and the block of channels of a depthwise convolution.

What bounds it: a vector of outputs takes one multiply-add for each tap, on two pipes, so 4.5 cycles for 3×3. Its store
takes one cycle, and its loads are few, since a pixel vector serves all the taps that reach it: a row of 14 outputs of
3×3 loads 3·16 pixels and 9 weights, 2 cycles for each output. So the multiply-adds bound it as long as

- the accumulators hide the latency of the pipes: 8 chains, better some more, in one row or, where rows are narrow, in
  several. More than half of the registers would push out the weights of a row of taps and the pixel;
- each element comes from the second cache once: the rows that the next ones read again must stay in the first cache, so
  that all rows are computed for a block of channels before the next block. Where only the third cache holds the
  tensors, its bandwidth bounds all orders alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..computation import Contraction
from ..target import Target
from .kernels import Depthwise, Epilogue, Tile, balanced

CHAINS = 14  # sums of a tile: latency 4 on two pipes asks for 8, the rest covers the ends of tiles
UNROLL = 400  # multiply-adds in the code of a tile of several rows
SHARE = 2  # a block of some of the channels takes at most this part of the first cache
BYTES = 4


def depthwise(target: Target, c: Contraction, stored: Sequence[int], epilogue: Epilogue) -> Depthwise:
    """The kernel for a contraction of which `stored` are the spatial sizes that it stores."""
    lanes = min(target.lanes, c.channels)
    tile = _tile(target, c, stored, epilogue)
    return Depthwise(c.window, c.channels, c.bias, lanes, _block(target, c, tile, lanes), tile, epilogue)


def _tile(target: Target, c: Contraction, stored: Sequence[int], epilogue: Epilogue) -> Tile:
    """Balanced tiles of a row, as wide as the registers allow; several rows if they are narrow or pooled."""
    unit = epilogue.pooled(len(c.window) - 1)
    high = epilogue.pooled(0) if len(c.window) > 1 else 1
    most = max(1, target.registers // 2 // unit // high)
    columns = max(balanced(stored[-1], most)) * unit
    if len(c.window) == 1:
        return Tile(1, columns)
    taps = c.taps
    rows = min(min(CHAINS, target.registers // 2) // columns, UNROLL // (taps * columns), stored[0] * high)
    return Tile(max(1, rows // high) * high, columns)


def _block(target: Target, c: Contraction, tile: Tile, lanes: int) -> int:
    """All channels, if their weights and the rows that a tile reads and writes fit into the first cache.

    Else equal blocks of the most channels that fit well, since lines at their ends are read for two blocks.
    """
    first, *rest = c.window
    read = (tile.rows - 1) * first.stride + first.extent
    pixels = read * math.prod(w.size for w in rest) + tile.rows * math.prod(w.out for w in rest)
    taps = c.taps
    vectors = -(-c.channels // lanes)
    if BYTES * c.channels * (pixels + taps) <= target.l1:
        return vectors * lanes
    most = max(1, target.l1 // SHARE // (BYTES * lanes * (pixels + taps)))
    return max(balanced(vectors, most)) * lanes
