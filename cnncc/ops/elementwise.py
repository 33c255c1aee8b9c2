"""Element-wise ops. Each is an expression; the base class derives everything else from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..computation import Lowering, Pointwise, single
from ..errors import ShapeError
from ..expr import Arg, Expr, maximum
from ..op import Cost, Op, Sample, expect_count
from ..types import Array, TensorType


@dataclass(frozen=True)
class Elementwise(Op, abstract=True):
    """An op of `arity` inputs whose shapes broadcast as NumPy's do."""

    def arity(self) -> int:
        return 1

    def expression(self, *x: Expr) -> Expr:
        raise NotImplementedError

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        expect_count(self, inputs, self.arity())
        try:
            shape = np.broadcast_shapes(*(x.shape for x in inputs))
        except ValueError:
            shapes = " and ".join(str(x.shape) for x in inputs)
            raise ShapeError(f"shapes {shapes} do not broadcast to one shape") from None
        return (TensorType(tuple(int(n) for n in shape)),)

    def cost(self, *inputs: TensorType) -> Cost:
        return Cost(flops=self.infer(*inputs)[0].size)

    def lower(self, *inputs: TensorType) -> Lowering:
        (out,) = self.infer(*inputs)
        dims = tuple(tuple(range(out.rank - x.rank, out.rank)) for x in inputs)
        expr = self.expression(*(Arg(index) for index in range(len(inputs))))
        return single(Pointwise(expr, dims), len(inputs), out)

    def images(self, *ranks: int) -> tuple[bool, ...] | None:
        return tuple(rank == max(ranks) for rank in ranks)


@dataclass(frozen=True)
class Relu(Elementwise):
    """max(x, 0), with NaN kept."""

    def expression(self, *x: Expr) -> Expr:
        return maximum(x[0], 0.0)

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        return (np.maximum(inputs[0], np.float32(0)),)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), ((2, 5, 3, 7),))
        yield Sample(cls(), ((1, 33),))
        yield Sample(cls(), ((4,),))


@dataclass(frozen=True)
class Add(Elementwise):
    """a + b with broadcasting."""

    linear_inputs = ()

    def arity(self) -> int:
        return 2

    def expression(self, *x: Expr) -> Expr:
        return x[0] + x[1]

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        with np.errstate(all="ignore"):
            return (inputs[0] + inputs[1],)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), ((2, 20, 3, 7), (2, 20, 3, 7)))
        yield Sample(cls(), ((1, 5, 4, 6), (5, 1, 1)))
        yield Sample(cls(), ((1, 3, 1, 6), (1, 3, 4, 1)))
