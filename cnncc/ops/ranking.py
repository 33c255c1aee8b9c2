"""Ops that ask how the elements along one axis compare: where the largest stands, and which are the first k."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from ..computation import Lowering, LoweringBuilder
from ..elements import FLOAT32, INT32, INT64, NUMBERS, element_of
from ..errors import ShapeError
from ..expr import Arg, convert, equal
from ..lines import ExtremePlace, Ranked, Ranking
from ..op import Cost, Sample, expect_count
from ..types import Array, TensorType
from .axes import axis_of
from .images import AlongOneAxis


@dataclass(frozen=True)
class _PlaceOf(AlongOneAxis, abstract=True):
    """The number of an element along `axis`, of equal ones the first, or with `select_last_index` the last."""

    takes = NUMBERS
    extreme: ClassVar[Literal["maximum", "minimum"]]

    axis: int = 0
    keepdims: bool = True
    select_last_index: bool = False

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        expect_count(self, inputs, 1)
        (x,) = inputs
        axis = axis_of(self.axis, x.rank)
        kept = (1,) if self.keepdims else ()
        return (TensorType((*x.shape[:axis], *kept, *x.shape[axis + 1 :]), INT64),)

    def found(self, rank: int) -> ExtremePlace:
        return ExtremePlace(axis_of(self.axis, rank), self.extreme, self.select_last_index)

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        (out,) = self.infer(*map(TensorType.of, inputs))
        return (self.found(inputs[0].ndim).made(inputs).reshape(out.shape),)

    def cost(self, *inputs: TensorType) -> Cost:
        return Cost(flops=inputs[0].size)

    def lower(self, *inputs: TensorType) -> Lowering:
        (out,) = self.infer(*inputs)
        pieces = LoweringBuilder(inputs)
        return pieces.lowering(pieces.reshape(pieces.along(self.found(inputs[0].rank), 0), out.shape))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(1), ((2, 10, 3, 7),))
        yield Sample(cls(-1, False), ((2, 3, 37),))
        yield Sample(cls(2, select_last_index=True), ((2, 3, 5, 19),), (INT32,))
        yield Sample(cls(1, False, True), ((2, 5),), (INT64,))
        yield Sample(cls(), ((4, 3),))
        yield Sample(cls(1), ((3, 1, 2),))


@dataclass(frozen=True)
class ArgMax(_PlaceOf):
    """Where along `axis` the largest element stands: the first such place or the last; the first (last) NaN wins."""

    extreme = "maximum"


@dataclass(frozen=True)
class ArgMin(_PlaceOf):
    """Where along `axis` the smallest element stands: the first such place or the last; the first (last) NaN wins."""

    extreme = "minimum"


@dataclass(frozen=True)
class Hardmax(AlongOneAxis):
    """1 where ArgMax along `axis` points to, 0 elsewhere."""

    axis: int = -1

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        expect_count(self, inputs, 1)
        axis_of(self.axis, inputs[0].rank)
        return inputs

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        (x,) = inputs
        result = np.zeros_like(x)
        np.put_along_axis(result, x.argmax(self.axis, keepdims=True), 1, self.axis)
        return (result,)

    def cost(self, *inputs: TensorType) -> Cost:
        return Cost(flops=2 * inputs[0].size)

    def lower(self, *inputs: TensorType) -> Lowering:
        (x,) = inputs
        axis, pieces = axis_of(self.axis, x.rank), LoweringBuilder(inputs)
        place = pieces.along(ExtremePlace(axis, "maximum", index=INT32), 0)
        places = pieces.places(x.shape[axis], axis, x.rank, INT32)
        return pieces.lowering(pieces.pointwise(convert(equal(Arg(0), Arg(1)), FLOAT32), (place, places)))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), ((2, 3, 10),))
        yield Sample(cls(1), ((1, 21, 3, 4),))
        yield Sample(cls(0), ((3, 4),))


@dataclass(frozen=True)
class TopK(AlongOneAxis):
    """The `k` largest or smallest elements along `axis`, best first, and their places (int64).

    Of equal elements the one at the lower place comes first; NaN is larger than all numbers. ONNX's `sorted=0` leaves
    the order open; this one has the same.
    """

    takes = NUMBERS

    k: int
    axis: int = -1
    largest: bool = True

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        expect_count(self, inputs, 1)
        (x,) = inputs
        axis = axis_of(self.axis, x.rank)
        self.expect_k(x.shape[axis])
        chosen = x.shaped((*x.shape[:axis], self.k, *x.shape[axis + 1 :]))
        return chosen, chosen.typed(INT64)

    def expect_k(self, size: int) -> None:
        """Raise ShapeError unless `k` is a count of elements, and the axis has as many."""
        if isinstance(self.k, bool) or not isinstance(self.k, int) or not 1 <= self.k <= size:
            raise ShapeError(f"k={self.k!r} must be a whole number from 1 to the {size} elements of axis {self.axis}")

    def ranking(self, rank: int) -> Ranking:
        return Ranking(axis_of(self.axis, rank), self.k, self.largest)

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        (x,) = inputs
        places = self.ranking(x.ndim).made(inputs)
        return np.asarray(np.take_along_axis(x, places, self.axis), element_of(x).numpy), places

    def cost(self, *inputs: TensorType) -> Cost:
        return Cost(flops=inputs[0].size * self.k.bit_length())

    def lower(self, *inputs: TensorType) -> Lowering:
        ranking, pieces = self.ranking(inputs[0].rank), LoweringBuilder(inputs)
        places = pieces.along(ranking, 0)
        return pieces.lowering(pieces.along(Ranked(ranking.axis, self.k, self.largest), 0, places), places)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(3), ((2, 3, 11),))
        yield Sample(cls(5, 1, False), ((2, 19, 3, 4),))
        yield Sample(cls(2, 0), ((4, 3),), (INT64,))
        yield Sample(cls(7, 2), ((1, 2, 7, 5),), (INT32,))
        yield Sample(cls(1, 1), ((2, 9),))
        yield Sample(cls(1, 1), ((2, 1),))
        yield Sample(cls(9, 1), ((2, 83),))
        yield Sample(cls(30, -1, False), ((1, 2, 131),), (INT64,))
