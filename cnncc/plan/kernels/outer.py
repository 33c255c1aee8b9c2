"""Gradients of weights: sums of outer products over images and positions, whose operands are read as they lie.

The contraction is a turned one (see `gradient.contraction`): its channels are images, and its images are channels. Each
position multiplies s scalars, pairs of a tap and a channel of x, by v vectors of outputs of g. All operands change from
position to position, so nothing would be read again from packed weights: what a tile reads again are the positions of
the next pairs, and a chunk of positions stays in the first cache for all of them.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

from ...computation import Contraction
from ...elements import FLOAT32
from ...machine.target import Target
from ...types import Array
from ...windows import WindowAxis
from ..cost import step, transfer
from ..cost.parallel import UNDIVIDED
from ..cost.step import InnerLoop, most_scalars
from ..views import View
from .base import balanced, sizes, taps_of
from .convolution import PLAIN, Candidate, Convolution, Layer, Reads
from .direct_tiles import OFFERED


@dataclass(frozen=True)
class Outer(Convolution):
    """Outer products, with lanes along the outputs; image and weights are read as they lie.

    A tile has `block` taps of each axis, and channels (images of the contraction), times `vectors` vectors of outputs.
    Its sums run over the positions of a chunk, `chunk` images (channels of the contraction) of so many rows, and are
    then added to the result. Shards divide the tiles.
    """

    window: tuple[WindowAxis, ...]
    channels: int
    outputs: int
    lanes: int
    block: tuple[int, ...]
    vectors: int
    chunk: tuple[int, int]

    lanes_along = "channels"
    bias = False
    epilogue = PLAIN
    packs = False

    @property
    def filters(self) -> tuple[int, int]:
        return self.outputs, self.channels

    @property
    def packed_shape(self) -> tuple[int, ...]:
        return self.weights_shape(1)

    def packed(self, weights: Array) -> Array:
        return weights

    @property
    def reads(self) -> Reads:
        return "any order"

    @property
    def streams(self) -> bool:
        return False

    def edge_cycles(self, target: Target) -> float:
        """Where some taps of a tile see the border, each scalar is selected; a tile of one tap goes round it."""
        if math.prod(self.block[:-1]) == 1:
            return 0.0
        inside = math.prod(_inside(axis) / axis.kernel for axis in self.window)
        return (1 - inside) * self.least_cycles(target)

    def units(self, result: View) -> int:
        """Tiles, all of which have the same positions."""
        pairs = zip((*(axis.out for axis in self.window), result.shape[0]), self.block, strict=True)
        blocks = math.prod(len(balanced(size, most)) for size, most in pairs)
        return len(balanced(-(-self.outputs // self.lanes), self.vectors)) * blocks

    @property
    def writes_own_rows(self) -> bool:
        return False

    def divides_images(self, sources: Sequence[View], result: View) -> bool:
        """Never: its tiles are what shards divide, over all axes of the result."""
        return False

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
    plain = layer.epilogue == PLAIN and layer.weights is FLOAT32 and not c.bias and c.groups == 1
    if turned is None or not plain or c.taps == 1:
        return []
    lanes = min(target.lanes, 1 << (c.outputs - 1).bit_length())
    chunk, tile = _chunk(target, c, lanes), _tile_cycles(target, c, lanes)
    lines = _line_cycles(target, layer, turned.images, chunk)
    pairs = (*(axis.out for axis in c.window), turned.images)
    copied = transfer.reordered(target.core, turned.copies)
    ways, waits = [], []
    for vectors in range(1, min(-(-c.outputs // lanes), 8) + 1):
        most = most_scalars(target, vectors)
        widths = Counter(balanced(-(-c.outputs // lanes), vectors))
        for block in _blocks(pairs, most):
            numbers = _scalars(pairs, block)
            cycles = sum(m * n * tile(s, v) for (s, m), (v, n) in itertools.product(numbers, widths.items()))
            tiles = widths.total() * sum(count for _, count in numbers)
            waits.append(tiles * lines(block) / turned.images)
            if tiles == 1 and cycles > 2 * target.core.barrier_cycles:
                cycles *= UNDIVIDED
            kernel = Outer(c.window, c.channels, c.outputs, lanes, block, vectors, chunk)
            label = f"outer {sizes(block)}×{vectors}"
            ways.append(Candidate(label, (cycles + copied) / turned.images, kernel))
    least = min(
        waits
    )  # which other kernels do not count: what a tile waits longer than the best one decides among these
    ways = [replace(way, cycles=way.cycles + wait - least) for way, wait in zip(ways, waits, strict=True)]
    return sorted(ways, key=lambda way: way.cycles)[:OFFERED]


def _chunk(target: Target, c: Contraction, lanes: int) -> tuple[int, int]:
    """Images and rows of a chunk: whole images, or rows of one, whose vectors of outputs stay in the first cache."""
    rows, *inner = (axis.kernel for axis in c.window)
    row, vector = math.prod(inner), target.mac.pixel.bytes * lanes
    most = transfer.positions_in_l1(target, vector)
    if rows * row > most:
        return 1, max(balanced(rows, max(1, most // row)))
    return max(balanced(c.channels, most // (rows * row))), rows


def _tile_cycles(target: Target, c: Contraction, lanes: int) -> Callable[[int, int], float]:
    """A function for the cycles of a tile of s scalars and v vectors over all positions.

    At the end of each chunk, each sum is added to the result.
    """
    core, total = target.core, c.channels * c.taps
    images, rows = _chunk(target, c, lanes)
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


def _blocks(pairs: Sequence[int], most: int) -> Iterator[tuple[int, ...]]:
    """Blocks of at most `most` pairs: an outer axis is divided where the inner tap axes are whole."""
    *taps, channels = pairs
    for size in _equal(channels, most):
        rest = most // size
        block = [size]
        for taps_of_axis in reversed(taps[1:]):
            whole = _equal(taps_of_axis, rest)[0]
            block.insert(0, whole)
            rest = rest // whole if whole == taps_of_axis else 1
        for outermost in _equal(taps[0], rest):
            yield outermost, *block


def _inside(axis: WindowAxis) -> int:
    """Positions of an axis that no tap leaves."""
    begin = -(-axis.low // axis.dilation)
    end = (axis.size - 1 + axis.low - (axis.out - 1) * axis.stride) // axis.dilation + 1
    return max(0, min(end, axis.kernel) - begin)


def _equal(size: int, most: int) -> list[int]:
    """The sizes of balanced parts of an axis, the largest first."""
    return sorted({max(balanced(size, part)) for part in range(1, min(size, most) + 1)}, reverse=True)


def _scalars(pairs: Sequence[int], block: Sequence[int]) -> list[tuple[int, int]]:
    """(scalars of a tile, number of such tiles)."""
    parts = (balanced(size, most) for size, most in zip(pairs, block, strict=True))
    return list(Counter(map(math.prod, itertools.product(*parts))).items())
