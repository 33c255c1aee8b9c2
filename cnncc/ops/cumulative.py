"""Running sums along an axis."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..computation import Lowering, LoweringBuilder
from ..elements import INT32, INT64, NUMBERS, element_of
from ..lines import RunningSum
from ..op import Cost, Sample, expect_count
from ..types import Array, TensorType
from .axes import axis_of
from .elementwise import widened
from .images import AlongOneAxis


@dataclass(frozen=True)
class CumSum(AlongOneAxis):
    """The sum of all elements along `axis` up to each one, without it if `exclusive`; from the back if `reverse`."""

    takes = NUMBERS

    axis: int
    exclusive: bool = False
    reverse: bool = False

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        expect_count(self, inputs, 1)
        axis_of(self.axis, inputs[0].rank)
        return inputs

    def sums(self, rank: int) -> RunningSum:
        return RunningSum(axis_of(self.axis, rank), self.exclusive, self.reverse)

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        (x,) = inputs
        with np.errstate(all="ignore"):
            return (np.asarray(self.sums(x.ndim).made([widened(x)]), element_of(x).numpy),)

    def cost(self, *inputs: TensorType) -> Cost:
        return Cost(flops=inputs[0].size)

    def lower(self, *inputs: TensorType) -> Lowering:
        pieces = LoweringBuilder(inputs)
        return pieces.lowering(pieces.along(self.sums(inputs[0].rank), 0))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(1), ((2, 5, 3, 7),))
        yield Sample(cls(-1, True), ((2, 3, 20),))
        yield Sample(cls(2, reverse=True), ((2, 3, 5, 19),), (INT32,))
        yield Sample(cls(0, True, True), ((4, 3),), (INT64,))
        yield Sample(cls(1), ((2, 1, 3),))
