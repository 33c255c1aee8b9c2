"""Splits a fused node into its ops again, so that each can be inspected."""

from __future__ import annotations

from ..errors import UsageError
from ..ir import Graph, Node, Rewriter, Value
from ..ops import Fused
from .match import fresh, fused


def expand(graph: Graph, node_name: str) -> Graph:
    """`graph` with the fused node `node_name` split into its ops.

    The anchor keeps the name; fused op number k, a Relu, is called `<name>.k_relu`. Raises UsageError if
    there is no fused node of that name.
    """
    node = graph.nodes.get(node_name)
    op = None if node is None else fused(node)
    if op is None:
        others = ", ".join(other.name for other in graph if fused(other)) or "none"
        raise UsageError(f"there is no fused layer '{node_name}': the fused layers are {others}")
    rewriter = Rewriter(graph)

    def visit(current: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        return _members(rewriter, current, op, inputs) if current is node else None

    return rewriter.rewrite(visit)


def _members(rewriter: Rewriter, node: Node, op: Fused, inputs: tuple[Value, ...]) -> tuple[Value, ...]:
    """The body of `op` as nodes; returns the last one's values."""
    own, *extras = op.split(inputs)
    values = rewriter.add(op.anchor, own, node.name, node.where)
    for number, (stage, extra) in enumerate(zip(op.epilogue, extras, strict=True), start=1):
        name = fresh(rewriter, f"{node.name}.{number}_{stage.op.name.lower()}")
        values = rewriter.add(stage.op, stage.arguments(values[0], extra), name, node.where)
    return values
