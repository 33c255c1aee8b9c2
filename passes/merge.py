"""Replaces several nodes by one: the rewrite of a graph for fusion and for diamonds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..ir import Graph, Node, Rewriter, Value
from ..op import Op


@dataclass(frozen=True)
class Merge:
    """Layers, each the only reader of the one before, and an op of `inputs` that computes the same.

    Its node has the name and line of the layer `named`, and the place of the last layer.
    """

    members: Sequence[Node]
    op: Op
    inputs: Sequence[Value]
    named: Node


def merged(graph: Graph, merges: Iterable[Merge]) -> Graph:
    """The graph with one node for each of `merges`."""
    rewriter = Rewriter(graph)
    last = {merge.members[-1].name: merge for merge in merges}
    inside = {node.name for merge in last.values() for node in merge.members[:-1]}

    def visit(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if node.name in inside:
            return node.values  # never looked up: the only reader is the next member
        if node.name not in last:
            return None
        merge = last[node.name]
        read = [rewriter.mapping[value] for value in merge.inputs]
        return rewriter.add(merge.op, read, merge.named.name, merge.named.where)

    return rewriter.rewrite(visit)
