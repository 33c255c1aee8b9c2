"""The tiles of direct convolutions: small pure functions from shapes and the target to kernels.

`cost.step` gives the cycles of a tile. The cost of a layer is that of all its tiles, narrower last ones included. The
cheapest tile that fits into the registers is taken.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ...computation import Contraction
from ...machine.target import Target
from ...windows import WindowAxis
from ..cost import step, transfer
from ..cost.step import InnerLoop
from . import filters
from .convolution import Candidate, Convolution, Epilogue, LanesAlong, Layer, Tile
from .direct import Direct, has_few_weights

OFFERED = 24  # candidates that a tuner may choose from


@dataclass(frozen=True)
class TileCandidate:
    """A tile of direct convolution, and the cycles of the layer with this tile."""

    cycles: float
    lanes_along: LanesAlong
    lanes: int
    block: int
    tile: Tile

    @property
    def label(self) -> str:
        """The result of one run of the innermost loop, lanes last, such as 'direct 13×2'."""
        tile, pooled = self.tile, f"{self.tile.rows}×" if self.tile.rows > 1 else ""
        if self.lanes_along == "columns":
            return f"columns {pooled}{tile.outputs}×{tile.vectors}" + (" folded" if tile.rows_per_vector > 1 else "")
        return f"direct {pooled}{tile.columns}×{tile.vectors}"


def candidates(target: Target, layer: Layer) -> list[Candidate]:
    """Direct convolutions, the cheapest first; lanes along the columns need columns that are adjacent in memory."""
    c, copies = layer.contraction, layer.copies
    ways: list[TileCandidate] = []
    if "channels" in copies:
        ways += _by_channels(target, layer)
    if "columns" in copies and c.window and c.window[-1].stride <= 2:
        ways += _by_columns(target, layer)
    packed = _packed(layer)
    ways = [
        replace(way, cycles=way.cycles + transfer.reordered(target.core, copies[way.lanes_along] + packed))
        for way in ways
    ]
    # Equal costs: the larger tile has fewer loads and loop steps.
    ways.sort(key=lambda way: (round(way.cycles, 3), -way.tile.registers(way.lanes_along)))
    return [Candidate(way.label, way.cycles, _kernel(target, layer, way)) for way in ways[:OFFERED]]


def of_columns(target: Target, positions: int, channels: int, outputs: int) -> Convolution:
    """The product of a matrix and a planar one of `channels` rows and `positions` columns."""
    c = Contraction((WindowAxis(positions),), channels, outputs)
    return candidates(target, Layer(c, (positions,), copies={"columns": 0}))[0].kernel


def _kernel(target: Target, layer: Layer, way: TileCandidate) -> Direct:
    c = layer.contraction
    return Direct(
        c.window,
        c.channels,
        c.outputs,
        c.groups,
        c.bias,
        way.lanes_along,
        way.lanes,
        way.block,
        way.tile,
        layer.epilogue,
        c.weights_per_image,
        _chunk(target, layer, way),
        _ahead(target, layer, way),
        weights=layer.weights,
    )


def _packed(layer: Layer) -> float:
    """Elements of weights that are packed for an image, where other kernels may read them as they lie."""
    c, turned = layer.contraction, layer.turned
    return c.outputs * c.channels // c.groups * c.taps / turned.images if turned else 0


def _chunk(target: Target, layer: Layer, way: TileCandidate) -> int:
    """Rows whose image and results take half of the second cache, if all rows together exceed it; else 0.

    Only with several blocks of outputs, and weights that fit into the cache as well: otherwise nothing is saved.
    """
    c, stored = layer.contraction, layer.stored
    weights = layer.weights.bytes * _count(c) * c.outputs
    if not stored or way.block >= c.outputs // c.groups or weights > target.l2 / 4:
        return 0
    image = math.prod(axis.size for axis in c.window) * c.channels
    row = target.mac.pixel.bytes * (image + math.prod(stored) * c.outputs) // stored[0]
    if row * stored[0] <= target.l2:
        return 0
    least = way.tile.columns if len(stored) == 1 else 1
    return max(target.l2 // (2 * row), least)


def _ahead(target: Target, layer: Layer, way: TileCandidate) -> int:
    """Weights of the next block to prefetch at each position, if positions are few; else 0."""
    c = layer.contraction
    positions = math.prod(axis.out for axis in c.window)
    weights = _count(c) * way.block
    if not target.l2 or way.lanes_along == "columns" or not 1 < positions <= transfer.FEW_POSITIONS:
        return 0
    return -(-weights // positions)


def _count(c: Contraction) -> int:
    """Products of a sum."""
    return c.taps * (c.channels // c.groups)


def _steps(target: Target, layer: Layer, lanes: int) -> InnerLoop:
    finish = layer.epilogue.series_cycles(target.core)
    return InnerLoop(target, _count(layer.contraction), layer.weights.bytes * lanes, finish)


def _shape(c: Contraction, stored: Sequence[int], epilogue: Epilogue) -> tuple[int, int, int, int]:
    """(rows of a tile, columns for each stored one, stored columns, outputs of a group)."""
    rank = len(c.window)
    rows = epilogue.pooled(0) if rank > 1 else 1
    unit = epilogue.pooled(rank - 1) if rank else 1
    return rows, unit, stored[-1] if rank else 1, c.outputs // c.groups


def _tiles(c: Contraction, width: int, columns: int) -> list[tuple[int, int]]:
    """(columns, number) of the tiles of a row: balanced; in a 1-D range equal, and the last one slides back."""
    count = -(-width // columns)
    if len(c.window) < 2:
        return [(columns, count)]
    size, larger = divmod(width, count)
    return [(size + 1, larger), (size, count - larger)]


def _by_channels(target: Target, layer: Layer) -> Iterator[TileCandidate]:
    """Pixels as scalars, vectors of output channels; none if the registers do not hold a window of the pool."""
    c, stored, epilogue = layer.contraction, layer.stored, layer.epilogue
    rows, unit, width, outputs = _shape(c, stored, epilogue)
    lanes = min(target.lanes, _power_of_two(outputs))
    total = -(-outputs // lanes)
    steps, times = _steps(target, layer, lanes), c.groups * math.prod(stored[:-1])
    steps = replace(steps, widen_vector=step.widening(layer.weights, lanes))
    if math.prod(w.out for w in c.window) == 1:
        steps = replace(steps, once=total * c.groups)
    paired = 0 < outputs % lanes <= lanes // 2
    for vectors in range(1, min(total, 16) + 1):
        blocks, last = divmod(total - 1, vectors)  # whole blocks before the last one, and its vectors minus one
        # `rows` of `columns` pixels: the number of registers bounds the columns.
        most = step.most_scalars(target, vectors) // rows // unit
        for columns in range(1, min(most, width) + 1):
            if len(c.window) > 1 and columns != -(-width // -(-width // columns)):
                continue  # a smaller width gives the same balanced tiles
            cycles = 0.0
            for size, count in _tiles(c, width, columns):
                pixels = rows * size * unit
                whole = blocks * steps.tile(pixels, vectors, weights=vectors)
                cycles += count * (whole + steps.tile(pixels, last + 1, weights=last + 1, paired=paired))
            tile = Tile(rows, columns * unit, vectors)
            yield TileCandidate(cycles * times, "channels", lanes, vectors * lanes, tile)


def _by_columns(target: Target, layer: Layer) -> Iterator[TileCandidate]:
    """Weights of output channels as scalars, vectors of columns."""
    c, stored, epilogue = layer.contraction, layer.stored, layer.epilogue
    rows, unit, width, outputs = _shape(c, stored, epilogue)
    lanes = min(target.lanes, width * unit) // unit * unit
    if not lanes:
        return
    if has_few_weights(c, epilogue):
        for cycles, narrow, tile in filters.tiles(target, c, stored):
            yield TileCandidate(cycles, "columns", narrow, outputs, tile)
        return
    if rows > 1 and rows * width * unit <= target.lanes:
        yield from _folded(target, layer, rows, width * unit)
    total = -(-width // (lanes // unit))
    steps, times = _steps(target, layer, lanes), c.groups * math.prod(stored[:-1])
    joined = len(step.pieces(lanes)) - 1
    steps = replace(steps, widen_scalar=step.widening(layer.weights, lanes, scalar=True), widen_vector=joined)
    load = step.unaligned_loads(target, lanes) * c.window[-1].stride  # of two vectors, with a stride of 2
    for stacked, vectors in itertools.product(_stacks(layer), range(1, min(total, 4) + 1)):
        high = rows * stacked
        most = step.most_scalars(target, vectors * high)
        if most < (outputs if stacked > 1 else 1):
            continue
        whole, rest = divmod(stored[0], stacked)
        count = -(-outputs // most)
        for block in sorted({outputs // count, -(-outputs // count)}):
            cycles = _over_blocks(steps, outputs, block, _widths(c, total, vectors, high), load)
            if stacked > 1:
                single = _over_blocks(steps, outputs, block, _widths(c, total, vectors, rows), load)
                cycles = (whole * cycles + rest * single) / stored[0]
            yield TileCandidate(cycles * times, "columns", lanes, block, Tile(high, 1, vectors, block))


def _stacks(layer: Layer) -> range:
    """How many rows a tile of all outputs may have, where no pool says it: of few columns and outputs, sums are few."""
    several = len(layer.stored) == 2 and layer.epilogue.pool is None
    return range(1, min(step.STACKED, layer.stored[0]) + 1 if several else 2)


def _widths(c: Contraction, total: int, vectors: int, rows: int) -> list[tuple[int, int]]:
    """(vectors, number) of the tiles of a row: the last is narrower; along a single axis it slides back."""
    if len(c.window) == 1:
        return [(vectors * rows, -(-total // vectors))]
    full, rest = divmod(total, vectors)
    return [(vectors * rows, full), (rest * rows, 1 if rest else 0)]


def _over_blocks(steps: InnerLoop, outputs: int, block: int, sizes: Sequence[tuple[int, int]], load: float) -> float:
    """Cycles of a row of tiles for all outputs, in blocks; the last block may be smaller."""
    blocks, tail = divmod(outputs, block)
    cycles = 0.0
    for scalars, repeats in ((block, blocks), (tail, 1 if tail else 0)):
        if repeats:
            cycles += repeats * sum(number * steps.tile(scalars, size, load) for size, number in sizes)
    return cycles


def _folded(target: Target, layer: Layer, rows: int, columns: int) -> Iterator[TileCandidate]:
    """Tiles for short rows: one vector holds all rows of a pool's window, each loaded by itself."""
    c, stored = layer.contraction, layer.stored
    lanes, outputs = rows * columns, c.outputs // c.groups
    steps = replace(_steps(target, layer, lanes), widen_scalar=step.widening(layer.weights, lanes, scalar=True))
    load = rows * step.unaligned_loads(target) * c.window[-1].stride
    for vectors in range(1, min(stored[0], 2) + 1):
        block = min(outputs, step.most_scalars(target, vectors))
        blocks, tail = divmod(outputs, block)
        whole, rest = divmod(stored[0], vectors)
        cycles = 0.0
        for times, size in ((whole, vectors), (rest, 1)):
            one = blocks * steps.tile(block, size, load) + (steps.tile(tail, size, load) if tail else 0)
            cycles += c.groups * times * one
        yield TileCandidate(cycles, "columns", lanes, block, Tile(rows * vectors, 1, 1, block, rows_per_vector=rows))


def _power_of_two(number: int) -> int:
    """The smallest power of two that is at least `number`."""
    return 1 << (number - 1).bit_length()
