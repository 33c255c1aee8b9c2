"""Folds batch normalisation, and other layers that scale and shift channels by constants, into the layer before."""

from __future__ import annotations

import numpy as np

from ..computation import Concatenate
from ..ir import Graph, Node, Value
from .affine import CHANNELS, Affine, affine
from .folding import Folding
from .match import not_alone, sole_computation
from .report import Notes, Optimised, Refused, Rule
from .weighted import LIMIT, FoldedWeights, rounding

RULE = Rule("batchnorm(conv(x, w)) => conv(x, w*s) + b", "rounding")


def fold_batch_norm(graph: Graph) -> Optimised:
    """The graph with every foldable map folded: a whole chain in float64, rounded once."""
    notes = Notes("fold_batch_norm")
    return find(graph, notes).apply(graph, notes, RULE, fold)


def fold(layer: FoldedWeights, later: Affine) -> tuple[FoldedWeights, str]:
    """`layer` with `later` in its weights, and the bound; raises Refused where that would lose precision."""
    folded, growth = _folded(layer, later)
    cost = rounding(np.abs(later.factor) * layer.sizes(), folded.bias)
    bound = f"2^-24 (Σ|w||x| + |b|), which is {cost:.2g} for |x| <= 1"
    return folded, f"{bound}; products and bias are {growth:.2g} times what the products were"


def _folded(layer: FoldedWeights, later: Affine) -> tuple[FoldedWeights, float]:
    """`layer` with `later` in its weights, and the factor by which the terms of its sums grow; raises Refused."""
    folded = layer.before(later)
    folded.rounded()
    growth = layer.growth_before(later)
    if not growth <= LIMIT:  # NaN, too
        raise Refused(
            f"the bias of '{layer.node.name}' would be {growth - 1:.3g} times as large as its products, and every sum "
            "rounded at that size"
        )
    return folded, growth


def find(graph: Graph, notes: Notes) -> Folding:
    """All maps that can be folded into the layers before them, in the graph's order."""
    folding = Folding()
    for node in graph:
        try:
            found = affine(graph, node)
            if found is None:
                if node.op.statistics:
                    raise Refused("its statistics are known only at run time")
                continue
            position, map = found
            _fold(graph, node, node.inputs[position], map, folding)
            folding.gone[node.name] = position
        except Refused as why:
            notes.refused(node.name, str(why))
    return folding


def _fold(graph: Graph, node: Node, source: Value, map: Affine, folding: Folding) -> None:
    """Add `map` to the layers that compute `source`, to all of them or none; raises Refused."""
    takers = _makers(graph, source, folding)
    totals: list[Affine] = []
    for maker, begin, end in takers:
        own = folding.maps.get(maker.name, Affine.identity(end - begin)).then(map.part(begin, end))
        _folded(FoldedWeights.of(graph, maker), own)
        totals.append(own)
    for (maker, _, _), total in zip(takers, totals, strict=True):
        folding.maps[maker.name] = total
        folding.absorbed.setdefault(maker.name, []).append(node.name)


def _makers(graph: Graph, value: Value, folding: Folding, begin: int = 0) -> list[tuple[Node, int, int]]:
    """The weighted layers that compute `value`, through concatenations, with the channels [begin, end) of each."""
    node = graph[value.node]
    if node.op.weight_layout or node.name in folding.gone or _joins_channels(graph, node):
        why = not_alone(graph, value)
        if why:
            raise Refused(why)
    if node.name in folding.gone:
        return _makers(graph, node.inputs[folding.gone[node.name]], folding, begin)
    if node.op.weight_layout:
        return [(node, begin, begin + node.types[0].shape[CHANNELS])]
    if not _joins_channels(graph, node):
        raise Refused("no convolution or dense layer stands before it")
    makers: list[tuple[Node, int, int]] = []
    for part in node.inputs:
        makers += _makers(graph, part, folding, begin)
        begin += graph.type(part).shape[CHANNELS]
    return makers


def _joins_channels(graph: Graph, node: Node) -> bool:
    return sole_computation(graph, node) == Concatenate(CHANNELS)
