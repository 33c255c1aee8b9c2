"""Where the elements of a value come from, followed through arrangements."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..computation import Arrangement, Inset, Piece
from ..ir import Graph, Node, Value
from ..types import Array
from .match import lowering

LARGEST = 1 << 20  # elements: what is larger is not followed


@dataclass(frozen=True)
class Origin:
    """Element i of a value is element `index[i]` of `root`; NaN where it is a constant."""

    root: Value
    index: Array

    def is_whole(self, graph: Graph, value: Value) -> bool:
        """Whether `value` is `root`, element by element."""
        return graph.type(value) == graph.type(self.root) and np.array_equal(self.index, _numbers(graph, self.root))


class Origins:
    """The origin of each value that was asked for, in a graph."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self.known: dict[Value, Origin] = {}

    def of(self, node: Node) -> tuple[Origin, ...] | None:
        """The origins of the outputs of `node`; None unless it arranges elements of one value, and nothing else.

        Nodes must be asked for in the graph's order.
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
        """Remember that `value` is `source`, for reasons that are no arrangement."""
        if self.graph.type(value).size <= LARGEST:
            self.known[value] = self.origin(source)

    def origin(self, value: Value) -> Origin:
        return self.known.get(value) or Origin(value, _numbers(self.graph, value))


def _moved(piece: Piece, operands: list[Array]) -> Array:
    """The indices after an arrangement; what it does not take from an operand is NaN."""
    how = piece.computation
    assert isinstance(how, Arrangement)
    if not operands:
        return np.full(piece.type.shape, np.nan)
    return (replace(how, value=np.nan) if isinstance(how, Inset) else how).arrange(operands, piece.type.shape)


def _numbers(graph: Graph, value: Value) -> Array:
    """0, 1, 2… in the shape of `value`, in float64 (which NaN needs and which counts far enough)."""
    type = graph.type(value)
    return np.arange(type.size, dtype=np.float64).reshape(type.shape)
