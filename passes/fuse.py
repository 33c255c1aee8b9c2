"""Fuses a contraction with what is applied to its result, so that the result is stored once.

A fused node is a permission, so the rules here ask only whether fusing is right, never whether it pays.

Every value inside a chain has one reader, the next member. So the only way out of a chain is from its last
member: an extra input never depends on the chain that reads it, every chain is convex, and one node at the last
member's place cannot close a cycle.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..computation import Contraction, Lowering, Pointwise, WindowReduction
from ..ir import Graph, Node, Rewriter, Value
from ..ops import Fused, Stage
from .match import contraction, lowering, not_alone, sole_computation
from .report import Notes, Optimised, Refused, Rule

RULE = Rule("stage(anchor(x, w), extra) => fused(x, w, extra)", "exact")


@dataclass
class Chain:
    """An anchor and the nodes absorbed so far; `running` is the value that the last of them makes."""

    anchor: Node
    contraction: Contraction
    members: list[Node] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    extras: list[Value] = field(default_factory=list)
    pooled: bool = False
    stopped: str = ""

    @property
    def running(self) -> Value:
        return (self.members[-1] if self.members else self.anchor).values[0]

    @property
    def op(self) -> Fused:
        return Fused(self.anchor.op, len(self.anchor.inputs), tuple(self.stages))

    def absorb(self, node: Node) -> None:
        position = node.inputs.index(self.running)
        others = [value for index, value in enumerate(node.inputs) if index != position]
        self.members.append(node)
        self.stages.append(Stage(node.op, position, len(others)))
        self.extras += others


def fuse(graph: Graph) -> Optimised:
    """The graph with every chain as one node: under the anchor's name, at the place of its last member."""
    notes, rewriter = Notes("fuse"), Rewriter(graph)
    chains = find_chains(graph)
    last = {chain.members[-1].name: chain for chain in chains.values() if chain.members}
    inside = {node.name for chain in last.values() for node in (chain.anchor, *chain.members[:-1])}

    def visit(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if node.name in inside:
            return node.values  # never looked up: the only reader is the next member
        if node.name not in last:
            return None
        chain = last[node.name]
        read = [rewriter.mapping[value] for value in (*chain.anchor.inputs, *chain.extras)]
        return rewriter.add(chain.op, read, chain.anchor.name, chain.anchor.where)

    fused = rewriter.rewrite(visit)
    for chain in chains.values():
        _note(notes, chain)
    return notes.on(fused)


def _note(notes: Notes, chain: Chain) -> None:
    if chain.members:
        notes.fired(RULE, chain.anchor.name, f"absorbs {', '.join(node.name for node in chain.members)}")
    more = "no further layer: " if chain.members else ""
    notes.refused(chain.anchor.name, f"{more}{chain.stopped}")


def find_chains(graph: Graph) -> dict[str, Chain]:
    """The chain of each anchor, in the graph's order.

    Later anchors choose first: of two convolutions that are added, the later one takes the sum as its
    residual, so that nothing is computed later than it was.
    """
    chains: dict[str, Chain] = {}
    taken: dict[str, str] = {}
    for node in reversed(list(graph)):
        found = contraction(graph, node)
        if found is not None:
            chains[node.name] = _grow(graph, node, found, taken)
    return dict(reversed(chains.items()))


def _grow(graph: Graph, anchor: Node, found: Contraction, taken: dict[str, str]) -> Chain:
    """Absorb readers until one refuses."""
    chain = Chain(anchor, found)
    while True:
        try:
            node = _reader(graph, chain, taken)
            chain.pooled |= _check_stage(graph, chain, node)
        except Refused as why:
            chain.stopped = str(why)
            return chain
        chain.absorb(node)
        taken[node.name] = anchor.name


def _reader(graph: Graph, chain: Chain, taken: dict[str, str]) -> Node:
    """The one node that reads the running value; raises Refused if there is not exactly one that is free."""
    why = not_alone(graph, chain.running)
    if why:
        raise Refused(why)
    (node,) = graph.consumers[chain.running]
    if node.name in taken:
        raise Refused(f"'{node.name}' already belongs to '{taken[node.name]}'")
    return node


def _check_stage(graph: Graph, chain: Chain, node: Node) -> bool:
    """Whether `node` is a pool (a point-wise stage otherwise); raises Refused if it is no possible stage."""
    computation = sole_computation(graph, node)
    if isinstance(computation, WindowReduction):
        _check_pool(chain, node, computation)
        return True
    found = lowering(graph, node)
    if found is None or len(node.types) != 1 or not _maps_in_place(found, node.inputs.index(chain.running)):
        raise Refused(f"'{node.name}' ({node.op.name}) is not point-wise in the result of '{chain.running.node}'")
    if graph.type(chain.running).shape != node.types[0].shape:
        raise Refused(f"'{node.name}' repeats the result of '{chain.running.node}' along an axis")
    return False


def _check_pool(chain: Chain, node: Node, pool: WindowReduction) -> None:
    """Only pools whose windows lie side by side work on accumulators that were just computed."""
    if chain.pooled:
        raise Refused(f"'{node.name}' would be the second pool")
    if not chain.contraction.window:
        raise Refused(f"'{node.name}' is a pool, but '{chain.anchor.name}' has no spatial axes")
    for axis in pool.window:
        if axis.stride != axis.kernel or axis.dilation != 1:
            raise Refused(f"the windows of '{node.name}' do not lie side by side")
        if axis.reach != (0, 0):
            raise Refused(f"the windows of '{node.name}' reach into the padding")


def _maps_in_place(found: Lowering, position: int) -> bool:
    """Whether each result element depends on the running value's element at the same place only.

    The last piece must be point-wise and alone read the running value, axis for axis; the pieces before it
    concern only the other inputs.
    """
    *before, last = found.pieces
    if not isinstance(last.computation, Pointwise) or any(position in piece.operands for piece in before):
        return False
    straight = tuple(range(last.type.rank))
    aligned = [dims for ref, dims in zip(last.operands, last.computation.dims, strict=True) if ref == position]
    return bool(aligned) and all(dims == straight for dims in aligned)
