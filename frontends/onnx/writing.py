"""The file of a model with other weights: the inverse of the import, for arrays that the import only arranges.

A constant of the graph has its elements from tensors of the file, turned, reshaped or joined by rows of the importer,
none of which has an inverse. Importing itself tells where each element comes from: the tensors that may be meant get
the numbers of their elements in place of their data, digit by digit, and the file is imported once for each digit. What
the constants hold then are the places of their elements. No operator is named here.

The file with the learned arrays is imported once more, and has to be the graph with these arrays: so a file that means
something else is never written, whatever it does with its weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...elements import FLOAT32
from ...errors import ModelError
from ...ir import Graph, Value
from ...types import Array
from .external import SIZES, every_tensor
from .messages import short
from .plain import array, text
from .read import package

Import = Callable[[Any], Graph]

FLOATS = (1, 10, 11, 16)
"""ONNX's numbers of float, float16, double and bfloat16."""

BASE = 256
"""Of the digits: bfloat16, with 8 binary digits, holds each number from 1 to it."""

FIRST = 64
"""So many elements of a constant are looked up before all are."""


def holding(file: Path, proto: Any, read: Import, weights: Mapping[str, Array]) -> bytes:
    """The content of a file that is imported as the graph of `proto` with these arrays in constants of these names.

    All else of the message stays as it is, but that weights from other files are inside of it. Floats are rounded to
    the type that the file has for them. Raises ModelError for an array that the file computes from others, that it has
    in one tensor with another one, that the type does not hold, or on which other constants depend.
    """
    graph = read(proto)
    tensors = _held(file, proto, [_constant(graph, name) for name in weights])
    try:
        places = _places(tensors, proto, read, weights)
    finally:
        for tensor in tensors:
            tensor.message.ParseFromString(tensor.before)
    _expect_apart(places)
    written = _filled(tensors, places, weights)
    _expect_read(file, read(proto), graph.with_constants(written))
    content: bytes = proto.SerializeToString()
    return content


@dataclass(frozen=True)
class Held:
    """A tensor of the file that may hold a constant's elements; `before` are the bytes of its message."""

    message: Any
    data: Array
    before: bytes

    def put(self, data: Array) -> None:
        """Other elements, rounded to the tensor's type. Raises ModelError where that has no such number."""
        with np.errstate(over="ignore"):
            stored = data.reshape(self.data.shape).astype(self.data.dtype)
        lost = ~np.isfinite(stored.astype(np.float32)) & np.isfinite(data.reshape(stored.shape))
        if lost.any():
            raise ModelError(f"tensor '{self.name}' of the file is {stored.dtype}, which cannot hold what was learned")
        for field in ("float_data", "int32_data", "double_data"):
            self.message.ClearField(field)
        self.message.raw_data = stored.tobytes()

    @property
    def name(self) -> str:
        return short(text(self.message.name)) or "of a node"


def _constant(graph: Graph, name: str) -> Array:
    found = graph.constant(Value(name)) if name in graph.nodes else None
    if found is None:
        raise ModelError(f"the file has no weights '{short(name)}' any more: it has changed")
    return found


def _held(file: Path, proto: Any, constants: Sequence[Array]) -> list[Held]:
    """The tensors of floats that may be in some constant, or it in them, as far as their values tell."""
    onnx, wanted = package(file), [np.unique(constant) for constant in constants]
    found = []
    for message in every_tensor(proto):
        data = _floats(message, onnx)
        with np.errstate(over="ignore"):
            known = np.unique(data.astype(FLOAT32.numpy))
        if data.size > 1 and any(_within(values, known) or _within(known, values) for values in wanted):
            found.append(Held(message, data, message.SerializeToString()))
    return found


def _floats(message: Any, onnx: Any) -> Array:
    """The floats of a tensor; nothing of another one, or of one that is malformed, which no layer has read."""
    nothing = np.zeros(0, np.float32)
    if message.data_type not in FLOATS:
        return nothing
    try:
        data = array(message, onnx)
    except Exception:
        return nothing
    return data if data.dtype.itemsize == SIZES[message.data_type] else nothing


def _within(values: Array, known: Array) -> bool:
    """Whether sorted values are among other ones."""

    def are(some: Array) -> bool:
        places = np.searchsorted(known, some).clip(max=len(known) - 1)
        return bool(np.array_equal(known[places], some, equal_nan=True))

    return are(values[:FIRST]) and are(values)


def _places(tensors: Sequence[Held], proto: Any, read: Import, weights: Mapping[str, Array]) -> dict[str, Array]:
    """For each element of each constant its number among those of all tensors. Raises ModelError if it has none."""
    bounds = np.cumsum([0, *(tensor.data.size for tensor in tensors)])
    places = {name: np.zeros(given.shape, np.int64) for name, given in weights.items()}
    total, unit = int(bounds[-1]), 1
    while unit == 1 or unit < total:
        for tensor, begin in zip(tensors, bounds[:-1], strict=True):
            tensor.put((begin + np.arange(tensor.data.size)) // unit % BASE + 1)
        graph = _numbered(read, proto)
        for name, known in places.items():
            known += unit * _digits(name, _constant(graph, name), known.shape)
        unit *= BASE
    for name, known in places.items():
        if known.max() >= total:
            raise _computed(name)
    return places


def _numbered(read: Import, proto: Any) -> Graph:
    try:
        return read(proto)
    except ModelError as error:
        told = f"some weights of the file decide which layers it has, so that they cannot be learned: {error}"
        raise ModelError(told) from None


def _digits(name: str, found: Array, shape: tuple[int, ...]) -> Array:
    """The digits that a constant holds. Raises ModelError for what is none."""
    if found.shape != shape or not ((found >= 1) & (found <= BASE) & (found == np.floor(found))).all():
        raise _computed(name)
    return found.astype(np.int64) - 1


def _computed(name: str) -> ModelError:
    return ModelError(
        f"parameter '{short(name)}' is no array of the file, which computes it from others, so that none can be "
        "written in its place: leave it out of what is trained, by train= (on the command line --train)"
    )


def _expect_apart(places: Mapping[str, Array]) -> None:
    """Raise ModelError where one element of the file stands for two of what was learned."""
    numbers = np.concatenate([known.reshape(-1) for known in places.values()] or [np.zeros(0, np.int64)])
    owners = np.repeat(np.arange(len(places)), [known.size for known in places.values()])
    order = np.argsort(numbers, kind="stable")
    again = np.flatnonzero(numbers[order][1:] == numbers[order][:-1])
    if len(again):
        one, other = (list(places)[owners[order[again[0] + k]]] for k in (0, 1))
        told = f"parameters '{short(one)}' and '{short(other)}'" if one != other else f"elements of '{short(one)}'"
        raise ModelError(f"the file has one array for several {told}, which were learned apart")


def _filled(tensors: Sequence[Held], places: Mapping[str, Array], weights: Mapping[str, Array]) -> dict[str, Array]:
    """Puts the arrays into the tensors; returns them as they are there."""
    bounds = np.cumsum([0, *(tensor.data.size for tensor in tensors)])
    new = np.concatenate([tensor.data.reshape(-1).astype(np.float64) for tensor in tensors] or [np.zeros(0)])
    for name, known in places.items():
        new[known] = weights[name]
    for tensor, begin, end in zip(tensors, bounds, bounds[1:], strict=False):
        own = new[begin:end]
        if own.tobytes() != tensor.data.astype(np.float64).tobytes():
            tensor.put(own)
            own[:] = own.astype(tensor.data.dtype)
    return {name: new[known].astype(FLOAT32.numpy) for name, known in places.items()}


def _expect_read(file: Path, found: Graph, expected: Graph) -> None:
    """Raise ModelError unless the file with the learned arrays is the learned graph."""
    if found.hash == expected.hash:
        return
    other = (name for name, node in expected.nodes.items() if name not in found.nodes or found[name].op != node.op)
    told = f"layer '{short(name)}'" if (name := next(other, "")) else "another layer"
    raise ModelError(
        f"'{file}' cannot hold what was learned: {told} depends on the same arrays of the file as a parameter"
    )
