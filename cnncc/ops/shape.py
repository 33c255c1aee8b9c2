"""Ops that only arrange elements: concat, flatten, split."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..computation import Join, Lowering, Part, Piece, Reshape, single
from ..errors import ShapeError
from ..op import Cost, Op, Sample, expect_count
from ..types import Array, TensorType


def _axis(axis: int, rank: int) -> int:
    """`axis` counted from the front; raises ShapeError outside [−rank, rank)."""
    if not -rank <= axis < rank:
        raise ShapeError(f"axis {axis} does not exist in a tensor of {rank} axes")
    return axis % rank


@dataclass(frozen=True)
class Concat(Op):
    """The inputs one after the other along `axis`; all other axes must agree."""

    axis: int = 1

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        expect_count(self, inputs, 1, 10**6)
        first = inputs[0]
        axis = _axis(self.axis, first.rank)
        for other in inputs[1:]:
            if other.rank != first.rank or any(
                a != b for k, (a, b) in enumerate(zip(first.shape, other.shape, strict=True)) if k != axis
            ):
                raise ShapeError(f"cannot join {first.shape} and {other.shape} along axis {axis}")
        total = sum(x.shape[axis] for x in inputs)
        return (TensorType((*first.shape[:axis], total, *first.shape[axis + 1 :])),)

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        return (np.concatenate(inputs, axis=self.axis),)

    def cost(self, *inputs: TensorType) -> Cost:
        return Cost(moved=sum(x.size for x in inputs))

    def lower(self, *inputs: TensorType) -> Lowering:
        return single(Join(_axis(self.axis, inputs[0].rank)), len(inputs), self.infer(*inputs)[0])

    def images(self, *ranks: int) -> tuple[bool, ...] | None:
        return None if _axis(self.axis, ranks[0]) == 0 else tuple(True for _ in ranks)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), ((2, 3, 4, 5), (2, 6, 4, 5), (2, 1, 4, 5)))
        yield Sample(cls(-1), ((1, 3, 4, 5), (1, 3, 4, 2)))
        yield Sample(cls(0), ((1, 4), (2, 4)))


@dataclass(frozen=True)
class Flatten(Op):
    """Two axes: those before `axis` joined, and those from `axis` on joined, in row-major order."""

    axis: int = 1

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        expect_count(self, inputs, 1)
        shape = inputs[0].shape
        axis = self.axis if self.axis == len(shape) else _axis(self.axis, len(shape))
        return (TensorType((math.prod(shape[:axis]), math.prod(shape[axis:]))),)

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        return (inputs[0].reshape(self.infer(TensorType(inputs[0].shape))[0].shape),)

    def cost(self, *inputs: TensorType) -> Cost:
        return Cost(moved=inputs[0].size)

    def lower(self, *inputs: TensorType) -> Lowering:
        return single(Reshape(), 1, self.infer(*inputs)[0])

    def images(self, *ranks: int) -> tuple[bool, ...] | None:
        second = self.axis if self.axis >= 0 else self.axis + ranks[0]
        return (True,) if second == 1 else None

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), ((2, 3, 4, 5),))
        yield Sample(cls(2), ((2, 3, 4, 5),))
        yield Sample(cls(0), ((2, 3),))


@dataclass(frozen=True)
class Split(Op):
    """Several outputs: consecutive parts of `sizes` elements along `axis`."""

    sizes: tuple[int, ...]
    axis: int = 1

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        expect_count(self, inputs, 1)
        shape = inputs[0].shape
        axis = _axis(self.axis, len(shape))
        if not self.sizes or any(size < 1 for size in self.sizes) or sum(self.sizes) != shape[axis]:
            raise ShapeError(f"sizes {self.sizes} do not add up to the {shape[axis]} elements of axis {axis}")
        return tuple(TensorType((*shape[:axis], size, *shape[axis + 1 :])) for size in self.sizes)

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        borders = np.cumsum(self.sizes)[:-1]
        return tuple(np.ascontiguousarray(part) for part in np.split(inputs[0], borders, axis=self.axis))

    def cost(self, *inputs: TensorType) -> Cost:
        return Cost(moved=inputs[0].size)

    def lower(self, *inputs: TensorType) -> Lowering:
        axis = _axis(self.axis, inputs[0].rank)
        pieces, begin = [], 0
        for size, type in zip(self.sizes, self.infer(*inputs), strict=True):
            pieces.append(Piece(Part(axis, begin), (0,), type))
            begin += size
        return Lowering(tuple(pieces), tuple(range(1, len(pieces) + 1)))

    def images(self, *ranks: int) -> tuple[bool, ...] | None:
        return None if _axis(self.axis, ranks[0]) == 0 else (True,)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls((3, 5)), ((2, 8, 3, 4),))
        yield Sample(cls((1, 2, 1), -1), ((1, 3, 5, 4),))
        yield Sample(cls((1, 1), 0), ((2, 6),))
