"""Weights of an ONNX file in other files: paths and sizes are validated first, and only the stated bytes are read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ...allowance import charge
from ...files import opened_below
from ...types import MAX_ELEMENTS, expect_rank

SIZES = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 16: 2}
"""Bytes of an element by ONNX's number of its type, for types of whole bytes."""


class FileRange(NamedTuple):
    """A range of bytes of a file, named relative to the folder of the model."""

    location: str
    offset: int
    length: int


def tensors(proto: Any) -> Iterator[Any]:
    """All tensors of a model that are in other files, including those of its functions."""
    return filter(_outside, every_tensor(proto))


def every_tensor(proto: Any) -> Iterator[Any]:
    """The weights of a model and the tensors of its nodes, including those of its functions."""
    yield from _tensors(proto.graph)
    for function in proto.functions:
        yield from _tensors(function)


def _tensors(graph: Any) -> Iterator[Any]:
    """Those of a graph or a function, with those of attributes and of graphs inside it."""
    yield from getattr(graph, "initializer", ())
    for attribute in (attribute for node in graph.node for attribute in node.attribute):
        if attribute.HasField("t"):
            yield attribute.t
        yield from attribute.tensors
        for inner in (attribute.g, *attribute.graphs):
            yield from _tensors(inner)


def _outside(tensor: Any) -> bool:
    return bool(tensor.data_location == tensor.EXTERNAL)


def part_of(tensor: Any) -> FileRange:
    """The range of a tensor's bytes, with the size of its shape and type. Raises ValueError for impossible ones."""
    expect_rank(len(tensor.dims))  # a product of more sizes may take minutes
    entries = {entry.key: entry.value for entry in tensor.external_data}
    elements = math.prod(tensor.dims)
    if tensor.data_type not in SIZES:
        raise ValueError(f"elements of type {tensor.data_type} in another file are not supported")
    if min(tensor.dims, default=1) < 0 or elements > MAX_ELEMENTS:
        raise ValueError(f"its shape {tuple(tensor.dims)} has a negative size or more than {MAX_ELEMENTS} elements")
    part = FileRange(entries.get("location", ""), _whole(entries, "offset", 0), elements * SIZES[tensor.data_type])
    if (stated := _whole(entries, "length", part.length)) != part.length:
        raise ValueError(f"length={stated}, but its shape {tuple(tensor.dims)} takes {part.length} bytes")
    return part


def _whole(entries: dict[str, str], key: str, default: int) -> int:
    text = entries.get(key, str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise ValueError(f"{key}={text!r} is not a whole number")
    return int(text)


def read_parts(folder: Path | None, proto: Any) -> None:
    """Read the bytes of tensors in other files into the message. Raises ValueError that names the tensor.

    A message that comes from no file has no folder.
    """
    for tensor in tensors(proto):
        try:
            if folder is None:
                raise ValueError(
                    "its elements are in another file, which is found only if the path of the model is given"
                )
            part = part_of(tensor)
            charge(part.length, f"tensor '{tensor.name}' in '{part.location}'")
            tensor.raw_data = read_part(folder, part)
        except (ValueError, OSError) as error:
            told = error.strerror if isinstance(error, OSError) and error.strerror else error
            raise ValueError(f"tensor '{tensor.name}': {told}") from None
        tensor.data_location = tensor.DEFAULT
        del tensor.external_data[:]


def read_part(folder: Path, part: FileRange) -> bytes:
    """Exactly the bytes of the range. Raises ValueError or OSError if the file is too short or cannot be read."""
    with opened_below(folder, part.location) as stream:
        size = stream.seek(0, 2)
        if part.offset + part.length > size:
            raise ValueError(
                f"bytes {part.offset} to {part.offset + part.length} of '{part.location}', which has {size}"
            )
        stream.seek(part.offset)
        return stream.read(part.length)
