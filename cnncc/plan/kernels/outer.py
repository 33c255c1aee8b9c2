"""Gradients of weights: sums of outer products over images and positions, whose operands are read as they lie.

Each position multiplies s scalars, pairs of a tap and a channel of x, by v vectors of outputs of g.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

from ...computation import Contraction
from ...machine.target import Target
from ...windows import WindowAxis
from ..cost import step, transfer
from ..cost.parallel import UNDIVIDED
from ..cost.step import InnerLoop, most_scalars
from ..views import View
from .base import balanced, sizes, taps_of
from .convolution import Candidate, Layer
from .direct_tiles import OFFERED
from .turned_sums import TurnedSums, accepts, blocks_of, chunk_of, numbers_of, pairs_of


@dataclass(frozen=True)
class Outer(TurnedSums):
    """Outer products, with lanes along the outputs; a tile has `vectors` vectors of outputs."""

    vectors: int

    lanes_along = "channels"

    def edge_cycles(self, target: Target) -> float:
        """Where some taps of a tile see the border, each scalar is selected; a tile of one tap goes round it."""
        if math.prod(self.block[:-1]) == 1:
            return 0.0
        inside = math.prod(_inside(axis) / axis.kernel for axis in self.window)
        return (1 - inside) * self.least_cycles(target)

    def units(self, result: View) -> int:
        """Tiles, all of which have the same positions."""
        return len(balanced(-(-self.outputs // self.lanes), self.vectors)) * self.blocks_of_pairs(result)

    def describe(self) -> str:
        taps, scalars, (images, rows) = taps_of(self.window), math.prod(self.block), self.chunk
        registers = scalars * self.vectors + self.vectors + 1
        held = f"{sizes(self.block)} taps and channels × {self.vectors} vectors, {registers} registers"
        return (
            f"outer products over {taps}, {self.channels} images → {self.outputs}; {self.lanes} lanes along outputs, "
            f"tile {held}, {images} × {rows} rows at a time"
        )


def candidates(target: Target, layer: Layer) -> list[Candidate]:
    """Outer products for turned contractions whose sums nothing follows, the cheapest first."""
    c, turned = layer.contraction, layer.turned
    if turned is None or not accepts(layer):
        return []
    lanes = min(target.lanes, 1 << (c.outputs - 1).bit_length())
    chunk, tile = chunk_of(target, c, target.mac.pixel.bytes * lanes), _tile_cycles(target, c, lanes)
    lines = _line_cycles(target, layer, turned.images, chunk)
    pairs = pairs_of(layer)
    copied = transfer.reordered(target.core, turned.copies)
    ways, waits = [], []
    for vectors in range(1, min(-(-c.outputs // lanes), 8) + 1):
        most = most_scalars(target, vectors)
        widths = Counter(balanced(-(-c.outputs // lanes), vectors))
        for block in blocks_of(pairs, most):
            numbers = numbers_of(pairs, block)
            cycles = sum(m * n * tile(s, v) for (s, m), (v, n) in itertools.product(numbers, widths.items()))
            tiles = widths.total() * sum(count for _, count in numbers)
            waits.append(tiles * lines(block) / turned.images)
            if tiles == 1 and cycles > 2 * target.core.barrier_cycles:
                cycles *= UNDIVIDED
            kernel = Outer(c.window, c.channels, c.outputs, lanes, block, chunk, vectors)
            label = f"outer {sizes(block)}×{vectors}"
            ways.append(Candidate(label, (cycles + copied) / turned.images, kernel))
    least = min(waits)  # other kernels do not count it: what a tile waits longer than the best one decides among these
    ways = [replace(way, cycles=way.cycles + wait - least) for way, wait in zip(ways, waits, strict=True)]
    return sorted(ways, key=lambda way: way.cycles)[:OFFERED]


def _tile_cycles(target: Target, c: Contraction, lanes: int) -> Callable[[int, int], float]:
    """A function for the cycles of a tile of s scalars and v vectors over all positions.

    At the end of each chunk, each sum is added to the result.
    """
    core, total = target.core, c.channels * c.taps
    images, rows = chunk_of(target, c, target.mac.pixel.bytes * lanes)
    count = images * rows * math.prod(axis.kernel for axis in c.window[1:])
    steps = InnerLoop(target, count, target.mac.pixel.bytes * lanes)
    load = 1.0 if c.outputs % lanes == 0 else step.unaligned_loads(target, lanes)

    @cache
    def cycles(scalars: int, vectors: int) -> float:
        added = scalars * vectors * (core.store_cycles + 1 / core.load_ports)
        return total / count * (steps.tile(scalars, vectors, load, weights=vectors) + added)

    return cycles


def _line_cycles(
    target: Target, layer: Layer, channels: int, chunk: tuple[int, int]
) -> Callable[[Sequence[int]], float]:
    """A function for the cycles that one tile waits for lines of the image, over all positions.

    The rows of a chunk that are more than the first cache are read again for each tile. Each row of taps reads lines of
    its own, and of these as many are new at a position as windows are apart: a tile of one tap and more channels reads
    fewer. Only with channels last; of a planar image neighbouring positions share lines.
    """
    c, element = layer.contraction, target.mac.pixel.bytes
    images, rows = chunk
    held = images * rows * c.window[0].dilation * math.prod(axis.size for axis in c.window[1:]) * channels * element
    if layer.planar or held <= target.l1 or not target.l1:
        return lambda block: 0.0
    line = target.core.line_bytes
    cycles = c.channels * c.taps * transfer.line_by_line(target.core, line)

    def waited(block: Sequence[int]) -> float:
        *outer, along, together = block
        return cycles * math.prod(outer) * min(along, c.window[-1].dilation) * math.ceil(together * element / line)

    return waited


def _inside(axis: WindowAxis) -> int:
    """Positions of an axis that no tap leaves."""
    begin = -(-axis.low // axis.dilation)
    end = (axis.size - 1 + axis.low - (axis.out - 1) * axis.stride) // axis.dilation + 1
    return max(0, min(end, axis.kernel) - begin)
