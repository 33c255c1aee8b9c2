"""Fuses a layer with the element-wise layers applied to its result, so that the result is stored once.

Anchors are contractions (convolutions, dense layers, matrix products), contractions whose results are interleaved
(transposed convolutions), and layers that end in an element-wise step. A fused node permits fusion in the plan, so the
rules here test only whether fusing is correct, not whether it is faster.

Every value inside a chain has one reader, the next member. So other nodes depend on a chain only through its last
member: an extra input never depends on the chain that reads it, every chain is convex, and one node at the last
member's place cannot close a cycle.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..computation import Contraction, Interleave, Lowering, Pointwise, WindowReduction
from ..ir import Graph, Node, Value
from ..ops import Fused, FusedOp
from .match import fused, lowering, not_alone, sole_computation
from .merge import Merge, merged
from .report import Notes, Optimised, Refused, Rule

RULE = Rule("stage(anchor(x, w), extra) => fused(x, w, extra)", "exact")
LONGEST = 24  # most members of a chain: each adds a level to the expression for an element


@dataclass
class FusionChain:
    """An anchor and the nodes absorbed so far; `running` is the result of the last of them."""

    anchor: Node
    last_piece: Contraction | Interleave | Pointwise
    members: list[Node] = field(default_factory=list)
    stages: list[FusedOp] = field(default_factory=list)
    extras: list[Value] = field(default_factory=list)
    pooled: bool = False
    stopped: str = ""

    @property
    def running(self) -> Value:
        return (self.members[-1] if self.members else self.anchor).values[0]

    @property
    def op(self) -> Fused:
        return Fused(self.anchor.op, len(self.anchor.inputs), tuple(self.stages))

    @property
    def merge(self) -> Merge:
        return Merge((self.anchor, *self.members), self.op, (*self.anchor.inputs, *self.extras), self.anchor)

    def absorb(self, node: Node) -> None:
        position, *again = positions(node, self.running)
        others = [value for value in node.inputs if value != self.running]
        self.members.append(node)
        self.stages.append(FusedOp(node.op, position, len(others), tuple(again)))
        self.extras += others


def positions(node: Node, value: Value) -> tuple[int, ...]:
    """The positions of the inputs of `node` that are `value`."""
    return tuple(index for index, read in enumerate(node.inputs) if read == value)


def fuse(graph: Graph) -> Optimised:
    """The graph with every chain as one node, with the anchor's name, at the place of its last member."""
    notes, chains = Notes("fuse"), find_chains(graph)
    whole = merged(graph, [chain.merge for chain in chains.values() if chain.members])
    for chain in chains.values():
        _note(notes, chain)
    return notes.on(whole)


def _note(notes: Notes, chain: FusionChain) -> None:
    if chain.members:
        names = [node.name for node in chain.members]
        notes.fired(RULE, chain.anchor.name, f"absorbs {', '.join(names)}", absorbed=names)
    more = "no further layer: " if chain.members else ""
    notes.refused(chain.anchor.name, f"{more}{chain.stopped}")


def find_chains(graph: Graph) -> dict[str, FusionChain]:
    """The chain of each anchor that no other chain has absorbed, in the graph's order.

    Chains of contractions are found before those of element-wise anchors, the later ones first. If two convolutions are
    added, the later one absorbs the sum, so that no node moves to a later place.
    """
    nodes = list(graph)
    chains: dict[str, FusionChain] = {}
    taken: dict[str, str] = {}
    for kind, order in ((Contraction | Interleave, reversed(nodes)), (Pointwise, iter(nodes))):
        for node in order:
            piece = last_piece(graph, node)
            if isinstance(piece, kind) and node.name not in taken:
                chains[node.name] = _grow(graph, FusionChain(node, piece), taken)
    return {node.name: chains[node.name] for node in nodes if node.name in chains}


def last_piece(graph: Graph, node: Node) -> Contraction | Interleave | Pointwise | None:
    """The computation of the only result of an anchor; None for other nodes."""
    found = lowering(graph, node)
    if found is None or not found.pieces or found.results != (len(node.inputs) + len(found.pieces) - 1,):
        return None
    computation = found.pieces[-1].computation
    return computation if isinstance(computation, Contraction | Interleave | Pointwise) else None


def _grow(graph: Graph, chain: FusionChain, taken: dict[str, str]) -> FusionChain:
    """Absorb readers until one cannot be fused."""
    while True:
        try:
            node = _reader(graph, chain, taken)
            chain.pooled |= _check_stage(graph, chain, node)
        except Refused as why:
            chain.stopped = str(why)
            return chain
        chain.absorb(node)
        taken[node.name] = chain.anchor.name


def _reader(graph: Graph, chain: FusionChain, taken: dict[str, str]) -> Node:
    """The only reader of the running value; raises Refused if there are none or several, or if a chain has it."""
    node = only_reader(graph, chain.running)
    if node is None:
        raise Refused(not_alone(graph, chain.running))
    if node.name in taken:
        raise Refused(f"'{node.name}' already belongs to '{taken[node.name]}'")
    if len(chain.members) == LONGEST:
        raise Refused(f"it has absorbed {LONGEST} layers already")
    return node


def only_reader(graph: Graph, value: Value) -> Node | None:
    """The only node that reads `value`, once or several times; None if there are several, or if it is an output."""
    readers = {reader.name: reader for reader in graph.consumers[value]}
    return next(iter(readers.values())) if len(readers) == 1 and value not in graph.leaving else None


def _check_stage(graph: Graph, chain: FusionChain, node: Node) -> bool:
    """Whether `node` is a pool (else it is point-wise); raises Refused if it cannot be fused."""
    computation = sole_computation(graph, node)
    if isinstance(computation, WindowReduction):
        _check_pool(chain, node, computation)
        return True
    running = positions(node, chain.running)
    found = composed(graph, node, running)
    if found is None or len(node.types) != 1 or not maps_in_place(found, running):
        raise Refused(f"'{node.name}' ({node.op.name}) is not point-wise in the result of '{chain.running.node}'")
    if graph.type(chain.running).shape != node.types[0].shape:
        raise Refused(f"'{node.name}' repeats the result of '{chain.running.node}' along an axis")
    if any(graph.type(value).rank > node.types[0].rank for value in chain.anchor.inputs):
        raise Refused(f"'{chain.anchor.name}' has an input of more axes than its result")
    return False


def _check_pool(chain: FusionChain, node: Node, pool: WindowReduction) -> None:
    """Raise Refused unless the windows of a pool are adjacent, so that it can read the accumulators."""
    if chain.pooled:
        raise Refused(f"'{node.name}' would be the second pool")
    if isinstance(chain.last_piece, Interleave):
        raise Refused(f"'{node.name}' is a pool, but '{chain.anchor.name}' computes its outputs in several phases")
    if not isinstance(chain.last_piece, Contraction):
        raise Refused(f"'{node.name}' is a pool, but '{chain.anchor.name}' is element-wise")
    if not chain.last_piece.window:
        raise Refused(f"'{node.name}' is a pool, but '{chain.anchor.name}' has no spatial axes")
    for axis in pool.window:
        if axis.stride != axis.kernel or axis.dilation != 1:
            raise Refused(f"the windows of '{node.name}' do not lie side by side")
        if axis.reach != (0, 0):
            raise Refused(f"the windows of '{node.name}' reach into the padding")


def composed(graph: Graph, node: Node, running: tuple[int, ...]) -> Lowering | None:
    """The lowering of `node`, also if it is a diamond over its inputs `running` (see `diamonds`)."""
    if not fused(node) or len(running) == 1:
        return lowering(graph, node)
    try:
        return node.lowering(graph.types(node.inputs))
    except NotImplementedError:  # its body is not element-wise
        return None


def maps_in_place(found: Lowering, running: tuple[int, ...]) -> bool:
    """Whether each result element depends only on the element at the same place of the inputs `running`.

    The last computation must be point-wise and the only one that reads the running value, axis for axis; the others
    read only the other inputs.
    """
    *before, last = found.pieces or (None,)
    if last is None or not isinstance(last.computation, Pointwise):
        return False
    if any(not set(running).isdisjoint(piece.operands) for piece in before if piece is not None):
        return False
    straight = tuple(range(last.type.rank))
    aligned = [dims for ref, dims in zip(last.operands, last.computation.dims, strict=True) if ref in running]
    return bool(aligned) and all(dims == straight for dims in aligned)
