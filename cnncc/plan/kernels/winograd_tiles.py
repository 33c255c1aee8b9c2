"""The choice of a Winograd convolution: outputs per tile, register tile of the products, tiles in a block, cost.

The cost is the cycles of the three stages. With n points on an axis in place of m outputs × r taps, the products
shrink by Π n / (m·r). Both transforms grow with the number of operations of their matrices. Tiles that
reach over the edge of the image are computed as a whole. The products are tiles of direct convolution with one tap,
but their weights are larger. Weights that do not fit into the second-level cache are read once for each block of
tiles; part of that time overlaps the multiply-adds.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Iterator, Sequence

from ...computation import Contraction
from ...cook_toom import MOST, points
from ...elements import FLOAT32
from ...machine.target import Target
from ...windows import WindowAxis
from ..cost import step, transfer
from ..cost.parallel import FEW_ROWS, UNSHARED
from ..cost.step import InnerLoop, most_scalars
from .convolution import Candidate, Epilogue, Layer, Tile
from .winograd import Winograd
from .winograd_phases import phases_of
from .winograd_transforms import input_cycles, output_cycles

SIZES = (2, 3, 4, 5)
"""Outputs of a tile along an axis; 6 for 3 taps gain nothing, since the 64 values of a tile exceed the registers."""
LARGEST = 64  # points of a tile, which are the values of a transform
SHARES = (1 / 8, 1 / 2, 3 / 4)  # of the second-level cache, for scratch memory; the last one if weights stream
OFFERED = 3  # register tiles that a tuner may choose from, for each size of a tile


def candidates(target: Target, layer: Layer) -> list[Candidate]:
    """The Winograd convolutions of tame weights, the cheapest first; none of weights that are stored in fewer bytes.

    There are n² / r² as many transformed weights. In float16, those of F(2×2, 3×3) take 3.6 bytes for each weight and
    those of F(4×4, 3×3) 8, where a direct sum takes 2. And their rounding reaches the result as
    2^-11 |Aᵀ|((|G||w||Gᵀ|) ⊙ (|Bᵀ||x||B|))|A|, at random numbers 7 and 51 times the 2^-11 Σ|w||x| of a direct sum.

    In a `save_memory` layer they have scratch memory for one row of tiles. Their cost in the model stays the same, so
    that the choice, and with it the bits of the result, stay the same.
    """
    if layer.strict or not layer.tame or layer.weights is not FLOAT32:
        return []
    c, epilogue, extra = layer.contraction, layer.epilogue, transfer.reordered(target.core, layer.copied_last)
    found: list[Candidate] = []
    next_image = fetches_next_image(target, c, layer.arriving)
    for steps, joined in itertools.product(all_steps(target, c, epilogue), joinable(target, c)):
        offered: dict[str, Candidate] = {}
        tiles = list(register_tiles(target, c, epilogue, steps, joined))
        transforms = transform_cycles(target, tiles[0]) if tiles else 0.0  # whatever the register tile
        for one in (dataclasses.replace(tile, next_image=next_image) for tile in tiles):
            name, group = label(one), group_cycles(target, one)
            arrival = arrival_cycles(target, one) / layer.arriving if layer.arriving else 0.0
            for kernel in in_blocks(target, one):
                cost = transforms + arrival + product_cycles(target, kernel, group, layer.distant) + extra
                cost *= UNSHARED if kernel.blocks % 2 and 1 < kernel.grid[0] <= FEW_ROWS else 1.0
                if name not in offered or cost < offered[name].cycles:
                    offered[name] = Candidate(name, cost, narrowed(kernel) if layer.save_memory else kernel)
        found += sorted(offered.values(), key=lambda candidate: candidate.cycles)[:OFFERED]
    return sorted(found, key=lambda candidate: candidate.cycles)


def label(kernel: Winograd) -> str:
    """Such as 'winograd 4×4, 8×3': outputs of a tile, and the register tile of the products."""
    joined = f", {kernel.joined} phases" if kernel.joined > 1 else ""
    return f"winograd {'×'.join(map(str, kernel.steps))}, {kernel.tile.columns}×{kernel.tile.vectors}{joined}"


# Sizes of tiles


def all_steps(target: Target, c: Contraction, epilogue: Epilogue) -> list[tuple[int, ...]]:
    """Outputs per tile on each axis: the same number for all axes, or for each the one with the fewest products.

    Empty unless there is more than one output and pools lie within tiles.
    """
    if c.groups > 1 or c.weights_per_image or not target.l2 or not all(map(simple, c.window)):
        return []
    if epilogue.pool and any(w.dilation > 1 for w in c.window):
        return []
    axes = [sizes(w, epilogue.pooled(axis)) for axis, w in enumerate(c.window)]
    found = [tuple(m if most_taps(w) > 1 else 1 for w in c.window) for m in SIZES]
    if all(axes):
        pairs = zip(axes, c.window, strict=True)
        found.append(tuple(min(possible, key=functools.partial(multiplications, w)) for possible, w in pairs))
    return [steps for steps in dict.fromkeys(found) if feasible(c, steps, axes)]


def feasible(c: Contraction, steps: Sequence[int], axes: Sequence[Sequence[int]]) -> bool:
    """Whether each axis can have its size, and the tile is neither one output nor too large."""
    if any(m not in sizes for m, sizes in zip(steps, axes, strict=True)) or max(steps, default=1) == 1:
        return False
    most = math.prod(points(m, most_taps(w)) for m, w in zip(steps, c.window, strict=True))
    return most <= LARGEST and most * math.prod(min(w.stride, w.kernel) for w in c.window) <= step.TRANSFORMED_POINTS


def sizes(w: WindowAxis, pool: int) -> list[int]:
    """The possible outputs of a tile along an axis: there are points for them, and they hold whole pools."""
    taps = most_taps(w)
    if taps == 1:
        return [1] if pool == 1 else []
    return [m for m in SIZES if m + math.ceil(taps / 2) - 1 <= MOST and m % pool == 0]


def most_taps(w: WindowAxis) -> int:
    """Taps of the phase that has the most; one alone is not transformed."""
    return -(-w.kernel // w.stride)


def simple(w: WindowAxis) -> bool:
    """Whether an axis can be transformed, or needs no transform."""
    return w.kernel == 1 or (w.out > 1 and min(w.stride, w.dilation) == 1)


def multiplications(w: WindowAxis, m: int) -> int:
    """Multiplications along one axis, for tiles of `m` outputs."""
    return phases_of((m,), (w.kernel,), (w.stride,), 1).pairs * math.ceil(w.out / m)


# Register tiles and blocks


def register_tiles(
    target: Target, c: Contraction, epilogue: Epilogue, steps: tuple[int, ...], joined: int
) -> Iterator[Winograd]:
    """A kernel for each register tile, with a block of as many tiles."""
    lanes = lanes_of(target, c)
    total = math.ceil(c.outputs / lanes)
    for vectors in range(1, min(total, 8) + 1):
        for columns in range(1, most_scalars(target, vectors) + 1):
            tile, block = Tile(columns=columns, vectors=vectors), vectors * lanes
            size = c.window, c.channels, c.outputs, c.bias
            yield Winograd(*size, steps, lanes, block, tile, columns, epilogue, joined)


def lanes_of(target: Target, c: Contraction) -> int:
    """Lanes of a vector: no more than outputs, rounded up to a power of two."""
    return min(target.lanes, 1 << (c.outputs - 1).bit_length())


def joinable(target: Target, c: Contraction) -> list[int]:
    """How many phases a vector may hold: one alone, or as many as have room, in vectors that are about equally full."""
    count, most = math.prod(min(w.stride, w.kernel) for w in c.window), lanes_of(target, c) // c.channels
    return [1, math.ceil(count / math.ceil(count / most))] if min(count, most) > 1 else [1]


def in_blocks(target: Target, one: Winograd) -> Iterator[Winograd]:
    """Kernels with blocks of equal size, as large as fractions of the second-level cache (`SHARES`) allow."""
    tiles, columns = math.prod(one.grid), one.tile.columns
    each = scratch_bytes(target, one) // one.tiles
    sizes: dict[int, float] = {}  # and the least share of each
    for share in SHARES:
        blocks = math.ceil(tiles / max(int(share * target.l2) // each, columns))
        sizes.setdefault(math.ceil(tiles / blocks / columns) * columns, share)
    for size, share in sizes.items():
        kernel = dataclasses.replace(one, tiles=size)
        if streams(target, kernel):
            yield dataclasses.replace(kernel, prefetch_elements=target.core.prefetch_bytes // target.mac.weight.bytes)
        elif share != SHARES[-1]:
            yield kernel


def fetches_next_image(target: Target, c: Contraction, images: int) -> bool:
    """Whether the pixels of the next image are prefetched: it stays in the second cache, which all do not."""
    size = target.mac.pixel.bytes * c.channels * math.prod(w.size for w in c.window)
    return size <= SHARES[0] * target.l2 < target.l2 < images * size


def narrowed(kernel: Winograd) -> Winograd:
    """The kernel with blocks of one row of tiles."""
    columns = kernel.tile.columns
    row = math.ceil(math.prod(kernel.grid[1:]) / columns) * columns
    return dataclasses.replace(kernel, tiles=min(kernel.tiles, row))


def weight_bytes(target: Target, kernel: Winograd) -> int:
    """Bytes of the transformed weights."""
    return target.mac.weight.bytes * math.prod(kernel.packed_shape)


def scratch_bytes(target: Target, kernel: Winograd) -> int:
    """Of transformed tiles and their products."""
    return target.mac.sum.bytes * kernel.scratch


def streams(target: Target, kernel: Winograd) -> bool:
    """Whether the weights come from beyond the second-level cache, once for each block of tiles."""
    return weight_bytes(target, kernel) + scratch_bytes(target, kernel) > target.l2


# Cycles of one image


def transform_cycles(target: Target, kernel: Winograd) -> float:
    """Cycles of both transforms of all tiles, in vectors of channels, and of the epilogue."""
    core, epilogue = target.core, kernel.epilogue
    ins = input_cycles(core, kernel.phases, math.ceil(kernel.channels / kernel.lanes))
    outs = output_cycles(core, kernel.phases)
    outs += epilogue.series_cycles(core) * math.prod(kernel.steps)
    far = core.far_rows if target.mac.pixel.bytes * touched_rows(kernel) > target.l1 else 1.0
    return far * math.prod(kernel.grid) * (ins + outs * math.ceil(kernel.outputs / kernel.lanes))


def touched_rows(kernel: Winograd) -> int:
    """Elements of the image and of the result that a row of tiles reads and writes."""
    read, written = math.prod(w.size for w in kernel.window[1:]), math.prod(w.out for w in kernel.window[1:])
    return kernel.pixels[0] * read * kernel.channels + kernel.steps[0] * written * kernel.outputs


def product_cycles(target: Target, kernel: Winograd, group: float, distant: bool) -> float:
    """Cycles of all register tiles, those that reach beyond the last tile included, and of fetching the weights.

    A group of as many tiles as a register tile has takes `group` cycles.
    """
    tiles = math.prod(kernel.grid)
    blocks, rest = divmod(tiles, kernel.tiles)
    columns = kernel.tile.columns
    groups = blocks * (kernel.tiles // columns) + math.ceil(rest / columns)
    weights = math.ceil(tiles / kernel.tiles) * weight_bytes(target, kernel)
    arrival = transfer.weights_cycles(target.core, weights, beyond=streams(target, kernel), distant=distant)
    return math.hypot(groups * group, arrival)


def arrival_cycles(target: Target, kernel: Winograd) -> float:
    """Cycles to transform weights that arrive: products with a matrix, its results written and read once more."""
    products = kernel.phases.pairs * kernel.taps * math.prod(kernel.filters)
    return step.computed(target, products) + transfer.passed(target, weight_bytes(target, kernel))


def group_cycles(target: Target, kernel: Winograd) -> float:
    """Cycles of the register tiles of all outputs at all points, for one group of tiles."""
    return sum(run.points * point_cycles(target, kernel, run.phases * kernel.channels) for run in kernel.phases.runs)


def point_cycles(target: Target, kernel: Winograd, channels: int) -> float:
    """Cycles of the register tiles of all outputs, for one point with so many channels."""
    columns, vectors = kernel.tile.columns, kernel.tile.vectors
    whole, left = divmod(math.ceil(kernel.outputs / kernel.lanes), vectors)
    steps = InnerLoop(target, channels, target.mac.weight.bytes * kernel.lanes)
    cycles = whole * step.products_tile(steps, columns, vectors)
    return cycles + (step.products_tile(steps, columns, left) if left else 0)
