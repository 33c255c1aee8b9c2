"""Questions that several passes ask of a node. All of them go through traits and lowerings, none through op names."""

from __future__ import annotations

from ..computation import Computation, Contraction, Lowering
from ..ir import Graph, Node, Rewriter, Value
from ..ops import Fused


def lowering(graph: Graph, node: Node) -> Lowering | None:
    """What `node` computes, or None for sources (which compute nothing) and nodes that are already fused."""
    if node.op.source is not None or isinstance(node.op, Fused):
        return None
    return graph.lowering(node)


def sole_computation(graph: Graph, node: Node) -> Computation | None:
    """The computation of a node that is one piece on its inputs in order, with one output."""
    found = lowering(graph, node)
    if found is None or len(found.pieces) != 1:
        return None
    (piece,) = found.pieces
    in_order = piece.operands == tuple(range(len(node.inputs)))
    return piece.computation if in_order and len(node.types) == 1 else None


def contraction(graph: Graph, node: Node) -> Contraction | None:
    """The multiply-accumulate of a convolution or dense layer; None for everything else."""
    computation = sole_computation(graph, node)
    return computation if isinstance(computation, Contraction) else None


def not_alone(graph: Graph, value: Value) -> str:
    """Why `value` has not exactly one reader inside the graph; empty if it has."""
    if value in graph.leaving:
        return f"the result of '{value.node}' leaves the graph"
    count = len(graph.consumers[value])
    return "" if count == 1 else f"the result of '{value.node}' is read {count} times"


def fresh(rewriter: Rewriter, hint: str) -> str:
    """A name based on `hint` that neither graph uses, so that no later node has to give up its own."""
    name, number = hint, 0
    while name in rewriter.nodes or name in rewriter.old.nodes:
        number += 1
        name = f"{hint}_{number}"
    return name
