"""Conversion from one element type to another: the only op that converts, since none does so unasked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..elements import BOOL, ELEMENTS, FLOAT16, FLOAT32, INT32, INT64, UINT8, VALUES, Element
from ..errors import ShapeError
from ..expr import Expr, convert
from ..integers import converted
from ..op import Sample, either
from ..types import Array, TensorType
from .elementwise import ElementwiseOp


@dataclass(frozen=True)
class Cast(ElementwiseOp):
    """x as `to`, the name of an element type.

    Floats become whole numbers toward zero, those beyond the range its nearest end, and NaN becomes 0. Whole numbers
    wrap to fewer bits, and become floats by rounding to the nearest, of two to the even one. All but 0 is true, and
    what is true becomes 1.
    """

    to: str

    takes = VALUES

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        if self.to not in [element.name for element in VALUES]:
            raise ShapeError(f"to={self.to!r}: expected the name of an element type, {either(VALUES)}")
        return super().infer(*inputs)

    def result(self, element: Element) -> Element:
        return ELEMENTS[self.to]

    def formula(self, *x: Array) -> Array:
        return converted(x[0], ELEMENTS[self.to])

    def expression(self, *x: Expr) -> Expr:
        return convert(x[0], ELEMENTS[self.to])

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        for source in (FLOAT32, INT32, INT64, BOOL):
            yield Sample(cls(INT32.name if source is not INT32 else FLOAT32.name), ((2, 5, 3, 7),), (source,))
            yield Sample(cls(INT64.name if source is not INT64 else FLOAT32.name), ((1, 33),), (source,))
            yield Sample(cls(BOOL.name if source is not BOOL else FLOAT32.name), ((4, 9),), (source,))
        yield Sample(cls(FLOAT32.name), ((2, 3, 5),), (UINT8,))
        yield Sample(cls(FLOAT16.name), ((2, 3, 5),))
        yield Sample(cls(FLOAT16.name), ((2, 31),), (INT32,))
        yield Sample(cls(FLOAT32.name), ((4, 17),), (FLOAT16,))
        yield Sample(cls(INT32.name), ((4, 17),), (FLOAT16,))
