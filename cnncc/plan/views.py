"""Buffers and views: where the elements of a logical tensor lie.

A view maps logical indices to elements of a buffer by one stride for each axis. Strides alone express channels last,
planar, an operand of a concatenation, a broadcast operand (stride 0), a reversed kernel (negative stride) and a
flattened tensor.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ..abi import ALIGNMENT
from ..alignment import rounded_up
from ..elements import FLOAT32, Element
from ..machine.core import Core
from ..types import TensorType
from .cost.transfer import conflict_stride

Space = Literal["input", "output", "state", "arena", "ring", "weights"]
ROW_AXIS = 2  # the outermost spatial axis: kernels compute rows, its positions
Order = tuple[int, ...]  # logical axes from the outermost in memory to the innermost
Border = tuple[tuple[int, int], ...]  # elements before and after each logical axis


def line_elements(element: Element) -> int:
    """Elements that a prefetch brings, and that keep planes apart."""
    return ALIGNMENT // element.bytes


def planar(rank: int) -> Order:
    """The logical order itself: N, C, spatial…"""
    return tuple(range(rank))


def channels_last(rank: int) -> Order:
    """N, spatial…, C."""
    return (0, *range(2, rank), 1) if rank > 2 else planar(rank)


@dataclass(frozen=True)
class Buffer:
    """A piece of memory of so many `elements`, of the type `dtype`, for each of `images` images of a block.

    `place` is the number of an input or output, or the byte offset in the weights, the states or the arena (for a
    ring: in the memory of one shard). A buffer `over` another one takes its place. `border` has the number of elements
    of `fill` before and after each logical axis.
    """

    name: str
    space: Space
    elements: int
    place: int = 0
    border: tuple[tuple[int, int], ...] = ()
    fill: float = 0.0
    dtype: Element = FLOAT32
    images: int = 1
    over: str = ""

    @property
    def pitch(self) -> int:
        """Elements from one image's to the next one's; the caller's images lie without a gap."""
        return (
            self.elements
            if self.space in ("input", "output", "state")
            else rounded_up(self.elements, line_elements(self.dtype))
        )

    @property
    def nbytes(self) -> int:
        """Bytes of all images together."""
        return self.of_images(self.images).elements * self.dtype.bytes

    def of_images(self, images: int) -> Buffer:
        """The pieces of so many images as one piece."""
        return replace(self, elements=(images - 1) * self.pitch + self.elements, images=1)


@dataclass(frozen=True)
class View:
    """A logical tensor in a buffer: element (i0, i1, …) lies at offset + Σ i·stride.

    With `ring`, a power of two, the buffer holds that many rows: the index of the row axis counts modulo `ring`.
    Beyond each axis, `border` elements may be read; they hold `fill`. An axis in `lookups` is indexed
    through a table: element i lies where element table[i] would, and table[0] is 0. `read_as` is what loads make of the
    buffer's elements, where a picture's bytes are read as floats.
    """

    buffer: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int = 0
    ring: int = 0
    border: tuple[tuple[int, int], ...] = ()
    fill: float = 0.0
    lookups: tuple[tuple[int, str], ...] = ()
    read_as: Element | None = None

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def rows(self) -> int:
        """Positions of the outermost spatial axis; a tensor without one is a single row."""
        return self.shape[ROW_AXIS] if self.rank > ROW_AXIS else 1

    def part(self, axis: int, begin: int, size: int, step: int = 1) -> View:
        """Elements begin, begin + step, … along an axis; beyond a slice of a spatial axis lie neighbours, no border."""
        shape = (*self.shape[:axis], size, *self.shape[axis + 1 :])
        strides = (*self.strides[:axis], self.strides[axis] * step, *self.strides[axis + 1 :])
        border = self.border if axis < 2 and step == 1 else ()
        offset = self.offset + begin * self.strides[axis]
        return replace(self, shape=shape, strides=strides, offset=offset, border=border)

    def looks_up(self, axis: int) -> bool:
        return any(axis == looked_up for looked_up, _ in self.lookups)

    def transpose(self, axes: Sequence[int]) -> View:
        """Axis a of the result is axis axes[a] of this view; borders stay with spatial axes."""
        lookups = tuple((list(axes).index(axis), table) for axis, table in self.lookups)
        shape, strides = (tuple(values[axis] for axis in axes) for values in (self.shape, self.strides))
        border = tuple(self.border[axis] for axis in axes) if self.border and set(axes[:2]) == {0, 1} else ()
        return replace(self, shape=shape, strides=strides, border=border, lookups=lookups)

    def broadcast(self, dims: Sequence[int], shape: Sequence[int]) -> View:
        """The view repeated to `shape`: its axis a runs along axis dims[a], other axes have stride 0."""
        strides = [0] * len(shape)
        for axis, dim in enumerate(dims):
            if self.shape[axis] != 1:
                strides[dim] = self.strides[axis]
        border = tuple((0, 0) for _ in shape) if self.border else ()
        lookups = tuple((dims[axis], table) for axis, table in self.lookups)
        return replace(self, shape=tuple(shape), strides=tuple(strides), border=border, lookups=lookups)

    def unfold(self, shape: Sequence[int]) -> View | None:
        """The same elements in row-major order under `shape`, or None where strides cannot express it.

        Merges neighbouring axes that follow each other without a gap and splits axes freely. Between the elements of a
        border no axis is merged or split, but axes of one element may come and go.
        """
        bordered = any(side != (0, 0) for side in self.border[2:])
        if self.ring or self.lookups or (bordered and not same_axes(self.shape, shape)):
            return None
        strides = strides_over(self.runs(), shape)
        return None if strides is None else View(self.buffer, tuple(shape), strides, self.offset, read_as=self.read_as)

    def runs(self) -> list[tuple[int, int]]:
        """Maximal runs of axes that can be merged into one, outermost first: (size, stride of the innermost)."""
        found: list[tuple[int, int]] = []
        for size, stride in zip(self.shape, self.strides, strict=True):
            if size > 1 and found and found[-1][1] == size * stride:
                found[-1] = found[-1][0] * size, stride
            elif size > 1:
                found.append((size, stride))
        return found


def same_axes(shape: Sequence[int], other: Sequence[int]) -> bool:
    """Whether two shapes differ by axes of one element only."""
    return [size for size in shape if size > 1] == [size for size in other if size > 1]


def strides_over(runs: Sequence[tuple[int, int]], shape: Sequence[int]) -> tuple[int, ...] | None:
    """The strides of axes of `shape` that divide runs (see `View.runs`) among them; None if one would need two runs."""
    strides: list[int] = []
    remaining = list(runs)
    left, stride = 1, 0  # elements of the innermost run not yet given to an axis, and the stride of the next one
    for size in reversed(shape):
        if size > 1 and left == 1 and remaining:
            left, stride = remaining.pop()
        if left % size:
            return None
        strides.append(stride if size > 1 else 0)
        left, stride = left // size, stride * size
    return None if left > 1 or remaining else tuple(reversed(strides))


def apart(a: View, b: View) -> bool:
    """Whether two views of one buffer certainly share no element; False unless their strides are equal.

    Elements i and j of the two coincide where the offsets differ by Σ (i − j)·stride. From the largest stride to the
    smallest, only few multiples of each leave a remainder that the smaller strides can still reach.
    """
    if a.strides != b.strides or a.ring or b.ring or a.lookups or b.lookups:
        return False
    axes = sorted((abs(stride), m, n) for stride, m, n in zip(a.strides, a.shape, b.shape, strict=True) if stride)
    mirrored = any(stride < 0 for stride in a.strides)

    def meets(distance: int, count: int) -> bool:
        if not count:
            return distance == 0
        stride, m, n = axes[count - 1]
        room = sum(smaller * (max(own, other) - 1) for smaller, own, other in axes[: count - 1])
        first, last = max(-(-(distance - room) // stride), 1 - n), min((distance + room) // stride, m - 1)
        return any(meets(distance - steps * stride, count - 1) for steps in range(first, last + 1))

    return not mirrored and not meets(b.offset - a.offset, len(axes))


def dense_view(
    buffer: str,
    shape: Sequence[int],
    order: Order,
    border: Sequence[tuple[int, int]] | None = None,
    fill: float = 0.0,
    ring: int = 0,
) -> View:
    """A tensor laid out in `order` without gaps, but with its border."""
    sides = tuple(border) if border else tuple((0, 0) for _ in shape)
    extents = [low + size + high for size, (low, high) in zip(shape, sides, strict=True)]
    if ring:
        extents[ROW_AXIS] = ring
    strides = [0] * len(shape)
    step = 1
    for axis in reversed(order):
        strides[axis] = step
        step *= extents[axis]
    offset = sum(low * stride for (low, _), stride in zip(sides, strides, strict=True))
    return View(buffer, tuple(shape), tuple(strides), offset, ring, sides, fill)


def reshaped_order(shape: Sequence[int], order: Order, result: Sequence[int]) -> Order | None:
    """The order of a tensor under another shape, without a copy; None where strides cannot express it.

    It is one of the usual orders wherever only axes of one element differ from it.
    """
    view = dense_view("", shape, order).unfold(result)
    if view is None:
        return None
    rank = len(result)
    real = sorted((axis for axis in range(rank) if result[axis] > 1), key=lambda axis: -view.strides[axis])
    for usual in (planar(rank), channels_last(rank)):
        if [axis for axis in usual if result[axis] > 1] == real:
            return usual
    return (*(axis for axis in range(rank) if result[axis] == 1), *real)


def conflict_padding(type: TensorType, order: Order, core: Core) -> tuple[tuple[int, int], ...]:
    """A border that avoids conflict misses of a channels-last image whose pixels fall into few sets of the first cache.

    A cache of 8 to 12 ways holds that many lines of each set. With 1024 channels this is less than the pixels of 3×3
    windows in two rows need. One more line for each pixel distributes the pixels over all sets.
    """
    distance, shape, size = conflict_stride(core), type.shape, type.dtype.bytes
    crowded = distance and type.rank > 2 and order == channels_last(type.rank) and size * shape[1] % distance == 0
    if not crowded or math.prod(shape[2:]) == 1:
        return ()
    return ((0, 0), (0, core.line_bytes // size), *((0, 0) for _ in shape[2:]))


def elements(shape: Sequence[int], border: Sequence[tuple[int, int]] | None = None, ring: int = 0) -> int:
    """Elements that `dense_view` needs."""
    extents = list(shape)
    if border:
        extents = [low + size + high for size, (low, high) in zip(shape, border, strict=True)]
    if ring:
        extents[ROW_AXIS] = ring
    return math.prod(extents)
