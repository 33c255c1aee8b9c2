"""The common part of both batch-norm foldings: maps collected for each weighted layer, and the rewrite with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ..ir import Graph, Node, Rewriter, Value
from .affine import Affine
from .report import Notes, Optimised, Rule
from .weighted import FoldedWeights

Fold = Callable[[FoldedWeights, Affine], tuple[FoldedWeights, str]]
"""The layer with a map folded in, and a bound for the change of its results; raises Refused."""


@dataclass
class Folding:
    """For each weighted layer its total map and the names of what it has absorbed.

    `gone` maps each folded node to the position of the input that replaces its result.
    """

    maps: dict[str, Affine] = field(default_factory=dict)
    absorbed: dict[str, list[str]] = field(default_factory=dict)
    gone: dict[str, int] = field(default_factory=dict)

    def apply(self, graph: Graph, notes: Notes, rule: Rule, fold: Fold) -> Optimised:
        """The graph without the folded nodes and with their maps in the weights, rounded once."""
        rewriter = Rewriter(graph)

        def visit(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
            if node.name in self.gone:
                return (inputs[self.gone[node.name]],)
            if node.name not in self.maps:
                return None
            folded, bound = fold(FoldedWeights.of(graph, node), self.maps[node.name])
            absorbed = self.absorbed[node.name]
            notes.fired(rule, node.name, f"absorbs {', '.join(absorbed)}", bound, absorbed)
            return folded.add(rewriter, inputs[0], graph.type(node.inputs[1]))

        return notes.on(rewriter.rewrite(visit))
