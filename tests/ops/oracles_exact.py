"""Oracles of what is exact: truth values, and whole numbers as Python's, which never overflow: wrapped at last."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from cnncc.elements import VALUES
from cnncc.types import Array

Scalar = float | int | bool


def number(x: Any) -> Scalar:
    """An element of an array as Python has it."""
    scalar: Scalar = x.item() if isinstance(x, np.ndarray | np.generic) else x
    return scalar


def wrapped(values: Array, dtype: np.dtype[Any]) -> Array:
    """Python's numbers as elements: whole ones modulo 2^n."""
    if dtype.kind not in "iu":
        return values.astype(dtype)
    least, count = int(np.iinfo(dtype).min), 2 ** (8 * dtype.itemsize)
    flat = [(int(value) - least) % count + least for value in values.ravel()]
    return np.array(flat, dtype).reshape(values.shape)


def divide(a: Scalar, b: Scalar) -> Scalar:
    """The quotient, of whole numbers cut off; nothing is divided by 0."""
    if isinstance(a, float):
        return a / b
    return 0 if b == 0 else abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def remainder(a: Scalar, b: Scalar) -> Scalar:
    if isinstance(a, float):
        return math.fmod(a, b)
    return a if b == 0 else int(math.copysign(1, a)) * (abs(a) % abs(b))


def modulo(a: Scalar, b: Scalar) -> Scalar:
    return a if b == 0 else a % b


def power(a: Any, b: Any) -> Scalar:
    """Of whole numbers; 1 / a to the power of −b, cut off, for b below 0."""
    if b >= 0:
        return int(pow(int(a), int(b), 2**64))
    return a if a in (1, -1) and b % 2 else int(a in (1, -1))


def shifted(direction: str, a: Any, b: Any) -> Scalar:
    b = min(int(b), 64)  # which leaves no bit; Python would make all of billions
    return int(a << b if direction == "left" else a >> b)


def quantized(to: str, x: Any, scale: float, zero: int = 0) -> Scalar:
    with np.errstate(over="ignore"):
        quotient = float(np.float32(float(x) / scale))
    return cast(to, float(round(quotient) + zero) if math.isfinite(quotient) else quotient)


def dequantized(x: Any, scale: float, zero: Any = 0) -> float:
    return float(np.float32(np.float64(np.float32(x)) - np.float64(np.float32(zero)))) * scale


def cast(to: str, x: Scalar) -> Scalar:
    if to == "bool":
        return bool(x)
    if to == "float32":
        return x if isinstance(x, float) else float(np.float32(x))
    if to == "float16":
        with np.errstate(over="ignore"):
            return float(np.float16(np.float32(x)))
    if not isinstance(x, float):
        return int(x)
    info = np.iinfo(to)
    if math.isnan(x):
        return 0
    return int(info.max) if x > info.max else int(info.min) if x < info.min else math.trunc(x)


def flipped(x: Any) -> Scalar:
    return not x if isinstance(x, bool) else -x - 1


ELEMENTWISE: dict[str, Callable[..., Scalar]] = {
    "And": lambda op, a, b: a and b,
    "BitShift": lambda op, a, b: shifted(op.direction, a, b),
    "BitwiseAnd": lambda op, a, b: a & b,
    "BitwiseNot": lambda op, x: flipped(x),
    "BitwiseOr": lambda op, a, b: a | b,
    "BitwiseXor": lambda op, a, b: a ^ b,
    "Cast": lambda op, x: cast(op.to, x),
    "Dequantize": lambda op, *x: dequantized(*x),
    "Div": lambda op, a, b: divide(a, b),
    "Equal": lambda op, a, b: a == b,
    "Greater": lambda op, a, b: a > b,
    "GreaterOrEqual": lambda op, a, b: a >= b,
    "IsInf": lambda op, x: (x == math.inf and op.detect_positive) or (x == -math.inf and op.detect_negative),
    "IsNaN": lambda op, x: math.isnan(x),
    "Less": lambda op, a, b: a < b,
    "LessOrEqual": lambda op, a, b: a <= b,
    "Mod": lambda op, a, b: remainder(a, b) if op.fmod else modulo(a, b),
    "Not": lambda op, x: flipped(x),
    "NotEqual": lambda op, a, b: a != b,
    "Or": lambda op, a, b: a or b,
    "Quantize": lambda op, *x: quantized(op.to, *x),
    "Where": lambda op, c, a, b: a if c else b,
    "Xor": lambda op, a, b: a != b,
}
"""Of ops."""

MEANING: dict[str, Callable[..., Scalar]] = {
    "and": lambda a, b: a & b,
    "divide": divide,
    "equal": lambda a, b: a == b,
    "less": lambda a, b: a < b,
    "less_equal": lambda a, b: a <= b,
    "modulo": modulo,
    "not": flipped,
    "or": lambda a, b: a | b,
    "remainder": remainder,
    "shift_left": lambda a, b: shifted("left", a, b),
    "shift_right": lambda a, b: a >> b,
    "select": lambda c, a, b: a if c else b,
    "xor": lambda a, b: a ^ b,
    **{f"to_{to}": lambda x, to=to: cast(to, x) for to in map(str, VALUES)},
}
"""Of functions of expressions."""
