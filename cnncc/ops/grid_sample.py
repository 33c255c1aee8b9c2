"""Sampling at coordinates that arrive (spatial transformers, optical flow, deformable attention)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np

from ..computation import Lowering, LoweringBuilder
from ..elements import INT32
from ..errors import ShapeError
from ..expr import (
    Apply,
    Arg,
    Expr,
    convert,
    evaluate,
    less_equal,
    maximum,
    minimum,
    multiply_add,
    select,
    unary,
    where_less,
    wrap,
)
from ..op import Cost, Op, Sample, expect_count, rounded
from ..types import Array, TensorType
from .gather import row_major
from .resampling import cubic_weights

KEYS = -0.75
"""The coefficient of Keys' kernel, as ONNX and PyTorch have it."""
MODES = {"nearest": (0, 1), "linear": (0, 2), "cubic": (-1, 4)}
"""The first tap, counted from the floor of a coordinate, and the number of taps on an axis."""
MOST_READS = 64
"""Elements that one result is made of, at most: each is a look-up of its own."""
PADDINGS = ("zeros", "border", "reflection")


@dataclass(frozen=True)
class SampledAxis:
    """An axis of `size` elements, and how a coordinate on it chooses them; expressions of one argument, the grid's.

    −1 and 1 of the grid are the centres of the first and last element if `aligned`, else their outer edges.
    """

    size: int
    mode: str
    padding: str
    aligned: bool

    @property
    def low(self) -> float:
        """Where the axis begins."""
        return 0.0 if self.aligned else -0.5

    @property
    def high(self) -> float:
        """Where the axis ends."""
        return self.size - 1 - self.low

    @cached_property
    def place(self) -> Expr:
        """The coordinate in elements; one beyond an end is there with 'border', and turns back with 'reflection'.

        With 'cubic' and 'border' it stays beyond, and each tap is clamped by itself, as in PyTorch and ONNX Runtime.
        """
        grid = Arg(0) + 1.0
        place = grid * ((self.size - 1) / 2) if self.aligned else grid * (self.size / 2) - 0.5
        if self.mode == "nearest":
            return unary("rint", place)
        if self.padding == "reflection":
            return self.beyond(place, inside := self.reflected(place), inside)
        if self.padding == "border" and self.mode == "linear":
            return self.beyond(place, wrap(0.0), wrap(self.size - 1.0))
        return place

    def beyond(self, place: Expr, before: Expr, behind: Expr) -> Expr:
        """The place, or something else for one before the axis or behind it."""
        return where_less(place, self.low, before, where_less(self.high, place, behind, place))

    def reflected(self, place: Expr) -> Expr:
        """A place mirrored at both ends until it lies between them."""
        length = self.high - self.low
        if not length:
            return place * 0.0
        walked = place - self.low
        walked = walked - unary("floor", walked * (0.5 / length)) * (2 * length)
        return maximum(minimum(walked, 2 * length - walked), 0.0) + self.low

    @cached_property
    def taps(self) -> list[Expr]:
        """The number of the element at each tap, whole numbers, of which those beyond the ends do not exist."""
        first, count = MODES[self.mode]
        below = unary("floor", self.place)
        if self.padding != "reflection":  # far enough that none of the taps exists, but no number overflows
            below = maximum(minimum(below, self.size + 2.0), -4.0)
        number = convert(below, INT32)
        return [number + tap if tap else number for tap in range(first, first + count)]

    def index(self, tap: Expr) -> Expr:
        """The element that a tap reads: that at the end, or where a walk turns that goes so far."""
        if self.padding == "reflection":
            turn = 2 * (self.size - 1) if self.aligned else 2 * self.size - 1
            walked = Apply("modulo", (tap, wrap(max(turn if self.aligned else turn + 1, 1))))
            return minimum(walked, turn - walked)
        return minimum(maximum(tap, 0), self.size - 1)

    def exists(self, tap: Expr) -> Expr:
        """Whether a tap lies between the ends."""
        return Apply("and", (less_equal(0, tap), less_equal(tap, self.size - 1)))

    @cached_property
    def weights(self) -> list[Expr]:
        """The weight of each tap; none for a single one."""
        rest = self.place - unary("floor", self.place)
        kernels: dict[str, Callable[[], Sequence[Expr]]] = {
            "nearest": lambda: (),
            "linear": lambda: (1.0 - rest, rest),
            "cubic": lambda: cubic_weights(rest, KEYS),
        }
        return list(kernels[self.mode]())

    @cached_property
    def beside(self) -> list[Expr]:
        """What the sum of the taps needs of the coordinate: weights, and whether each tap exists if others are 0."""
        return [*self.weights, *(map(self.exists, self.taps) if self.padding == "zeros" else ())]

    @cached_property
    def joined(self) -> Expr:
        """The sum of the taps, of their values and `beside`."""
        taps, weights = len(self.taps), len(self.weights)
        every = [Arg(number) for number in range(taps + len(self.beside))]
        return weighted(every[:taps], every[taps : taps + weights], every[taps + weights :])


T = TypeVar("T")


def interpolated(taps: Sequence[int], look: Callable[[tuple[int, ...]], T], join: Callable[[int, list[T]], T]) -> T:
    """One axis after the other, the last one first: `look` reads at a tap of each axis, `join` sums an axis."""

    def value(chosen: tuple[int, ...]) -> T:
        axis = len(chosen)
        if axis == len(taps):
            return look(chosen)
        return join(axis, [value((*chosen, tap)) for tap in range(taps[axis])])

    return value(())


def weighted(values: Sequence[Expr], weights: Sequence[Expr], exist: Sequence[Expr]) -> Expr:
    """The sum of the values of taps, of which those that do not exist are 0; a single one has no weight."""
    if exist:
        values = [select(there, value, 0.0) for there, value in zip(exist, values, strict=True)]
    if not weights:
        return values[0]
    total = values[0] * weights[0]
    for value, weight in zip(values[1:], weights[1:], strict=True):
        total = multiply_add(value, weight, total)
    return total


@dataclass(frozen=True)
class GridSample(Op):
    """x (N, C, spatial…) at the places in a grid (N, out…, axes): coordinates from −1 to 1, of the last axis first.

    `mode` is 'nearest', 'linear' or 'cubic' on each axis (Keys' kernel with −0.75). What lies beyond the ends is 0
    ('zeros'), what is at the end ('border') or mirrored ('reflection'). −1 and 1 are the centres of the first and last
    elements with `align_corners`, else their outer edges. A coordinate of NaN makes NaN, and so does
    an infinite one but with 'linear' and 'border'; 'nearest', which has no weights, takes NaN for element 0.
    """

    mode: str = "linear"
    padding: str = "zeros"
    align_corners: bool = False

    def axes(self, shape: Sequence[int]) -> list[SampledAxis]:
        """The spatial axes of an image of this shape."""
        return [SampledAxis(size, self.mode, self.padding, self.align_corners) for size in shape[2:]]

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        expect_count(self, inputs, 2)
        for what, known in (("mode", MODES), ("padding", PADDINGS)):
            if getattr(self, what) not in known:
                raise ShapeError(f"{what} {getattr(self, what)!r} is unknown: expected {', '.join(map(repr, known))}")
        x, grid = inputs
        fits = x.rank > 2 and grid.rank == x.rank and (grid.shape[0], grid.shape[-1]) == (x.shape[0], x.rank - 2)
        if not fits:
            raise ShapeError(
                f"expected x (N, C, spatial axes) and a grid (N, as many axes, their number), got {x} and {grid}"
            )
        if (reads := MODES[self.mode][1] ** (x.rank - 2)) > MOST_READS:
            raise ShapeError(f"mode {self.mode!r} reads {reads} elements of {x} for each result: at most {MOST_READS}")
        return (x.shaped((*x.shape[:2], *grid.shape[1:-1])),)

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        x, grid = (array.astype(np.float64) for array in inputs)
        axes = self.axes(x.shape)
        images = np.arange(len(x)).reshape(-1, *(1,) * (grid.ndim - 2))
        channels_last = np.moveaxis(x, 1, -1)
        places = [grid[..., len(axes) - 1 - number] for number in range(len(axes))]

        def on(number: int, expr: Expr) -> Array:
            return np.asarray(evaluate(expr, [places[number]]))

        def look(chosen: tuple[int, ...]) -> Array:
            indices = (on(k, axes[k].index(axes[k].taps[tap])) for k, tap in enumerate(chosen))
            return np.asarray(channels_last[(images, *indices)])

        def join(number: int, values: list[Array]) -> Array:
            beside = [on(number, expr)[..., None] for expr in axes[number].beside]
            return evaluate(axes[number].joined, [*values, *beside])

        with np.errstate(all="ignore"):
            result = interpolated([len(axis.taps) for axis in axes], look, join)
            return (rounded(np.moveaxis(result, -1, 1)),)

    def cost(self, *inputs: TensorType) -> Cost:
        (out,) = self.infer(*inputs)
        reads = MODES[self.mode][1] ** (out.rank - 2) * out.size
        return Cost(macs=0 if self.mode == "nearest" else reads, moved=reads)

    def lower(self, *inputs: TensorType) -> Lowering:
        (out,) = self.infer(*inputs)
        pieces = LoweringBuilder(inputs)
        return pieces.ending(pieces.reshape(Sampling(self, pieces).result(), out.shape))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), ((2, 3, 4, 5), (2, 6, 7, 2)))
        yield Sample(cls("nearest"), ((1, 18, 4, 5), (1, 3, 9, 2)))
        yield Sample(cls("linear", "border", True), ((1, 17, 3, 4), (1, 5, 4, 2)))
        yield Sample(cls("linear", "reflection"), ((1, 2, 4, 3), (1, 5, 6, 2)))
        yield Sample(cls("cubic", "zeros"), ((1, 3, 5, 6), (1, 4, 5, 2)))
        yield Sample(cls("cubic", "reflection", True), ((1, 2, 5, 4), (1, 4, 5, 2)))
        yield Sample(cls("cubic", "border"), ((1, 2, 7), (1, 9, 1)))
        yield Sample(cls("linear"), ((1, 3, 3, 4, 5), (1, 2, 3, 4, 3)))
        yield Sample(cls("nearest", "reflection", True), ((2, 3, 4, 1), (2, 5, 3, 2)))


class Sampling:
    """The pieces of a sampling: places and weights for each axis, then look-ups and their sums."""

    def __init__(self, op: GridSample, pieces: LoweringBuilder):
        self.pieces, (self.shape, grid) = pieces, (type.shape for type in pieces.types)
        self.axes = op.axes(self.shape)
        self.x = pieces.reshape(0, (*self.shape[:2], math.prod(self.shape[2:])))
        count, last = len(self.axes), len(grid) - 1
        parts = (pieces.part(1, last, count - 1 - number, 1) for number in range(count))
        self.places = [pieces.reshape(part, (grid[0], 1, math.prod(grid[1:-1]))) for part in parts]
        self.known: dict[tuple[int, Expr], int] = {}

    def on(self, number: int, expr: Expr) -> int:
        """An expression of the coordinates of an axis."""
        key = number, expr
        if key not in self.known:
            self.known[key] = self.pieces.pointwise(expr, [self.places[number]])
        return self.known[key]

    def look(self, chosen: tuple[int, ...]) -> int:
        """All channels at a tap of each axis."""
        indices = [self.on(k, self.axes[k].index(self.axes[k].taps[tap])) for k, tap in enumerate(chosen)]
        strides = [math.prod(self.shape[number + 3 :]) for number in range(len(self.axes))]
        flat = row_major([Arg(number) for number in range(len(self.axes))], strides)
        return self.pieces.looked_up(
            self.x, self.pieces.pointwise(flat, indices) if len(indices) > 1 else indices[0], 2
        )

    def join(self, number: int, values: list[int]) -> int:
        axis = self.axes[number]
        if axis.joined == Arg(0):
            return values[0]
        return self.pieces.pointwise(axis.joined, [*values, *(self.on(number, expr) for expr in axis.beside)])

    def result(self) -> int:
        return interpolated([len(axis.taps) for axis in self.axes], self.look, self.join)
