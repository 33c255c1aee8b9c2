"""The proof that an imported graph does not depend on the number of images.

The importer works with N as a number, and N may have become part of the graph: in a constant computed from `Shape`, in
a literal size, in the choice to leave out an axis of size 1. The graph's nodes do not show it. So every row that could
read N runs once more with a `Count` in N's place, which hides its number. A row depends only on its `NodeContext`: if
it succeeds and makes the same layers, it makes them for every N.

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
from .bodies import Closure
from .call import ABSENT, Anything, Items, NodeContext, Tensor
from .read import Declared

Row = Callable[[NodeContext], Sequence[Anything | None]]


@dataclass(frozen=True)
class ImportedNode:
    """A node that was imported, with its row, its inputs and its results.

    The same name may be another tensor inside a branch than outside, so inputs and results are tensors, not names.
    """

    call: NodeContext
    row: Row
    inputs: Sequence[Anything | None]
    results: Sequence[Anything | None]


class Asked(Exception):
    """Raised if a row that runs again reads the number of images, or has another result."""


def settled(
    graph: Graph,
    inputs: Sequence[Declared],
    records: Sequence[ImportedNode],
    nodes: Mapping[str, Node],
    outputs: Mapping[str, Anything | None],
) -> Graph:
    """`graph` with the facts that its nodes do not show: inputs that keep their shape, and the reason if N is fixed.

    If the model leaves the first dimension of some inputs open, the others keep their shape. `nodes` are all nodes that
    were made, including those that are not in the graph. `outputs` are the graph's, as known arrays where they are.
    """
    opened = [port.name for port in inputs if port.shape is None or isinstance(next(iter(port.shape), None), str)]
    if opened:
        graph = replace(graph, kept=tuple(name for name in graph.inputs if name not in opened))
    images = images_of(graph)
    reason = images.fixed or _asking(records, _types_with_counts(graph, images, nodes), outputs)
    return replace(graph, fixed=reason + _advice(graph, opened)) if reason else graph


def _advice(graph: Graph, opened: Sequence[str]) -> str:
    """A hint how to get another number of images, if the model leaves it open."""
    sizes = {name: ["…", *map(str, graph.inputs[name].shape[1:])] for name in opened if name in graph.inputs}
    given = ", ".join(f"{name!r}: ({', '.join(shape)}{',' * (len(shape) == 1)})" for name, shape in sizes.items())
    return f" (shapes={{{given}}} gives another)" if given else ""


def _types_with_counts(graph: Graph, images: Images, nodes: Mapping[str, Node]) -> dict[Value, TensorType]:
    """The types of the values whose shape depends on N, with counts: in the first place, or wherever N may be."""
    found = {value: _counted(graph.type(value)) for value in images.carrying}
    for node in nodes.values():
        if node.name not in graph.nodes and not found.keys().isdisjoint(node.inputs):
            found.update(zip(node.values, _unread(node, found, nodes), strict=True))
    return found


def _unread(node: Node, found: Mapping[Value, TensorType], nodes: Mapping[str, Node]) -> list[TensorType]:
    """The types with counts for a node that no output needs, since its shape may have been read nevertheless."""
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
    """The type with a count as its first dimension."""
    return counted(type, (cast(int, N), *type.shape[1:]))


def _asking(
    records: Sequence[ImportedNode], types: Mapping[Value, TensorType], outputs: Mapping[str, Anything | None]
) -> str:
    """A text about the first node that computes with N, or output in which it stands; empty if there is none."""
    marked: dict[int, Array] = {}
    for record in records:
        inputs = list(_tensors([*record.inputs, *(thing for use in record.call.inlined for thing in use)]))
        values = [tensor for tensor in inputs if isinstance(tensor, Value)]
        if marked.keys().isdisjoint(map(id, inputs)) and types.keys().isdisjoint(values):
            continue
        try:
            with allowance(Allowance()):  # these layers are dropped again
                marked.update(_merged(record.row(Replay(record, types, marked)), record.results))
        except Exception:  # NumPy has many exceptions for an operand that is no number
            return f"node '{record.call.node.shown}' computes with the number of images"
    telling = (label for label, tensor in outputs.items() if id(tensor) in marked)
    return next((f"output '{label}' holds the number of images" for label in telling), "")


def _tensors(things: Sequence[Anything | None]) -> Iterator[Tensor | None]:
    """The tensors themselves, and those of sequences."""
    for thing in things:
        yield from thing if isinstance(thing, Items) else (thing,)


def _sizes(things: Sequence[Anything | None]) -> list[int | None]:
    return [len(thing) if isinstance(thing, Items) else None for thing in things]


def _merged(found: Sequence[Anything | None], before: Sequence[Anything | None]) -> Iterator[tuple[int, Array]]:
    """(number, array) for each result with counts in its array. Raises Asked if the results differ."""
    if _sizes(found) != _sizes(before):
        raise Asked
    for new, old in zip(_tensors(found), _tensors(before), strict=True):
        array = _with_counts(new, old)
        if array is not None:
            yield id(old), array


def _with_counts(found: Tensor | None, before: Tensor | None) -> Array | None:
    """The array computed `before`, with the counts of the one `found`: the other elements do not depend on N."""
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
    """N without its value: only that it is at least 1 is known."""

    def __init__(self, pure: bool = True) -> None:
        super().__init__(1, _refuse, pure)

    def __repr__(self) -> str:
        return "N"

    def __format__(self, how: str) -> str:
        return "N"

    def computed(self, function: Callable[..., Any], *operands: Any) -> Any:
        return Derived()


class Derived(Hidden):
    """A number that depends on N, without any known property."""

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
    """An array with counts: a conversion to integers of at least 32 bits keeps them."""

    def astype(self, dtype: Any, *_: Any, **__: Any) -> Any:
        same = np.dtype(dtype).kind in "iu" and np.dtype(dtype).itemsize >= 4
        changed = self.copy().reshape(-1)
        changed[:] = [Derived() if isinstance(item, Count) and not same else item for item in changed]
        return changed.reshape(self.shape)


class Replay(NodeContext):
    """The second run of a node's row, with counts in place of N; it must make the same layers as the first."""

    def __init__(self, record: ImportedNode, types: Mapping[Value, TensorType], marked: Mapping[int, Array]):
        super().__init__(record.call.importer, record.call.node, record.call.name)
        self.record, self.types, self.marked = record, types, marked
        self.read = record.call.read
        self.steps, self.uses = iter(record.call.made), iter(record.call.inlined)

    def anything(self, index: int) -> Anything:
        thing = self.record.inputs[index] if self.has(index) else None
        if thing is None:
            raise Asked
        return self._with_counts(thing)

    def _with_counts(self, thing: Anything) -> Anything:
        if isinstance(thing, Items):
            return thing if thing is ABSENT else Items(map(self._marked, thing))
        return self._marked(thing)

    def _marked(self, tensor: Tensor) -> Tensor:
        found = self.marked.get(id(tensor))
        return tensor if found is None else found.view(Marked)

    def layer(self, tensor: Tensor, name: str) -> Value:
        if isinstance(tensor, Marked):
            raise Asked
        return super().layer(tensor, name)

    def value(self, index: int) -> Value:
        tensor = self.tensor(index)
        if isinstance(tensor, Marked):
            raise Asked
        return tensor if isinstance(tensor, Value) else self.record.call.constants[index]

    def deciding(self, array: Array) -> Array:
        if isinstance(array, Marked):
            raise Asked
        return array

    def inline(self, graph: Closure, inputs: Sequence[Anything] = (), prefix: str = "") -> list[Anything | None]:
        """As in the first run: the nodes inside have records of their own."""
        return [None if thing is None else self._with_counts(thing) for thing in next(self.uses)]

    def type(self, value: Value) -> TensorType:
        return self.types.get(value) or super().type(value)

    def add_all(self, op: Op, *inputs: Value, role: str = "") -> tuple[Value, ...]:
        values = next(self.steps)
        node = self.importer.builder.nodes[values[0].node]
        same = node.op == op or repr(node.op) == repr(op)  # NaN differs from itself
        if not same or node.inputs != inputs:
            raise Asked
        return values

    def constant(self, data: Array, role: str, *, rounded: bool = False) -> Value:
        if data.dtype == object:
            raise Asked
        return next(self.steps)[0]
