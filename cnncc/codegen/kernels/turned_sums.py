"""The loops that gradients of weights have in common: chunks of images and rows, and tiles of taps and channels.

Each sum is one sequence over the positions of a chunk, and those of all chunks are added in order. Chunks follow from
shapes and the target, so neither tile nor threads change a bit. Where a tap leaves the image and its border, the
multiply-add with 0 is performed, as everywhere.
"""

from __future__ import annotations

import itertools
import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
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
            self.pack_outputs(chunk)
            for tile in self.tiles(chunk, a, b):
                self.add(chunk, tile, self.summed(chunk, tile))

    @abstractmethod
    def tiles(self, chunk: Chunk, a: Index, b: Index) -> Iterator[T]:
        """Tiles [a, b), in loops."""

    @abstractmethod
    def summed(self, chunk: Chunk, tile: T) -> Carry:
        """The sums of a tile over a chunk."""

    @abstractmethod
    def add(self, chunk: Chunk, tile: T, sums: Carry) -> None:
        """Add the sums of a chunk to the result (`add_to_result`)."""

    def pack_outputs(self, chunk: Chunk) -> None:
        """Pack what all tiles read of g."""

    def pack_pixels(self, chunk: Chunk, channels: Block) -> None:
        """Pack what the tiles of a block of channels read of x."""

    @contextmanager
    def chunks(self) -> Iterator[Chunk]:
        e, (images, rows) = self.e, self.k.chunk
        with e.loop(0, self.terms, images) as n, e.loop(0, self.positions[0], rows) as y:
            begin = e.add(n.index, y.index)
            first = begin == 0 if isinstance(begin, int) else e.compare("==", begin, 0)
            yield Chunk(self.part(n.index, images, self.terms), self.part(y.index, rows, self.positions[0]), first)

    def sizes(self, chunk: Chunk) -> list[Index]:
        """Images and rows of a chunk; known if all chunks have as many."""
        ranges = ((chunk.images, self.terms), (chunk.rows, self.positions[0]))
        return [
            size if total % size == 0 else self.e.sub(end, begin)
            for ((begin, end), total), size in zip(ranges, self.k.chunk, strict=True)
        ]

    def part(self, begin: Index, size: int, total: int) -> Range:
        """`size` elements of `total`, or what is left of them."""
        end = self.e.add(begin, size)
        return begin, end if total % size == 0 else self.e.least(end, total)

    def blocks(self, chunk: Chunk, a: Index, b: Index, outputs: Sequence[Run]) -> Iterator[tuple[Run, Block, Tile]]:
        """Tiles [a, b), in loops: the run of outputs that a block belongs to, the block, and its taps and channels."""
        e, k = self.e, self.k
        taps = [list(runs_of(axis.out, most)) for axis, most in zip(k.window, k.block, strict=False)]
        axes = [outputs, *taps]
        counts = [parts[-1].number + parts[-1].count for parts in axes]
        for channels in runs_of(self.image.view.shape[0], k.block[-1]):
            with e.loop(0, channels.count) as at:
                shared = channels.block(e, at.index)
                first = e.mul(shared.number, math.prod(counts))
                with self.if_some(a, b, first, math.prod(counts)):
                    self.pack_pixels(chunk, shared)
                for parts in itertools.product(*axes):
                    with ExitStack() as stack:
                        blocks = [part.block(e, stack.enter_context(e.loop(0, part.count)).index) for part in parts]
                        unit = e.add(first, flat(e, [block.number for block in blocks], counts))
                        stack.enter_context(self.if_some(a, b, unit, 1))
                        yield parts[0], blocks[0], Tile(blocks[1:], shared)

    def if_some(self, a: Index, b: Index, first: Index, count: int) -> AbstractContextManager[None]:
        """The body runs if some of `count` tiles from the first one on are in [a, b)."""
        e = self.e
        if isinstance(a, int) and isinstance(b, int):
            return nullcontext()
        mine = e.all_of([e.compare(">", e.add(first, count), a), e.compare("<", first, b)])
        assert mine is not None
        return e.when(mine)

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

    def block(self, e: Emitter, at: Index) -> Block:
        """Block `at` of the run."""
        return Block(e.add(self.first, e.mul(at, self.size)), self.size, e.add(self.number, at))


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
