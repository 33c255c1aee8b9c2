"""Merges layers that compute the same and constants that are equal."""

from __future__ import annotations

from ..ir import Graph, Node, Rewriter, Value
from .report import Notes, Optimised, Rule

RULE = Rule("f(x), f(x) => f(x)", "exact")
WEIGHTS = Rule("constant, constant => constant", "exact")


def merge_subexpressions(graph: Graph) -> Optimised:
    """The graph with equal layers (the same op on the same values) and equal constants merged into the first."""
    notes, rewriter = Notes("subexpressions"), Rewriter(graph)
    known: dict[object, Node] = {}
    weights: dict[str, list[str]] = {}
    leaving = set(graph.leaving)

    def visit(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if node.op.source in ("input", "state"):
            return None
        # The text of an op distinguishes −0 from 0, and equal NaN have equal texts; for == the opposite holds.
        twin = known.setdefault((repr(node.op), inputs), node)
        if twin is node:
            return None
        if not leaving.isdisjoint(node.values) and not leaving.isdisjoint(twin.values):
            notes.refused(node.name, f"equals '{twin.name}', but both are outputs")
            return None
        if node.op.source == "constant":
            weights.setdefault(twin.name, []).append(node.name)
        else:
            notes.fired(RULE, node.name, f"equals '{twin.name}'", same=twin.name)
        if not leaving.isdisjoint(node.values):
            leaving.update(twin.values)
        return tuple(rewriter.mapping[value] for value in twin.values)

    merged = rewriter.rewrite(visit)
    for name, equal in weights.items():
        notes.fired(WEIGHTS, name, f"equals {', '.join(equal)}", absorbed=equal)
    return notes.on(merged)
