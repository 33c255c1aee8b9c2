"""Removes arrangements that arrange nothing: a concat of one, a split into one, a flatten of what is flat."""

from __future__ import annotations

from ..computation import Join, Part, Reshape
from ..ir import Graph, Node, Rewriter, Value
from .match import sole_computation
from .report import Notes, Optimised, Rule


def is_identity(graph: Graph, node: Node) -> bool:
    """An arrangement of one operand that keeps the type keeps every element in its place."""
    if not isinstance(sole_computation(graph, node), Join | Part | Reshape):
        return False
    return len(node.inputs) == 1 and node.types == graph.types(node.inputs)


def remove_identities(graph: Graph) -> Optimised:
    """The graph without identities, except where an output would become an input, a constant or a second name."""
    notes, rewriter = Notes("identities"), Rewriter(graph)

    def visit(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if not is_identity(graph, node):
            return None
        why = _must_stay(rewriter, node, inputs[0])
        if why:
            notes.refused(node.name, why)
            return None
        notes.fired(Rule(f"{node.op.name.lower()}(x) => x", "exact"), node.name)
        return inputs

    return notes.on(rewriter.rewrite(visit))


def _must_stay(rewriter: Rewriter, node: Node, source: Value) -> str:
    """Why `node` is still needed as the copy that fills an output of its own; empty if it is not."""
    outputs = rewriter.old.outputs.values()
    if node.values[0] not in outputs:
        return ""
    kind = rewriter.producer(source).op.source
    if kind is not None:
        return f"an output would be the {kind} '{source.node}' itself"
    taken = {rewriter.mapping[value] for value in outputs if value in rewriter.mapping}
    return f"'{source.node}' already is another output" if source in taken else ""
