"""Filters: planar convolutions with one input channel a group, whose few weights stay in registers.

A tile of r rows and v vectors of columns of s outputs iterates over the rows of the *input* that it needs. Each row is
loaded once for a column of taps, and serves every row of the tile whose window contains it. Columns of taps are shifts
by some elements. Every other shift is loaded (an unaligned vector takes both ports for a cycle); a shuffle combines its
two neighbours to the shift between them, without a load. For k·l taps at stride 1 a tile takes the longest of

    multiply-adds   r·v·s·k·l / 2          loads   (r + k − 1)·v·⌈(l + 1) / 2⌉·2 / 2          latency   4·k·l

cycles on the measured core. A filter has few outputs, so it needs several rows: 7×1 needs 4 rows to be bound by its
multiply-adds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...computation import Contraction
from ...machine.target import Target
from ..cost.step import filter_tile, unaligned_loads
from .convolution import Tile

MOST_ROWS, MOST_VECTORS = 4, 8
MOST_STEPS = 192  # multiply-adds of a tile, all unrolled


def tiles(target: Target, c: Contraction, stored: Sequence[int]) -> Iterator[tuple[float, int, Tile]]:
    """(cycles of the layer, lanes, tile) of the tiles that leave registers for vectors and most of the weights."""
    (rows, width), outputs = stored, c.outputs // c.groups
    taps = c.taps
    lanes = min(target.lanes, width)
    total = -(-width // lanes)
    shared = MOST_ROWS if c.window[0].kernel > 1 else 1  # rows of a tile that reuse rows of the input
    for r in range(1, min(shared, rows) + 1):
        for v in range(1, min(MOST_VECTORS, total) + 1):
            sums = r * v * outputs
            needed = sums + v + min(outputs * taps, target.registers // 3) + 1
            small = needed <= target.registers and sums * taps <= MOST_STEPS
            if not (small or r == v == 1):
                continue
            count = c.groups * (rows // r * -(-total // v) + rows % r * -(-total // v) / r)
            yield count * _cycles(target, c, r, v), lanes, Tile(r, 1, v, outputs)


def _cycles(target: Target, c: Contraction, rows: int, vectors: int) -> float:
    """Cycles of one tile, by its longest bound."""
    down, across = c.window
    sums = rows * vectors * (c.outputs // c.groups)
    taps = down.kernel * across.kernel
    inputs = min((rows - 1) * down.stride + down.extent, rows * down.kernel)
    loads = inputs * vectors * (across.kernel // 2 + 1) * unaligned_loads(target)
    return filter_tile(target.core, sums * taps, loads, taps, sums)
