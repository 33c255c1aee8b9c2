"""What the ops that only arrange elements share, and the identity."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..computation import Lowering, LoweringBuilder
from ..elements import VALUES
from ..op import Cost, Op, Sample, expect_count
from ..types import Array, TensorType


@dataclass(frozen=True)
class Arranging(Op, abstract=True):
    """An op of one input that moves elements and calculates nothing.

    `arranged` appends its pieces and returns the reference of the result.
    """

    takes = VALUES

    def shape(self, x: TensorType) -> tuple[int, ...]:
        """The shape of the result; raises ShapeError."""
        raise NotImplementedError

    def arranged(self, pieces: LoweringBuilder, x: int) -> int:
        raise NotImplementedError

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        expect_count(self, inputs, 1)
        return (inputs[0].shaped(self.shape(inputs[0])),)

    def cost(self, *inputs: TensorType) -> Cost:
        return Cost(moved=self.infer(*inputs)[0].size)

    def lower(self, *inputs: TensorType) -> Lowering:
        self.infer(*inputs)
        pieces = LoweringBuilder(inputs)
        return pieces.ending(self.arranged(pieces, 0))


@dataclass(frozen=True)
class Identity(Arranging):
    """The input itself."""

    def shape(self, x: TensorType) -> tuple[int, ...]:
        return x.shape

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        return inputs

    def arranged(self, pieces: LoweringBuilder, x: int) -> int:
        return x

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), ((2, 3, 4, 5),))
        yield Sample(cls(), ((7,),))
