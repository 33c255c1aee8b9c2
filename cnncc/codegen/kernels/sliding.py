"""The base class of kernels whose windows slide over an image channel by channel, with lanes along the channels.

The loops are: images, blocks of channels, rows, tiles of columns, vectors of the block. Pixels outside of the image
are masked to the fill value: rows only in single rows at the edges, columns only where a tile reaches beyond the ends
of its row. So the code of a kernel is that of one tile and that of one row of a tile.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from ...plan.kernels import Depthwise, Window
from ..emitter import Emitter
from ..memory import Guard
from ..nest import loops, outside_axes, runs
from ..registers import Index, Ssa
from .family import KernelEmitter, Tensors

Place = tuple[Index, ...]
Span = tuple[int, int]


@dataclass(frozen=True)
class Patch:
    """The outputs of one tile: the stored ones or, before pooling, all computed ones.

    The code serves first columns `first[-1]` from the least to the largest of `span`. On the axes `edges` its windows
    may leave the image.
    """

    image: Index
    channel: Index
    first: Place
    rows: int
    columns: int
    span: Span
    edges: tuple[int, ...]


@dataclass(frozen=True)
class Pixels:
    """A row of pixels: the position of column 0 of a tile's first window, and the condition that the row exists."""

    place: Place
    inside: Ssa | None


S = TypeVar("S", bound=Depthwise | Window)


class Sliding(KernelEmitter[S]):
    """Emits a kernel whose tiles are given by `tile`; all rows are computed for `block` channels before the next."""

    fill = 0.0

    def __init__(self, e: Emitter, kernel: S, tensors: Tensors, *, block: int, pooled: Sequence[int]):
        super().__init__(e, kernel, tensors)
        self.window, self.lanes, self.size = kernel.window, kernel.lanes, kernel.tile
        self.image, self.block, self.pooled = self.sources[0], block, pooled
        self.channels = self.target.view.shape[1]
        self.last = len(self.window) - 1
        self.guarded_axes = outside_axes(self.window, self.image)

    @abstractmethod
    def tile(self, patch: Patch) -> None:
        """Compute and store a patch; it has the stored size."""

    # Loops

    def emit(self, a: Index, b: Index) -> None:
        """Images, blocks of channels, rows."""
        e = self.e
        with e.loop(*self.images) as n, e.loop(0, self.channels, self.block) as block:
            end = e.add(block.index, self.block)
            self.rows(n.index, (block.index, e.least(end, self.channels) if self.channels % self.block else end), a, b)

    def rows(self, n: Index, channels: tuple[Index, Index], a: Index, b: Index) -> None:
        """Whole tiles of rows inside of the image; single rows at its edges and for the remainder."""
        e, step = self.e, self.stored(0) if self.last else self.stored(self.last)

        def run(begin: Index, end: Index, step: int, edge: bool) -> None:
            with e.loop(begin, end, step) as y:
                self.row(n, channels, y.index, step, edge)

        if 0 not in self.guarded_axes:
            whole = e.add(a, e.mul(e.div(e.sub(b, a), step), step))
            run(a, whole, step, False)
            if step > 1:
                run(whole, b, 1, False)
            return
        first, last = (
            -(-self.window[0].interior[0] // self.pooled[0]),
            self.window[0].interior[1] // self.pooled[0],
        )
        low = e.least(e.largest(a, first), b)
        whole = e.add(low, e.mul(e.div(e.sub(e.largest(e.least(b, last), low), low), step), step))
        with e.loop(0, 2) as part:  # the code of single rows serves above and below the whole tiles
            above = e.compare("==", part.index, 0)
            run(e.choose(above, a, whole), e.choose(above, low, b), 1, True)
            run(low, e.choose(above, whole, low), step, False)

    def row(self, n: Index, channels: tuple[Index, Index], y: Index, rows: int, edge: bool) -> None:
        """The middle axes (of volumes), tiles of columns and vectors of channels of a tile of rows."""
        e, sizes = self.e, self.target.view.shape[2:]
        if self.last == 0:
            span = (0, sizes[0] - 1) if edge else (0, 0)
            self.vectors(Patch(n, 0, (y,), 1, rows, span, (0,) if edge else ()), channels)
            return
        edges = tuple(axis for axis in self.guarded_axes if axis or edge)
        with loops(e, sizes[1:-1]) as middle:
            for begin, end, width in runs(sizes[-1], self.stored(self.last)):
                with e.loop(begin, end, width) as x:
                    place = y, *middle, x.index
                    self.vectors(Patch(n, 0, place, rows, width, (begin, end - width), edges), channels)

    def vectors(self, patch: Patch, channels: tuple[Index, Index]) -> None:
        """Vectors of channels, as many at a time as a tile has.

        The last ones slide back over channels that are computed already, and give the same bits.
        """
        e, width = self.e, self.lanes * self.size.vectors
        with e.loop(*channels, width) as c:
            most = self.channels - width
            self.tile(replace(patch, channel=e.least(c.index, most) if most % width else c.index))

    def stored(self, axis: int) -> int:
        """Positions of the stored result of a tile along the first or last axis."""
        own = self.size.columns if axis == self.last else self.size.rows
        return max(1, own // self.pooled[axis])

    # Pixels

    def row_of_pixels(self, patch: Patch, shift: Sequence[Index]) -> Pixels:
        """The row at `shift` (on all axes but the last) from the first pixels of a patch; row 0 if it is outside."""
        e = self.e
        starts = [e.sub(e.mul(at, w.stride), w.low) for at, w in zip(patch.first, self.window, strict=True)]
        row = [e.add(start, by) for start, by in zip(starts, shift, strict=False)]
        tests = []
        for axis in patch.edges:
            if axis < self.last:
                tests.append(e.compare("<", row[axis], self.window[axis].size, unsigned=True))
                row[axis] = e.choose(tests[-1], row[axis], 0)
        return Pixels((patch.image, patch.channel, *row, starts[-1]), e.all_of(tests))

    def pixel(self, patch: Patch, pixels: Pixels, at: Index) -> Ssa:
        """The pixel vector `at` columns from the first one of a row."""
        e, image, size = self.e, self.image, self.window[-1].size
        *row, start = pixels.place
        column, inside = e.add(start, at), pixels.inside
        if not self.may_be_outside(patch, at):
            offset = e.add(image.offset(pixels.place), e.mul(at, image.view.strides[-1]))
        elif isinstance(column, int):
            if not 0 <= column < size:
                return image.number(self.fill, self.lanes)
            offset = image.offset([*row, column])
        else:
            test = e.compare("<", column, size, unsigned=True)
            inside = test if inside is None else e.all_of([inside, test])
            offset = image.offset([*row, e.choose(test, column, 0)])
        return image.load_guarded(Guard(offset, inside), offset, 1, self.lanes, self.fill)

    def may_be_outside(self, patch: Patch, at: Index) -> bool:
        """Whether the pixel column `at` of some tile of the span lies outside."""
        if self.last not in patch.edges:
            return False
        w = self.window[-1]
        low, high = (first * w.stride - w.low for first in patch.span)
        return not isinstance(at, int) or low + at < 0 or high + at >= w.size
