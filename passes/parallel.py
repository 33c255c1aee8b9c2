"""Merges parallel 1×1 convolutions of one value: the image is read once, and the lanes are fuller."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..computation import Join
from ..ir import Graph, Node, Rewriter, Value
from ..op import Op
from ..ops import Conv, Fused, Split
from .match import fresh, sole_computation
from .report import Notes, Optimised, Refused, Rule

RULE = Rule("conv(x, a), conv(x, b) => split(conv(x, [a b]))", "exact")

WIDE = 64  # outputs from which on merging was measured to save nothing


def merge_parallel(graph: Graph) -> Optimised:
    """The graph with such convolutions, fused or not, as one, under the name of the first."""
    notes, rewriter = Notes("parallel"), Rewriter(graph)
    families = find(graph, notes)
    first = {family[0].name: family for family in families}
    made: dict[str, tuple[Value, ...]] = {}

    def visit(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        family = first.get(node.name)
        if family is not None:
            notes.fired(RULE, node.name, f"takes {', '.join(other.name for other in family[1:])} along")
            parts = _merged(graph, rewriter, family, inputs[0])
            made.update((member.name, (part,)) for member, part in zip(family, parts, strict=True))
        return made.get(node.name)

    return notes.on(rewriter.rewrite(visit))


def find(graph: Graph, notes: Notes) -> list[list[Node]]:
    """Families of at least two convolutions that can be one: the same op and the same image."""
    families: dict[object, list[Node]] = {}
    for node in graph:
        if anchor(node.op) is None:
            continue
        try:
            _check(graph, node)
            families.setdefault((repr(node.op), node.inputs[0], len(node.inputs)), []).append(node)
        except Refused as why:
            notes.refused(node.name, str(why))
    for family in families.values():
        if len(family) == 1:
            notes.refused(family[0].name, "no other 1×1 convolution with the same epilogue reads the same value")
    return [family for family in families.values() if len(family) > 1]


def anchor(op: Op) -> Conv | None:
    """The 1×1 convolution that `op` is, or that it begins with."""
    conv = op.anchor if isinstance(op, Fused) else op
    return conv if isinstance(conv, Conv) and max(conv.kernel) == 1 and conv.groups == 1 else None


def _check(graph: Graph, node: Node) -> None:
    """Raise Refused unless `node` can be merged and it pays."""
    if isinstance(node.op, Fused) and any(stage.extra for stage in node.op.epilogue):
        raise Refused("its epilogue reads another tensor")
    if any(graph.constant(value) is None for value in node.inputs[1:]):
        raise Refused("its weights are known only at run time")
    outputs = node.types[0].shape[1]
    if outputs >= WIDE:
        raise Refused(f"its {outputs} outputs fill the lanes alone")
    (result,) = node.values
    if result in graph.leaving:
        raise Refused("its result leaves the graph, so a part of a merged one would have to be copied")
    for reader in graph.consumers[result]:
        if isinstance(sole_computation(graph, reader), Join):
            raise Refused(f"it writes its part of '{reader.name}' in place, a part of a merged one would be copied")


def _merged(graph: Graph, rewriter: Rewriter, family: Sequence[Node], image: Value) -> tuple[Value, ...]:
    """One convolution with the weights and biases of all, and its parts."""
    lead = family[0]
    inputs = [image]
    for position, suffix in enumerate(("weights", "bias")[: len(lead.inputs) - 1], start=1):
        arrays = [graph.constant(node.inputs[position]) for node in family]
        data = np.concatenate([array for array in arrays if array is not None])
        rounded = any(getattr(graph[node.inputs[position].node].op, "rounded", False) for node in family)
        name = fresh(rewriter, f"{lead.name}.all_{suffix}")
        inputs.append(rewriter.constant(data, name, lead.where, rounded=rounded))
    (whole,) = rewriter.add(lead.op, inputs, lead.name, lead.where)
    sizes = tuple(node.types[0].shape[1] for node in family)
    return rewriter.add(Split(sizes), (whole,), fresh(rewriter, f"{lead.name}.parts"), lead.where)
