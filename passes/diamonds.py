"""Merges element-wise layers that branch from one value and join again: x · sigmoid(x), x · clip(x + 3, 0, 6).

The merged layer reads x once, and can be fused into the layer that computes x.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field

from ..ir import Graph, Node, Value
from ..ops import Fused, FusedOp
from .fuse import LONGEST, composed, maps_in_place, only_reader, positions
from .match import fused
from .merge import Merge, merged
from .report import Notes, Optimised, Rule

RULE = Rule("f(x, g(x)) => fused(x)", "exact")


@dataclass
class Diamond:
    """A chain of layers from one that reads `source` to one that reads it last."""

    source: Value
    members: list[Node] = field(default_factory=list)
    stages: list[FusedOp] = field(default_factory=list)
    extras: list[Value] = field(default_factory=list)

    @property
    def op(self) -> Fused:
        return Fused(self.members[0].op, len(self.members[0].inputs), tuple(self.stages))

    @property
    def merge(self) -> Merge:
        return Merge(self.members, self.op, (*self.members[0].inputs, *self.extras), self.members[-1])

    def absorb(self, node: Node) -> None:
        if self.members:
            running = self.members[-1].values[0]
            position, *again = positions(node, running)
            others = [value for value in node.inputs if value != running]
            self.stages.append(FusedOp(node.op, position, len(others), tuple(again)))
            self.extras += others
        self.members.append(node)


def merge_diamonds(graph: Graph) -> Optimised:
    """The graph with each diamond as one node, with the name and place of its last layer; inner diamonds first."""
    notes, inner = Notes("diamonds"), set[str]()
    while diamonds := find(graph, inner):
        graph = merged(graph, [diamond.merge for diamond in diamonds])
        inner.update(diamond.members[-1].name for diamond in diamonds)
        for diamond in diamonds:
            *absorbed, last = (member.name for member in diamond.members)
            detail = f"absorbs {', '.join(absorbed)}, all made of '{diamond.source}'"
            notes.fired(RULE, last, detail, absorbed=absorbed)
    return notes.on(graph)


def find(graph: Graph, inner: Set[str] = frozenset()) -> list[Diamond]:
    """Diamonds without common layers; those named in `inner`, found before, may be layers of others."""
    found: list[Diamond] = []
    taken: set[str] = set()
    for node in graph:
        for value in node.values:
            diamond = _over(graph, value, taken, inner)
            if diamond is not None:
                found.append(diamond)
                taken.update(member.name for member in diamond.members)
    return found


def _over(graph: Graph, source: Value, taken: Set[str], inner: Set[str]) -> Diamond | None:
    """The diamond that contains all readers of `source`, of which there are several; None if there is none."""
    readers = graph.consumers[source]
    if len({reader.name for reader in readers}) < 2 or source in graph.leaving:
        return None
    if graph.constant(source) is not None:
        return None
    for first in dict.fromkeys(reader.name for reader in readers):
        diamond, node = Diamond(source), graph[first]
        missing = {reader.name for reader in readers}
        while node.name not in taken and len(diamond.members) < LONGEST and _fits(graph, diamond, node, inner):
            diamond.absorb(node)
            missing.discard(node.name)
            if not missing:
                return diamond
            following = only_reader(graph, node.values[0])
            if following is None:
                break
            node = following
    return None


def _fits(graph: Graph, diamond: Diamond, node: Node, inner: Set[str]) -> bool:
    """Whether `node` is point-wise, in place, in the source and in the results of the diamond so far."""
    running = positions(node, diamond.source)
    if diamond.members:
        running += positions(node, diamond.members[-1].values[0])
    if fused(node) and node.name not in inner:  # made by `fuse`, and complete
        return False
    found = composed(graph, node, running)
    if found is None or len(node.types) != 1 or node.types[0].shape != graph.type(diamond.source).shape:
        return False
    if any(graph.type(value).rank > node.types[0].rank for value in node.inputs):
        return False
    return maps_in_place(found, running)
