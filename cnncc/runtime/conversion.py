"""Conversion of inputs to the element type of their port: asked for, and never to another number unseen.

bfloat16 alone needs no asking: NumPy does not have it, so no port is of it, and each is a float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..elements import ELEMENTS, FLOAT32, Element
from ..errors import InputError
from ..types import Array
from .executable import NamedPort, Port
from .foreign import BFLOAT16


def is_native(port: NamedPort, dtype: np.dtype[Any]) -> bool:
    """Whether elements are the port's, perhaps in the other order of bytes."""
    return dtype.newbyteorder("=") == ELEMENTS[port.dtype].numpy


def is_widened(port: NamedPort, dtype: np.dtype[Any]) -> bool:
    """Whether elements are bfloat16, of this program or of the package `ml_dtypes`, for a port of float32."""
    return port.dtype == FLOAT32.name and (dtype == BFLOAT16 or dtype.name == "bfloat16")


def converts(element: Element, dtype: np.dtype[Any]) -> bool:
    """Whether `converted` takes elements of `dtype`: floats never become whole numbers, which would cut them."""
    return dtype.kind in "biu" or (dtype.kind == "f" and element.is_float)


def converted(port: Port, array: Array) -> Array:
    """`array` as the port's elements: floats rounded to nearest, whole numbers and truth values unchanged.

    Raises InputError for a number that the element does not hold: one beyond its range, or for truth values another
    than 0 and 1.
    """
    element = port.type.dtype
    if is_widened(port, array.dtype):
        return widened(array)
    with np.errstate(over="ignore"):
        result = array.astype(element.numpy)
    if element.is_float:
        lost = np.isinf(result) & np.isfinite(array)
    else:
        lost = (array < element.least) | (array > element.most)
    if lost.any():
        raise InputError(f"input '{port.name}': {element} does not hold {array[lost][0]}, of an array of {array.dtype}")
    return result


def widened(array: Array) -> Array:
    """bfloat16 as float32, of which it has the upper bits."""
    return np.asarray(np.left_shift(array.view(np.uint16), 16, dtype=np.uint32)).view(np.float32)


def named(dtype: np.dtype[Any]) -> str:
    """An element type in a message."""
    return "bfloat16" if dtype == BFLOAT16 else str(dtype)


def hint(expected: str, got: np.dtype[Any]) -> str:
    """How to convert by hand. A plain cast to bytes would turn all pixels below 1 into 0."""
    if expected == "uint8" and got.kind == "f":
        return (
            "; pixels from 0 to 1 become bytes with np.round(x * 255).astype(np.uint8), "
            "pixels from 0 to 255 with np.round(x).astype(np.uint8)"
        )
    if expected == "uint8":
        return "; if all values lie between 0 and 255, convert it with .astype(np.uint8) or convert=True"
    is_picture = got == np.uint8 and ELEMENTS[expected].is_float
    pixels = ", and divide it by 255 if the model takes pixels from 0 to 1" if is_picture else ""
    asked = " or convert=True" if converts(ELEMENTS[expected], got) and not is_picture else ""
    return f"; convert it with .astype({'' if expected == 'bool' else 'np.'}{expected}){asked}{pixels}"
