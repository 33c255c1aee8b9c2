"""Parts of protobuf messages as plain data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ...types import Array, expect_rank

STANDARD = ("", "ai.onnx")
"""The two names of the domain of ONNX's own operators."""


def operator(domain: str, name: str) -> str:
    """An operator's name, with its domain if that is not ONNX's own."""
    return text(name) if domain in STANDARD else f"{text(domain)}.{text(name)}"


def text(text: str | bytes) -> str:
    """Text of a file for quotation in messages: bytes that are not UTF-8, line ends and the like are escaped."""
    text = text.decode(errors="backslashreplace") if isinstance(text, bytes) else text
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def names(values: Iterable[Any]) -> tuple[str, ...]:
    """Names as texts, of values that have one or are one."""
    return tuple(text(value if isinstance(value, str | bytes) else value.name) for value in values)


def setting(attribute: Any, onnx: Any) -> Any:
    """The value of an attribute in Python's own types; tensors become arrays."""
    return _plain(onnx.helper.get_attribute_value(attribute), onnx)


def _plain(value: Any, onnx: Any) -> Any:
    if isinstance(value, bytes):
        return text(value)
    if isinstance(value, onnx.TensorProto):
        return array(value, onnx)
    if isinstance(value, str | int | float) or not hasattr(value, "__iter__"):
        return value
    return tuple(_plain(item, onnx) for item in value)


def array(tensor: Any, onnx: Any) -> Array:
    """A tensor with the bytes that the message has."""
    expect_rank(len(tensor.dims))
    found: Array = np.asarray(onnx.numpy_helper.to_array(tensor))
    return found
