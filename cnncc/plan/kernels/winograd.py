"""Winograd convolution: transforms of tiles, products for each point, and the transform back.

Its candidates are chosen in `winograd_tiles`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np

from ...computation import Contraction
from ...elements import FLOAT32
from ...machine.core import Core
from ...machine.target import Target
from ...types import Array
from ...windows import WindowAxis
from ..cost import step, transfer
from ..cost.parallel import BALANCED_SHARDS
from ..cost.step import TRANSFORMED
from ..views import View, line_elements
from . import packing
from .base import sizes, taps_of
from .convolution import PLAIN, Convolution, Epilogue, Reads, Tile, guarded_share
from .partition import by_blocks, largest_outputs, most_even, shared_blocks
from .winograd_phases import Phase, Phases, phases_of
from .winograd_transforms import input_cycles, output_cycles


@dataclass(frozen=True)
class Winograd(Convolution):
    """Convolution by Cook–Toom transforms (see `cook_toom`): `steps[axis]` outputs a tile.

    With strides, the phases of the image are so many times as many channels of windows with stride 1 (see
    `winograd_phases`); the transform of the input keeps `joined` of them in a vector.

    A block of `tiles` tiles is computed in three stages: V = Bᵀ d B for all channels, then for each `block` of outputs
    the products M[ξ] = V[ξ] · U[ξ] for each point ξ of the transforms, and Aᵀ M A. The products keep `tile.columns`
    tiles times `tile.vectors` vectors of outputs in registers. V and M lie in the step's scratch memory,
    [ξ][tile][phase][channel] and [ξ][tile][output]; the weights are packed as [block][ξ][phase][channel][output in the
    block].

    With a dilation of d, each of the d residues of an axis has tiles of its own. Weights that stream from beyond the
    second-level cache are prefetched `prefetch_elements` elements early, and pixels of the `next_image` with those of
    this one. If `partition_axis` by blocks of outputs (or
    by `parts` of each), every shard transforms all inputs; with a dilation, shards divide the rows of tiles of all
    residues.
    """

    window: tuple[WindowAxis, ...]
    channels: int
    outputs: int
    bias: bool
    steps: tuple[int, ...]
    lanes: int
    block: int
    tile: Tile
    tiles: int
    epilogue: Epilogue = PLAIN
    joined: int = 1
    prefetch_elements: int = 0
    partition_axis: Literal["rows", "blocks", "tiles"] = "rows"
    parts: int = 1
    next_image: bool = field(default=False, repr=False)  # follows from the rest of a plan, so its text can do without

    groups = 1
    lanes_along = "channels"
    prefers_many_rows = True  # many rows make full blocks of tiles

    @cached_property
    def phases(self) -> Phases:
        """The phases of the image, with their transforms."""
        taps, strides = tuple(w.kernel for w in self.window), tuple(w.stride for w in self.window)
        return phases_of(self.steps, taps, strides, self.joined)

    @property
    def points(self) -> tuple[int, ...]:
        """Points of the transforms on each axis."""
        return self.phases.points

    @property
    def pixels(self) -> tuple[int, ...]:
        """Pixels that a tile reads on each axis."""
        return tuple((m - 1) * w.stride + w.kernel for m, w in zip(self.steps, self.window, strict=True))

    @cached_property
    def grid(self) -> tuple[int, ...]:
        """Tiles on each axis, those of all residues of a dilation together; none for what no window of a pool holds."""
        pools = (self.epilogue.pooled(axis) for axis in range(len(self.window)))
        return tuple(
            -(-(w.out // pool * pool) // (m * w.dilation)) * w.dilation
            for m, w, pool in zip(self.steps, self.window, pools, strict=True)
        )

    @property
    def blocks(self) -> int:
        """Blocks of outputs."""
        return math.ceil(self.outputs / self.block)

    @property
    def pitch(self) -> int:
        """Elements from the channels of one tile to those of the next, for one point: whole vectors."""
        phases = self.phases
        held = len(phases.groups) * self.lanes if self.joined > 1 else len(phases.all) * self.channels
        return -(-held // self.lanes) * self.lanes

    def plane(self, width: int) -> int:
        """Elements from one point to the next: `width` for each tile of a block, up to an odd number of cache lines.

        The points of one tile are written one after the other, so they should lie in different sets of the cache.
        Multiples of an even number of lines use at most half of the 64 sets, multiples of 96 lines only two.
        """
        return (-(-self.tiles * width // line_elements(FLOAT32)) | 1) * line_elements(FLOAT32)

    @property
    def scratch(self) -> int:
        """Elements of V and M."""
        return math.prod(self.points) * (self.plane(self.pitch) + self.plane(self.block))

    @property
    def contraction(self) -> Contraction:
        return Contraction(self.window, self.channels, self.outputs, bias=self.bias)

    @property
    def transform(self) -> tuple[Contraction, tuple[int, ...]]:
        return self.contraction, self.steps

    @property
    def filters(self) -> tuple[int, int]:
        return self.outputs, self.channels

    @property
    def reads(self) -> Reads:
        return "channels last"

    def describe(self) -> str:
        held = f"{self.tile.columns} tiles × {self.tile.vectors} vectors"
        by_tiles = ", shared by rows of tiles" if self.partition_axis == "tiles" else ""
        shared = shared_blocks(self.parts) if self.partition_axis == "blocks" else by_tiles
        return (
            f"winograd F({sizes(self.steps)}, {taps_of(self.window)}{self.strides}), {self.channels} → {self.outputs}; "
            f"{self.lanes} lanes along channels, {sizes(self.grid)} tiles in blocks of {self.tiles}, products of "
            f"{held}{shared}"
        ) + self.epilogue.describe()

    @property
    def strides(self) -> str:
        """The strides in words, and how phases are transformed."""
        if len(self.phases.all) == 1:
            return ""
        held = f" in vectors of {self.joined}" if self.joined > 1 else ""
        return f", stride {sizes([w.stride for w in self.window])}: {len(self.phases.all)} phases{held}"

    # Weights

    @property
    def packed_shape(self) -> tuple[int, ...]:
        return 1, self.blocks, self.phases.pairs, self.channels, self.block

    def packed(self, weights: Array) -> Array:
        """G w along every axis, in float64: rounded once, as they are put in their place."""
        packed = np.zeros(self.packed_shape, FLOAT32.numpy)
        with np.errstate(over="ignore"):
            for number, pair in enumerate(self.at_pairs(weights.astype(np.float64))):
                packing.put_in_blocks(pair, packed[0, :, number])
        return packed

    def at_pairs(self, weights: Array) -> list[Array]:
        """The transformed weights (O, C) at each pair of a point and a phase."""
        parts = {phase: self.transformed(weights, phase) for phase in self.phases.all}
        return [parts[phase][spot] for spot, present in self.phases.order.items() for phase in present]

    @property
    def of_taps(self) -> Array:
        """What each tap is multiplied by at each pair: the transform of single taps, (pairs, taps)."""
        single = np.eye(self.taps).reshape(self.taps, 1, *(w.kernel for w in self.window))
        return np.stack([pair[:, 0] for pair in self.at_pairs(single)])

    def transformed(self, weights: Array, phase: Phase) -> Array:
        """The transform of the taps of a phase: (points…, O, C) from (O, C, taps…)."""
        for p, w, kinds in zip(phase, self.window, self.phases.axes, strict=True):
            taps = np.moveaxis(weights, 2, -1)[..., p :: w.stride]
            matrix = np.array(kinds[p].weights, np.float64)[:, : taps.shape[-1]]  # joined phases may lack a tap
            weights = taps @ matrix.T
        return np.moveaxis(weights, (0, 1), (-2, -1))

    @property
    def moved_shape(self) -> tuple[int, ...]:
        return 1, self.blocks, self.taps, self.channels, self.block

    # Cost

    def multiplied(self, result: View) -> int:
        """The products alone, without the transforms."""
        tiles = result.shape[0] * math.prod(self.grid)
        return tiles * self.phases.pairs * self.channels * self.outputs

    def products(self, target: Target, result: View) -> float:
        saved = self.taps * math.prod(self.steps) / self.phases.pairs
        return TRANSFORMED * float(self.macs(result)) / saved

    def edge_cycles(self, target: Target) -> float:
        sizes = [m * w.dilation for m, w in zip(self.steps, self.window, strict=True)]
        pixels = guarded_share(self.window, sizes) * math.prod(self.grid) * math.prod(self.pixels)
        operations = step.TESTS + step.TESTED * math.ceil(self.channels / self.lanes)
        return pixels * operations / target.core.vector_pipes

    # Rows and shards

    @property
    def tile_rows(self) -> int:
        """Stored rows of one row of tiles."""
        return self.steps[0] * self.window[0].dilation // self.epilogue.pooled(0)

    @property
    def granularity(self) -> int:
        return self.tile_rows if self.partition_axis == "rows" else 1

    def units(self, result: View) -> int:
        return {"rows": result.rows, "blocks": self.blocks * self.parts, "tiles": self.grid[0]}[self.partition_axis]

    @property
    def writes_own_rows(self) -> bool:
        return self.partition_axis == "rows"

    def shared_evenly(self, target: Target, sources: Sequence[View], result: View) -> Winograd:
        """Partitioned by rows of tiles, or by blocks of outputs or parts of them if that balances better."""
        core = target.core
        kernel = replace(self, partition_axis="tiles") if self.window[0].dilation > 1 else self
        rows = sum(self.cycles_by_rows(core, result.rows, shards) for shards in BALANCED_SHARDS)
        blocks = [
            (sum(by.cycles_by_blocks(core, shards) for shards in BALANCED_SHARDS), by) for by in by_blocks(core, self)
        ]
        return most_even(core, (sources[0], result), rows, kernel, blocks)

    def cycles_by_rows(self, core: Core, rows: int, shards: int) -> float:
        """Cycles of the busiest shard, by rows of tiles; the residues of a dilation do not depend on each other."""
        grains = self.grid[0] if self.window[0].dilation > 1 else math.ceil(rows / self.tile_rows)
        return self.part_cycles(core, math.ceil(grains / shards) * math.prod(self.grid) // grains, self.outputs)

    def cycles_by_blocks(self, core: Core, shards: int) -> float:
        """Cycles of the busiest shard, by blocks of outputs."""
        return self.part_cycles(core, math.prod(self.grid), min(self.outputs, largest_outputs(self, shards)))

    def part_cycles(self, core: Core, tiles: int, outputs: int) -> float:
        """Approximate cycles of a shard for some of the tiles or outputs, with reading their weights."""
        ins = input_cycles(core, self.phases, math.ceil(self.channels / self.lanes))
        outs = output_cycles(core, self.phases)
        vectors, count = math.ceil(outputs / self.lanes), self.phases.pairs
        columns, wide = self.tile.columns, min(self.tile.vectors, vectors)
        whole, rest = divmod(tiles, columns)
        groups = whole * step_of(core, columns, wide)
        groups += step_of(core, columns if 2 * rest > columns + 1 else (columns + 1) // 2, wide) if rest else 0.0
        size = core.mac.weight.bytes * count * self.channels * outputs
        weights = transfer.weights_cycles(core, size, beyond=bool(self.prefetch_elements))
        products = math.hypot(count * self.channels * groups * vectors / wide, weights)
        return tiles * (ins + outs * vectors) + products


def step_of(core: Core, columns: int, vectors: int) -> float:
    """Cycles of one step of a register tile."""
    return step.longest(core, columns * vectors, columns + vectors)
