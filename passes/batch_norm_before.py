"""Folds batch normalisation, and other layers that scale and shift channels by constants, into the layers after."""

from __future__ import annotations

import numpy as np

from ..ir import Graph, Node, Value
from .affine import Affine, affine
from .folding import Folding
from .match import contraction
from .report import Notes, Optimised, Refused, Rule
from .weighted import LIMIT, FoldedWeights, rounding

RULE = Rule("conv(batchnorm(x), w) => conv(x, w*s) + b", "rounding")


def fold_batch_norm_before(graph: Graph) -> Optimised:
    """The graph with every map folded whose readers are all weighted layers that can take it."""
    notes = Notes("fold_batch_norm_before")
    return find(graph, notes).apply(graph, notes, RULE, fold)


def fold(layer: FoldedWeights, earlier: Affine) -> tuple[FoldedWeights, str]:
    """`layer` with `earlier` in its weights, and the bound; raises Refused where that would lose precision."""
    folded, growth = _folded(layer, earlier)
    one, typical = (rounding(layer.sizes(size), folded.bias) for size in (np.abs(earlier.factor), earlier.sizes()[0]))
    bound = f"2^-24 (Σ|w||x| + |b|), which is {one:.2g} for |x| <= 1 and {typical:.2g} at typical x"
    return folded, f"{bound}, whose products are {growth:.2g} times what they were"


def _folded(layer: FoldedWeights, earlier: Affine) -> tuple[FoldedWeights, float]:
    """`layer` with `earlier` in its weights, and the factor by which the terms of its sums grow; raises Refused."""
    folded = layer.after(earlier)
    folded.rounded()
    growth = layer.growth_after(earlier)
    if not growth <= LIMIT:  # NaN, too
        raise Refused(
            f"'{layer.node.name}' would sum products {growth:.3g} times as large as now at typical inputs, "
            "which the shift makes small again"
        )
    return folded, growth


def find(graph: Graph, notes: Notes) -> Folding:
    """All maps that can be folded into the layers after them; later maps first, so that chains fold."""
    folding = Folding()
    for node in reversed(list(graph)):
        try:
            found = affine(graph, node)
            if found is not None:
                position, map = found
                _fold(graph, node, map, folding)
                folding.gone[node.name] = position
        except Refused as why:
            notes.refused(node.name, str(why))
    return folding


def _fold(graph: Graph, node: Node, map: Affine, folding: Folding) -> None:
    """Add `map` to the layers that read `node`, to all of them or none; raises Refused."""
    totals: dict[str, Affine] = {}
    for reader in _readers(graph, node.values[0], folding):
        later = folding.maps.get(reader.name)
        totals[reader.name] = map if later is None else map.then(later)
        _check_border(graph, reader, totals[reader.name])
        _folded(FoldedWeights.of(graph, reader), totals[reader.name])
    folding.maps.update(totals)
    for name in totals:
        folding.absorbed.setdefault(name, []).insert(0, node.name)


def _readers(graph: Graph, value: Value, folding: Folding) -> list[Node]:
    """The weighted layers that read `value` as their image, through nodes that are folded already; raises Refused."""
    if value in graph.leaving:
        raise Refused(f"the result of '{value.node}' leaves the graph")
    found: list[Node] = []
    for reader in graph.consumers[value]:
        if reader.name in folding.gone:
            found += _readers(graph, reader.values[0], folding)
        elif reader.op.weight_layout and reader.inputs.index(value) == 0 and reader.inputs.count(value) == 1:
            found.append(reader)
        else:
            raise Refused(f"'{reader.name}' ({reader.op.name}), which reads it, is no convolution or dense layer")
    if not found:
        raise Refused("nobody reads it")
    return found


def _check_border(graph: Graph, reader: Node, map: Affine) -> None:
    """Raise Refused if a shift would differ between outputs, because some taps lie outside the image."""
    if not map.shift.any():
        return
    found = contraction(graph, reader)
    if found is None:
        raise Refused(f"the outputs of '{reader.name}' do not all sum over the same taps, so its shift stays")
    if any(axis.reach != (0, 0) for axis in found.window):
        raise Refused(f"'{reader.name}' pads its input with zeros, which the shift would have to leave out")
