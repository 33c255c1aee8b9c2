"""Floats of 16 and of 64 bits, which the graph has as float32: which type the file states for them.

Each float of 16 bits is a float32; numbers of 64 bits are rounded, if that was asked for. What the file states still
decides what a value is cast to like another one, and whether anything may compute with it.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...elements import COMPUTED, FLOAT16, FLOAT32, Element
from ...errors import ModelError
from ...op import either
from ...types import Array
from .messages import Unsupported
from .read import ADVICE, schema_of

SHORT_FLOATS = ("float16", "bfloat16")
"""Floats of a file that are computed with as float32, of which each is one."""

WIDE = "float64"
"""Floats of a file that are computed with as float32 if a user asks for it."""

FLOATS = (*SHORT_FLOATS, WIDE)

LARGEST = {
    "float16": FLOAT16.most,
    "bfloat16": 2.0**128 - 2.0**120,
    "float32": FLOAT32.most,
    "float64": float(np.finfo(np.float64).max),
}


def held(array: Array, shown: str, convert: bool = False) -> tuple[Array, Element]:
    """An array as a constant, and its element type; float64 is rounded to float32 if asked to `convert`.

    Raises Unsupported for one that no layer can compute with, ModelError for a number that float32 does not hold.
    """
    if array.dtype.name in SHORT_FLOATS:
        return array.astype(FLOAT32.numpy), FLOAT32
    if array.dtype == np.float64 and convert:
        return rounded(array, shown), FLOAT32
    for element in COMPUTED:
        if array.dtype == element.numpy:
            return array, element
    raise Unsupported(
        f"computing with the {array.dtype} {shown} is not supported, only {either(COMPUTED)}",
        f"computing with {array.dtype}",
        ADVICE if array.dtype == np.float64 else "",
    )


def rounded(array: Array, shown: str) -> Array:
    """float64 as float32. Raises ModelError for a finite number beyond its range."""
    with np.errstate(over="ignore"):
        result = array.astype(FLOAT32.numpy)
    lost = np.isinf(result) & np.isfinite(array)
    if lost.any():
        raise ModelError(f"float32 does not hold {array[lost][0]}, of the float64 {shown}")
    return result


@functools.cache
def related(operator: str, version: int, output: int, inputs: int) -> Sequence[int]:
    """Which of so many inputs of an operator have the element type of an output, by the standard.

    Of an operator that is not in the standard, all have.
    """
    schema: Any = schema_of(operator, version)
    if schema is None:
        return range(inputs)
    given, made = schema.inputs, schema.outputs
    type = made[min(output, len(made) - 1)].type_str  # the last may be many
    return [k for k in range(inputs if given else 0) if given[min(k, len(given) - 1)].type_str == type]
