"""Oracles of what is exact: truth values, and whole numbers as Python's, which never overflow: wrapped at last."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from cnncc.types import Array

Scalar = float | int | bool


def number(x: Any) -> Scalar:
    """An element of an array as Python has it."""
    scalar: Scalar = x.item() if isinstance(x, np.ndarray | np.generic) else x
    return scalar


def wrapped(values: Array, dtype: np.dtype[Any]) -> Array:
    """Python's numbers as elements: whole ones modulo 2^n."""
    if dtype.kind != "i":
        return values.astype(dtype)
    half = 2 ** (8 * dtype.itemsize - 1)
    flat = [(int(value) + half) % (2 * half) - half for value in values.ravel()]
    return np.array(flat, dtype).reshape(values.shape)


def divide(a: Scalar, b: Scalar) -> Scalar:
    """The quotient, of whole numbers cut off; nothing is divided by 0."""
    if isinstance(a, float):
        return a / b
    return 0 if b == 0 else abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def remainder(a: Scalar, b: Scalar) -> Scalar:
    return a if b == 0 else int(math.copysign(1, a)) * (abs(a) % abs(b))


def modulo(a: Scalar, b: Scalar) -> Scalar:
    return a if b == 0 else a % b


def cast(to: str, x: Scalar) -> Scalar:
    if to in ("bool", "float32"):
        return bool(x) if to == "bool" else float(x)
    if not isinstance(x, float):
        return int(x)
    half = 2 ** (int(to[3:]) - 1)
    if math.isnan(x):
        return 0
    return half - 1 if x >= half else -half if x < -half else math.trunc(x)


def flipped(x: Any) -> Scalar:
    return not x if isinstance(x, bool) else -x - 1


ELEMENTWISE: dict[str, Callable[..., Scalar]] = {
    "And": lambda op, a, b: a and b,
    "BitwiseAnd": lambda op, a, b: a & b,
    "BitwiseNot": lambda op, x: flipped(x),
    "BitwiseOr": lambda op, a, b: a | b,
    "BitwiseXor": lambda op, a, b: a ^ b,
    "Cast": lambda op, x: cast(op.to, x),
    "Div": lambda op, a, b: divide(a, b),
    "Equal": lambda op, a, b: a == b,
    "Greater": lambda op, a, b: a > b,
    "GreaterOrEqual": lambda op, a, b: a >= b,
    "Less": lambda op, a, b: a < b,
    "LessOrEqual": lambda op, a, b: a <= b,
    "Mod": lambda op, a, b: remainder(a, b) if op.fmod else modulo(a, b),
    "Not": lambda op, x: flipped(x),
    "NotEqual": lambda op, a, b: a != b,
    "Or": lambda op, a, b: a or b,
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
    "select": lambda c, a, b: a if c else b,
    "xor": lambda a, b: a ^ b,
    **{f"to_{to}": lambda x, to=to: cast(to, x) for to in ("float32", "int32", "int64", "bool")},
}
"""Of functions of expressions."""
