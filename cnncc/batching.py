"""Which inputs of a graph carry images along their first axis, and whether N may change at all.

N is free only where that is proved: no op mixes images, no weights are computed from images, and every type rule gives
consistent shapes for one image more. An output that depends on no image keeps its shape, beside others that have some.
A frontend may add what the nodes do not show: inputs that keep their shape (`Graph.kept`), and the reason why the graph
holds for one N only (`Graph.fixed`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from .errors import ModelError, ShapeError
from .ir import Builder, Graph, Node, Value
from .op import Input, Op
from .types import TensorType


@dataclass(frozen=True)
class Images:
    """For each graph input whether it carries images, and the values that do; `batched` is None where N is fixed.

    `fixed` says why, as the first half of a sentence. `own` are the outputs that keep their shape, whatever N is.
    """

    batched: dict[str, bool] | None
    fixed: str = ""
    carrying: frozenset[Value] = field(default=frozenset())
    own: frozenset[str] = field(default=frozenset())

    def why(self, type: TensorType, shape: Sequence[int]) -> str:
        """Why an input of this type takes no array of this shape, if all that is wrong is the number of images."""
        if self.batched is not None or not 0 < len(shape) == type.rank or tuple(shape[1:]) != type.shape[1:]:
            return ""
        return f"; {self.fixed}, so that the number of images is fixed at {type.shape[0]}"


class _Fixed(Exception):
    """N is fixed; the text says why."""


def batched_inputs(graph: Graph) -> dict[str, bool] | None:
    """For each graph input whether it carries images; None if `graph` only means something for its own N."""
    return images_of(graph).batched


def images_of(graph: Graph) -> Images:
    """The proof that N is free, or what stands against it.

    An input carries images if it reaches an output (or nothing) through positions where ops expect images;
    one that only reaches weights, biases and the like keeps its shape.
    """
    try:
        grown = _grown(graph)
    except _Fixed as reason:
        return Images(None, str(reason))
    carrying = frozenset(value for value, type in grown.items() if type != graph.type(value))
    own = frozenset(name for name, value in graph.outputs.items() if value not in carrying)
    return Images({name: Value(name) in carrying for name in graph.inputs}, carrying=carrying, own=own)


def one_more(
    op: Op, types: Sequence[TensorType], grown: Sequence[TensorType], results: tuple[TensorType, ...]
) -> tuple[TensorType, ...]:
    """The types of an op's results with one image more, from those of its inputs without and with it.

    The inputs that carry images are those whose two types differ; all results do if one input does, else none.
    Raises ShapeError, as the second half of a sentence about the layer, if the op mixes images, takes them for
    something else, or means something else with one more.
    """
    carry = [old != new for old, new in zip(types, grown, strict=True)]
    if not any(carry):
        return results
    marks = op.images(*(type.rank for type in types))
    if marks is None:
        raise ShapeError("mixes images")
    if any(here and not mark for here, mark in zip(carry, marks, strict=True)):
        raise ShapeError("takes images where it expects something else")
    if op.together and carry != list(marks):
        raise ShapeError("takes images in some of its inputs only")
    images = next(type.shape[0] for type, here in zip(types, carry, strict=True) if here)
    try:
        after = op.infer(*grown)
    except ShapeError:
        raise ShapeError("takes no other number of images") from None
    if any(type.shape[:1] != (images,) for type in results) or after != tuple(map(with_one_more, results)):
        raise ShapeError("makes something else of another number of images")
    return after


def with_images(graph: Graph, images: int) -> Graph:
    """The graph for another N. Raises ModelError if that is fixed at another number."""
    found = images_of(graph)
    carrying = [name for name in graph.inputs if found.batched and found.batched[name]]
    own = {type.shape[0] for name, type in graph.inputs.items() if found.batched is None or name in carrying}
    if own <= {images}:
        return graph
    if found.batched is None:
        raise ModelError(f"model '{graph.name}': {found.fixed}, so that it cannot take {images} images at once")
    builder = Builder(graph.name, graph.labels)
    builder.kept, builder.updates = graph.kept, dict(graph.updates)
    for node in graph:
        type = node.types[0]
        op = Input(type.shaped((images, *type.shape[1:])), graph.frame(node.name)) if node.name in carrying else node.op
        builder.add(op, node.inputs, node.name, node.where)
    return builder.graph(graph.outputs)


def each_image(graph: Graph) -> Graph:
    """The graph of one image, applied to each of several by itself, as training takes it; another one as it is.

    A file may state its one image as a number, in the sizes of a reshape or in what it computes from its shapes. As
    such a graph means something for one image only, what each of several images gives is well defined: the constants
    that came from the number stay. That no op mixes images is proved as ever, else the graph stays as it is.
    """
    if not images_of(graph).fixed or {type.shape[:1] for type in graph.inputs.values()} != {(1,)}:
        return graph
    nodes = {
        node.name: replace(node, op=node.op.each_image())
        if any(type.shape[:1] == (1,) for type in graph.types(node.inputs))
        else node
        for node in graph
    }
    found = replace(graph, nodes=nodes, fixed="")
    return graph if images_of(found).fixed else found


def with_one_more(type: TensorType) -> TensorType:
    """Raises ShapeError for a type without a first axis, and where a tensor can hold no more."""
    if not type.shape:
        raise ShapeError("has no images")
    return TensorType((type.shape[0] + 1, *type.shape[1:]), type.dtype)


def _grown(graph: Graph) -> dict[Value, TensorType]:
    """The type of every value with one image more. Raises _Fixed if N cannot change."""
    if graph.fixed:
        raise _Fixed(graph.fixed)
    if graph.updates:
        raise _Fixed(f"state '{next(iter(graph.updates))}' is updated once a call")
    wanted = _wanted(graph)
    grown: dict[Value, TensorType] = {}
    counts: dict[tuple[int, ...], str] = {}
    for node in graph:
        if node.op.source == "input" and wanted[node.name] and node.name not in graph.kept:
            grown[node.values[0]] = _more(node, node.types[0])
            counts.setdefault(node.types[0].shape[:1], node.name)
        else:
            grown.update(zip(node.values, _results(graph, node, grown), strict=True))
    if len(counts) > 1:
        raise _Fixed(f"the inputs {' and '.join(map(repr, counts.values()))} have not the same number of images")
    if graph.outputs and all(grown[value] == graph.type(value) for value in graph.outputs.values()):
        raise _Fixed(f"output '{next(iter(graph.outputs))}' does not depend on images")
    return grown


def _more(node: Node, type: TensorType) -> TensorType:
    try:
        return with_one_more(type)
    except ShapeError as error:
        told = "has no images" if not type.shape else f"can hold no more images ({error.message})"
        raise _Fixed(f"input '{node.name}' {told}") from None


def _results(graph: Graph, node: Node, grown: Mapping[Value, TensorType]) -> tuple[TensorType, ...]:
    types, more = graph.types(node.inputs), [grown[value] for value in node.inputs]
    try:
        return one_more(node.op, types, more, node.types)
    except ShapeError as error:
        raise _Fixed(f"layer '{node.name}' ({node.op.name}) {error.message}") from None


def _wanted(graph: Graph) -> dict[str, bool]:
    """For each node whether somebody reads its results as images (or nobody reads them)."""
    read = {value for node in graph for value in node.inputs}
    as_images = set(graph.outputs.values())
    wanted: dict[str, bool] = {}
    for node in reversed(list(graph)):
        unread = read.isdisjoint(node.values)
        wanted[node.name] = unread or not as_images.isdisjoint(node.values)
        if wanted[node.name] and node.inputs:
            marks = node.op.images(*(type.rank for type in graph.types(node.inputs))) or (True,) * len(node.inputs)
            as_images.update(value for value, mark in zip(node.inputs, marks, strict=True) if mark)
    return wanted
