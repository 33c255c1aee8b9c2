"""Gradients of weights: sums of inner products of lines of positions, whose operands are read as they lie.

Each vector of neighbouring positions of a line multiplies s vectors of x, one for each pair of a tap and a channel, by
o vectors of g, one for each output, and each lane has a sum of its own until the end of a chunk. So the lanes are full
where a layer has few outputs, as the first one often has.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from ...computation import Contraction
from ...machine.target import Target
from ..cost import step
from ..cost.parallel import UNDIVIDED
from ..cost.step import InnerLoop, most_scalars
from ..views import View
from .base import balanced, sizes, taps_of
from .convolution import Candidate, Layer
from .direct_tiles import OFFERED
from .turned_sums import TurnedSums, accepts, blocks_of, chunk_of, numbers_of, pairs_of


@dataclass(frozen=True)
class Inner(TurnedSums):
    """Inner products, with lanes along the positions of a line; a tile has `together` outputs."""

    together: int

    lanes_along = "columns"
    weights_along = "positions"

    def edge_cycles(self, target: Target) -> float:
        """Without a border all loads are masked, which takes about as long again."""
        return self.least_cycles(target) if self.reaches else 0.0

    def units(self, result: View) -> int:
        """Tiles, all of which have the same positions."""
        return len(balanced(self.outputs, self.together)) * self.blocks_of_pairs(result)

    def describe(self) -> str:
        taps, pairs, (images, rows) = taps_of(self.window), math.prod(self.block), self.chunk
        registers = (pairs + 1) * self.together + 1
        held = f"{sizes(self.block)} taps and channels × {self.together} outputs, {registers} registers"
        return (
            f"inner products over {taps}, {self.channels} images → {self.outputs}; {self.lanes} lanes along columns, "
            f"tile {held}, {images} × {rows} rows at a time"
        )


def candidates(target: Target, layer: Layer) -> list[Candidate]:
    """Inner products for turned contractions of rows whose elements are neighbours on both sides, the cheapest first.

    A chunk has so many positions that rows of some outputs, and of as many channels, stay in the first cache.
    """
    c, turned = layer.contraction, layer.turned
    if turned is None or not accepts(layer) or not turned.lines or len(c.window) < 2 or c.window[-1].dilation > 1:
        return []
    lanes = min(target.lanes, 1 << (c.window[-1].kernel.bit_length() - 1))
    if lanes == 1:
        return []
    chunk = chunk_of(target, c, 2 * target.mac.pixel.bytes)
    tile = _tile_cycles(target, c, lanes, chunk)
    pairs, ways = pairs_of(layer), []
    for together in range(1, min(c.outputs, 8) + 1):
        widths = Counter(balanced(c.outputs, together))
        for block in blocks_of(pairs, max(1, most_scalars(target, together))):
            numbers = numbers_of(pairs, block)
            cycles = sum(m * n * tile(s, o) for (s, m), (o, n) in itertools.product(numbers, widths.items()))
            if widths.total() * sum(count for _, count in numbers) == 1 and cycles > 2 * target.core.barrier_cycles:
                cycles *= UNDIVIDED
            kernel = Inner(c.window, c.channels, c.outputs, lanes, block, chunk, together)
            ways.append(Candidate(f"inner {sizes(block)}×{together}", cycles / turned.images, kernel))
    return sorted(ways, key=lambda way: way.cycles)[:OFFERED]


def _tile_cycles(target: Target, c: Contraction, lanes: int, chunk: tuple[int, int]) -> Callable[[int, int], float]:
    """A function for the cycles of a tile of s pairs and o outputs over all positions.

    A vector begins anywhere in a line of the cache. The last one of a row slides back, and its first lanes are set to
    0. At the end of each chunk the lanes of each sum are added up, and the sum is added to the result.
    """
    core, load = target.core, step.unaligned_loads(target, lanes)
    images, rows = chunk
    *outer, width = (axis.kernel for axis in c.window)
    vectors = -(-width // lanes)
    count = images * rows * math.prod(outer[1:]) * vectors
    slid = 1 / vectors if width % lanes else 0.0
    steps = InnerLoop(target, count, target.mac.pixel.bytes * lanes)
    chunks = c.channels * math.prod(outer) * vectors / count

    @cache
    def cycles(pairs: int, outputs: int) -> float:
        loads = load * (pairs + outputs) - outputs
        cleared = slid * count * (pairs + outputs) / core.vector_pipes
        added = pairs * outputs * step.folded(core)
        return chunks * (steps.tile(outputs, pairs, loads / pairs) + cleared + added)

    return cycles
