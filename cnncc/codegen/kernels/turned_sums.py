"""The loops that gradients of weights have in common: chunks of images and rows, and tiles of taps and channels.

Each sum is one sequence over the positions of a chunk, and those of all chunks are added in order. Chunks follow from
shapes and the target, so neither tile nor threads change a bit. Where a tap leaves the image and its border, the
multiply-add with 0 is performed, as everywhere.
"""

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from ...plan.kernels.turned_sums import TurnedSums
from ..emitter import Emitter
from ..nest import Carry, flat, runs
from ..registers import Index, Ssa
from .family import ConvolutionEmitter, Tensors

Range = tuple[Index, Index]
OfLine = Callable[[Sequence[Index], Carry], Carry]  # sums over a line at a place
S = TypeVar("S", bound=TurnedSums)
T = TypeVar("T", bound="Tile")


@dataclass(frozen=True)
class Chunk:
    """Positions that are summed up together: images, rows; and whether they are the first ones."""

    images: Range
    rows: Range
    first: Ssa | bool


@dataclass(frozen=True)
class Block:
    """A part of an axis: its first index, its size, and its number."""

    first: Index
    size: int
    number: Index


@dataclass(frozen=True)
class Tile:
    """Taps of each axis, and channels."""

    taps: Sequence[Block]
    channels: Block

    @property
    def pairs(self) -> list[tuple[tuple[int, ...], int]]:
        """(tap on each axis, channel) of each pair, from the first of the tile on."""
        taps = itertools.product(*(range(block.size) for block in self.taps))
        return list(itertools.product(taps, range(self.channels.size)))


class SumsOfChunks(ConvolutionEmitter[S], Generic[S, T]):
    """Emits sums of products over images and positions."""

    def __init__(self, e: Emitter, kernel: S, tensors: Tensors):
        super().__init__(e, kernel, tensors)
        self.terms, self.positions = kernel.channels, [axis.kernel for axis in kernel.window]

    def emit(self, a: Index, b: Index) -> None:
        with self.chunks() as chunk:
            for tile in self.tiles(a, b):
                self.add(chunk, tile, self.summed(chunk, tile))

    @abstractmethod
    def tiles(self, a: Index, b: Index) -> Iterator[T]:
        """Tiles [a, b), in loops."""

    @abstractmethod
    def summed(self, chunk: Chunk, tile: T) -> Carry:
        """The sums of a tile over a chunk."""

    @abstractmethod
    def add(self, chunk: Chunk, tile: T, sums: Carry) -> None:
        """Add the sums of a chunk to the result (`add_to_result`)."""

    @contextmanager
    def chunks(self) -> Iterator[Chunk]:
        e, (images, rows) = self.e, self.k.chunk
        with e.loop(0, self.terms, images) as n, e.loop(0, self.positions[0], rows) as y:
            begin = e.add(n.index, y.index)
            first = begin == 0 if isinstance(begin, int) else e.compare("==", begin, 0)
            yield Chunk(self.part(n.index, images, self.terms), self.part(y.index, rows, self.positions[0]), first)

    def part(self, begin: Index, size: int, total: int) -> Range:
        """`size` elements of `total`, or what is left of them."""
        end = self.e.add(begin, size)
        return begin, end if total % size == 0 else self.e.least(end, total)

    def blocks(self, a: Index, b: Index, outputs: Sequence[Run]) -> Iterator[tuple[Run, Block, Tile]]:
        """Tiles [a, b), in loops: the run of outputs that a block belongs to, the block, and its taps and channels."""
        e, k = self.e, self.k
        taps = [list(runs_of(axis.out, most)) for axis, most in zip(k.window, k.block, strict=False)]
        axes = [outputs, *taps, list(runs_of(self.image.view.shape[0], k.block[-1]))]
        counts = [parts[-1].number + parts[-1].count for parts in axes]
        for parts in itertools.product(*axes):
            with ExitStack() as stack:
                blocks = []
                for run in parts:
                    at = stack.enter_context(e.loop(0, run.count)).index
                    blocks.append(Block(e.add(run.first, e.mul(at, run.size)), run.size, e.add(run.number, at)))
                if not (isinstance(a, int) and isinstance(b, int)):
                    unit = flat(e, [block.number for block in blocks], counts)
                    mine = e.all_of([e.compare(">=", unit, a), e.compare("<", unit, b)])
                    assert mine is not None
                    stack.enter_context(e.when(mine))
                output, *inner, channels = blocks
                yield parts[0], output, Tile(inner, channels)

    def seen(self, tile: Tile, place: Sequence[Index]) -> list[Index]:
        """The place in the image of a position under the first tap of a tile."""
        e, (n, *position) = self.e, place
        starts = (e.mul(block.first, w.stride) for block, w in zip(tile.taps, self.k.window, strict=True))
        moved = (e.mul(p, w.dilation) for p, w in zip(position, self.k.window, strict=True))
        along = zip(starts, moved, self.k.window, strict=True)
        return [tile.channels.first, n, *(e.sub(e.add(start, move), w.low) for start, move, w in along)]

    def distance(self, pair: tuple[Sequence[int], int]) -> int:
        """Elements of the image from the first pair of a tile to this one."""
        strides, (taps, channel) = self.image.view.strides, pair
        steps = (w.stride * stride for w, stride in zip(self.k.window, strides[2:], strict=True))
        return channel * strides[0] + sum(tap * step for tap, step in zip(taps, steps, strict=True))

    def over(self, ranges: Sequence[Range], place: Sequence[Index], line: OfLine, sums: Carry) -> Carry:
        """The sums over the lines of some ranges, in the order of the axes."""
        if not ranges:
            return line(place, sums)
        with self.e.loop(*ranges[0], carry=sums) as at:
            at.next(self.over(ranges[1:], [*place, at.index], line, at.values))
        return at.results

    def add_to_result(self, chunk: Chunk, tile: T, first: Index, outputs: Sequence[int], sums: Sequence[Ssa]) -> None:
        """Add the sums of a chunk, for each pair those of the `outputs` behind the first one; those of the first chunk
        are the result so far."""
        e, strides = self.e, self.target.view.strides
        at = self.target.offset([tile.channels.first, first, *(block.first for block in tile.taps)])
        for ((taps, channel), output), value in zip(itertools.product(tile.pairs, outputs), sums, strict=True):
            inner = (channel, output, *taps)
            offset = e.add(at, sum(index * stride for index, stride in zip(inner, strides, strict=True)))
            if chunk.first is not True:
                total = e.binary("add", self.target.load(offset, 1, value.lanes), value)
                value = e.select(chunk.first, value, total) if isinstance(chunk.first, Ssa) else total
            self.target.store(value, offset, 1)


@dataclass(frozen=True)
class Run:
    """`count` equal blocks of an axis: the number of the first one, where it begins, and the size of each."""

    number: int
    count: int
    first: int
    size: int


def runs_of(total: int, most: int, full: int | None = None) -> Iterator[Run]:
    """The runs of equal blocks of an axis; beyond `full` elements a block is alone."""
    number = 0
    for begin, end, size in runs(total, most):
        middle = end if full is None or end <= full else end - size
        for first, after in ((begin, middle), (middle, end)):
            if first < after:
                count = (after - first) // size
                yield Run(number, count, first, size)
                number += count
