"""Images as rows: the contractions of a block of images as one, where one image has too few positions.

A dense layer uses each weight once an image, so that it takes as long as its weights take to arrive. The same layer
over B images is a product of B rows: a register tile of s images meets each weight s times. The positions of an image,
if there are several that follow each other, lie one after the other along the same axis.

The weights stay packed as they are for one image, in blocks as wide as one image's tile. A block may be wider than this
tile; it is then computed in panels. All sums keep the order of those of a single image.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol

from ...elements import Element
from ...machine.target import Target
from ...windows import WindowAxis
from ..cost import step
from ..cost.images import LEAST_ROWS
from ..cost.step import SPARE, InnerLoop, most_scalars
from .base import OverImages, balanced
from .convolution import Epilogue, Tile
from .partition import InBlocks


class Packed(InBlocks, Protocol):
    """A direct convolution."""

    @property
    def window(self) -> tuple[WindowAxis, ...]: ...
    @property
    def channels(self) -> int: ...
    @property
    def epilogue(self) -> Epilogue: ...
    @property
    def weights(self) -> Element: ...
    @property
    def weights_per_image(self) -> bool: ...


def over_images(target: Target, kernel: Packed, images: int) -> OverImages | None:
    """The kernel over the positions of so many images, with the tile that takes the fewest cycles."""
    flat = positions_and_taps(kernel.window)
    alone = kernel.groups == 1 and not kernel.weights_per_image and kernel.epilogue.pool is None
    if flat is None or not alone or kernel.lanes_along != "channels":
        return None
    positions, taps = flat
    count = kernel.channels * taps
    steps, arrival = _inner_loop(target, kernel, count), _arrival(target, kernel, count)
    tiles = _tiles(target, max(_blocks(kernel)), max(LEAST_ROWS, images * positions // 2))
    tile = min(tiles, key=lambda tile: _cycles(kernel, steps, tile, images * positions))
    cycles = [max(arrival, _cycles(kernel, steps, tile, n * positions)) for n in range(1, images + 1)]
    rows = _with_rows(kernel, images * positions, count, tile, images)
    return OverImages(rows, max(LEAST_ROWS, tile.columns // 2), cycles, max(arrival, _single(kernel, steps, positions)))


def _with_rows(kernel: Any, rows: int, channels: int, tile: Tile, images: int) -> Any:
    """The kernel over so many rows, which shards divide; its weights stay packed as they are."""
    return replace(
        kernel,
        window=(WindowAxis(rows),),
        channels=channels,
        tile=tile,
        chunk=0,
        prefetch_elements=0,
        partition_axis="rows",
        parts=1,
        images=images,
    )


def positions_and_taps(window: Sequence[WindowAxis]) -> tuple[int, int] | None:
    """Of a window over points of one axis, or of one as large as its image; None for others."""
    if all(axis == WindowAxis(axis.size, axis.size) for axis in window):
        return 1, math.prod(axis.size for axis in window)
    return (window[0].size, 1) if len(window) == 1 and window[0] == WindowAxis(window[0].size) else None


def tile_heights(columns: int) -> list[int]:
    """Rows of the tiles for a number of images that is known only at run time, the largest first."""
    return [columns, *tile_heights(columns // 2)] if columns > LEAST_ROWS else [LEAST_ROWS]


def spare_rows(height: int) -> int:
    """Rows that a tile of this height may lack: fewer than half, or all but one in the lowest."""
    return (height - 1) // 2 if height > LEAST_ROWS else height - 1


def _inner_loop(target: Target, kernel: Packed, count: int) -> InnerLoop:
    finish = step.series_cycles(target.core, kernel.epilogue.before, kernel.epilogue.after)
    widened = step.widening(kernel.weights, kernel.lanes)
    return InnerLoop(target, count, kernel.weights.bytes * kernel.lanes, finish, widen_vector=widened)


def _arrival(target: Target, kernel: Packed, count: int) -> float:
    """Cycles in which all weights arrive once from beyond the second cache; 0 if it can hold them."""
    size = kernel.weights.bytes * count * kernel.outputs
    return size / target.core.l3_rate if size > target.l2 // 2 else 0.0


def _blocks(kernel: Packed) -> list[int]:
    """Vectors of each block of packed weights."""
    vectors, each = -(-kernel.outputs // kernel.lanes), kernel.block // kernel.lanes
    return [min(each, vectors - first) for first in range(0, vectors, each)]


def _single(kernel: Packed, steps: InnerLoop, positions: int) -> float:
    """Cycles of one image, its weights at hand."""
    blocks, columns = _blocks(kernel), kernel.tile.columns
    if positions == 1:
        steps = replace(steps, once=sum(blocks))
    return -(-positions // columns) * sum(steps.tile(columns, vectors, weights=vectors) for vectors in blocks)


def _tiles(target: Target, vectors: int, rows: int) -> Iterator[Tile]:
    """The tiles that the registers hold; powers of two divide blocks and batches evenly.

    None has to stay free: of a single loop over channels LLVM hoists nothing, and reads weights as it multiplies. With
    16 registers, 4 × 3 is a seventh faster than 4 × 2. Products that are added by themselves need some.
    """
    spare = 0 if target.fma else SPARE
    for width in range(1, vectors + 1):
        columns = LEAST_ROWS
        while columns <= min(most_scalars(target, width, spare), rows):
            yield Tile(1, columns, width)
            columns *= 2


def _cycles(kernel: Packed, steps: InnerLoop, tile: Tile, rows: int) -> float:
    """Cycles of so many rows, their weights at hand."""
    panels = [
        (panel, replace(steps, packed=block)) for block in _blocks(kernel) for panel in balanced(block, tile.vectors)
    ]
    cycles, left = 0.0, rows
    for height in tile_heights(tile.columns):
        count = (left + spare_rows(height)) // height if rows >= height else 0
        cycles += count * sum(loop.tile(height, panel, weights=panel) for panel, loop in panels)
        left = max(0, left - count * height)
    return cycles
