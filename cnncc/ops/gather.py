"""Look-ups: elements at indices, which are known or arrive.

An index below 0 counts from the back. An index that arrives and does not exist reads the element at the nearest end.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, SupportsIndex

import numpy as np

from ..computation import Lowering, LoweringBuilder, replaced
from ..elements import BOOL, COMPUTED, FLOAT32, INT32, INT64, VALUES
from ..errors import ShapeError
from ..expr import Arg, Expr, less, maximum, minimum, select
from ..integers import clamped
from ..op import Cost, Op, Sample, either, expect_count
from ..types import Array, TensorType
from .axes import axis_of

INDICES = (INT32, INT64)
"""What indices are, as in ONNX: they reach every element of an axis, and one axis further."""


def expect_indices(op: Op, indices: TensorType) -> None:
    """Raise ShapeError unless these are whole numbers of such elements."""
    if indices.dtype not in INDICES:
        raise ShapeError(f"{op.name} takes indices of {either(INDICES)}, got {indices}: Cast converts them")


def expect_inside(op: Op, x: TensorType, indices: TensorType, axis: int) -> None:
    """Raise ShapeError unless indices of one element each have its axes, and no more of each but `axis`."""
    fits = indices.rank == x.rank and all(
        own <= size for k, (own, size) in enumerate(zip(indices.shape, x.shape, strict=True)) if k != axis
    )
    if not fits:
        raise ShapeError(f"indices {indices} do not fit {x}: {op.name} takes at most as many on all axes but {axis}")


def front(index: Expr, size: int) -> Expr:
    """An index counted from the front."""
    return select(less(index, 0), index + size, index)


@dataclass(frozen=True)
class Looking(Op, abstract=True):
    """An op that reads input 0 at indices; `looked_up` appends its pieces and returns the reference of the result."""

    takes = VALUES
    mixed = True

    def shape(self, *inputs: TensorType) -> tuple[int, ...]:
        """The shape of the result; raises ShapeError."""
        raise NotImplementedError

    def looked_up(self, pieces: LoweringBuilder) -> int:
        raise NotImplementedError

    def count(self) -> int:
        return 2

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        expect_count(self, inputs, self.count())
        for indices in inputs[1:]:
            expect_indices(self, indices)
        return (inputs[0].shaped(self.shape(*inputs)),)

    def cost(self, *inputs: TensorType) -> Cost:
        return Cost(moved=self.infer(*inputs)[0].size)

    def lower(self, *inputs: TensorType) -> Lowering:
        self.infer(*inputs)
        pieces = LoweringBuilder(inputs)
        return pieces.ending(self.looked_up(pieces))


@dataclass(frozen=True)
class Gather(Looking):
    """Elements `indices` (a number, or nested tuples of numbers) along `axis`; without them, input 1 has the indices.

    The axis is replaced by the axes of the indices, none for a number. An index below 0 counts from the back. One that
    does not exist is refused if it is known; if it arrives, it reads the element at the nearest end.
    """

    indices: Any = None
    axis: int = 0

    def count(self) -> int:
        return 2 if self.indices is None else 1

    def table(self, size: int) -> Array:
        """The known indices as an array, counted from the front; raises ShapeError outside [−size, size)."""
        try:
            table = np.array(self.indices)
        except ValueError:
            table = np.zeros(0)
        if table.dtype.kind != "i" or not table.size:
            raise ShapeError(f"indices {self.indices} are neither a whole number nor an array of them")
        outside = table[(table < -size) | (table >= size)]
        if outside.size:
            raise ShapeError(f"index {outside[0]} does not exist among the {size} elements of axis {self.axis}")
        return table % size

    def shape(self, *inputs: TensorType) -> tuple[int, ...]:
        x, axis = inputs[0], axis_of(self.axis, inputs[0].rank)
        chosen = inputs[1].shape if self.indices is None else self.table(x.shape[axis]).shape
        return (*x.shape[:axis], *chosen, *x.shape[axis + 1 :])

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        x, size = inputs[0], inputs[0].shape[self.axis]
        chosen = clamped(inputs[1], size) if self.indices is None else self.table(size)
        return (np.asarray(x.take(chosen, self.axis)),)

    def looked_up(self, pieces: LoweringBuilder) -> int:
        axis = axis_of(self.axis, pieces.types[0].rank)
        result = self.shape(*pieces.types)
        if self.indices is not None:
            table = self.table(pieces.shape(0)[axis])
            return pieces.reshape(pieces.lookup(0, axis, table.ravel().tolist()), result)
        along = replaced((1,) * pieces.types[0].rank, axis, pieces.types[1].size)
        return pieces.reshape(pieces.looked_up(0, pieces.reshape(1, along), axis), result)

    def images(self, *ranks: int) -> tuple[bool, ...] | None:
        """Indices of the first axis carry the images of the result; what they read from has none."""
        other = self.axis % ranks[0] != 0
        if self.indices is None:
            return (other, not other)
        return (True,) if other else None

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls((3, 0, 0, -1), 1), ((2, 5, 3, 4),))
        yield Sample(cls(((0, 2), (-1, 1), (2, 2)), -1), ((2, 3, 4),))
        yield Sample(cls(-2, 2), ((1, 3, 5, 4),))
        yield Sample(cls((1, 0, 1)), ((2, 20),))
        yield Sample(cls(1), ((3, 4),))
        for element in COMPUTED[1:]:
            yield Sample(cls((3, 0, 0, -1), 1), ((2, 5, 3, 4),), (element,))
        yield Sample(cls(), ((9, 37), (2, 5)), (FLOAT32, INT64))
        yield Sample(cls(axis=1), ((2, 5, 3, 4), (3, 2)), (FLOAT32, INT32))
        yield Sample(cls(axis=-1), ((2, 3, 7), (33,)), (BOOL, INT64))
        yield Sample(cls(axis=2), ((1, 3, 5, 4), ()), (INT64, INT32))


@dataclass(frozen=True)
class GatherElements(Looking):
    """Element (…, i, …) is element (…, indices[…, i, …], …): input 1 has another index on `axis` for each element.

    An index below 0 counts from the back; one that does not exist reads the element at the nearest end.
    """

    axis: int = 0

    together = True

    def shape(self, *inputs: TensorType) -> tuple[int, ...]:
        x, indices = inputs
        expect_inside(self, x, indices, axis_of(self.axis, x.rank))
        return indices.shape

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        x, indices = inputs
        axis = self.axis % x.ndim
        there = tuple(slice(None) if k == axis else slice(size) for k, size in enumerate(indices.shape))
        return (np.take_along_axis(x[there], clamped(indices, x.shape[axis]), axis),)

    def looked_up(self, pieces: LoweringBuilder) -> int:
        axis, x = axis_of(self.axis, pieces.types[0].rank), 0
        for other, size in enumerate(pieces.shape(1)):
            if other != axis:
                x = pieces.part(x, other, 0, size)
        return pieces.looked_up(x, 1, axis)

    def images(self, *ranks: int) -> tuple[bool, ...] | None:
        return (True, True) if self.axis % ranks[0] else None

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(1), ((2, 5, 3, 4), (2, 7, 3, 4)), (FLOAT32, INT64))
        yield Sample(cls(-1), ((2, 9, 21), (2, 5, 37)), (FLOAT32, INT32))
        yield Sample(cls(), ((7, 6), (4, 5)), (INT32, INT64))
        yield Sample(cls(), ((7,), (9,)), (BOOL, INT32))


@dataclass(frozen=True)
class GatherND(Looking):
    """Input 1 has, along its last axis, an index for each of the first axes of input 0 behind `batch_dims` of them.

    The first `batch_dims` axes of both inputs correspond to each other. The indexed axes are replaced by the axes of
    the indices but for the last one. An index below 0 counts from the back; one that does not exist reads the element
    at the nearest end of its axis.
    """

    batch_dims: int = 0

    def shape(self, *inputs: TensorType) -> tuple[int, ...]:
        x, indices = inputs
        batch, depth = self.batch_dims, indices.shape[-1] if indices.rank else 0
        if isinstance(batch, bool) or not isinstance(batch, SupportsIndex):
            raise ShapeError(f"batch_dims={batch!r} is not a whole number")
        fits = 0 <= batch < indices.rank and depth > 0 and x.shape[:batch] == indices.shape[:batch]
        if not fits or batch + depth > x.rank:
            raise ShapeError(f"indices {indices} do not fit {x} with batch_dims={batch}")
        return (*indices.shape[:-1], *x.shape[batch + depth :])

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        x, indices = inputs
        batch = np.indices(indices.shape[:-1])[: self.batch_dims]
        sizes = x.shape[self.batch_dims : self.batch_dims + indices.shape[-1]]
        places = (clamped(indices[..., k], size) for k, size in enumerate(sizes))
        return (np.asarray(x[(*batch, *places)]),)

    def looked_up(self, pieces: LoweringBuilder) -> int:
        shape, batch = pieces.shape(0), self.batch_dims
        end = batch + pieces.shape(1)[-1]
        flat = flat_indices(pieces, 1, shape[batch:end], self._inside)
        rest, outer = shape[end:], shape[:batch]
        count = pieces.types[flat].size // math.prod(outer)
        places = pieces.reshape(flat, (*outer, count, *(1,) * len(rest)))
        joined = pieces.reshape(0, (*outer, math.prod(shape[batch:end]), *rest))
        return pieces.reshape(pieces.looked_up(joined, places, batch), self.shape(*pieces.types[:2]))

    def _inside(self, coordinates: Sequence[Expr], sizes: Sequence[int], strides: Sequence[int]) -> Expr:
        """The row-major number of an element; every index is at the nearest end, at most."""
        clamps = (minimum(maximum(front(c, n), 0), n - 1) for c, n in zip(coordinates, sizes, strict=True))
        return row_major(list(clamps), strides)

    def images(self, *ranks: int) -> tuple[bool, ...] | None:
        marks = (self.batch_dims > 0, ranks[1] > 1)
        return marks if any(marks) else None

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), ((4, 5, 19), (3, 7, 2)), (FLOAT32, INT64))
        yield Sample(cls(1), ((2, 5, 3, 4), (2, 6, 3)), (FLOAT32, INT32))
        yield Sample(cls(2), ((2, 3, 9, 17), (2, 3, 1)), (FLOAT32, INT64))
        yield Sample(cls(), ((5, 6), (2,)), (INT64, INT32))


class Joined(Protocol):
    """How indices of several axes become one of the merged axes."""

    def __call__(self, coordinates: Sequence[Expr], sizes: Sequence[int], strides: Sequence[int]) -> Expr: ...


def row_major(coordinates: Sequence[Expr], strides: Sequence[int]) -> Expr:
    """The number of an element in an array of these strides."""
    terms = (c if stride == 1 else c * stride for c, stride in zip(coordinates, strides, strict=True))
    return functools.reduce(operator.add, terms)


def flat_indices(pieces: LoweringBuilder, indices: int, sizes: Sequence[int], joined: Joined) -> int:
    """The indices of several axes, along the last axis of a piece, as indices of these axes merged into one.

    `joined` says how, from an expression for each axis, the sizes, and the strides of the merged axes. Those of one
    axis stay what they are.
    """
    if len(sizes) == 1:
        return indices
    last = len(pieces.shape(indices)) - 1
    strides = [math.prod(sizes[k + 1 :]) for k in range(len(sizes))]
    parts = [pieces.part(indices, last, k, 1) for k in range(len(sizes))]
    return pieces.pointwise(joined([Arg(k) for k in range(len(sizes))], sizes, strides), parts)
