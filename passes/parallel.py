"""Merges parallel 1×1 convolutions of one value, so that the image is read once for all of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..computation import Concatenate
from ..ir import Graph, Node, Rewriter, Value
from ..ops import Split
from .match import anchored, fresh, fused, rounded, sole_computation
from .report import Notes, Optimised, Refused, Rule

RULE = Rule("conv(x, a), conv(x, b) => split(conv(x, [a b]))", "exact")

ENOUGH = 64  # multiply-accumulates for each element of the image; from here on merging saved nothing when measured


def merge_parallel(graph: Graph) -> Optimised:
    """The graph with such convolutions, fused or not, as one with the name of the first."""
    notes, rewriter = Notes("parallel"), Rewriter(graph)
    families = find(graph, notes)
    first = {family[0].name: family for family in families}
    made: dict[str, tuple[Value, ...]] = {}

    def visit(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        family = first.get(node.name)
        if family is not None:
            names = [other.name for other in family[1:]]
            notes.fired(RULE, node.name, f"takes {', '.join(names)} along", absorbed=names)
            parts = _merged(graph, rewriter, family, inputs[0])
            made.update((member.name, (part,)) for member, part in zip(family, parts, strict=True))
        return made.get(node.name)

    return notes.on(rewriter.rewrite(visit))


def find(graph: Graph, notes: Notes) -> list[list[Node]]:
    """Sets of at least two convolutions that can be merged: the same op and the same image."""
    families: dict[object, list[Node]] = {}
    for node in graph:
        if not _is_pointwise(graph, node):
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


def _is_pointwise(graph: Graph, node: Node) -> bool:
    """Whether `node` is a 1×1 convolution, or begins with one."""
    found = anchored(graph, node)
    return found is not None and bool(found.window) and found.taps == found.groups == 1


def _check(graph: Graph, node: Node) -> None:
    """Raise Refused unless `node` can be merged and merging saves time."""
    whole = fused(node)
    if whole and any(stage.extra for stage in whole.epilogue):
        raise Refused("its epilogue reads another tensor")
    if any(graph.constant(value) is None for value in node.inputs[1:]):
        raise Refused("its weights are known only at run time")
    outputs = node.types[0].shape[1]
    if outputs >= ENOUGH:
        raise Refused(
            f"its {outputs} outputs make enough of each element of the image, which may be read again for others"
        )
    (result,) = node.values
    if result in graph.leaving:
        raise Refused("its result leaves the graph, so a part of a merged one would have to be copied")
    for reader in graph.consumers[result]:
        if isinstance(sole_computation(graph, reader), Concatenate):
            raise Refused(
                f"its result is a part of '{reader.name}', to which a part of a merged one would have to be copied"
            )


def _merged(graph: Graph, rewriter: Rewriter, family: Sequence[Node], image: Value) -> tuple[Value, ...]:
    """One convolution with the weights and biases of all, and the slices of its result."""
    lead = family[0]
    inputs = [image]
    for position, suffix in enumerate(("weights", "bias")[: len(lead.inputs) - 1], start=1):
        arrays = [graph.constant(node.inputs[position]) for node in family]
        data = np.concatenate([array for array in arrays if array is not None])
        from_pass = any(rounded(graph[node.inputs[position].node]) for node in family)
        name = fresh(rewriter, f"{lead.name}.all_{suffix}")
        inputs.append(rewriter.constant(data, name, lead.where, rounded=from_pass))
    (whole,) = rewriter.add(lead.op, inputs, lead.name, lead.where)
    sizes = tuple(node.types[0].shape[1] for node in family)
    return rewriter.add(Split(sizes), (whole,), fresh(rewriter, f"{lead.name}.parts"), lead.where)
