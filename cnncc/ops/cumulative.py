"""Running sums and products along an axis."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from ..computation import Lowering, LoweringBuilder
from ..elements import INT32, INT64, NUMBERS, element_of
from ..lines import Running
from ..op import Cost, Sample, expect_count
from ..types import Array, TensorType
from .axes import axis_of
from .elementwise import widened
from .images import AlongOneAxis


@dataclass(frozen=True)
class Cumulative(AlongOneAxis, abstract=True):
    """What all elements along `axis` up to each one make together."""

    takes = NUMBERS

    combine: ClassVar[Literal["add", "multiply"]]

    axis: int
    exclusive: bool = False
    reverse: bool = False

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        expect_count(self, inputs, 1)
        axis_of(self.axis, inputs[0].rank)
        return inputs

    def running(self, rank: int) -> Running:
        return Running(axis_of(self.axis, rank), self.exclusive, self.reverse, self.combine)

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        (x,) = inputs
        with np.errstate(all="ignore"):
            return (np.asarray(self.running(x.ndim).made([widened(x)]), element_of(x).numpy),)

    def cost(self, *inputs: TensorType) -> Cost:
        return Cost(flops=inputs[0].size)

    def lower(self, *inputs: TensorType) -> Lowering:
        pieces = LoweringBuilder(inputs)
        return pieces.lowering(pieces.along(self.running(inputs[0].rank), 0))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(1), ((2, 5, 3, 7),))
        yield Sample(cls(-1, True), ((2, 3, 20),))
        yield Sample(cls(2, reverse=True), ((2, 3, 5, 19),), (INT32,))
        yield Sample(cls(0, True, True), ((4, 3),), (INT64,))
        yield Sample(cls(1), ((2, 1, 3),))


@dataclass(frozen=True)
class CumSum(Cumulative):
    """The sum of all elements along `axis` up to each one, without it if `exclusive`; from the back if `reverse`."""

    combine: ClassVar[Literal["add", "multiply"]] = "add"


@dataclass(frozen=True)
class CumProd(Cumulative):
    """The product of all elements along `axis` up to each one, or of those before it; as CumSum."""

    combine: ClassVar[Literal["add", "multiply"]] = "multiply"
