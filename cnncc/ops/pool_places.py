"""Where the maximum of each window stands: what an unpooling layer puts back."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from ..computation import Lowering, LoweringBuilder
from ..elements import INT32, INT64, NUMBERS
from ..errors import ShapeError
from ..expr import Apply, Arg, Expr, convert, maximum, minimum, wrap
from ..lines import ExtremePlace
from ..op import Cost, Sample
from ..types import Array, TensorType
from ..windows import WindowAxis
from .pool import Pool

MOST_TAPS = 256
"""Each is a copy in the plan."""


@dataclass(frozen=True)
class MaxPoolIndices(Pool):
    """The number of the first maximum of each window among all elements of x, NaN being the largest (ONNX's MaxPool).

    Elements are counted in row-major order or, if `column_major`, with the first spatial axis as the fastest one.
    """

    takes = NUMBERS

    column_major: bool = False

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        (out,) = super().infer(*inputs)
        if (taps := math.prod(self.kernel)) > MOST_TAPS:
            raise ShapeError(f"a window of {taps} elements: places are found in windows of {MOST_TAPS} at most")
        inputs[0].shaped((*out.shape, taps))  # the taps, side by side, have to fit
        return (out.typed(INT64),)

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        (x,) = inputs
        window, sizes = self.window(TensorType.of(x)), x.shape[2:]
        seen = x.reshape(*x.shape[:2], -1)[:, :, numbered(window, strides(sizes, column_major=False))]
        numbers = np.broadcast_to(numbered(window, strides(sizes, self.column_major)), seen.shape)
        found = np.take_along_axis(numbers, seen.argmax(-1, keepdims=True), -1)[..., 0]
        return (found + planes(x.shape),)

    def cost(self, *inputs: TensorType) -> Cost:
        (out,) = self.infer(*inputs)
        return Cost(flops=2 * out.size * math.prod(self.kernel))

    def lower(self, *inputs: TensorType) -> Lowering:
        """The taps become an axis of their own, along which the place is found; its number tells all of them apart."""
        (x,) = inputs
        window, pieces = self.window(x), LoweringBuilder(inputs)
        out = tuple(axis.out for axis in window)
        taps = [pieces.reshape(tap, (*x.shape[:2], 1, *out)) for tap in taps_of(pieces, window)]
        place = pieces.along(ExtremePlace(2, "maximum", index=INT32), pieces.join(taps, 2))
        operands = [pieces.reshape(place, (*x.shape[:2], *out)), pieces.known(planes(x.shape))]
        number: Expr = Arg(1)
        for a, (axis, stride) in enumerate(zip(window, strides(x.shape[2:], self.column_major), strict=True)):
            tap = Apply("remainder", (Arg(0) / math.prod(self.kernel[a + 1 :]), wrap(axis.kernel)))
            position, bounds = self.position(pieces, a, axis, tap, len(operands))
            operands += bounds
            number = number + position * stride
        return pieces.lowering(pieces.pointwise(convert(number, INT64), operands))

    def position(
        self, pieces: LoweringBuilder, a: int, axis: WindowAxis, tap: Expr, first: int
    ) -> tuple[Expr, list[int]]:
        """The position of a tap along spatial axis `a`, and the operands that it has from number `first` on."""
        rank, inside = len(self.kernel) + 2, positions(axis)
        starts = [np.asarray([axis.start(o) for o in range(axis.out)]), inside.min(1), inside.max(1)]
        shape = [1] * rank
        shape[a + 2] = axis.out
        known = [pieces.known(part.astype(np.int32).reshape(shape)) for part in starts]
        place = Arg(first) + tap * axis.dilation
        return minimum(maximum(place, Arg(first + 1)), Arg(first + 2)), known

    def images(self, *ranks: int) -> tuple[bool, ...] | None:
        """The elements of all images are counted."""
        return None

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls((2, 2)), ((1, 3, 6, 8),))
        yield Sample(cls((3, 3), 2, "same", column_major=True), ((2, 5, 9, 10),))
        yield Sample(cls((3,), 1, 1, 2), ((1, 4, 11),))
        yield Sample(cls((2, 2, 2), padding=1, column_major=True), ((2, 3, 4, 5, 6),))
        yield Sample(cls((3, 2), 2, (1, 0), (2, 3)), ((2, 5, 9, 10),))
        yield Sample(cls((3, 3), 2, ceil_mode=True), ((1, 18, 6, 8),))


def positions(axis: WindowAxis) -> Array:
    """The element under each tap of each window (outputs, taps).

    A tap in the padding reads the nearest element that another tap of its window does: so it is never the first maximum
    where that one is not, and nothing has to stand for the padding.
    """
    places = axis.stride * np.arange(axis.out)[:, None] - axis.low + axis.dilation * np.arange(axis.kernel)
    inside = (places >= 0) & (places < axis.size)
    first, last = (np.where(inside, places, other) for other in (places.max() + 1, places.min() - 1))
    return np.asarray(places.clip(first.min(1, keepdims=True), last.max(1, keepdims=True)))


def strides(sizes: Sequence[int], column_major: bool) -> tuple[int, ...]:
    """What one step along each spatial axis counts for."""
    return tuple(math.prod(sizes[:axis] if column_major else sizes[axis + 1 :]) for axis in range(len(sizes)))


def numbered(window: Sequence[WindowAxis], strides: Sequence[int]) -> Array:
    """The number of the element under each tap (outputs…, taps)."""
    total = np.zeros((1,) * 2 * len(window), np.int64)
    for a, (axis, stride) in enumerate(zip(window, strides, strict=True)):
        others = [k for k in range(total.ndim) if k not in (a, a + len(window))]
        total = total + stride * np.expand_dims(positions(axis), others)
    return total.reshape(*total.shape[: len(window)], -1)


def planes(shape: Sequence[int]) -> Array:
    """The number of the first element of each channel of each image."""
    numbers = np.arange(math.prod(shape[:2]), dtype=np.int32) * np.int32(math.prod(shape[2:]))
    return numbers.reshape(*shape[:2], *(1,) * len(shape[2:]))


def taps_of(pieces: LoweringBuilder, window: Sequence[WindowAxis]) -> list[int]:
    """What each tap reads, in row-major order: slices where its positions are regular, else look-ups."""
    found = [0]
    for a, axis in enumerate(window, start=2):
        rows = positions(axis).T.tolist()
        found = [chosen(pieces, tap, a, row) for tap, row in product(found, rows)]
    return found


def chosen(pieces: LoweringBuilder, x: int, axis: int, places: Sequence[int]) -> int:
    """The elements at some places along an axis."""
    step = places[1] - places[0] if len(places) > 1 else 1
    if step > 0 and list(places) == list(range(places[0], places[-1] + 1, step)):
        return pieces.part(x, axis, places[0], len(places), step)
    return pieces.lookup(x, axis, places)
