"""What the plan may ask code generation for: one frozen description for each kernel family.

Every kernel obeys one contract: it computes rows [a, b) of its target (positions of the outermost spatial
axis; a tensor without spatial axes is one row) from row views of its sources. Where a window leaves its
source, a view that brings its border (`halo`) is read there, and otherwise the kernel itself puts the fill
value in place of what it does not read (`clip`): both give the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from ..computation import Combine, Contraction
from ..cook_toom import points
from ..expr import RUNNING, Expr
from ..windows import WindowAxis
from .views import LINE

LanesAlong = Literal["channels", "columns"]
FILTER_WEIGHTS = 32  # weights of a group that a filter may have
Divisor = Literal["none", "taps", "valid"]


@dataclass(frozen=True)
class Pooling:
    """Windows side by side over a kernel's own result, reduced in registers."""

    kernel: tuple[int, ...]
    combine: Combine
    average: bool


@dataclass(frozen=True)
class Epilogue:
    """What happens to a result between its last operation and its only store.

    In `before` and `after`, argument 0 is the running value and argument k ≥ 1 the step's operand k − 1
    (a view of the full rank, possibly with strides of 0); the pool stands between them.
    """

    before: Expr = RUNNING
    pool: Pooling | None = None
    after: Expr = RUNNING
    operands: int = 0

    def pooled(self, axis: int) -> int:
        """Positions of the kernel's own result along spatial `axis` for each one that is stored."""
        return self.pool.kernel[axis] if self.pool else 1


@dataclass(frozen=True)
class Tile:
    """What one run of the innermost loops keeps in registers.

    `rows` × `columns` output positions times `vectors` vectors of channels (or, with lanes along columns,
    `outputs` channels times `rows` × `vectors` vectors of columns). Of short rows `folded` ones lie side by side in a
    vector.
    """

    rows: int = 1
    columns: int = 1
    vectors: int = 1
    outputs: int = 1
    folded: int = 1

    def registers(self, lanes_along: LanesAlong) -> int:
        """The register law: accumulators, one register for each vector operand, one for the scalar operand."""
        if lanes_along == "channels":
            return self.rows * self.columns * self.vectors + self.vectors + 1
        vectors = self.vectors * self.rows // self.folded
        return self.outputs * vectors + vectors + 1


class Weighted:
    """What the kernels of convolutions share: they read a source, packed weights and, if `bias`, a bias vector."""

    window: tuple[WindowAxis, ...]
    bias: bool

    @property
    def sources(self) -> int:
        return 3 if self.bias else 2

    @property
    def taps(self) -> int:
        return math.prod(axis.kernel for axis in self.window)


@dataclass(frozen=True)
class Direct(Weighted):
    """Direct convolution: source, packed weights and, if `bias`, a bias vector.

    The weights are packed as [group][block of `block` outputs][taps…][channel][output in the block], so that
    the innermost loops read them from front to back. What is asked of it in parts are its rows or, where shards
    should share it that way, its groups or blocks of outputs, or `parts` of each block.

    All blocks of outputs pass over `chunk` rows before the next ones (0: over all rows), so that what they read and
    write again is still in the cache. For each position that a block is computed at, the kernel asks for `ahead`
    weights of the next block, which would else have to wait for the memory.
    """

    window: tuple[WindowAxis, ...]
    channels: int
    outputs: int
    groups: int
    bias: bool
    lanes_along: LanesAlong
    lanes: int
    block: int
    tile: Tile
    epilogue: Epilogue = Epilogue()
    weights_per_image: bool = False
    chunk: int = 0
    ahead: int = 0
    shared: Literal["rows", "blocks"] = "rows"
    parts: int = 1

    @property
    def is_filter(self) -> bool:
        """Whether its weights stay in registers while it goes over planar images (see `plan.filters`)."""
        alone = self.channels == self.groups and self.block == self.outputs // self.groups
        planar = self.lanes_along == "columns" and len(self.window) == 2 and self.window[1].stride == 1
        alone = alone and not self.epilogue.pool
        return alone and planar and not self.weights_per_image and self.block * self.taps <= FILTER_WEIGHTS

    @property
    def blocks(self) -> int:
        """Groups, or blocks of outputs if there is only one group."""
        return self.groups if self.groups > 1 else -(-self.outputs // self.block)


@dataclass(frozen=True)
class Grouped(Weighted):
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
    epilogue: Epilogue = Epilogue()

    lanes_along: ClassVar[LanesAlong] = "channels"


@dataclass(frozen=True)
class Depthwise(Weighted):
    """Depthwise convolution with lanes along the channels; weights packed as [taps…][channel].

    All rows are computed for `block` channels (a multiple of the lanes) before the next ones.
    """

    window: tuple[WindowAxis, ...]
    channels: int
    bias: bool
    lanes: int
    block: int
    tile: Tile
    epilogue: Epilogue = Epilogue()


@dataclass(frozen=True)
class Winograd(Weighted):
    """Convolution by Cook–Toom transforms (see `cook_toom`): tiles of `steps[axis]` outputs, stride 1, known weights.

    A block of `tiles` tiles goes through three phases: V = Bᵀ d B for all channels, then for each `block` of outputs
    the products M[ξ] = V[ξ] · U[ξ] for each point ξ of the transforms, and Aᵀ M A. The products keep `tile.columns`
    tiles times `tile.vectors` vectors of outputs in registers. V and M live in the step's scratch memory,
    [ξ][tile][channel] and [ξ][tile][output]; the weights are packed as [block][ξ][channel][output in the block].

    With a dilation of d, each of the d phases of an axis has tiles of its own. Weights `ahead` of those in use are
    asked for, where they stream from beyond the second-level cache. If `shared` by blocks of outputs (or by `parts` of
    each), every shard transforms all inputs; with a dilation, the rows of tiles of its phases are shared.
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
    epilogue: Epilogue = Epilogue()
    ahead: int = 0
    shared: Literal["rows", "blocks", "tiles"] = "rows"
    parts: int = 1

    groups: ClassVar[int] = 1
    lanes_along: ClassVar[LanesAlong] = "channels"

    @property
    def points(self) -> tuple[int, ...]:
        """Points of the transforms on each axis."""
        return tuple(points(step, axis.kernel) for step, axis in zip(self.steps, self.window, strict=True))

    @property
    def pixels(self) -> tuple[int, ...]:
        """Pixels that a tile reads on each axis."""
        return tuple(step + axis.kernel - 1 for step, axis in zip(self.steps, self.window, strict=True))

    @property
    def grid(self) -> tuple[int, ...]:
        """Tiles on each axis, phases of a dilation side by side."""
        return tuple(-(-w.out // (m * w.dilation)) * w.dilation for m, w in zip(self.steps, self.window, strict=True))

    @property
    def blocks(self) -> int:
        """Blocks of outputs."""
        return math.ceil(self.outputs / self.block)

    @property
    def pitch(self) -> int:
        """Elements from a tile's channels to the next one's, for one point."""
        return -(-self.channels // self.lanes) * self.lanes

    def plane(self, width: int) -> int:
        """Elements from one point to the next: `width` for each tile of a block, to an odd number of cache lines.

        So the points of one tile, which are written one after the other, lie in different sets of the cache: of an even
        number of lines, multiples meet in half of the 64 sets, of 96 lines in two.
        """
        return (-(-self.tiles * width // LINE) | 1) * LINE

    @property
    def scratch(self) -> int:
        """Elements of V and M."""
        return math.prod(self.points) * (self.plane(self.pitch) + self.plane(self.block))

    @property
    def grain(self) -> int:
        """Stored rows that belong together: those of one row of tiles."""
        return self.steps[0] * self.window[0].dilation // self.epilogue.pooled(0)

    @property
    def contraction(self) -> Contraction:
        return Contraction(self.window, self.channels, self.outputs, bias=self.bias)


@dataclass(frozen=True)
class Window:
    """Maximum or (weighted) sum over a window, per channel; the tile counts for lanes along the channels."""

    window: tuple[WindowAxis, ...]
    combine: Combine
    divisor: Divisor
    counted: tuple[tuple[int, int], ...]
    lane_axis: int
    lanes: int
    tile: Tile = Tile()

    @property
    def sources(self) -> int:
        return 1


@dataclass(frozen=True)
class Elementwise:
    """An expression over `operands` views, element by element."""

    expr: Expr
    operands: int
    lane_axis: int
    lanes: int

    @property
    def sources(self) -> int:
        return self.operands


@dataclass(frozen=True)
class Reduce:
    """Maximum, minimum, sum or product over whole `axes`; `lane_axis` is a kept axis, or the innermost reduced one."""

    axes: tuple[int, ...]
    combine: Combine
    lane_axis: int
    lanes: int

    @property
    def sources(self) -> int:
        return 1


@dataclass(frozen=True)
class Move:
    """A copy between two views of one shape, whatever their strides.

    With `block` > 1 and different innermost axes, squares of block × block elements are transposed in
    registers.
    """

    lane_axis: int
    source_axis: int
    lanes: int
    block: int = 1

    @property
    def sources(self) -> int:
        return 1


@dataclass(frozen=True)
class Fill:
    """The border of the target, filled; its rows are those of the buffer, border included."""

    value: float

    @property
    def sources(self) -> int:
        return 0


Kernel = Direct | Grouped | Depthwise | Winograd | Window | Elementwise | Reduce | Move | Fill

Convolution = Direct | Grouped | Depthwise | Winograd
"""Kernels that multiply by weights: they may bring an epilogue and read borders."""


def balanced(total: int, most: int) -> list[int]:
    """`total` in as few nearly equal parts of at most `most` as possible: 30 by 14 is 10, 10, 10."""
    count = -(-total // most)
    size, larger = divmod(total, count)
    return [size + 1] * larger + [size] * (count - larger)


def own_window(kernel: Kernel) -> Sequence[WindowAxis] | None:
    """The window over the first source, for kernels that have one."""
    return kernel.window if isinstance(kernel, Convolution | Window) else None
