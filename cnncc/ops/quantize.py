"""Quantisation as ONNX's standard defines it: floats as whole numbers of few bits beside a scale, and back.

Scales, and zero points, broadcast to x: (C, 1, 1) has one for each channel.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..elements import ELEMENTS, FLOAT32, INT8, INT16, INT32, INTEGERS, UINT8, Element
from ..errors import ShapeError
from ..expr import Expr, convert, maximum, minimum, unary
from ..functions import nearest
from ..integers import converted
from ..op import Sample, either
from ..types import Array, TensorType
from .elementwise import ElementwiseOp

QUANTIZED = tuple(element for element in INTEGERS if element.bytes <= 2)
"""What is quantised to: float32 holds all of their numbers, and sums of two."""
MOST_STEPS = 2**20
"""From here on every sum with a zero point saturates."""
SHAPES = (((2, 5, 3, 7), (5, 1, 1), (5, 1, 1)), ((2, 33), (), ()))


@dataclass(frozen=True)
class Quantization(ElementwiseOp, abstract=True):
    """An op on x, scale and perhaps a zero point, which is 0 without one."""

    mixed = True

    def arity(self) -> int | None:
        return None

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        if not 2 <= len(inputs) <= 3:
            raise ShapeError(f"{self.name} takes 2 to 3 inputs, got {len(inputs)}")
        (out,) = super().infer(*inputs)
        x, scale, *_ = inputs
        if scale.dtype is not FLOAT32:
            raise ShapeError(f"{self.name} takes a scale of {FLOAT32}, got {scale}: Cast converts it")
        if out.shape != x.shape:
            raise ShapeError(f"scales or zero points of shape {scale.shape} do not broadcast to {x}")
        return (out,)


@dataclass(frozen=True)
class Quantize(Quantization):
    """rint(x / scale) + zero point, saturated, as `to`, the name of an element type; NaN counts as 0.

    The quotient is rounded to a float, and of two nearest whole numbers the even one is taken. Whole numbers x become
    floats first.
    """

    to: str

    takes = (FLOAT32, *INTEGERS)

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        if self.to not in [element.name for element in QUANTIZED]:
            raise ShapeError(f"to={self.to!r}: expected the name of an element type, {either(QUANTIZED)}")
        outputs = super().infer(*inputs)
        if inputs[0].dtype not in (FLOAT32, INT32):
            raise ShapeError(f"{self.name} takes {FLOAT32} or {INT32}, got {inputs[0]}: Cast converts it")
        for zero in inputs[2:]:
            if zero.dtype is not self.element:
                raise ShapeError(f"{self.name} to {self.to} takes a zero point of it, got {zero}: Cast converts it")
        return outputs

    @property
    def element(self) -> Element:
        return ELEMENTS[self.to]

    def result(self, element: Element) -> Element:
        return self.element

    def formula(self, *x: Array) -> Array:
        steps = np.nan_to_num(np.rint(nearest(converted(x[0], FLOAT32) / x[1])))
        return converted(steps + x[2] if len(x) > 2 else steps, self.element)

    def expression(self, *x: Expr) -> Expr:
        """In whole numbers from the steps on, which are then few enough to add a zero point."""
        steps = unary("rint", unary("nearest", convert(x[0], FLOAT32) / x[1]))
        whole = convert(minimum(maximum(steps, -MOST_STEPS), MOST_STEPS), INT32)
        moved = whole + convert(x[2], INT32) if len(x) > 2 else whole
        return convert(minimum(maximum(moved, self.element.least), self.element.most), self.element)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        for shapes, element in zip(SHAPES * 2, (INT8, UINT8, UINT8, INT16), strict=True):
            yield Sample(cls(element.name), shapes, (FLOAT32, FLOAT32, element))
        yield Sample(cls(INT8.name), ((3, 9), (3, 1)))
        yield Sample(cls(INT8.name), ((3, 9), (9,)), (INT32, FLOAT32))


@dataclass(frozen=True)
class Dequantize(Quantization):
    """(x − zero point) · scale, in floats; the difference is exact unless x is of more bits than a float."""

    takes = (FLOAT32, *INTEGERS)

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        outputs = super().infer(*inputs)
        if inputs[0].dtype not in (*QUANTIZED, INT32):
            told = either((*QUANTIZED, INT32))
            raise ShapeError(f"{self.name} takes {told}, got {inputs[0]}: Cast converts it")
        for zero in inputs[2:]:
            if zero.dtype is not inputs[0].dtype:
                raise ShapeError(f"{self.name} of {inputs[0]} takes a zero point of its type, got {zero}")
        return outputs

    def result(self, element: Element) -> Element:
        return FLOAT32

    def formula(self, *x: Array) -> Array:
        numbers = [converted(operand, FLOAT32).astype(np.float64) for operand in (x[0], *x[2:])]
        return np.asarray((nearest(numbers[0] - numbers[1]) if len(numbers) > 1 else numbers[0]) * x[1])

    def expression(self, *x: Expr) -> Expr:
        numbers = [convert(operand, FLOAT32) for operand in (x[0], *x[2:])]
        return (unary("nearest", numbers[0] - numbers[1]) if len(numbers) > 1 else numbers[0]) * x[1]

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        for shapes, element in zip(SHAPES * 2, (INT8, UINT8, INT16, INT32), strict=True):
            yield Sample(cls(), shapes, (element, FLOAT32, element))
        yield Sample(cls(), ((3, 9), (3, 1)), (UINT8, FLOAT32))
