"""Writes at indices that arrive: a copy of input 0 with the updates (input 2) where the indices (input 1) say.

An index below 0 counts from the back; one that does not exist leaves its update out. Updates that meet one element do
so in row-major order: with `reduction` 'none' the last one stays, with another one all count.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..computation import ConstantPad, Lowering, LoweringBuilder, Scatter, ScatterCombine
from ..elements import BOOL, FLOAT32, INT32, INT64, NUMBERS, VALUES
from ..errors import ShapeError
from ..expr import Apply, Expr, less, less_equal, select
from ..integers import from_the_front
from ..op import Cost, Op, Sample, either, expect_alike, expect_count
from ..types import Array, TensorType
from .axes import axis_of
from .elementwise import widened
from .gather import expect_indices, expect_inside, flat_indices, front, row_major

REDUCTIONS: Mapping[str, ScatterCombine] = {
    "none": "replace",
    "add": "add",
    "mul": "multiply",
    "max": "maximum",
    "min": "minimum",
}
"""ONNX's names of what an update does to an element."""


@dataclass(frozen=True)
class Scattering(Op, abstract=True):
    """What both share: `scattered` appends the pieces and returns the reference of the result."""

    takes = VALUES
    mixed = True

    def combine(self) -> str:
        """ONNX's name of the reduction."""
        raise NotImplementedError

    def expect_shapes(self, x: TensorType, indices: TensorType, updates: TensorType) -> None:
        """Raise ShapeError unless they fit together."""
        raise NotImplementedError

    def scattered(self, pieces: LoweringBuilder, combine: ScatterCombine) -> int:
        raise NotImplementedError

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        expect_count(self, inputs, 3)
        x, indices, updates = inputs
        expect_indices(self, indices)
        expect_alike(self, (x, updates))
        name = self.combine()
        if name not in REDUCTIONS:
            raise ShapeError(f"reduction={name!r}: expected {' or '.join(map(repr, REDUCTIONS))}")
        if name != "none" and x.dtype not in NUMBERS:
            raise ShapeError(f"{self.name} with reduction={name!r} takes {either(NUMBERS)}, got {x}")
        self.expect_shapes(x, indices, updates)
        return (x,)

    def cost(self, *inputs: TensorType) -> Cost:
        x, _, updates = inputs
        return Cost(flops=updates.size * (self.combine() != "none"), moved=x.size + updates.size)

    def lower(self, *inputs: TensorType) -> Lowering:
        self.infer(*inputs)
        pieces = LoweringBuilder(inputs)
        return pieces.ending(self.scattered(pieces, REDUCTIONS[self.combine()]))

    def written(self, x: Array, indices: Array, updates: Array, axis: int) -> tuple[Array, ...]:
        """The definition along one axis: floats in float64, rounded once."""
        how = Scatter(axis, REDUCTIONS[self.combine()])
        if how.combine == "replace":
            return (how.apply((x, indices, updates), x.shape),)
        with np.errstate(all="ignore"):
            return (how.apply((widened(x), indices, widened(updates)), x.shape).astype(x.dtype),)


@dataclass(frozen=True)
class ScatterElements(Scattering):
    """Input 0 with update (…, i, …) at (…, indices[…, i, …], …): another index on `axis` for each update.

    An index below 0 counts from the back; one that does not exist leaves its update out. Updates that meet one element
    replace it in row-major order, or are combined with it by the `reduction` 'add', 'mul', 'max' or 'min'.
    """

    axis: int = 0
    reduction: str = "none"

    together = True

    def combine(self) -> str:
        return self.reduction

    def expect_shapes(self, x: TensorType, indices: TensorType, updates: TensorType) -> None:
        expect_inside(self, x, indices, axis_of(self.axis, x.rank))
        if updates.shape != indices.shape:
            raise ShapeError(f"{self.name} takes an update for each index {indices}, got {updates}")

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        x, indices, updates = inputs
        axis, result = self.axis % x.ndim, x.copy()
        there = tuple(slice(None) if k == axis else slice(size) for k, size in enumerate(indices.shape))
        (result[there],) = self.written(x[there], indices, updates, axis)
        return (result,)

    def scattered(self, pieces: LoweringBuilder, combine: ScatterCombine) -> int:
        axis, shape, own = axis_of(self.axis, pieces.types[0].rank), pieces.shape(0), pieces.shape(1)
        whole = tuple(own[axis] if k == axis else size for k, size in enumerate(shape))
        indices, updates = enlarged(pieces, 1, whole, shape[axis]), enlarged(pieces, 2, whole, 0)
        return pieces.scattered(0, indices, updates, axis, combine)

    def images(self, *ranks: int) -> tuple[bool, ...] | None:
        return (True, True, True) if self.axis % ranks[0] else None

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(1), ((2, 5, 3, 4), (2, 7, 3, 4), (2, 7, 3, 4)), (FLOAT32, INT64, FLOAT32))
        yield Sample(cls(-1, "add"), ((2, 9, 21), (2, 5, 37), (2, 5, 37)), (FLOAT32, INT32, FLOAT32))
        yield Sample(cls(1, "mul"), ((1, 6, 33), (1, 4, 33), (1, 4, 33)), (FLOAT32, INT64, FLOAT32))
        yield Sample(cls(0, "max"), ((6, 7), (8, 5), (8, 5)), (FLOAT32, INT32, FLOAT32))
        yield Sample(cls(0, "min"), ((7,), (9,), (9,)), (INT64, INT64, INT64))
        yield Sample(cls(1), ((2, 7), (2, 3), (2, 3)), (BOOL, INT64, BOOL))


def enlarged(pieces: LoweringBuilder, reference: int, shape: Sequence[int], value: int) -> int:
    """A piece with more elements at the ends of its axes: an index that does not exist, or what it leaves out."""
    own = pieces.shape(reference)
    return reference if own == shape else pieces.add(ConstantPad((0,) * len(own), value), (reference,), shape)


@dataclass(frozen=True)
class ScatterND(Scattering):
    """Input 0 with updates, elements or whole parts, where the last axis of input 1 has an index for each first axis.

    An index below 0 counts from the back; where one does not exist, its update is left out. Updates that meet one
    element replace it in row-major order, or are combined with it by the `reduction` 'add', 'mul', 'max' or 'min'.
    """

    reduction: str = "none"

    def combine(self) -> str:
        return self.reduction

    def expect_shapes(self, x: TensorType, indices: TensorType, updates: TensorType) -> None:
        depth = indices.shape[-1] if indices.rank else 0
        if not 0 < depth <= x.rank:
            raise ShapeError(f"indices {indices} do not fit {x}: their last axis has one for each of its first axes")
        wanted = (*indices.shape[:-1], *x.shape[depth:])
        if updates.shape != wanted:
            raise ShapeError(f"{self.name} takes updates of shape {wanted} for indices {indices}, got {updates}")

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        x, indices, updates = inputs
        depth = indices.shape[-1]
        sizes, rest = x.shape[:depth], x.shape[depth:]
        places = [from_the_front(indices[..., k], size) for k, size in enumerate(sizes)]
        inside = np.all([(place >= 0) & (place < size) for place, size in zip(places, sizes, strict=True)], axis=0)
        numbers = np.ravel_multi_index([np.where(inside, place, 0) for place in places], sizes)
        flat = np.where(inside, numbers, math.prod(sizes)).reshape(-1, *(1,) * len(rest))
        (result,) = self.written(x.reshape(-1, *rest), flat, updates.reshape(-1, *rest), 0)
        return (result.reshape(x.shape),)

    def scattered(self, pieces: LoweringBuilder, combine: ScatterCombine) -> int:
        shape, depth = pieces.shape(0), pieces.shape(1)[-1]
        rest = shape[depth:]
        flat = flat_indices(pieces, 1, shape[:depth], self._inside)
        count = pieces.types[flat].size
        places = pieces.reshape(flat, (count, *(1,) * len(rest)))
        joined, updates = pieces.reshape(0, (math.prod(shape[:depth]), *rest)), pieces.reshape(2, (count, *rest))
        return pieces.reshape(pieces.scattered(joined, places, updates, 0, combine), shape)

    def _inside(self, coordinates: Sequence[Expr], sizes: Sequence[int], strides: Sequence[int]) -> Expr:
        """The row-major number of an element, and one that does not exist where one of the indices does not."""
        places = [front(index, size) for index, size in zip(coordinates, sizes, strict=True)]
        flat = row_major(places, strides)
        for place, size in zip(places, sizes, strict=True):
            exists = Apply("and", (less_equal(0, place), less(place, size)))
            flat = select(exists, flat, math.prod(sizes))
        return flat

    def images(self, *ranks: int) -> tuple[bool, ...] | None:
        return None

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), ((4, 5, 19), (3, 7, 2), (3, 7, 19)), (FLOAT32, INT64, FLOAT32))
        yield Sample(cls("add"), ((6, 37), (9, 1), (9, 37)), (FLOAT32, INT32, FLOAT32))
        yield Sample(cls("mul"), ((3, 4), (5, 2), (5,)), (FLOAT32, INT64, FLOAT32))
        yield Sample(cls("max"), ((5, 6, 3), (4, 1), (4, 6, 3)), (INT32, INT32, INT32))
        yield Sample(cls("min"), ((5, 3), (4, 1), (4, 3)), (FLOAT32, INT64, FLOAT32))
        yield Sample(cls(), ((5, 6), (2,), ()), (BOOL, INT32, BOOL))
