"""The origins of the elements of a value, traced through arrangements."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..computation import Arrangement, ComputationNode, ConstantPad
from ..ir import Graph, Node, Value
from ..types import Array
from .match import lowering

LARGEST = 1 << 20  # most elements of a value that is traced


@dataclass(frozen=True)
class Origin:
    """Element i of a value is element `index[i]` of `root`; NaN where it is a constant."""

    root: Value
    index: Array

    def is_whole(self, graph: Graph, value: Value) -> bool:
        """Whether `value` is `root`, element by element."""
        return graph.type(value) == graph.type(self.root) and np.array_equal(self.index, _numbers(graph, self.root))


class Origins:
    """The origins of the values of a graph, each computed at the first request."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self.known: dict[Value, Origin] = {}

    def of(self, node: Node) -> tuple[Origin, ...] | None:
        """The origins of the outputs of `node`; None unless it only arranges elements of one value.

        It must be called for nodes in the graph's order.
        """
        found = lowering(self.graph, node)
        if found is None or not node.inputs or not all(isinstance(p.computation, Arrangement) for p in found.pieces):
            return None
        if any(type.size > LARGEST for type in self.graph.types(node.inputs) + node.types):
            return None
        operands = [self.origin(value) for value in node.inputs]
        root = operands[0].root
        if any(operand.root != root for operand in operands):
            return None
        arrays = [operand.index for operand in operands]
        for piece in found.pieces:
            arrays.append(_moved(piece, [arrays[k] for k in piece.operands]))
        origins = tuple(Origin(root, arrays[result]) for result in found.results)
        self.known.update(zip(node.values, origins, strict=True))
        return origins

    def same(self, value: Value, source: Value) -> None:
        """Record that `value` is equal to `source`, for a reason other than an arrangement."""
        if self.graph.type(value).size <= LARGEST:
            self.known[value] = self.origin(source)

    def origin(self, value: Value) -> Origin:
        return self.known.get(value) or Origin(value, _numbers(self.graph, value))


def _moved(piece: ComputationNode, operands: list[Array]) -> Array:
    """The indices after an arrangement; elements that come from no operand are NaN."""
    how = piece.computation
    assert isinstance(how, Arrangement)
    if not operands:
        return np.full(piece.type.shape, np.nan)
    return (replace(how, value=np.nan) if isinstance(how, ConstantPad) else how).arrange(operands, piece.type.shape)


def _numbers(graph: Graph, value: Value) -> Array:
    """0, 1, 2… in the shape of `value`, in float64 (which has NaN, and represents them exactly)."""
    type = graph.type(value)
    return np.arange(type.size, dtype=np.float64).reshape(type.shape)
