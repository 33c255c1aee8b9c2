"""Direct convolution, dense layers and filters: weights in blocks of outputs, and a tile of results in registers.

Its candidates are chosen in `direct_tiles` and `filters`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ...computation import Contraction
from ...elements import FLOAT32, Element
from ...machine.target import Target
from ...windows import WindowAxis
from ..cost import step
from ..cost.parallel import BALANCED_SHARDS, NARROW
from ..views import View
from . import image_rows
from .base import OverImages, taps_of
from .convolution import PLAIN, Convolution, Epilogue, LanesAlong, Reads, Tile, guarded_share
from .partition import by_blocks, largest_outputs, most_even, shared_blocks

FILTER_WEIGHTS = 32  # weights of a group that a filter may have


def has_few_weights(c: Contraction | Direct, epilogue: Epilogue) -> bool:
    """Whether the weights of a group may stay in registers: a filter over two axes, of one channel a group."""
    alone = c.channels == c.groups and not c.weights_per_image and epilogue.pool is None
    weights = c.outputs // c.groups * c.taps
    return alone and len(c.window) == 2 and c.window[1].stride == 1 and weights <= FILTER_WEIGHTS


@dataclass(frozen=True)
class Direct(Convolution):
    """Direct convolution: source, packed weights and, if `bias`, a bias vector.

    The weights are packed as [group][block of `block` outputs][taps…][channel][output in the block], so that
    the innermost loops read them from front to back. Shards divide its rows or, with another partition, its groups or
    blocks of outputs, or `parts` of each block.

    All blocks of outputs are computed for `chunk` rows before the next rows (0: for all rows), while the rows are in
    the cache. At each position of a block the kernel prefetches `prefetch_elements` weights of the next block.

    With `images`, its only axis has the positions of so many images (see `image_rows`), and its tile may be narrower
    than a block of packed weights.
    """

    window: tuple[WindowAxis, ...]
    channels: int
    outputs: int
    groups: int
    bias: bool
    lanes_along: LanesAlong
    lanes: int
    block: int
    tile: Tile
    epilogue: Epilogue = PLAIN
    weights_per_image: bool = False
    chunk: int = 0
    prefetch_elements: int = 0
    partition_axis: Literal["rows", "blocks"] = "rows"
    parts: int = 1
    weights: Element = FLOAT32
    images: int = 1

    @property
    def computes_once(self) -> bool:
        """With lanes along the channels the tiles of a row have nearly equal widths, and none slides back."""
        return self.lanes_along == "channels" and len(self.window) > 1 and self.epilogue.pool is None

    @property
    def is_filter(self) -> bool:
        """Whether its weights stay in registers, over planar images (see `filters`)."""
        whole = self.lanes_along == "columns" and self.block == self.outputs // self.groups
        return whole and has_few_weights(self, self.epilogue)

    @property
    def blocks(self) -> int:
        """Groups, or blocks of outputs if there is only one group."""
        return self.groups if self.groups > 1 else -(-self.outputs // self.block)

    @property
    def filters(self) -> tuple[int, int]:
        return self.outputs, self.channels // self.groups

    @property
    def packed_shape(self) -> tuple[int, ...]:
        blocks = -(-(self.outputs // self.groups) // self.block)
        return self.groups, blocks, self.taps, self.channels // self.groups, self.block

    @property
    def reads(self) -> Reads:
        return "planar" if self.lanes_along == "columns" else "either"

    def follows_tables(self, number: int, source: View) -> bool:
        """Channels of the image are loaded one after the other, so a table may give their places."""
        return number == 0 and self.groups == 1 and all(axis == 1 for axis, _ in source.lookups)

    def describe(self) -> str:
        size = taps_of(self.window) or "dense"
        groups = f" in {self.groups} groups" if self.groups > 1 else ""
        tile = self.tile
        held = f"{tile.rows}×{tile.columns} positions × {tile.vectors} vectors"
        if self.lanes_along == "columns":
            held = f"{tile.outputs} outputs × {tile.rows}×{tile.vectors} vectors"
        lanes = f"{self.lanes} lanes along {self.lanes_along}"
        law = f"tile {held}, {tile.registers(self.lanes_along)} registers"
        blocks = shared_blocks(self.parts) if self.partition_axis == "blocks" else ""
        together = f" for {self.images} images as rows" if self.images > 1 else ""
        told = f"direct {size}, {self.channels} → {self.outputs}{groups}{together}; {lanes}, {law}{blocks}"
        return told + self.epilogue.describe()

    # Cost

    def products(self, target: Target, result: View) -> float:
        products = float(self.macs(result))
        if self.lanes_along == "columns":
            return products
        outputs = self.outputs // self.groups
        return products * math.ceil(outputs / self.lanes) * target.lanes / outputs

    def edge_cycles(self, target: Target) -> float:
        tile, outputs = self.tile, self.outputs // self.groups
        along = self.lanes_along == "channels"
        width = tile.columns if along else tile.vectors * self.lanes // tile.rows_per_vector
        share = guarded_share(self.window, (tile.rows, width))
        if not share:
            return 0.0
        if self.is_filter:
            return share * self.least_cycles(target) * step.CLIPPED_FILTER
        *above, last = (axis.out for axis in self.window)
        tiles = math.prod(above) / tile.rows * -(-last // width)
        blocks = self.groups * -(-outputs // (tile.vectors * self.lanes if along else tile.outputs))
        return share * tiles * blocks * self.taps * (self.channels // self.groups) * self.clipped(target)

    def clipped(self, target: Target) -> float:
        """Cycles that a step of a tile takes longer at the edges."""
        tile, channels = self.tile, self.channels // self.groups
        tests = step.TESTS / channels  # under each tap, for all channels
        if self.lanes_along == "channels":
            pixels = tile.rows * tile.columns
            return step.clipped(target, pixels, tile.vectors, 1.0, tested=(step.TESTED + tests) * pixels)
        vectors = tile.rows * tile.vectors // tile.rows_per_vector
        load, (tested, masked) = step.unaligned_loads(target, self.lanes), step.masked_vector(target)
        loads = vectors * self.window[-1].stride
        return step.clipped(target, tile.outputs, vectors, load, (tested + tests) * loads, masked * loads)

    def over_images(self, target: Target, images: int) -> OverImages | None:
        return image_rows.over_images(target, self, images)

    # Shards

    def units(self, result: View) -> int:
        return self.blocks * self.parts if self.partition_axis == "blocks" else result.rows

    @property
    def writes_own_rows(self) -> bool:
        return self.partition_axis == "rows"

    def shared_evenly(self, target: Target, sources: Sequence[View], result: View) -> Direct:
        """Partitioned by rows, or by blocks or parts of blocks if that balances better."""
        whole = self.cycles(target, sources, result)
        rows = whole * sum(self.largest_rows(result.rows, shards) for shards in BALANCED_SHARDS)
        blocks = [
            (whole * sum(by.largest_blocks(shards) for shards in BALANCED_SHARDS), by)
            for by in by_blocks(target.core, self)
        ]
        return most_even(target.core, (sources[0], result), rows, self, blocks)

    def largest_rows(self, rows: int, shards: int) -> float:
        """The fraction of the work of the busiest shard, by rows; along a single axis it computes whole tiles."""
        share = math.ceil(rows / shards)
        if len(self.window) != 1:
            return share / rows
        tile = self.tile.columns if self.lanes_along == "channels" else self.tile.vectors * self.lanes
        return (math.ceil(share / tile) * tile if share >= tile else min(NARROW * share, rows)) / rows

    def largest_blocks(self, shards: int) -> float:
        """The fraction of the work of the busiest shard, by blocks; the last block may be smaller."""
        if self.groups > 1:
            return math.ceil(self.groups / shards) / self.groups
        return min(1.0, largest_outputs(self, shards) / self.outputs)
