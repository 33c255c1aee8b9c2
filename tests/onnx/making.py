"""What cases of the import are written with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnncc.types import Array

from .support import NEWEST, Case


def case(
    operator: str,
    *inputs: Any,
    opset: int = NEWEST,
    outputs: int = 1,
    unread: int = 0,
    low: float = -3.0,
    expected: Callable[..., Array] | None = None,
    below: int = 0,
    **attributes: Any,
) -> Case:
    return Case(operator, inputs, attributes, opset, outputs, unread, low, expected, below=below)


def data(*shape: int) -> Array:
    """Known numbers between −1 and 1."""
    return np.random.default_rng(shape).uniform(-1, 1, shape).astype(np.float32)


def positive(*shape: int) -> Array:
    return np.abs(data(*shape)) + np.float32(0.1)


def ints(*numbers: int) -> Array:
    return np.array(numbers, np.int64)


def number(value: float) -> Array:
    return np.array(value, np.float32)


X = (1, 3, 7, 8)
