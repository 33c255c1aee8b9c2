"""How shards share a step: each takes some of its rows or, where rows are few, some of its blocks of outputs.

A dense layer has one row, a convolution deep in a network seven: two shards would take one and none, four and
three. Its output channels divide better, and each shard then reads only its own part of the weights. Rows are
kept where they are no worse, since a shard finds its own rows of the layer before in its own cache.

A block of outputs is as wide as a register tile wants it, and one core computes them all, so there may be fewer
blocks than shards. Then shards share halves of blocks: tiles half as wide, as long as they still have the chains of
multiply-adds that keep the pipes busy.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import TypeVar

from ..core import Core
from ..target import Target
from .cost.parallel import BALANCED, NARROW, foreign
from .kernels import Direct, Winograd
from .plan import Step
from .views import elements
from .winograd import part_cycles
from .work import cycles

Kernel = TypeVar("Kernel", Direct, Winograd)


def shared(step: Step, target: Target) -> Step:
    """The step, shared by blocks or parts of them if that balances better."""
    core, kernel = target.core, step.kernel
    if isinstance(kernel, Direct):
        whole = cycles(step, target)
        rows = whole * sum(_largest_rows(step, kernel, shards) for shards in BALANCED)
        return _cheapest(
            core,
            step,
            rows,
            [(whole * sum(_largest_blocks(by, n) for n in BALANCED), by) for by in _by_blocks(core, kernel)],
        )
    if isinstance(kernel, Winograd):
        if kernel.window[0].dilation > 1:
            step = replace(step, kernel=replace(kernel, shared="tiles"))
        rows = sum(_by_rows_of_tiles(core, step, kernel, shards) for shards in BALANCED)
        return _cheapest(
            core,
            step,
            rows,
            [(sum(_by_blocks_of_outputs(core, by, n) for n in BALANCED), by) for by in _by_blocks(core, kernel)],
        )
    return step


def _cheapest(core: Core, step: Step, rows: float, others: list[tuple[float, Direct | Winograd]]) -> Step:
    """The step as it is, or with the cheapest other kernel if that is much cheaper."""
    blocks, kernel = min(others, key=lambda other: other[0])
    moved = sum(map(elements, (step.sources[0].shape, step.target.shape)))
    fetched = sum(foreign(core, moved) / n for n in BALANCED)
    return replace(step, kernel=kernel) if blocks + fetched < rows else step


def _by_blocks(core: Core, kernel: Kernel) -> Iterator[Kernel]:
    """The kernel shared by blocks, and by halves of them if all blocks have such."""
    yield replace(kernel, shared="blocks")
    chains = kernel.tile.rows * kernel.tile.columns * kernel.tile.vectors
    whole = kernel.groups == 1 and kernel.outputs % kernel.block == 0
    if (
        whole
        and kernel.lanes_along == "channels"
        and kernel.block % (2 * kernel.lanes) == 0
        and chains >= 2 * core.busy_chains
    ):
        yield replace(kernel, shared="blocks", parts=2)


def _largest_rows(step: Step, kernel: Direct, shards: int) -> float:
    """The part of the work that the busiest shard has, by rows; along a single axis it computes whole tiles."""
    rows = step.target.rows
    share = math.ceil(rows / shards)
    if len(kernel.window) != 1:
        return share / rows
    tile = kernel.tile.columns if kernel.lanes_along == "channels" else kernel.tile.vectors * kernel.lanes
    return (math.ceil(share / tile) * tile if share >= tile else min(NARROW * share, rows)) / rows


def _largest_blocks(kernel: Direct, shards: int) -> float:
    """The same by blocks, all but the last of which are full."""
    if kernel.groups > 1:
        return math.ceil(kernel.groups / shards) / kernel.groups
    return min(1.0, _outputs(kernel, shards) / kernel.outputs)


def _outputs(kernel: Direct | Winograd, shards: int) -> int:
    """Outputs of the busiest shard, by blocks."""
    return math.ceil(kernel.blocks * kernel.parts / shards) * kernel.block // kernel.parts


def _by_rows_of_tiles(core: Core, step: Step, kernel: Winograd, shards: int) -> float:
    """Cycles of the busiest shard by rows of tiles; those of the phases of a dilation do not depend on each other."""
    grains = kernel.grid[0] if kernel.window[0].dilation > 1 else math.ceil(step.target.rows / kernel.grain)
    return part_cycles(core, kernel, math.ceil(grains / shards) * math.prod(kernel.grid) // grains, kernel.outputs)


def _by_blocks_of_outputs(core: Core, kernel: Winograd, shards: int) -> float:
    """The same by blocks of outputs."""
    return part_cycles(core, kernel, math.prod(kernel.grid), min(kernel.outputs, _outputs(kernel, shards)))
