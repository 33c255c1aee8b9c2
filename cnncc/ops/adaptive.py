"""Pooling into a fixed number of bins, whatever the size: global, adaptive and spatial pyramid pooling."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..computation import Lowering, LoweringBuilder, WindowReduction
from ..errors import ShapeError
from ..expr import Arg, Number
from ..op import Cost, Op, Sample, expect_count, rounded
from ..types import Array, TensorType
from ..windows import WindowAxis, per_axis
from .axes import expect_tables

Kind = Literal["maximum", "add"]


def bins(size: int, count: int) -> list[tuple[int, int]]:
    """Begin and end of each bin: ⌊i·size / count⌋ … ⌈(i + 1)·size / count⌉. They overlap where that is uneven."""
    return [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]


def regular(size: int, count: int) -> WindowAxis | None:
    """The bins as a sliding window, if they are equally long and equally far apart."""
    found = bins(size, count)
    lengths = {end - begin for begin, end in found}
    steps = {b[0] - a[0] for a, b in itertools.pairwise(found)} or {1}
    if len(lengths) > 1 or len(steps) > 1 or 0 in steps:
        return None
    return WindowAxis(size, lengths.pop(), steps.pop())


def reduce_bins(pieces: LoweringBuilder, x: int, counts: Sequence[int], kind: Kind) -> int:
    """Append the maximum or sum over the bins of each spatial axis: windows where they are regular, else parts."""
    shape = pieces.shape(x)
    windows = [regular(size, count) for size, count in zip(shape[2:], counts, strict=True)]
    sliding = tuple(window or WindowAxis(size) for size, window in zip(shape[2:], windows, strict=True))
    if any(window != WindowAxis(window.size) for window in sliding):
        out = (*shape[:2], *(window.out for window in sliding))
        x = pieces.add(WindowReduction(sliding, kind), (x,), out)
    for axis, (window, count) in enumerate(zip(windows, counts, strict=True), start=2):
        if window is None:
            parts = [pieces.part(x, axis, begin, end - begin) for begin, end in bins(shape[axis], count)]
            x = pieces.join([pieces.reduce(part, (axis,), kind) for part in parts], axis)
    return x


def average_bins(pieces: LoweringBuilder, x: int, counts: Sequence[int]) -> int:
    """Append the mean of each bin: sums axis by axis, divided by the number of elements once."""
    sums = reduce_bins(pieces, x, counts, "add")
    sizes = [
        np.array([end - begin for begin, end in bins(*of)]) for of in zip(pieces.shape(x)[2:], counts, strict=True)
    ]
    areas = functools.reduce(np.multiply.outer, sizes)
    if (areas == areas.flat[0]).all():
        return pieces.pointwise(Arg(0) / Number(float(areas.flat[0])), (sums,))
    return pieces.pointwise(Arg(0) / Arg(1), (sums, pieces.known(areas.astype(float))))


def pool_bins(x: Array, counts: Sequence[int], kind: Kind) -> Array:
    """The maximum or the mean of each bin, in float64."""
    ranges = [bins(*of) for of in zip(x.shape[2:], counts, strict=True)]
    result = np.empty((*x.shape[:2], *counts))
    axes = tuple(range(2, x.ndim))
    with np.errstate(all="ignore"):
        for place in np.ndindex(*counts):
            spans = (slice(*ranges[axis][at]) for axis, at in enumerate(place))
            seen = x[(slice(None), slice(None), *spans)].astype(np.float64)
            result[(slice(None), slice(None), *place)] = seen.max(axes) if kind == "maximum" else seen.mean(axes)
    return result


def _spatial(op: Op, inputs: Sequence[TensorType]) -> TensorType:
    """The one input; raises ShapeError unless it has spatial axes."""
    expect_count(op, inputs, 1)
    if inputs[0].rank < 3:
        raise ShapeError(f"{op.name} takes (N, C, spatial axes), got {inputs[0]} of {inputs[0].rank} axes")
    return inputs[0]


@dataclass(frozen=True)
class GlobalPool(Op, abstract=True):
    """Each channel becomes one number; spatial axes stay with size 1."""

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        x = _spatial(self, inputs)
        return (x.shaped((*x.shape[:2], *(1,) * (x.rank - 2))),)

    def cost(self, *inputs: TensorType) -> Cost:
        return Cost(flops=inputs[0].size)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), ((2, 3, 4, 5),))
        yield Sample(cls(), ((1, 20, 7, 7),))
        yield Sample(cls(), ((2, 5, 33),))
        yield Sample(cls(), ((2, 3, 2, 4, 3),))


@dataclass(frozen=True)
class GlobalMaxPool(GlobalPool):
    """The maximum of each channel."""

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        (x,) = inputs
        return (x.max(axis=tuple(range(2, x.ndim)), keepdims=True),)

    def lower(self, *inputs: TensorType) -> Lowering:
        pieces = LoweringBuilder(inputs)
        return pieces.lowering(pieces.reduce(0, range(2, inputs[0].rank), "maximum"))


@dataclass(frozen=True)
class GlobalAveragePool(GlobalPool):
    """The mean of each channel."""

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        (x,) = inputs
        with np.errstate(all="ignore"):
            mean = x.astype(np.float64).mean(axis=tuple(range(2, x.ndim)), keepdims=True)
            return (rounded(mean),)

    def lower(self, *inputs: TensorType) -> Lowering:
        pieces = LoweringBuilder(inputs)
        total = pieces.reduce(0, range(2, inputs[0].rank), "add")
        count = math.prod(inputs[0].shape[2:])
        return pieces.lowering(pieces.pointwise(Arg(0) / Number(float(count)), (total,)))


@dataclass(frozen=True)
class AdaptivePool(Op, abstract=True):
    """`sizes` bins along the spatial axes; bin i of o on an axis of n goes from ⌊i·n / o⌋ to ⌈(i + 1)·n / o⌉."""

    sizes: tuple[int, ...] | int

    def counts(self, x: TensorType) -> tuple[int, ...]:
        """Bins along each axis; raises ShapeError if the numbers do not fit x."""
        counts = per_axis(self.sizes, x.rank - 2, "sizes")
        expect_tables(counts)
        return counts

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        x = _spatial(self, inputs)
        return (x.shaped((*x.shape[:2], *self.counts(x))),)

    def cost(self, *inputs: TensorType) -> Cost:
        return Cost(flops=inputs[0].size)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls((2, 3)), ((2, 3, 4, 6),))
        yield Sample(cls((3, 2)), ((2, 20, 7, 5),))
        yield Sample(cls((3, 5)), ((1, 18, 8, 7),))
        yield Sample(cls(5), ((2, 3, 3, 6),))
        yield Sample(cls(4), ((2, 4, 11),))
        yield Sample(cls((1, 3, 2)), ((1, 2, 3, 5, 4),))


@dataclass(frozen=True)
class AdaptiveMaxPool(AdaptivePool):
    """The maximum of each bin."""

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        counts = self.counts(TensorType.of(inputs[0]))
        return (rounded(pool_bins(inputs[0], counts, "maximum")),)

    def lower(self, *inputs: TensorType) -> Lowering:
        pieces = LoweringBuilder(inputs)
        return pieces.ending(reduce_bins(pieces, 0, self.counts(inputs[0]), "maximum"))


@dataclass(frozen=True)
class AdaptiveAveragePool(AdaptivePool):
    """The mean of each bin."""

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        counts = self.counts(TensorType.of(inputs[0]))
        return (rounded(pool_bins(inputs[0], counts, "add")),)

    def lower(self, *inputs: TensorType) -> Lowering:
        pieces = LoweringBuilder(inputs)
        return pieces.ending(average_bins(pieces, 0, self.counts(inputs[0])))


@dataclass(frozen=True)
class SpatialPyramidPool(Op):
    """Adaptive pooling at several `levels`, flattened and concatenated: a vector whose length no image size changes.

    Level l has l bins along each spatial axis. See He, Zhang, Ren and Sun, Spatial pyramid pooling in deep
    convolutional networks (2014). `mode` is 'max' or 'average'.
    """

    levels: tuple[int, ...]
    mode: str = "max"

    def counts(self, x: TensorType) -> list[tuple[int, ...]]:
        return [(level,) * (x.rank - 2) for level in self.levels]

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        x = _spatial(self, inputs)
        if not self.levels or any(type(level) is not int or level < 1 for level in self.levels):
            raise ShapeError(f"levels {self.levels}: expected whole numbers of at least 1")
        expect_tables(self.levels)
        if self.mode not in ("max", "average"):
            raise ShapeError(f"mode {self.mode!r} is unknown: expected 'max' or 'average'")
        return (x.shaped((x.shape[0], x.shape[1] * sum(map(math.prod, self.counts(x))))),)

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        (x,) = inputs
        kind: Kind = "maximum" if self.mode == "max" else "add"
        levels = [pool_bins(x, counts, kind).reshape(len(x), -1) for counts in self.counts(TensorType.of(x))]
        return (rounded(np.concatenate(levels, 1)),)

    def cost(self, *inputs: TensorType) -> Cost:
        return Cost(flops=len(self.levels) * inputs[0].size)

    def lower(self, *inputs: TensorType) -> Lowering:
        (x,) = inputs
        pieces, flat = LoweringBuilder(inputs), []
        for counts in self.counts(x):
            level = reduce_bins(pieces, 0, counts, "maximum") if self.mode == "max" else average_bins(pieces, 0, counts)
            flat.append(pieces.reshape(level, (x.shape[0], x.shape[1] * math.prod(counts))))
        return pieces.ending(pieces.join(flat, 1))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls((1, 2, 4)), ((2, 3, 9, 8),))
        yield Sample(cls((3, 1), "average"), ((1, 18, 7, 5),))
        yield Sample(cls((2,)), ((2, 4, 7),))
