"""The common part of the kernels of contractions: epilogue, packed weights, and the description of a layer."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ...computation import Combine, Contraction
from ...elements import FLOAT32, Element
from ...expr import RUNNING, Expr
from ...machine.core import Core
from ...machine.target import Target
from ...types import Array
from ...windows import WindowAxis
from ..cost import step
from ..cost.transfer import weights_cycles
from ..views import View, elements
from . import packing
from .base import Kernel, RowNeed, row_need, sizes

LanesAlong = Literal["channels", "columns"]
Reads = Literal["planar", "channels last", "either", "any order"]


@dataclass(frozen=True)
class Pooling:
    """Adjacent windows over a kernel's own result, reduced in registers."""

    kernel: tuple[int, ...]
    combine: Combine
    average: bool


@dataclass(frozen=True)
class Epilogue:
    """The operations on a result between its last multiply-add and its only store.

    In `before` and `after`, argument 0 is the running value and argument k ≥ 1 the step's operand k − 1
    (a view of the full rank, possibly with strides of 0); the pool stands between them.
    """

    before: Expr = RUNNING
    pool: Pooling | None = None
    after: Expr = RUNNING
    operands: int = 0

    def series_cycles(self, core: Core) -> float:
        """Cycles of functions that are computed by a series, for each vector of sums."""
        taps = math.prod(self.pool.kernel) if self.pool else 1
        return step.series_cycles(core, self.before) + step.series_cycles(core, self.after) / taps

    def pooled(self, axis: int) -> int:
        """Positions of the kernel's own result along spatial `axis` for each one that is stored."""
        return self.pool.kernel[axis] if self.pool else 1

    def describe(self) -> str:
        """Its stages in words, or nothing."""
        parts = [] if self.before == RUNNING else [str(self.before)]
        if self.pool:
            parts.append(f"{'average' if self.pool.average else self.pool.combine} {sizes(self.pool.kernel)}")
        if self.after != RUNNING:
            parts.append(str(self.after))
        return f"; then {', '.join(parts)}" if parts else ""


PLAIN = Epilogue()  # the sum is stored as it is


@dataclass(frozen=True)
class Tile:
    """The accumulators that one run of the innermost loops keeps in registers.

    `rows` × `columns` output positions times `vectors` vectors of channels (or, with lanes along columns,
    `outputs` channels times `rows` × `vectors` vectors of columns). Of short rows, one vector holds `rows_per_vector`
    ones.
    """

    rows: int = 1
    columns: int = 1
    vectors: int = 1
    outputs: int = 1
    rows_per_vector: int = 1

    def registers(self, lanes_along: LanesAlong) -> int:
        """The register law: accumulators, one register for each vector operand, one for the scalar operand."""
        if lanes_along == "channels":
            return self.rows * self.columns * self.vectors + self.vectors + 1
        vectors = self.vectors * self.rows // self.rows_per_vector
        return self.outputs * vectors + vectors + 1


class Convolution(Kernel):
    """A kernel that multiplies by weights: it reads an image, packed weights and, if `bias`, a bias vector.

    It may bring an epilogue and read borders. Its packed weights are stored as `weights`, and widened by each load.
    """

    window: tuple[WindowAxis, ...]
    bias: bool
    epilogue: Epilogue
    lanes_along: LanesAlong
    weights_per_image: bool = False
    weights: Element = FLOAT32

    reads_borders = True
    prefers_border = True
    """Whether it is faster if its image has the border that its window reads."""
    prefers_many_rows = False
    """Whether it needs more rows at a time than a round of a stream has."""
    packs = True
    """Whether its weights are packed; others are read as they lie."""
    weights_along: Literal["outputs", "positions"] = "outputs"
    """What has to lie side by side in weights that are not packed."""

    @property
    @abstractmethod
    def filters(self) -> tuple[int, int]:
        """(outputs, input channels that each output reads)."""

    @property
    def sources(self) -> int:
        return 3 if self.bias else 2

    @property
    def roles(self) -> list[str]:
        return ["image", "weights", "bias"][: self.sources]

    @property
    def own_window(self) -> tuple[WindowAxis, ...]:
        return self.window

    @property
    def taps(self) -> int:
        return math.prod(axis.kernel for axis in self.window)

    @property
    def row_need(self) -> RowNeed:
        return row_need(self.window, self.epilogue.pooled(0), self.granularity)

    def divides_images(self, sources: Sequence[View], result: View) -> bool:
        return True

    @property
    def streams(self) -> bool:
        return True

    @property
    def reads(self) -> Reads:
        """The memory order of the image that it reads; for 'either' the plan takes the cheaper one.

        In 'any order' it reads the image as it lies.
        """
        return "either"

    # Cost

    def macs(self, result: View) -> int:
        return result.shape[0] * math.prod(axis.out for axis in self.window) * self.taps * math.prod(self.filters)

    def products(self, target: Target, result: View) -> float:
        """Multiply-adds of its algorithm, lanes without a result included."""
        return self.macs(result)

    def cycles(self, target: Target, sources: Sequence[View], result: View) -> float:
        weights = weights_cycles(target.core, self.weights.bytes * elements(sources[1].shape), beyond=False)
        computed = step.computed(target, self.products(target, result))
        return max(computed, weights, super().cycles(target, sources, result))

    def least_cycles(self, target: Target) -> float:
        """Cycles for an image if every lane of every multiply-add produced a result."""
        positions = math.prod(axis.out for axis in self.window)
        return positions * self.taps * math.prod(self.filters) / step.peak(target)

    def edge_cycles(self, target: Target) -> float:
        """Cycles of an image that its border saves: without one, tiles at the edges test and select every pixel."""
        return 0.0

    # Weights

    @property
    @abstractmethod
    def packed_shape(self) -> tuple[int, ...]:
        """The shape of its packed weights (of one image)."""

    @property
    def moved_shape(self) -> tuple[int, ...]:
        """The shape of the blocks that moves bring weights into, if they arrive at run time."""
        return self.packed_shape

    @property
    def of_taps(self) -> Array | None:
        """The matrix (points, taps) that makes packed weights of blocks of `moved_shape`; None if these are packed."""
        return None

    def weights_shape(self, images: int) -> tuple[int, ...]:
        """(O, C / groups, taps…), with `images` before them if each image has its own."""
        one = *self.filters, *(axis.kernel for axis in self.window)
        return (images, *one) if self.weights_per_image else one

    def packed_elements(self, images: int) -> int:
        return math.prod(self.packed_shape) * (images if self.weights_per_image else 1)

    def pack(self, weights: Array, flip: bool) -> Array:
        """Constant weights of `weights_shape` in packed order, those of several images one after the other."""
        if flip:
            weights = np.flip(weights, tuple(range(weights.ndim - len(self.window), weights.ndim)))
        return np.stack([self.packed(one) for one in weights]) if self.weights_per_image else self.packed(weights)

    def packed(self, weights: Array) -> Array:
        """The packed weights of one image."""
        return packing.in_blocks(weights, self.packed_shape)

    def packing_moves(self, weights: View, buffer: str, flip: bool) -> list[tuple[View, View]]:
        """For weights that arrive at run time: the copies (source, target) that pack them.

        `weights` is a view of `weights_shape`. Lanes beyond the last output stay undefined; their results are not
        stored.
        """
        if flip:
            weights = packing.reversed_taps(weights, len(self.window))
        return self.moves(weights, buffer)

    def moves(self, weights: View, buffer: str) -> list[tuple[View, View]]:
        """The copies (source, target) that pack weights whose taps are in the order of the window."""
        return packing.moves_into_blocks(weights, buffer, self.moved_shape, len(self.window))


@dataclass(frozen=True)
class Turned:
    """What a turned contraction has: its channels, outermost in memory, are images, and its images are channels.

    So the gradients of weights are computed. `images` are those of the contraction. Its weights arrive; to have
    neighbouring outputs side by side, `copies` elements of them must change their order. With `lines`, neighbouring
    columns lie side by side in both the image and the weights.
    """

    images: int
    copies: int
    lines: bool = False


@dataclass(frozen=True)
class Layer:
    """A contraction, with everything that its candidates and their cost depend on.

    `stored` are the spatial sizes of what is stored. `copies` has the elements that must change their order, for each
    way that lanes may lie (one that is missing is not possible), `copied_last` those of a kernel that reads channels
    last only. The image lies `planar` in memory or with channels last. Weights are `tame` if they arrive, or if no sum
    of some of them overflows; those that arrive are packed once for `arriving` images (0: they are known). `strict`
    layers allow only what rounds as one sum does. `distant` weights come from
    memory, not from a cache; `save_memory` kernels keep their scratch memory small. `weights` is what they are stored
    as. `turned` tells what a turned contraction has.
    """

    contraction: Contraction
    stored: tuple[int, ...]
    epilogue: Epilogue = PLAIN
    copies: Mapping[LanesAlong, int] = field(default_factory=lambda: {"channels": 0})
    copied_last: int = 0
    planar: bool = False
    tame: bool = True
    arriving: int = 0
    strict: bool = False
    distant: bool = False
    save_memory: bool = False
    weights: Element = FLOAT32
    turned: Turned | None = None


@dataclass(frozen=True)
class Candidate:
    """One way to compute a contraction: a short readable name, its estimated cycles, its kernel.

    If `split`, the pool of its epilogue and what follows it are steps of their own, whose cycles count as well.
    """

    label: str
    cycles: float
    kernel: Convolution
    split: bool = False


def guarded_share(window: Sequence[WindowAxis], tile: Sequence[int]) -> float:
    """The fraction of tiles that reach beyond the edges of their image.

    The sizes of a tile are those of the last axes; it is one position high along the others.
    """
    plain, sizes = 1.0, [1] * (len(window) - len(tile)) + list(tile)[-len(window) :] if window else []
    for axis, size in zip(window, sizes, strict=True):
        begin, end = axis.interior
        most = min(size, axis.out)
        touched = -(-begin // most) + -(-(axis.out - end) // most)
        plain *= max(0.0, 1 - touched * most / axis.out)
    return 1 - plain
