"""Which Winograd convolution: outputs per tile, register tile of the products, tiles in a block, and what it costs.

The cost counts cycles of the three phases. With n points on an axis in place of m outputs × r taps, the products
shrink by Π n / (m·r), while both transforms grow with the number of operations of their matrices; tiles that
reach over the edge of the image are computed as a whole. The products are tiles of direct convolution with one tap,
but their weights are larger: where they do not stay in the second-level cache, they stream by once for each
block of tiles, partly hidden behind the multiply-adds.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterator, Sequence

from ..computation import Contraction
from ..cook_toom import MOST, operations, transforms
from ..target import Target
from ..windows import WindowAxis
from .candidates import Candidate
from .choose import SPARE, Steps, series_cycles
from .kernels import Epilogue, Tile, Winograd

SIZES = (2, 3, 4, 5)
"""Outputs of a tile along an axis; 6 for 3 taps gain nothing: 64 values of a tile do not fit into registers."""
LARGEST = 64  # points of a tile: transforms are straight-line code
L2_SHARE = 0.75  # of the second-level cache, for scratch memory
L3_RATE = 20.0  # bytes a cycle of weights from the third-level cache
DRAM_RATE = 8.0  # the same from memory
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
    found: list[Candidate] = []
    for steps in all_steps(target, c, epilogue):
        offered: dict[str, Candidate] = {}
        for kernel in register_tiles(target, c, epilogue, steps):
            cost = transform_cycles(kernel) + product_cycles(target, kernel, distant) + extra
            cost += series_cycles(epilogue) * math.prod(w.out for w in c.window) * c.outputs / kernel.lanes
            name = label(kernel)
            if name not in offered or cost < offered[name].cycles:
                offered[name] = Candidate(name, cost, narrowed(kernel) if frugal else kernel)
        found += sorted(offered.values(), key=lambda candidate: candidate.cycles)[:OFFERED]
    return sorted(found, key=lambda candidate: candidate.cycles)


def label(kernel: Winograd) -> str:
    """Such as 'winograd 4×4, 8×3': outputs of a tile, and the register tile of the products."""
    return f"winograd {'×'.join(map(str, kernel.steps))}, {kernel.tile.columns}×{kernel.tile.vectors}"


# Sizes of tiles


def all_steps(target: Target, c: Contraction, epilogue: Epilogue) -> list[tuple[int, ...]]:
    """Outputs per tile on each axis: the same for all, or for each what multiplies least.

    Only for stride 1, more than one output, and pools that do not reach over tiles.
    """
    if c.groups > 1 or c.weights_per_image or not target.l2 or not all(map(simple, c.window)):
        return []
    if epilogue.pool and any(w.dilation > 1 for w in c.window):
        return []
    axes = [sizes(w, epilogue.pooled(axis)) for axis, w in enumerate(c.window)]
    found = [tuple(m if w.kernel > 1 else 1 for w in c.window) for m in SIZES]
    if all(axes):
        pairs = zip(axes, c.window, strict=True)
        found.append(tuple(min(possible, key=functools.partial(multiplications, w)) for possible, w in pairs))
    return [steps for steps in dict.fromkeys(found) if feasible(c, steps, axes)]


def feasible(c: Contraction, steps: Sequence[int], axes: Sequence[Sequence[int]]) -> bool:
    """Whether each axis can have its size, and the tile is neither one output nor too large."""
    points = math.prod(m + w.kernel - 1 for m, w in zip(steps, c.window, strict=True))
    possible = all(m in sizes for m, sizes in zip(steps, axes, strict=True))
    return possible and points <= LARGEST and max(steps, default=1) > 1


def sizes(w: WindowAxis, pool: int) -> list[int]:
    """Outputs of a tile along an axis: with points enough, and a whole number of pools."""
    return [m for m in (SIZES if w.kernel > 1 else (1,)) if m + w.kernel - 1 <= MOST and m % pool == 0]


def simple(w: WindowAxis) -> bool:
    """Whether an axis can be transformed, or has nothing to transform."""
    return w.stride == 1 and (w.out > 1 or w.kernel == 1)


def multiplications(w: WindowAxis, m: int) -> int:
    """Along one axis."""
    return (m + w.kernel - 1) * math.ceil(w.out / m)


# Register tiles and blocks


def register_tiles(target: Target, c: Contraction, epilogue: Epilogue, steps: tuple[int, ...]) -> Iterator[Winograd]:
    """The kernels of all register tiles."""
    lanes = min(target.lanes, 1 << (c.outputs - 1).bit_length())
    total = math.ceil(c.outputs / lanes)
    for vectors in range(1, min(total, 8) + 1):
        most = (target.registers - 1 - SPARE) // vectors - 1
        for columns in range(1, most + 1):
            tile, block = Tile(columns=columns, vectors=vectors), vectors * lanes
            one = Winograd(c.window, c.channels, c.outputs, c.bias, steps, lanes, block, tile, columns, epilogue)
            yield from in_blocks(target, one)


def in_blocks(target: Target, one: Winograd) -> Iterator[Winograd]:
    """Blocks of equal size: as large as leave some of the second-level cache, and such that the weights fit too."""
    tiles, columns, most = math.prod(one.grid), one.tile.columns, int(L2_SHARE * target.l2)
    each = 4 * one.scratch // one.tiles
    for room in dict.fromkeys((most, max(most - weight_bytes(one), 0))):
        blocks = math.ceil(tiles / max(room // each, columns))
        kernel = dataclasses.replace(one, tiles=math.ceil(tiles / blocks / columns) * columns)
        yield dataclasses.replace(kernel, ahead=AHEAD) if streams(target, kernel) else kernel


def narrowed(kernel: Winograd) -> Winograd:
    """With blocks for one row of tiles."""
    columns = kernel.tile.columns
    row = math.ceil(math.prod(kernel.grid[1:]) / columns) * columns
    return dataclasses.replace(kernel, tiles=min(kernel.tiles, row))


def weight_bytes(kernel: Winograd) -> int:
    """Of the transformed weights."""
    return 4 * math.prod(kernel.points) * kernel.channels * kernel.block * kernel.blocks


def streams(target: Target, kernel: Winograd) -> bool:
    """Whether the weights come from beyond the second-level cache, once for each block of tiles."""
    return weight_bytes(kernel) + 4 * kernel.scratch > target.l2


# Cycles of one image


def transform_cycles(kernel: Winograd) -> float:
    """Both transforms of all tiles, in vectors of channels."""
    taps = tuple(w.kernel for w in kernel.window)
    ins, outs = one_transform(kernel.steps, taps, True), one_transform(kernel.steps, taps, False)
    vectors = kernel.pitch // kernel.lanes, math.ceil(kernel.outputs / kernel.lanes)
    return math.prod(kernel.grid) * (ins * vectors[0] + outs * vectors[1])


@functools.cache
def one_transform(steps: tuple[int, ...], taps: tuple[int, ...], inputs: bool) -> float:
    """One tile and one vector of channels: operations on two pipes, and a load or a store for each point."""
    used = [transforms(m, r) for m, r in zip(steps, taps, strict=True)]
    matrices = [t.inputs if inputs else t.outputs for t in used]
    points = math.prod(len(matrix[0]) for matrix in matrices)
    count, size = 0, points
    for matrix in reversed(matrices):
        lines = size // len(matrix[0])
        count, size = count + operations(matrix) * lines, lines * len(matrix)
    return count / 2 + points


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
