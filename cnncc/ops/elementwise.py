"""What all element-wise ops share: each is a formula and an expression; everything else follows from these."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import numpy as np

from ..computation import Lowering, LoweringBuilder, Pointwise, single
from ..elements import Element, element_of
from ..errors import ShapeError
from ..expr import Arg, Expr, calls
from ..op import Cost, Op, Sample, expect_count
from ..types import Array, TensorType


@dataclass(frozen=True)
class ElementwiseOp(Op, abstract=True):
    """An op whose inputs broadcast to one shape as NumPy's do.

    `formula` says the meaning in NumPy's float64 (whole numbers stay as they are), `expression` how kernels compute it;
    a new op writes these two and its samples (a function of one input not even those, see `Unary`). `takes` says which
    elements it is for, and `result` which it makes of them.
    """

    def result(self, element: Element) -> Element:
        """The element of the result, from that of the operands (of the last one, where they differ)."""
        return element

    def arity(self) -> int | None:
        """The number of inputs; None if any number from one on will do."""
        return 1

    def formula(self, *x: Array) -> Array:
        raise NotImplementedError

    def expression(self, *x: Expr) -> Expr:
        raise NotImplementedError

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        arity = self.arity()
        expect_count(self, inputs, arity or 1, arity or max(1, len(inputs)))
        try:
            shape = np.broadcast_shapes(*(x.shape for x in inputs))
        except ValueError:
            shapes = " and ".join(str(x.shape) for x in inputs)
            raise ShapeError(f"shapes {shapes} do not broadcast to one shape") from None
        return (TensorType(tuple(int(n) for n in shape), self.result(inputs[-1].dtype)),)

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        with np.errstate(all="ignore"):
            result = self.formula(*map(widened, inputs))
            return (np.asarray(result, self.result(element_of(inputs[-1])).numpy),)

    def cost(self, *inputs: TensorType) -> Cost:
        (out,) = self.infer(*inputs)
        return Cost(flops=max(1, calls(self._expression(len(inputs)))) * out.size)

    def lower(self, *inputs: TensorType) -> Lowering:
        (out,) = self.infer(*inputs)
        dims = tuple(tuple(range(out.rank - x.rank, out.rank)) for x in inputs)
        return single(Pointwise(self._expression(len(inputs)), dims), len(inputs), out)

    def _expression(self, inputs: int) -> Expr:
        return self.expression(*(Arg(index) for index in range(inputs)))

    def images(self, *ranks: int) -> tuple[bool, ...] | None:
        return tuple(rank == max(ranks) for rank in ranks)


@dataclass(frozen=True)
class Unary(ElementwiseOp, abstract=True):
    """A function of one input. `variants` are the uses of its attributes that tests should reach."""

    @classmethod
    def variants(cls) -> Iterator[Unary]:
        yield cls()

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        for op in cls.variants():
            yield Sample(op, ((2, 5, 3, 7),))
        yield Sample(op, ((1, 33),))
        yield Sample(op, ((4,),))


@dataclass(frozen=True)
class Binary(ElementwiseOp, abstract=True):
    """A function of two inputs."""

    def arity(self) -> int | None:
        return 2

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), ((2, 20, 3, 7), (2, 20, 3, 7)))
        yield Sample(cls(), ((1, 5, 4, 6), (5, 1, 1)))
        yield Sample(cls(), ((1, 3, 1, 6), (1, 3, 4, 1)))


def widened(x: Array) -> Array:
    """Floats in float64, in which they are computed with; others as they are."""
    return x.astype(np.float64) if x.dtype.kind == "f" else x


MOST_OPERANDS = 32
"""Inputs that one loop reads; of more, each so many make a result of their own."""

T = TypeVar("T")


def paired(combine: Callable[[T, T], T], values: Sequence[T]) -> T:
    """All values combined in pairs, and those in pairs: log n deep, and of a sum also an exact order."""
    if len(values) == 1:
        return values[0]
    half = len(values) // 2
    return combine(paired(combine, values[:half]), paired(combine, values[half:]))


def in_groups(combine: Callable[[Sequence[T]], T], values: Sequence[T]) -> Sequence[T]:
    """At most `MOST_OPERANDS` values: groups of so many combined, and groups of those."""
    while len(values) > MOST_OPERANDS:
        groups = range(0, len(values), MOST_OPERANDS)
        values = [combine(values[begin : begin + MOST_OPERANDS]) for begin in groups]
    return values


@dataclass(frozen=True)
class Variadic(ElementwiseOp, abstract=True):
    """A function of any number of inputs, from one up: pairs are `combined`, the whole is `finished`.

    `formula` has the same order as the kernels: float64, too, rounds differently in another one.
    """

    meaning: ClassVar[np.ufunc]
    """What NumPy calls the combination of a pair."""

    def combined(self, a: Expr, b: Expr) -> Expr:
        raise NotImplementedError

    def finished(self, total: Any, count: int) -> Any:
        """Of arrays and of expressions."""
        return total

    def formula(self, *x: Array) -> Array:
        meaning = self.meaning
        result: Array = self.finished(paired(meaning, in_groups(lambda group: paired(meaning, group), x)), len(x))
        return result

    def expression(self, *x: Expr) -> Expr:
        result: Expr = self.finished(paired(self.combined, in_groups(self._joined, x)), len(x))
        return result

    def _joined(self, x: Sequence[Expr]) -> Expr:
        return paired(self.combined, x)

    def arity(self) -> int | None:
        return None

    def lower(self, *inputs: TensorType) -> Lowering:
        """One piece for each group of inputs, and for each group of those."""
        if len(inputs) <= MOST_OPERANDS:
            return super().lower(*inputs)
        pieces = LoweringBuilder(inputs)

        def piece(group: Sequence[int]) -> int:
            return pieces.pointwise(self._joined([Arg(index) for index in range(len(group))]), group)

        left = in_groups(piece, range(len(inputs)))
        total = self.finished(self._joined([Arg(index) for index in range(len(left))]), len(inputs))
        return pieces.lowering(pieces.pointwise(total, left))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), ((2, 20, 3, 7),) * 3)
        yield Sample(cls(), ((1, 5, 4, 6), (5, 1, 1), (1, 1, 4, 6), (6,)))
        yield Sample(cls(), ((1, 33),))
        yield Sample(cls(), ((2, 3, 5), (5,), (3, 1)) * 12)
