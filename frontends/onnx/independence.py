"""The proof that an imported graph does not depend on the number of images.

The importer works with N as a number, and N may have become part of the graph: in a constant computed from `Shape`, in
a literal size, in the choice to leave out an axis of size 1. The graph's nodes do not show it. So every row that could
see N runs once more with a `Count` in N's place, which hides its number. A row is a function of what its `Call` tells
it: if it succeeds and makes the same layers, it makes them for every N.

No operator is named here. Arrays of whole numbers may contain N; a number computed from N hides its value as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from ...allowance import Allowance, allowance
from ...batching import Images, images_of, one_more, with_one_more
from ...errors import ShapeError
from ...ir import Graph, Node, Value
from ...op import Op
from ...types import Array, TensorType
from ..counts import Count, counted
from .call import Call, Tensor
from .read import Branch, Declared

Row = Callable[[Call], Sequence[Tensor | None]]


@dataclass(frozen=True)
class Record:
    """A node that was imported, by which row, from which inputs, and its results.

    Inside of a branch names stand for other tensors than outside; so tensors are told apart by what they are.
    """

    call: Call
    row: Row
    inputs: Sequence[Tensor | None]
    results: Sequence[Tensor | None]


class Asked(Exception):
    """A row that is run again wants to know the number of images, or comes to another result."""


def settled(graph: Graph, inputs: Sequence[Declared], records: Sequence[Record], nodes: Mapping[str, Node]) -> Graph:
    """`graph` with what its nodes do not show: which inputs keep their shape, and why N is fixed, if it is.

    Where the model leaves the first dimension of some inputs open, the others keep their shape. `nodes` are all that
    were made, also those that the graph does without.
    """
    opened = [port.name for port in inputs if port.shape is None or isinstance(next(iter(port.shape), None), str)]
    if opened:
        graph = replace(graph, kept=tuple(name for name in graph.inputs if name not in opened))
    images = images_of(graph)
    reason = images.fixed or _asking(records, _types_with_counts(graph, images, nodes))
    return replace(graph, fixed=reason + _advice(graph, opened)) if reason else graph


def _advice(graph: Graph, opened: Sequence[str]) -> str:
    """How to have another number of images, if the model leaves that open."""
    sizes = {name: ["…", *map(str, graph.inputs[name].shape[1:])] for name in opened if name in graph.inputs}
    given = ", ".join(f"{name!r}: ({', '.join(shape)}{',' * (len(shape) == 1)})" for name, shape in sizes.items())
    return f" (shapes={{{given}}} gives another)" if given else ""


def _types_with_counts(graph: Graph, images: Images, nodes: Mapping[str, Node]) -> dict[Value, TensorType]:
    """The types of the values whose shape depends on N, with counts in it: in front, or anywhere if it is not known."""
    found = {value: _counted(graph.type(value)) for value in images.carrying}
    for node in nodes.values():
        if node.name not in graph.nodes and not found.keys().isdisjoint(node.inputs):
            found.update(zip(node.values, _unread(node, found, nodes), strict=True))
    return found


def _unread(node: Node, found: Mapping[Value, TensorType], nodes: Mapping[str, Node]) -> list[TensorType]:
    """The same for a node that no output needs, whose shape may have been asked for nevertheless."""
    types = [nodes[value.node].types[value.index] for value in node.inputs]
    counts = [found.get(value, type).shape for value, type in zip(node.inputs, types, strict=True)]
    try:
        if any(isinstance(size, Count) for shape in counts for size in shape[1:]):
            raise ShapeError("mixes images")
        grown = [
            with_one_more(type) if isinstance(next(iter(shape), None), Count) else type
            for shape, type in zip(counts, types, strict=True)
        ]
        one_more(node.op, types, grown, node.types)
        return list(map(_counted, node.types))
    except ShapeError:
        return [counted(type, cast("tuple[int, ...]", (Derived(),) * type.rank)) for type in node.types]


def _counted(type: TensorType) -> TensorType:
    """The type of images, with N in front."""
    return counted(type, (cast(int, N), *type.shape[1:]))


def _asking(records: Sequence[Record], types: Mapping[Value, TensorType]) -> str:
    """Words for the first node that computes with N; none if there is none."""
    marked: dict[int, Array] = {}
    for record in records:
        values = [tensor for tensor in record.inputs if isinstance(tensor, Value)]
        if marked.keys().isdisjoint(map(id, record.inputs)) and types.keys().isdisjoint(values):
            continue
        try:
            with allowance(Allowance()):  # what is made again does not stay
                marked.update(_merged(record.row(Again(record, types, marked)), record.results))
        except Exception:  # NumPy, too, has many words for "that is no number"
            return f"node '{record.call.node.shown}' computes with the number of images"
    return ""


def _merged(found: Sequence[Tensor | None], before: Sequence[Tensor | None]) -> Iterator[tuple[int, Array]]:
    """For each result with counts in it the array in which they stand. Raises Asked if the results differ."""
    if len(found) != len(before):
        raise Asked
    for new, old in zip(found, before, strict=True):
        array = _with_counts(new, old)
        if array is not None:
            yield id(old), array


def _with_counts(found: Tensor | None, before: Tensor | None) -> Array | None:
    """What was computed `before`, with the counts of what was `found`: the other elements do not depend on N."""
    if not (isinstance(found, np.ndarray) and isinstance(before, np.ndarray)):
        if found != before:
            raise Asked
        return None
    counts = [isinstance(item, Count) for item in found.reshape(-1)] if found.dtype == object else []
    if not any(counts):
        return None
    if found.shape != before.shape:
        raise Asked
    merged = before.astype(object).reshape(-1)
    merged[counts] = found.reshape(-1)[counts]
    return merged.reshape(found.shape)


class Hidden(Count):
    """N, of which nothing is known but that it is at least 1."""

    def __init__(self, pure: bool = True) -> None:
        super().__init__(1, _refuse, pure)

    def __repr__(self) -> str:
        return "N"

    def __format__(self, how: str) -> str:
        return "N"

    def computed(self, function: Callable[..., Any], *operands: Any) -> Any:
        return Derived()


class Derived(Hidden):
    """A number that depends on N, of which nothing at all is known."""

    def __init__(self) -> None:
        super().__init__(pure=False)

    def __bool__(self) -> bool:
        raise Asked

    def compared(self, relation: Callable[[Any, Any], bool], other: object) -> bool:
        raise Asked


def _refuse() -> None:
    raise Asked


N = Hidden()


class Marked(np.ndarray[Any, Any]):
    """An array in which counts stand: as integers of at least 32 bits they stay what they are."""

    def astype(self, dtype: Any, *_: Any, **__: Any) -> Any:
        same = np.dtype(dtype).kind in "iu" and np.dtype(dtype).itemsize >= 4
        changed = self.copy().reshape(-1)
        changed[:] = [Derived() if isinstance(item, Count) and not same else item for item in changed]
        return changed.reshape(self.shape)


class Again(Call):
    """A node once more, with counts wherever N stood; what its row makes must be what it made before."""

    def __init__(self, record: Record, types: Mapping[Value, TensorType], marked: Mapping[int, Array]):
        super().__init__(record.call.importer, record.call.node, record.call.name)
        self.record, self.types, self.marked = record, types, marked
        self.steps = iter(record.call.made)

    def tensor(self, index: int) -> Tensor:
        tensor = self.record.inputs[index] if self.has(index) else None
        if tensor is None:
            raise Asked
        found = self.marked.get(id(tensor))
        return tensor if found is None else found.view(Marked)

    def value(self, index: int) -> Value:
        tensor = self.tensor(index)
        if isinstance(tensor, Marked):
            raise Asked
        return tensor if isinstance(tensor, Value) else self.record.call.constants[index]

    def inline(self, branch: Branch) -> list[Tensor | None]:
        raise Asked

    def type(self, value: Value) -> TensorType:
        return self.types.get(value) or super().type(value)

    def add_all(self, op: Op, *inputs: Value, role: str = "") -> tuple[Value, ...]:
        values = next(self.steps)
        node = self.importer.builder.nodes[values[0].node]
        same = node.op == op or repr(node.op) == repr(op)  # a NaN is equal to none
        if not same or node.inputs != inputs:
            raise Asked
        return values

    def constant(self, data: Array, role: str, *, rounded: bool = False) -> Value:
        if data.dtype == object:
            raise Asked
        return next(self.steps)[0]
