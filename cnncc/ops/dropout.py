"""Dropout: in training, elements are left out at random; once a network is trained, the input itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..computation import LoweringBuilder
from ..errors import ShapeError
from ..op import Sample, TrainingNet, expect_count
from ..types import Array, TensorType
from .arithmetic import Mul
from .arrangement import Arranging
from .comparison import GreaterOrEqual
from .logic import Where


@dataclass(frozen=True)
class Dropout(Arranging):
    """The input itself; in training, 0 for the share `rate` of the elements, and the others / (1 − rate).

    After Srivastava and others, 2014.
    """

    rate: float = 0.5

    def shape(self, x: TensorType) -> tuple[int, ...]:
        return x.shape

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        expect_count(self, inputs, 1)
        if not 0 <= self.rate < 1:
            raise ShapeError(f"rate={self.rate!r} must be a number from 0 on and below 1")
        return super().infer(*inputs)

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        return inputs

    def arranged(self, pieces: LoweringBuilder, x: int) -> int:
        return x

    def trained(self, net: TrainingNet, *inputs: Any) -> tuple[Any, ...]:
        if not self.rate:
            return net.add(self, *inputs)
        (stays,) = net.add(GreaterOrEqual(), net.noise(inputs[0]), net.number(self.rate))
        (larger,) = net.add(Mul(), inputs[0], net.number(1 / (1 - self.rate)))
        return net.add(Where(), stays, larger, net.number(0))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), ((2, 3, 4, 5),))
        yield Sample(cls(0.25), ((7,),))
