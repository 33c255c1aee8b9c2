"""Arrays as C: constants with the bits that they have here."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..check.bound import Bound
from ..elements import Element
from ..types import Array

_ROW = 8  # numbers in a line


def array(name: str, ctype: str, data: Array) -> str:
    """A constant array; a place is left for one number where there is none, since C has no arrays of nothing."""
    numbers = list(map(_number, data.reshape(-1))) or ["0"]
    rows = [", ".join(numbers[at : at + _ROW]) for at in range(0, len(numbers), _ROW)]
    text = "".join(f"    {row},\n" for row in rows)
    return f"static const {ctype} {name}[{len(numbers)}] = {{\n{text}}};\n"


def tensor(name: str, element: Element, data: Array) -> str:
    """An array as the model takes it: halves by their bits."""
    held = np.ascontiguousarray(data, element.numpy)
    return array(name, element.c, held.view(np.uint16) if element.name == "float16" else held)


def _number(value: Any) -> str:
    if value.dtype.kind == "f":
        return _float(value)
    number = int(value)
    if value.dtype == np.uint32:
        return f"{number}U"
    return str(number) if number != -(2**63) else f"{number + 1} - 1"  # C has no negative literals


def _float(value: np.floating[Any]) -> str:
    """The shortest text that is this float32."""
    if np.isnan(value):
        return '__builtin_nanf("")'
    if np.isinf(value):
        return "__builtin_inff()" if value > 0 else "-__builtin_inff()"
    return f"{value!s}f"


def expectation(name: str, element: Element, bound: Bound) -> str:
    """What output `name` has to be: `expected_NAME`, with `allowed_NAME` of floats and `any_NAME` of other elements."""
    if not element.is_float:
        free = np.isinf(bound.error).astype(np.uint8)
        return tensor(f"expected_{name}", element, bound.reference) + array(f"any_{name}", "uint8_t", free)
    with np.errstate(over="ignore"):  # rounded upwards, with room for the rounding of the difference
        allowed = np.nextafter((bound.error * (1 + 2.0**-22)).astype(np.float32), np.float32(np.inf))
    return array(f"expected_{name}", "float", bound.held) + array(f"allowed_{name}", "float", allowed)
