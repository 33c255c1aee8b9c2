"""Logic of truth values, the same bit by bit of whole numbers, and choosing by a truth value."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..elements import BOOL, COMPUTED, FLOAT32, INT32, INT64, INTEGERS, UNSIGNED, Element
from ..errors import ShapeError
from ..expr import Apply, Expr, select, unary
from ..integers import shifted_left, shifted_right
from ..op import Sample, expect_alike
from ..types import Array, TensorType
from .elementwise import Binary, ElementwiseOp, Unary

SHAPES = (((2, 20, 3, 7), (2, 20, 3, 7)), ((1, 5, 4, 6), (5, 1, 1)))


@dataclass(frozen=True)
class Logic(Binary, abstract=True):
    """A truth value of two, with broadcasting."""

    takes: ClassVar[tuple[Element, ...]] = (BOOL,)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        elements = cls.takes * 2 if len(cls.takes) == 1 else cls.takes
        for shapes, element in zip(itertools.cycle(SHAPES), elements, strict=False):
            yield Sample(cls(), shapes, (element,))


@dataclass(frozen=True)
class And(Logic):
    """Whether both hold."""

    def formula(self, *x: Array) -> Array:
        return x[0] & x[1]

    def expression(self, *x: Expr) -> Expr:
        return Apply("and", x)


@dataclass(frozen=True)
class Or(Logic):
    """Whether either holds, or both."""

    def formula(self, *x: Array) -> Array:
        return x[0] | x[1]

    def expression(self, *x: Expr) -> Expr:
        return Apply("or", x)


@dataclass(frozen=True)
class Xor(Logic):
    """Whether one holds and the other does not."""

    def formula(self, *x: Array) -> Array:
        return x[0] ^ x[1]

    def expression(self, *x: Expr) -> Expr:
        return Apply("xor", x)


@dataclass(frozen=True)
class BitwiseAnd(And):
    """The bits that are set in both whole numbers, with broadcasting."""

    takes = INTEGERS


@dataclass(frozen=True)
class BitwiseOr(Or):
    """The bits that are set in either whole number, with broadcasting."""

    takes = INTEGERS


@dataclass(frozen=True)
class BitwiseXor(Xor):
    """The bits in which whole numbers differ, with broadcasting."""

    takes = INTEGERS


@dataclass(frozen=True)
class BitShift(Binary):
    """a · 2^b, or with direction='right' a / 2^b rounded down, of whole numbers without a sign, with broadcasting.

    By as many bits as the type has, or more, the result is 0.
    """

    direction: str = "left"

    takes = UNSIGNED

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        if self.direction not in ("left", "right"):
            raise ShapeError(f"direction={self.direction!r}: expected 'left' or 'right'")
        return super().infer(*inputs)

    def formula(self, *x: Array) -> Array:
        return shifted_left(*x) if self.direction == "left" else shifted_right(*x)

    def expression(self, *x: Expr) -> Expr:
        return Apply(f"shift_{self.direction}", x)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        for element in reversed(UNSIGNED):  # of bytes last: as inputs of a script these are pictures
            yield Sample(cls(), SHAPES[0], (element,))
            yield Sample(cls("right"), SHAPES[1], (element,))


@dataclass(frozen=True)
class Not(Unary):
    """Whether a truth value does not hold."""

    takes: ClassVar[tuple[Element, ...]] = (BOOL,)

    def formula(self, *x: Array) -> Array:
        return np.invert(x[0])

    def expression(self, *x: Expr) -> Expr:
        return unary("not", x[0])

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), ((2, 5, 3, 7),), cls.takes[:1])
        yield Sample(cls(), ((1, 33),), cls.takes[-1:])


@dataclass(frozen=True)
class BitwiseNot(Not):
    """All bits of a whole number the other way round: −x − 1."""

    takes = INTEGERS


@dataclass(frozen=True)
class Where(ElementwiseOp):
    """a where the condition, a truth value, holds, b elsewhere; all three broadcast."""

    takes = COMPUTED
    mixed = True

    def arity(self) -> int | None:
        return 3

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        outputs = super().infer(*inputs)
        if inputs[0].dtype is not BOOL:
            raise ShapeError(f"Where chooses by {BOOL}, got {inputs[0]}: a comparison makes truth values")
        expect_alike(self, inputs[1:])
        return outputs

    def formula(self, *x: Array) -> Array:
        return np.where(*x)

    def expression(self, *x: Expr) -> Expr:
        return select(*x)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), ((2, 20, 3, 7),) * 3, (BOOL, FLOAT32))
        yield Sample(cls(), ((1, 1, 4, 6), (5, 4, 6), (1, 5, 1, 1)), (BOOL, FLOAT32))
        yield Sample(cls(), ((3, 17), (1,), (3, 17)), (BOOL, INT32))
        yield Sample(cls(), ((17,), (3, 17), (1, 17)), (BOOL, INT64))
        yield Sample(cls(), ((2, 9), (2, 9), (9,)), (BOOL,))
