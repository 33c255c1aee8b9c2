"""Which Winograd convolution: outputs per tile, register tile of the products, tiles in a block, and what it costs.

The cost counts cycles of the three phases. With n points on an axis in place of m outputs × r taps, the products
shrink by Π n / (m·r), while both transforms grow with the number of operations of their matrices; tiles that
reach over the edge of the image are computed as a whole. Everything but the transforms is that of a direct
convolution with one tap.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence

from ..computation import Contraction
from ..cook_toom import MOST, Matrix, operations, transforms
from ..target import Target
from .candidates import Candidate
from .choose import SPARE, Steps
from .kernels import Epilogue, Tile, Winograd

STEPS = (2, 4)
"""Outputs per tile along an axis."""
LARGEST = 64  # points of a tile: transforms are straight-line code
L2_SHARE = 0.75  # of the second-level cache, for scratch memory
L3_RATE = 20.0  # bytes a cycle of weights from the third-level cache
DRAM_RATE = 8.0
AHEAD = 8192  # weights to ask for in advance: 32 KiB, some 500 cycles at these rates
OFFERED = 3  # register tiles that a tuner may choose from, for each size of a tile


def winograd(
    target: Target,
    c: Contraction,
    epilogue: Epilogue,
    extra: float = 0.0,
    *,
    distant: bool = False,
    frugal: bool = False,
) -> list[Candidate]:
    """The Winograd convolutions that can compute a contraction with known weights, the cheapest first.

    `extra` cycles are added to each, for copies. `distant` weights come from memory, not from a cache. `frugal` ones
    (which cost as much for the model, so that the choice and its bits stay) have scratch memory for one row of tiles.
    """
    found = []
    for steps in all_steps(target, c, epilogue):
        costs = [(cycles(target, kernel, distant), kernel) for kernel in register_tiles(target, c, epilogue, steps)]
        costs.sort(key=lambda cost: (round(cost[0]), -cost[1].tile.registers("channels")))
        best = {label(kernel): Candidate(label(kernel), cost + extra, kernel) for cost, kernel in reversed(costs)}
        found += sorted(best.values(), key=lambda candidate: candidate.cycles)[:OFFERED]
    if frugal:
        found = [dataclasses.replace(candidate, kernel=narrowed(candidate.kernel)) for candidate in found]
    return sorted(found, key=lambda candidate: candidate.cycles)


def label(kernel: Winograd) -> str:
    """Such as 'winograd 4×4, 8×3': outputs of a tile, and the register tile of the products."""
    return f"winograd {'×'.join(map(str, kernel.steps))}, {kernel.tile.columns}×{kernel.tile.vectors}"


def all_steps(target: Target, c: Contraction, epilogue: Epilogue) -> Iterator[tuple[int, ...]]:
    """Outputs per tile on each axis: stride 1, more than one output, no pools that reach over tiles."""
    plain = all(w.stride == 1 and (w.out > 1 or w.kernel == 1) for w in c.window)
    if not (c.window and plain) or c.groups > 1 or c.weights_per_image or not target.l2:
        return
    if epilogue.pool and any(w.dilation > 1 for w in c.window):
        return
    for step in STEPS:
        steps = tuple(1 if w.kernel == 1 else step for w in c.window)
        points = [m + w.kernel - 1 for m, w in zip(steps, c.window, strict=True)]
        fits = max(points) <= MOST and math.prod(points) <= LARGEST
        pools = all(m % epilogue.pooled(axis) == 0 for axis, m in enumerate(steps))
        if fits and pools and max(steps) > 1:
            yield steps


def register_tiles(target: Target, c: Contraction, epilogue: Epilogue, steps: tuple[int, ...]) -> Iterator[Winograd]:
    """The kernels of all register tiles."""
    lanes = min(target.lanes, 1 << (c.outputs - 1).bit_length())
    total = -(-c.outputs // lanes)
    for vectors in range(1, min(total, 8) + 1):
        most = (target.registers - 1 - SPARE) // vectors - 1
        for columns in range(1, most + 1):
            tile = Tile(columns=columns, vectors=vectors)
            one = Winograd(
                c.window, c.channels, c.outputs, c.bias, steps, lanes, vectors * lanes, tile, columns, epilogue
            )
            yield from in_blocks(target, one)


def in_blocks(target: Target, one: Winograd) -> Iterator[Winograd]:
    """Blocks of equal size: as large as leave some of the second-level cache, and such that the weights fit too."""
    tiles, columns, most = math.prod(one.grid), one.tile.columns, int(L2_SHARE * target.l2)
    each = 4 * one.scratch // one.tiles
    for room in dict.fromkeys((most, max(most - weight_bytes(one), 0))):
        blocks = math.ceil(tiles / max(room // each, columns))
        kernel = dataclasses.replace(one, tiles=math.ceil(tiles / blocks / columns) * columns)
        yield dataclasses.replace(kernel, ahead=AHEAD) if streams(target, kernel) else kernel


def streams(target: Target, kernel: Winograd) -> bool:
    """Whether the weights come from beyond the second-level cache, once for each block of tiles."""
    return weight_bytes(kernel) + 4 * kernel.scratch > target.l2


def weight_bytes(kernel: Winograd) -> int:
    """Of the transformed weights."""
    blocks = math.ceil(kernel.outputs / kernel.block)
    return 4 * math.prod(kernel.points) * kernel.channels * kernel.block * blocks


def narrowed(kernel: Winograd) -> Winograd:
    """With blocks for one row of tiles."""
    columns = kernel.tile.columns
    return dataclasses.replace(
        kernel, tiles=min(kernel.tiles, math.ceil(math.prod(kernel.grid[1:]) / columns) * columns)
    )


def cycles(target: Target, kernel: Winograd, distant: bool = False) -> float:
    """Cycles of one image."""
    tiles = math.prod(kernel.grid)
    matrices = [transforms(m, w.kernel) for m, w in zip(kernel.steps, kernel.window, strict=True)]
    ins = transform_cycles([t.inputs for t in matrices]) * (kernel.pitch // kernel.lanes)
    outs = transform_cycles([t.outputs for t in matrices]) * -(-kernel.outputs // kernel.lanes)
    return tiles * (ins + outs) + product_cycles(target, kernel, distant)


def transform_cycles(matrices: Sequence[Matrix]) -> float:
    """One tile and one vector of channels: operations on two pipes, a load and a store for each value."""
    shape = [len(matrix[0]) for matrix in matrices]
    count = 0.0
    for axis in range(len(matrices) - 1, -1, -1):
        lines = math.prod(shape) // shape[axis]
        count += operations(matrices[axis]) * lines
        shape[axis] = len(matrices[axis])
    return count / 2 + math.prod(len(matrix[0]) for matrix in matrices)


def product_cycles(target: Target, kernel: Winograd, distant: bool) -> float:
    """All register tiles, those that reach beyond the last tile included, while the weights come from afar."""
    points, tiles = math.prod(kernel.points), math.prod(kernel.grid)
    blocks, rest = divmod(tiles, kernel.tiles)
    columns, vectors = kernel.tile.columns, kernel.tile.vectors
    groups = blocks * (kernel.tiles // columns) + math.ceil(rest / columns)
    whole, left = divmod(math.ceil(kernel.outputs / kernel.lanes), vectors)
    steps = Steps(target, kernel.channels, 4 * kernel.lanes)
    cycles = whole * steps.tile(columns, vectors, weights=vectors)
    cycles += steps.tile(columns, left, weights=left) if left else 0
    weights = 0.0
    if streams(target, kernel):
        weights = math.ceil(tiles / kernel.tiles) * weight_bytes(kernel) / (DRAM_RATE if distant else L3_RATE)
    return math.hypot(points * groups * cycles, weights)
