"""What the kernels of gradients of weights have in common: tiles of taps and channels, summed over chunks of positions.

The contraction is a turned one (see `gradient.contraction`): its channels are images, and its images are channels. All
operands change from position to position, so there are no packed weights. What a tile reads again are the positions of
the next pairs of a tap and a channel, and a chunk of positions stays in the first cache for all of them.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ...computation import Contraction
from ...elements import FLOAT32
from ...machine.target import Target
from ...types import Array
from ...windows import WindowAxis
from ..cost import transfer
from ..views import View
from .base import balanced
from .convolution import PLAIN, Convolution, Layer, Reads


@dataclass(frozen=True)
class TurnedSums(Convolution):
    """A kernel whose tile has `block` taps of each axis, and channels (images of the contraction), of some outputs.

    Its sums run over the positions of a chunk, `chunk` images (channels of the contraction) of so many rows, and are
    then added to the result. Shards divide the tiles.
    """

    window: tuple[WindowAxis, ...]
    channels: int
    outputs: int
    lanes: int
    block: tuple[int, ...]
    chunk: tuple[int, int]

    bias = False
    epilogue = PLAIN
    packs = False

    @property
    def reaches(self) -> bool:
        """Whether some windows leave the image."""
        return any(axis.reach != (0, 0) for axis in self.window)

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

    def blocks_of_pairs(self, result: View) -> int:
        """Blocks of pairs of a tap and a channel, of all axes."""
        pairs = zip((*(axis.out for axis in self.window), result.shape[0]), self.block, strict=True)
        return math.prod(len(balanced(size, most)) for size, most in pairs)

    @property
    def writes_own_rows(self) -> bool:
        return False

    def divides_images(self, sources: Sequence[View], result: View) -> bool:
        """Never: its tiles are what shards divide, over all axes of the result."""
        return False


def accepts(layer: Layer) -> bool:
    """Whether it is a turned contraction of several positions, whose sums nothing follows."""
    c = layer.contraction
    plain = layer.epilogue == PLAIN and layer.weights is FLOAT32 and not c.bias and c.groups == 1
    return layer.turned is not None and plain and c.taps > 1


def chunk_of(target: Target, c: Contraction, vector: int) -> tuple[int, int]:
    """Images and rows of a chunk: whole images, or rows of one, of which vectors of so many bytes stay in the first
    cache. Where windows are some elements apart, each tap reads other elements of x between them: fewer do.
    """
    rows, *inner = (axis.kernel for axis in c.window)
    row, apart = math.prod(inner), c.window[-1].dilation if any(axis.out > 1 for axis in c.window) else 1
    most = max(1, transfer.positions_in_l1(target, vector) // apart)
    if rows * row > most:
        return 1, max(balanced(rows, max(1, most // row)))
    return max(balanced(c.channels, most // (rows * row))), rows


def pairs_of(layer: Layer) -> tuple[int, ...]:
    """Taps of each axis, and channels, whose pairs a tile has a block of."""
    assert layer.turned is not None
    return *(axis.out for axis in layer.contraction.window), layer.turned.images


def blocks_of(pairs: Sequence[int], most: int) -> Iterator[tuple[int, ...]]:
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


def _equal(size: int, most: int) -> list[int]:
    """The sizes of balanced parts of an axis, the largest first."""
    return sorted({max(balanced(size, part)) for part in range(1, min(size, most) + 1)}, reverse=True)


def numbers_of(pairs: Sequence[int], block: Sequence[int]) -> list[tuple[int, int]]:
    """(pairs of a tile, number of such tiles)."""
    parts = (balanced(size, most) for size, most in zip(pairs, block, strict=True))
    return list(Counter(map(math.prod, itertools.product(*parts))).items())
