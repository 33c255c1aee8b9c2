"""Gradients of weights: sums of outer products over images and positions; operands are read as they lie, or packed.

Each position multiplies s scalars, pairs of a tap and a channel of x, by v vectors of outputs of g.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

from ...computation import Contraction
from ...machine.target import Target
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
    """Outer products, with lanes along the outputs; a tile has `vectors` vectors of outputs.

    `inputs` are the channels of x, of whose pixels and of g's outputs copies may be packed for each chunk, in scratch
    memory: [image][row]…[channel of a block], with 0 outside of the image, and [block][image][row]…[output].
    """

    vectors: int
    inputs: int
    packs_outputs: bool = False
    packs_pixels: bool = False

    lanes_along = "channels"

    def packing_cycles(self, target: Target) -> float:
        """Cycles to load and to store what is packed, for all chunks."""
        core, (images, rows) = target.core, self.chunk
        chunks = self.channels * self.window[0].kernel / (images * rows)
        vectors = self.packed_outputs / self.lanes
        if self.packs_pixels:
            blocks = math.ceil(self.inputs / self.block[-1]) * math.ceil(self.block[-1] / target.lanes)
            vectors += math.prod(self.packed_sizes) * blocks
        return chunks * vectors * (core.store_cycles + 1 / core.load_ports)

    # What is packed for a chunk

    @property
    def width(self) -> int:
        """Elements of the vectors of a tile."""
        return self.vectors * self.lanes

    @property
    def gaps(self) -> tuple[int, ...]:
        """Pixels from one that is packed to the next, on each axis: those between them no tap sees."""
        return tuple(math.gcd(w.dilation, w.stride) if w.out > 1 else w.dilation for w in self.window)

    def spanned(self, axis: int, positions: int) -> int:
        """Packed pixels along an axis that so many positions see."""
        w = self.window[axis]
        return ((positions - 1) * w.dilation + (w.out - 1) * w.stride) // self.gaps[axis] + 1

    @property
    def packed_sizes(self) -> tuple[int, ...]:
        """Images, and pixels along each axis, that are packed for a chunk."""
        images, *positions = *self.chunk, *(axis.kernel for axis in self.window[1:])
        return images, *itertools.starmap(self.spanned, enumerate(positions))

    @property
    def packed_outputs(self) -> int:
        """Elements of packed outputs."""
        positions = math.prod(self.chunk) * math.prod(axis.kernel for axis in self.window[1:])
        return self.packs_outputs * positions * self.width * math.ceil(self.outputs / self.width)

    @property
    def scratch(self) -> int:
        """Elements of what is packed: the outputs of a chunk, and its pixels of one block of channels."""
        return self.packed_outputs + self.packs_pixels * math.prod(self.packed_sizes) * self.block[-1]

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
    pairs = pairs_of(layer)
    copied = transfer.reordered(target.core, turned.copies)
    ways, packing = list[Candidate](), list[float]()
    for vectors in range(1, min(-(-c.outputs // lanes), 8) + 1):
        most = most_scalars(target, vectors)
        widths = Counter(balanced(-(-c.outputs // lanes), vectors))
        for block in blocks_of(pairs, most):
            numbers = numbers_of(pairs, block)
            cycles = sum(m * n * tile(s, v) for (s, m), (v, n) in itertools.product(numbers, widths.items()))
            tiles = widths.total() * sum(count for _, count in numbers)
            if tiles == 1 and cycles > 2 * target.core.barrier_cycles:
                cycles *= UNDIVIDED
            kernel = _packed(
                target, Outer(c.window, c.channels, c.outputs, lanes, block, chunk, vectors, turned.images)
            )
            packing.append(kernel.packing_cycles(target) / turned.images)
            ways.append(Candidate(f"outer {sizes(block)}×{vectors}", (cycles + copied) / turned.images, kernel))
    least = min(packing)  # what others do at the edges of an image does not count either: it decides among these
    ways = [replace(way, cycles=way.cycles + extra - least) for way, extra in zip(ways, packing, strict=True)]
    return sorted(ways, key=lambda way: way.cycles)[:OFFERED]


def _packed(target: Target, kernel: Outer) -> Outer:
    """The kernel with copies of operands that do not stay in the first cache and are read often enough.

    Pixels are also copied where windows leave the image, so that all positions are alike.
    """
    element, (images, *positions) = target.mac.pixel.bytes, (*kernel.chunk, *(w.kernel for w in kernel.window[1:]))
    pixels = images * math.prod(kernel.spanned(axis, n) * kernel.gaps[axis] for axis, n in enumerate(positions))
    taps = math.prod(-(-axis.out // taps) for axis, taps in zip(kernel.window, kernel.block, strict=False))
    blocks, runs = -(-kernel.inputs // kernel.block[-1]), -(-kernel.outputs // kernel.width)

    def far(elements: int, reads: int) -> bool:
        return reads >= transfer.PACKED_READS and 0 < target.l1 < 2 * element * elements

    return replace(
        kernel,
        packs_outputs=runs > 1 and far(images * math.prod(positions) * kernel.outputs, taps * blocks),
        packs_pixels=kernel.reaches or (blocks > 1 and far(pixels * kernel.inputs, taps * runs)),
    )


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
