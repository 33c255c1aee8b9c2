"""How shards share a step: each takes some of its rows or, where rows are few, some of its blocks of outputs.

A dense layer has one row, a convolution deep in a network seven: two shards would take one and none, four and
three. Its output channels divide better, and each shard then reads only its own part of the weights. Rows are
kept where they are no worse, since a shard finds its own rows of the layer before in its own cache.
"""

from __future__ import annotations

import math
from dataclasses import replace

from .kernels import Direct, Winograd
from .plan import Step

SHARDS = (2, 4)  # the numbers of shards for which a plan is balanced
GAIN = 0.95  # what blocks must save: they give up what lies in a shard's own cache
STREAMED = 0.5  # of a step is spent on weights, where they stream: by rows each shard reads all of them
REPEATED = 8  # outputs whose products take as long as the transform of the inputs, which each shard does by blocks
ALONE = 4  # times that one position by itself takes, where a share is narrower than a tile


def shared(step: Step) -> Step:
    """The step, shared by blocks if that balances better."""
    kernel = step.kernel
    if isinstance(kernel, Direct):
        rows = sum(_largest_rows(step, kernel, shards) for shards in SHARDS)
        blocks = sum(_largest_blocks(kernel, shards) for shards in SHARDS)
        return replace(step, kernel=replace(kernel, shared="blocks")) if blocks < GAIN * rows else step
    if isinstance(kernel, Winograd):
        blocks = sum(_largest_transformed(kernel, shards) for shards in SHARDS)
        if kernel.window[0].dilation > 1:
            step = replace(step, kernel=replace(kernel, shared="tiles"))
        rows = sum(_largest_grains(step, kernel, shards) for shards in SHARDS)
        return replace(step, kernel=replace(kernel, shared="blocks")) if blocks < GAIN * rows else step
    return step


def _largest_rows(step: Step, kernel: Direct, shards: int) -> float:
    """The part of the work that the busiest shard has, by rows; along a single axis it computes whole tiles."""
    rows = step.target.rows
    share = math.ceil(rows / shards)
    if len(kernel.window) != 1:
        return share / rows
    tile = kernel.tile.columns if kernel.lanes_along == "channels" else kernel.tile.vectors * kernel.lanes
    return (math.ceil(share / tile) * tile if share >= tile else min(ALONE * share, rows)) / rows


def _largest_blocks(kernel: Direct, shards: int) -> float:
    """The same by blocks, all but the last of which are full."""
    if kernel.groups > 1:
        return math.ceil(kernel.groups / shards) / kernel.groups
    return min(1.0, math.ceil(kernel.blocks / shards) * kernel.block / kernel.outputs)


def _largest_grains(step: Step, kernel: Winograd, shards: int) -> float:
    """The part of the busiest shard by rows of tiles; those of the phases of a dilation do not depend on each other."""
    grains = kernel.grid[0] if kernel.window[0].dilation > 1 else math.ceil(step.target.rows / kernel.grain)
    share = math.ceil(grains / shards) / grains
    return share + (1 - share) * STREAMED if kernel.ahead else share


def _largest_transformed(kernel: Winograd, shards: int) -> float:
    """The same by blocks of outputs."""
    repeated = REPEATED / (REPEATED + kernel.outputs)
    return repeated + (1 - repeated) * min(1.0, math.ceil(kernel.blocks / shards) * kernel.block / kernel.outputs)
