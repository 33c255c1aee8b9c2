"""Depthwise convolution: lanes along the channels, and the choice of its tile and its block of channels.

A vector of outputs takes one multiply-add for each tap, on two pipes: 4.5 cycles for 3×3. Its store takes one cycle.
Its loads are few, since a pixel vector serves all the taps that reach it: a row of 14 outputs of 3×3 loads 3·16
pixels and 9 weights, 2 cycles for each output. So the multiply-adds bound it under two conditions:

- The accumulators hide the latency of the pipes: 8 chains, better some more, in one row or, where rows are narrow, in
  several. More than half of the registers would leave too few for the weights of a row of taps and the pixel.
- Each element comes from the second cache once. The first cache must hold the rows that the next rows read again, so
  all rows are computed for a block of channels before the next block. Where only the third cache holds the
  tensors, its bandwidth bounds all orders alike.

With a stride of 2, four lines are read from the second cache for each line that is written. This bounds a 3×3, not the
4.5 cycles of multiply-adds, and the time of a line depends on the loop. A loop of up to about 80 loads that advance
by a constant stride activates the stride prefetcher: a line takes 2 cycles. With 100 loads or more the prefetcher
stops: a line takes 1.6. If two neighbouring lines are read together, it takes 1.3 (measured with loops of nothing but
loads). So these tiles are as large as the registers allow, with weights read from the first cache, and hold two vectors
of channels: 1 × 14 × 2 or 2 × 7 × 2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ...computation import Contraction
from ...elements import FLOAT32, Element
from ...machine.target import Target
from ...types import Array
from ...windows import WindowAxis
from ..cost import step, transfer
from ..cost.step import SPARE_DEPTHWISE, UNROLLED, busy_sums
from ..views import View
from . import direct_tiles
from .base import balanced, taps_of
from .convolution import PLAIN, Candidate, Convolution, Epilogue, Layer, Reads, Tile
from .packing import dense_strides


@dataclass(frozen=True)
class Depthwise(Convolution):
    """Depthwise convolution with lanes along the channels; weights packed as [taps…][channel].

    All rows are computed for `block` channels (a multiple of the lanes) before the next `block`.
    """

    window: tuple[WindowAxis, ...]
    channels: int
    bias: bool
    lanes: int
    block: int
    tile: Tile
    epilogue: Epilogue = PLAIN
    weights: Element = FLOAT32

    lanes_along = "channels"
    prefers_border = False  # it clips as fast as it reads a border

    @property
    def filters(self) -> tuple[int, int]:
        return self.channels, 1

    @property
    def reads(self) -> Reads:
        return "channels last"

    @property
    def packed_shape(self) -> tuple[int, ...]:
        return self.taps, self.channels

    def packed(self, weights: Array) -> Array:
        return weights.reshape(len(weights), -1).T

    def moves(self, weights: View, buffer: str) -> list[tuple[View, View]]:
        target = View(buffer, weights.shape, (1, 0, *(s * self.channels for s in dense_strides(weights.shape[2:]))))
        return [(weights, target)]

    def describe(self) -> str:
        tile = f"{self.tile.rows}×{self.tile.columns} positions × {self.tile.vectors} vectors"
        lanes = f"{self.lanes} lanes along channels, tile {tile}"
        return f"depthwise {taps_of(self.window)}, {self.channels} channels; {lanes}" + self.epilogue.describe()


def candidate(target: Target, layer: Layer) -> Candidate | None:
    """The kernel for a depthwise layer; None where there is none, and where a planar image had better stay planar.

    The cycles are for the comparison with a split epilogue: what differs is the sums of a pool that have no register.
    """
    found = kernel(target, layer)
    if found is None:
        return None
    cycles = found.least_cycles(target) + _spilled(target, layer, found.tile)
    return None if _stays_planar(target, layer, cycles) else Candidate("depthwise", cycles, found)


def _stays_planar(target: Target, layer: Layer, cycles: float) -> bool:
    """Whether lanes along the columns take less than `cycles` and the copies to channels last and back."""
    if not layer.planar or "columns" not in layer.copies or layer.contraction.window[-1].stride > 1:
        return False
    columns = [c.cycles for c in direct_tiles.candidates(target, layer) if c.kernel.lanes_along == "columns"]
    apart = cycles + transfer.reordered(target.core, layer.copies["channels"])
    return step.PLANAR_DEPTHWISE * min(columns, default=math.inf) < apart


def kernel(target: Target, layer: Layer) -> Depthwise | None:
    """The kernel for a depthwise layer; None for a planar image of few channels, whose columns fill the lanes."""
    c, epilogue = layer.contraction, layer.epilogue
    if not c.depthwise or (layer.planar and narrow(target, c)):
        return None
    lanes = min(target.lanes, c.channels)
    tile = _tile(target, c, layer.stored, epilogue)
    block = _block(target, layer, tile, lanes)
    return Depthwise(c.window, c.channels, c.bias, lanes, block, tile, epilogue, layer.weights)


def narrow(target: Target, c: Contraction) -> bool:
    """Whether lanes along the channels would mostly be empty."""
    return c.channels * 2 <= target.lanes


def _tile(target: Target, c: Contraction, stored: Sequence[int], epilogue: Epilogue) -> Tile:
    """Balanced tiles of a row, as wide as the registers allow; several rows if they are narrow or pooled."""
    unit = epilogue.pooled(len(c.window) - 1)
    high = epilogue.pooled(0) if len(c.window) > 1 else 1
    vectors, wide, chains = _sums(target, c)
    columns = max(balanced(stored[-1], max(1, wide // unit // high))) * unit
    if len(c.window) == 1:
        return Tile(1, columns, vectors)
    rows = max(1, min(chains // columns, UNROLLED // (c.taps * columns * vectors)) // high)
    begin, end = c.window[0].interior  # rows outside of it are computed one by one
    return Tile(max(balanced(max(1, (end - begin) // high), rows)) * high, columns, vectors)


def _spilled(target: Target, layer: Layer, tile: Tile) -> float:
    """Cycles of all tiles for sums without a register; only the window of a pool makes a tile so large."""
    c, sums = layer.contraction, tile.rows * tile.columns
    tiles = math.prod(w.out for w in c.window) / sums * -(-c.channels // (target.lanes * tile.vectors))
    return tiles * step.spilled(target.core, sums * tile.vectors - (target.registers - SPARE_DEPTHWISE))


def _sums(target: Target, c: Contraction) -> tuple[int, int, int]:
    """(vectors of channels, most sums of a vector in one row, most sums in several rows) of a tile."""
    if not _reading_bounds(target, c):
        half = target.registers // 2
        return 1, half, min(busy_sums(target.core), half)
    even = -(-c.channels // target.lanes) % 2 == 0
    vectors = 2 if even and c.channels >= 2 * target.lanes else 1
    most = (target.registers - SPARE_DEPTHWISE) // vectors
    return vectors, most, most


def _reading_bounds(target: Target, c: Contraction) -> bool:
    """Whether the reads and writes for a vector of outputs take longer than its multiply-adds."""
    moved = target.mac.pixel.bytes * target.lanes * (math.prod(w.stride for w in c.window) + 1)
    return target.l2 > 0 and transfer.line_by_line(target.core, moved) > c.taps / target.mac.rate


def _block(target: Target, layer: Layer, tile: Tile, lanes: int) -> int:
    """All channels, if their weights and the rows that a tile reads and writes fit into the first cache.

    Else equal blocks of as many channels as fit, since the lines at the ends of a block are read twice.
    """
    c = layer.contraction
    first, *rest = c.window
    read = (tile.rows - 1) * first.stride + first.extent
    pixels = read * math.prod(w.size for w in rest) + tile.rows * math.prod(w.out for w in rest)
    width = lanes * tile.vectors
    each = target.mac.pixel.bytes * pixels + layer.weights.bytes * c.taps  # bytes of a channel
    tiles = -(-c.channels // width)
    if c.channels * each <= transfer.ROWS_OF_L1 * target.l1:
        return tiles * width
    most = max(1, target.l1 // transfer.BLOCKS_IN_L1 // (width * each))
    return max(balanced(tiles, most)) * width
