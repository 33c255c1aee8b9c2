"""Which inputs of a graph carry images along their first axis, and whether N may change at all.

N is free only where that is proven: no op may mix images, no weights may be computed from images, and every
type rule must agree when it is asked again with another N.
"""

from __future__ import annotations

from collections.abc import Mapping

from .errors import ShapeError
from .ir import Graph, Node, Value
from .types import TensorType


def batched_inputs(graph: Graph) -> dict[str, bool] | None:
    """For each graph input whether it carries images; None if `graph` only means something for its own N.

    An input carries images if it reaches an output (or nothing) through positions where ops expect images;
    one that only reaches weights, biases and the like keeps its shape.
    """
    wanted = _wanted(graph)
    carrying: set[Value] = set()
    for node in graph:
        if node.op.source == "input":
            carries = wanted[node.name]
        else:
            marks = _marks(graph, node)
            found = [value in carrying for value in node.inputs]
            if any(found) and marks is None:
                return None
            if any(here and not mark for here, mark in zip(found, marks or (), strict=False)):
                return None
            carries = any(found)
        if carries:
            carrying.update(node.values)
    if not carrying.issuperset(graph.outputs.values()) or not _free(graph, carrying):
        return None
    return {name: Value(name) in carrying for name in graph.inputs}


def _marks(graph: Graph, node: Node) -> tuple[bool, ...] | None:
    """Which inputs of `node` are image positions; None if it mixes images."""
    return node.op.images(*(type.rank for type in graph.types(node.inputs)))


def _wanted(graph: Graph) -> dict[str, bool]:
    """For each node whether somebody reads its results as images (or nobody reads them)."""
    read = {value for node in graph for value in node.inputs}
    as_images = set(graph.outputs.values())
    wanted: dict[str, bool] = {}
    for node in reversed(list(graph)):
        unread = read.isdisjoint(node.values)
        wanted[node.name] = unread or not as_images.isdisjoint(node.values)
        if wanted[node.name] and node.inputs:
            marks = _marks(graph, node) or (True,) * len(node.inputs)
            as_images.update(value for value, mark in zip(node.inputs, marks, strict=True) if mark)
    return wanted


def _free(graph: Graph, carrying: set[Value]) -> bool:
    """Whether every type rule follows when N becomes N + 1, in the values that carry images and only there.

    This catches what positions alone do not tell, for example a constant of two rows added to two images.
    """
    counts = {graph.type(value).shape[:1] for value in carrying}
    if len(counts) != 1 or () in counts:
        return False
    types = {value: graph.type(value) for node in graph for value in node.values}
    try:
        types.update((value, _one_more(types[value])) for value in carrying)
    except ShapeError:  # one more image would be more than a tensor may hold
        return False
    return all(_agrees(node, types) for node in graph if node.inputs)


def _agrees(node: Node, types: Mapping[Value, TensorType]) -> bool:
    """Whether the type rule makes the outputs in `types` from the inputs in `types`."""
    try:
        found = node.op.infer(*(types[value] for value in node.inputs))
    except ShapeError:
        return False
    return found == tuple(types[value] for value in node.values)


def _one_more(type: TensorType) -> TensorType:
    return TensorType((type.shape[0] + 1, *type.shape[1:]), type.dtype)
