"""Computes layers whose inputs are all constants."""

from __future__ import annotations

from ..computation import Arrangement
from ..ir import Graph, Node, Rewriter, Value
from .match import fresh, lowering, rounded
from .report import Notes, Optimised, Rule

RULE = Rule("f(constants) => constant", "exact")
ALLOWANCE = 1 << 12  # bytes by which each folded layer may let the weights of a model grow
WORTH = 8  # multiply-adds of each call that a byte beyond those has to save: the result would be stored and read anyway
OPERATIONS = 1 << 32  # most operations of a layer that is computed when compiling: some seconds without interruption


def fold_constants(graph: Graph) -> Optimised:
    """The graph with constant layers computed by their definition, as long as the weights grow little."""
    notes, rewriter = Notes("constants"), Rewriter(graph)

    def visit(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if not inputs or any(rewriter.producer(value).op.source != "constant" for value in inputs):
            return None
        why = _why_not(graph, node)
        if why:
            notes.refused(node.name, why)
            return None
        notes.fired(RULE, node.name, f"{node.op.name} of constants")
        return _computed(graph, rewriter, node, inputs)

    return notes.on(rewriter.rewrite(visit))


def _freed(graph: Graph, node: Node) -> int:
    """Bytes of the inputs that only `node` reads."""
    return sum(
        graph.type(value).nbytes
        for value in dict.fromkeys(node.inputs)
        if all(reader is node for reader in graph.consumers[value]) and value not in graph.leaving
    )


def _why_not(graph: Graph, node: Node) -> str:
    cost = node.op.cost(*graph.types(node.inputs))
    growth = sum(type.nbytes for type in node.types) - _freed(graph, node)
    if not graph.leaving.isdisjoint(node.values):
        return "its result leaves the graph, and an output is no constant"
    if growth > (allowed := ALLOWANCE + cost.macs // WORTH):
        return f"its result would take {growth} bytes more than what it is made of, {allowed} are allowed"
    if (operations := cost.macs + cost.flops) > OPERATIONS:
        return f"computing it takes {operations} operations, at most {OPERATIONS} are made when compiling"
    return ""


def _computed(graph: Graph, rewriter: Rewriter, node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...]:
    """A constant for each output; `rounded` unless the node only moves elements that were not rounded.

    That of an only output has the name of the node.
    """
    known = [data for value in inputs if (data := rewriter.constant_data(value)) is not None]
    arrays = node.op.reference(*known)
    inexact = any(rounded(rewriter.producer(value)) for value in inputs) or not _only_moves(graph, node)
    elements = [type.dtype for type in node.types]
    several = [fresh(rewriter, f"{node.name}.{index}") for index in range(len(arrays))]
    names = several if len(arrays) > 1 else [node.name]
    return tuple(
        rewriter.constant(data, name, node.where, element=element, rounded=inexact and element.is_float)
        for data, name, element in zip(arrays, names, elements, strict=True)
    )


def _only_moves(graph: Graph, node: Node) -> bool:
    found = lowering(graph, node)
    return found is not None and all(
        isinstance(piece.computation, Arrangement) and piece.operands for piece in found.pieces
    )
