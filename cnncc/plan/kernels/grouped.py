"""Convolution in groups of few outputs, whose vectors hold the outputs of several groups.

Shuffles give every lane the channel of its own group, and take pipes from the multiply-adds. A shuffled pixel serves
all taps of a row that reach it. The weights of a row of taps stay in registers or are loaded for each multiply-add.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ...elements import FLOAT32, Element
from ...machine.target import Target
from ...windows import WindowAxis
from ..cost import step, transfer
from ..cost.step import UNROLLED
from .base import taps_of
from .convolution import PLAIN, Candidate, Convolution, Epilogue, Layer, Tile, guarded_share

WIDEST_ROW = 64  # multiply-adds of one output for a row of taps


@dataclass(frozen=True)
class Grouped(Convolution):
    """Convolution in groups of few outputs: lanes along the outputs of neighbouring groups, `block` of them at most.

    The weights are packed as [vector of outputs][taps…][channel of a group][output in the vector].
    """

    window: tuple[WindowAxis, ...]
    channels: int
    outputs: int
    groups: int
    bias: bool
    block: int
    tile: Tile
    epilogue: Epilogue = PLAIN
    weights: Element = FLOAT32

    lanes_along = "channels"

    @property
    def filters(self) -> tuple[int, int]:
        return self.outputs, self.channels // self.groups

    @property
    def packed_shape(self) -> tuple[int, ...]:
        """Blocks of all outputs, whatever their group."""
        return 1, -(-self.outputs // self.block), self.taps, self.channels // self.groups, self.block

    def edge_cycles(self, target: Target) -> float:
        return guarded_share(self.window, (self.tile.columns,)) * self.least_cycles(target)

    def describe(self) -> str:
        return (
            f"grouped {taps_of(self.window)}, {self.channels} → {self.outputs} in {self.groups} groups; {self.block} "
            f"lanes along the outputs of neighbouring groups, tile {self.tile.columns} positions"
        ) + self.epilogue.describe()


def candidates(target: Target, layer: Layer) -> list[Candidate]:
    """Grouped convolutions for layers with few outputs a group, the cheapest first."""
    c, stored, epilogue = layer.contraction, layer.stored, layer.epilogue
    if "channels" not in layer.copies:
        return []
    copied = layer.copies["channels"]
    inputs, members = c.channels // c.groups, c.outputs // c.groups
    row = c.window[-1].kernel * inputs if c.window else 0
    if c.groups == 1 or epilogue.pool or c.weights_per_image or 2 * members > target.lanes or not 0 < row <= WIDEST_ROW:
        return []
    block = min(target.lanes // members, c.groups) * members
    if block // members * inputs > 2 * target.lanes:
        return []
    rows = math.prod(stored[:-1]) * -(-c.outputs // block)
    above = math.prod(w.kernel for w in c.window[:-1])  # taps of the other axes
    ways = []
    # Registers hold sums, the weights of a row of taps and some pixels; else few sums, and weights are loaded again.
    # With a stride most pixels serve one tap, so more of them are in flight.
    few = 8 if c.window[-1].stride == 1 else 6
    most = min(max(target.registers - 6 - row, few), stored[-1], UNROLLED // row)
    for columns in range(1, most + 1):
        if columns != -(-stored[-1] // -(-stored[-1] // columns)):
            continue
        rows_of_taps = above * _row_of_taps(target, layer, inputs, columns)
        tile = step.with_ends(target.core, rows_of_taps, columns)
        cycles = rows * -(-stored[-1] // columns) * tile
        kernel = Grouped(
            c.window, c.channels, c.outputs, c.groups, c.bias, block, Tile(1, columns, 1), epilogue, layer.weights
        )
        ways.append(Candidate(f"grouped {columns}", cycles + transfer.reordered(target.core, copied), kernel))
    return sorted(ways, key=lambda way: way.cycles)


def _row_of_taps(target: Target, layer: Layer, inputs: int, columns: int) -> float:
    """Cycles of a grouped convolution for one row of taps over `columns` outputs."""
    last = layer.contraction.window[-1]
    pixels = len({x * last.stride + tap * last.dilation for x in range(columns) for tap in range(last.kernel)})
    products, weights = columns * last.kernel * inputs, last.kernel * inputs
    loaded = weights if weights + columns < target.registers else products
    others = pixels * inputs + step.widening(layer.weights, target.lanes) * loaded
    return step.grouped_row(target.core, products, others, pixels + loaded, weights)
