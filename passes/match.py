"""Queries of several passes about a node: its computation, and its readers in the graph.

A pass tests computations and traits (`cnncc/op.py`), never the class of an op, so that a new op with a convolution's
computation is rewritten like one. Only this module tests two classes, which belong to the structure of a graph and
are no operations: `Constant` (a source) and `Fused` (several ops in one node).
"""

from __future__ import annotations

from ..computation import Computation, Contraction, Lowering
from ..ir import Graph, Node, Rewriter, Value
from ..op import Constant
from ..ops import Fused


def fused(node: Node) -> Fused | None:
    """The anchor and epilogue of a node that several layers were fused into; None for other nodes."""
    return node.op if isinstance(node.op, Fused) else None


def rounded(node: Node) -> bool:
    """Whether `node` is a constant that a pass has computed and rounded."""
    return isinstance(node.op, Constant) and node.op.rounded


def lowering(graph: Graph, node: Node) -> Lowering | None:
    """The lowering of `node`; None for sources (which compute nothing) and nodes that are already fused."""
    return None if node.op.source is not None or fused(node) else graph.lowering(node)


def sole_computation(graph: Graph, node: Node) -> Computation | None:
    """The computation of a node that has only one, on its inputs in order, with one output; else None."""
    found = lowering(graph, node)
    return None if found is None else _sole(found, len(node.inputs))


def _sole(found: Lowering, inputs: int) -> Computation | None:
    if len(found.pieces) != 1 or len(found.results) != 1:
        return None
    (piece,) = found.pieces
    return piece.computation if piece.operands == tuple(range(inputs)) else None


def contraction(graph: Graph, node: Node) -> Contraction | None:
    """The contraction of a convolution or a dense layer; None for every other node.

    Inputs 1 and 2 are its weights and its bias, the same for all images. A dense layer has no window.
    """
    return _weighted(sole_computation(graph, node))


def anchored(graph: Graph, node: Node) -> Contraction | None:
    """As `contraction`, also for the anchor of a fused node."""
    whole = fused(node)
    if whole is None:
        return contraction(graph, node)
    types = graph.types(node.inputs[: whole.anchor_inputs])
    return _weighted(_sole(whole.anchor.lower(*types), len(types)))


def _weighted(computation: Computation | None) -> Contraction | None:
    return computation if isinstance(computation, Contraction) and not computation.weights_per_image else None


def not_alone(graph: Graph, value: Value) -> str:
    """Why `value` has not exactly one reader inside the graph; empty if it has."""
    if value in graph.leaving:
        return f"the result of '{value.node}' leaves the graph"
    count = len(graph.consumers[value])
    return "" if count == 1 else f"the result of '{value.node}' is read {count} times"


def fresh(rewriter: Rewriter, hint: str) -> str:
    """A name based on `hint` that neither graph uses, so that it never collides with a later node."""
    name, number = hint, 0
    while name in rewriter.nodes or name in rewriter.old.nodes:
        number += 1
        name = f"{hint}_{number}"
    return name
