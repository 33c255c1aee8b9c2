"""The partition of a convolution: shards divide its rows or, where rows are few, its blocks of outputs.

A dense layer has one row, a late convolution of a network seven: two shards would take one and none, or four and
three. Output channels divide more evenly, and each shard then reads only its own part of the weights. Rows are
kept where they are no worse, since a shard's own rows of the layer before are in its own cache.

A block of outputs is as wide as a register tile, so a layer may have fewer blocks than there are shards. Then shards
divide halves of blocks, with tiles half as wide, if these still have enough chains of multiply-adds to keep the pipes
busy.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from ...machine.core import Core
from ..cost.parallel import BALANCED_SHARDS, foreign
from ..views import View, elements
from .convolution import LanesAlong, Tile


class InBlocks(Protocol):
    """A convolution that has blocks of outputs."""

    @property
    def groups(self) -> int: ...
    @property
    def outputs(self) -> int: ...
    @property
    def lanes(self) -> int: ...
    @property
    def lanes_along(self) -> LanesAlong: ...
    @property
    def block(self) -> int: ...
    @property
    def blocks(self) -> int: ...
    @property
    def tile(self) -> Tile: ...
    @property
    def parts(self) -> int: ...


K = TypeVar("K", bound=InBlocks)


def by_blocks(core: Core, kernel: K) -> Iterator[K]:
    """The kernel partitioned by blocks, and by halves of blocks if all blocks can be halved."""
    yield _shared(kernel, "blocks", 1)
    chains = kernel.tile.rows * kernel.tile.columns * kernel.tile.vectors
    whole = kernel.groups == 1 and kernel.outputs % kernel.block == 0
    if (
        whole
        and kernel.lanes_along == "channels"
        and kernel.block % (2 * kernel.lanes) == 0
        and chains >= 2 * core.busy_chains
    ):
        yield _shared(kernel, "blocks", 2)


def _shared(kernel: Any, by: str, parts: int) -> Any:
    return replace(kernel, partition_axis=by, parts=parts)


def largest_outputs(kernel: InBlocks, shards: int) -> int:
    """Outputs of the busiest shard, by blocks."""
    return math.ceil(kernel.blocks * kernel.parts / shards) * kernel.block // kernel.parts


def most_even(core: Core, views: Sequence[View], rows: float, kernel: K, others: Sequence[tuple[float, K]]) -> K:
    """The kernel as it is, which takes `rows` cycles, or the cheapest of `others` if that is much cheaper.

    `views` are the image and the result; with another partition a shard fetches parts of them from other shards.
    """
    blocks, other = min(others, key=lambda other: other[0])
    moved = core.mac.pixel.bytes * sum(elements(view.shape) for view in views)
    fetched = sum(foreign(core, moved) / shards for shards in BALANCED_SHARDS)
    return other if blocks + fetched < rows else kernel


def shared_blocks(parts: int) -> str:
    """The partition by blocks, in words."""
    return f", shared by {'half blocks' if parts > 1 else 'blocks'} of outputs"
