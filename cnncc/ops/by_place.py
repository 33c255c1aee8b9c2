"""Ops that choose by the place of an element: triangles of matrices, one place of many."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..computation import Lowering, LoweringBuilder
from ..elements import BOOL, COMPUTED, FLOAT32, INT8, INT32, INT64, NUMBERS, UINT8, UINT32
from ..errors import ShapeError
from ..expr import Arg, Expr, convert, equal, less, less_equal, select
from ..op import Cost, Op, Sample, expect_count
from ..types import Array, TensorType
from .axes import axis_of


@dataclass(frozen=True)
class Trilu(Op):
    """Matrices with 0 below diagonal `k` (0 is the main one, 1 right of it) or, unless `upper`, above it."""

    takes = COMPUTED

    upper: bool = True
    k: int = 0

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        expect_count(self, inputs, 1)
        if inputs[0].rank < 2:
            raise ShapeError(f"Trilu takes matrices, got {inputs[0]}")
        if isinstance(self.k, bool) or not isinstance(self.k, int):
            raise ShapeError(f"k={self.k!r} is not a whole number")
        return inputs

    def diagonal(self, rows: int, columns: int) -> int:
        """`k`, or the nearest number with the same effect."""
        return max(-rows, min(self.k, columns))

    def kept(self, x: Array) -> Array:
        """The result, of the elements of `x`."""
        triangle, k = np.triu if self.upper else np.tril, self.diagonal(*x.shape[-2:])
        return np.where(triangle(np.ones(x.shape[-2:], np.bool_), k), x, np.zeros((), x.dtype))

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        return (self.kept(*inputs),)

    def cost(self, *inputs: TensorType) -> Cost:
        return Cost(flops=2 * inputs[0].size)

    def lower(self, *inputs: TensorType) -> Lowering:
        (x,) = inputs
        rows, columns = x.shape[-2:]
        pieces = LoweringBuilder(inputs)
        diagonal = pieces.places(rows, 0, 2, INT32, self.diagonal(rows, columns))  # the column where each row meets it
        column = pieces.places(columns, 1, 2, INT32)
        first, second = (Arg(1), Arg(2)) if self.upper else (Arg(2), Arg(1))
        return pieces.lowering(pieces.pointwise(select(less_equal(first, second), Arg(0), 0), (0, diagonal, column)))

    def images(self, *ranks: int) -> tuple[bool, ...] | None:
        return (True,) if ranks[0] > 2 else None

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), ((2, 3, 5, 7),))
        yield Sample(cls(False, 1), ((2, 5, 19),), (INT64,))
        yield Sample(cls(True, -2), ((6, 4),), (INT32,))
        yield Sample(cls(False, -(2**40)), ((1, 3, 3),), (BOOL,))


@dataclass(frozen=True)
class OneHot(Op):
    """A new axis of `depth` places: `values[1]` at the place that an index names, `values[0]` elsewhere.

    An index below 0 counts from the back, unless `from_back` is False; one that is still outside of [0, depth) names no
    place. Indices that are floats are cut to whole numbers.
    """

    takes = COMPUTED
    mixed = True

    depth: int
    axis: int = -1
    from_back: bool = True

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        expect_count(self, inputs, 2)
        indices, values = inputs
        if indices.dtype not in NUMBERS:
            raise ShapeError(f"OneHot takes indices that are numbers, got {indices}: Cast converts them")
        if values.shape != (2,):
            raise ShapeError(f"OneHot takes two values, one for all other places and one for the index, got {values}")
        if isinstance(self.depth, bool) or not isinstance(self.depth, int) or self.depth < 1:
            raise ShapeError(f"depth={self.depth!r} must be a whole number from 1 on")
        axis = axis_of(self.axis, indices.rank + 1)
        return (values.shaped((*indices.shape[:axis], self.depth, *indices.shape[axis:])),)

    def chosen(self, indices: Array, values: Array) -> Array:
        """The result, of the elements of `values`."""
        axis = axis_of(self.axis, indices.ndim + 1)
        if indices.dtype.kind == "f":
            indices = np.nan_to_num(np.trunc(indices), nan=0.0).clip(-self.depth - 1, self.depth)
        indices = indices.astype(np.int64)
        counted = np.where(indices < 0, indices + self.depth, indices) if self.from_back else indices
        places = np.arange(self.depth).reshape(-1, *(1,) * (indices.ndim - axis))
        return np.asarray(np.where(np.expand_dims(counted, axis) == places, values[1], values[0]), values.dtype)

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        return (self.chosen(*inputs),)

    def cost(self, *inputs: TensorType) -> Cost:
        return Cost(flops=3 * self.depth * inputs[0].size)

    def lower(self, *inputs: TensorType) -> Lowering:
        indices, _ = inputs
        axis, pieces = axis_of(self.axis, indices.rank + 1), LoweringBuilder(inputs)
        element = INT32 if indices.dtype.register == "int32" else INT64  # which holds every index, and `depth` more
        index = pieces.reshape(0, (*indices.shape[:axis], 1, *indices.shape[axis:]))
        places = pieces.places(self.depth, axis, indices.rank + 1, element)
        off, on = (pieces.reshape(pieces.part(1, 0, number, 1), (1,) * (indices.rank + 1)) for number in (0, 1))
        place: Expr = Arg(0) if indices.dtype is element else convert(Arg(0), element)
        if self.from_back:
            place = select(less(place, 0), place + self.depth, place)
        chosen = select(equal(place, Arg(1)), Arg(2), Arg(3))
        return pieces.lowering(pieces.pointwise(chosen, (index, places, on, off)))

    def images(self, *ranks: int) -> tuple[bool, ...] | None:
        return (True, False) if ranks[0] and self.axis % (ranks[0] + 1) else None

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(5), ((2, 3), (2,)), (INT64, FLOAT32))
        yield Sample(cls(7, 1), ((2, 4, 3), (2,)), (INT32, INT64))
        yield Sample(cls(40, 2), ((1, 5, 3), (2,)), (FLOAT32,))
        yield Sample(cls(3, 0), ((4,), (2,)), (INT64, BOOL))
        yield Sample(cls(300), ((2, 3), (2,)), (UINT8, INT8))
        yield Sample(cls(200), ((3,), (2,)), (INT8, FLOAT32))
        yield Sample(cls(9), ((3,), (2,)), (UINT32, FLOAT32))
        yield Sample(cls(9, from_back=False), ((2, 3), (2,)), (INT64, FLOAT32))
