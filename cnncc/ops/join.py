"""Concatenation and its inverse."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..computation import ComputationNode, Concatenate, Lowering, StridedSlice, replaced, single
from ..elements import VALUES
from ..errors import ShapeError
from ..op import Cost, Op, Sample, expect_count
from ..types import Array, TensorType
from .axes import axis_of
from .images import AlongOneAxis


@dataclass(frozen=True)
class Concat(Op):
    """The inputs one after the other along `axis`; all other axes must agree."""

    axis: int = 1

    takes = VALUES

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        expect_count(self, inputs, 1, 10**6)
        first = inputs[0]
        axis = axis_of(self.axis, first.rank)
        for other in inputs[1:]:
            if other.rank != first.rank or any(
                a != b for k, (a, b) in enumerate(zip(first.shape, other.shape, strict=True)) if k != axis
            ):
                raise ShapeError(f"cannot join {first.shape} and {other.shape} along axis {axis}")
        total = sum(x.shape[axis] for x in inputs)
        return (first.shaped(replaced(first.shape, axis, total)),)

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        return (np.concatenate(inputs, axis=self.axis),)

    def cost(self, *inputs: TensorType) -> Cost:
        return Cost(moved=sum(x.size for x in inputs))

    def lower(self, *inputs: TensorType) -> Lowering:
        return single(Concatenate(axis_of(self.axis, inputs[0].rank)), len(inputs), self.infer(*inputs)[0])

    def images(self, *ranks: int) -> tuple[bool, ...] | None:
        return None if axis_of(self.axis, ranks[0]) == 0 else tuple(True for _ in ranks)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), ((2, 3, 4, 5), (2, 6, 4, 5), (2, 1, 4, 5)))
        yield Sample(cls(-1), ((1, 3, 4, 5), (1, 3, 4, 2)))
        yield Sample(cls(0), ((1, 4), (2, 4)))


@dataclass(frozen=True)
class Split(AlongOneAxis):
    """Several outputs: consecutive parts of `sizes` elements along `axis`."""

    sizes: tuple[int, ...]
    axis: int = 1

    takes = VALUES

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        expect_count(self, inputs, 1)
        shape = inputs[0].shape
        axis = axis_of(self.axis, len(shape))
        if (
            not self.sizes
            or any(type(size) is not int or size < 1 for size in self.sizes)
            or sum(self.sizes) != shape[axis]
        ):
            raise ShapeError(f"sizes {self.sizes} do not add up to the {shape[axis]} elements of axis {axis}")
        return tuple(inputs[0].shaped(replaced(shape, axis, size)) for size in self.sizes)

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        borders = np.cumsum(self.sizes)[:-1]
        return tuple(np.ascontiguousarray(part) for part in np.split(inputs[0], borders, axis=self.axis))

    def cost(self, *inputs: TensorType) -> Cost:
        return Cost(moved=inputs[0].size)

    def lower(self, *inputs: TensorType) -> Lowering:
        axis = axis_of(self.axis, inputs[0].rank)
        pieces, begin = [], 0
        for size, type in zip(self.sizes, self.infer(*inputs), strict=True):
            pieces.append(ComputationNode(StridedSlice(axis, begin), (0,), type))
            begin += size
        return Lowering(tuple(pieces), tuple(range(1, len(pieces) + 1)))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls((3, 5)), ((2, 8, 3, 4),))
        yield Sample(cls((1, 2, 1), -1), ((1, 3, 5, 4),))
        yield Sample(cls((1, 1), 0), ((2, 6),))
