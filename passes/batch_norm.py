"""Folds batch normalisation into the weights of the convolution or dense layer before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..expr import UNIT
from ..ir import Graph, Node, Rewriter, Value
from ..ops import BatchNormalization
from ..types import Array
from .match import contraction, fresh, not_alone
from .report import Notes, Optimised, Refused, Rule

RULE = Rule("batchnorm(conv(x, w)) => conv(x, w*s) + b", "rounding")


@dataclass(frozen=True)
class Affine:
    """y · factor + shift per output channel, in float64."""

    factor: Array
    shift: Array

    def then(self, later: Affine) -> Affine:
        return Affine(self.factor * later.factor, self.shift * later.factor + later.shift)


@dataclass(frozen=True)
class Folded:
    """New weights and bias (float32) of a contraction that has swallowed the layers called `absorbed`."""

    weights: Array
    bias: Array
    absorbed: tuple[str, ...]

    @property
    def bound(self) -> str:
        """Weights and bias are each rounded once, which moves a result by as many relative roundings."""
        per_output = np.abs(self.weights.astype(np.float64)).reshape(len(self.weights), -1).sum(axis=1)
        worst = UNIT * float((per_output + np.abs(self.bias)).max())
        return f"2^-24 (Σ|w*s||x| + |b|), which is {worst:.2g} for |x| <= 1"


def fold_batch_norm(graph: Graph) -> Optimised:
    """The graph with every foldable batch normalisation folded: in float64, over a whole chain, rounded once."""
    notes, rewriter = Notes("fold_batch_norm"), Rewriter(graph)
    gone: set[str] = set()
    refusals: dict[str, str] = {}

    def visit(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        if node.name in gone:
            return inputs[:1]
        if isinstance(node.op, BatchNormalization):
            notes.refused(node.name, refusals.get(node.name) or _why_unmatched(graph, node))
        folded = fold_chain(graph, node, refusals)
        if folded is None:
            return None
        gone.update(folded.absorbed)
        notes.fired(RULE, node.name, f"absorbs {', '.join(folded.absorbed)}", folded.bound)
        return _rebuild(rewriter, node, inputs, folded)

    return notes.on(rewriter.rewrite(visit))


def _rebuild(rewriter: Rewriter, node: Node, inputs: tuple[Value, ...], folded: Folded) -> tuple[Value, ...]:
    """`node` under its own name, on the folded weights and bias."""
    weights = rewriter.constant(folded.weights, fresh(rewriter, f"{node.name}.folded"), node.where, rounded=True)
    bias = rewriter.constant(folded.bias, fresh(rewriter, f"{node.name}.shift"), node.where, rounded=True)
    return rewriter.add(node.op, (inputs[0], weights, bias), node.name, node.where)


def _why_unmatched(graph: Graph, norm: Node) -> str:
    if contraction(graph, graph[norm.inputs[0].node]) is None:
        return "no convolution or dense layer stands before it"
    return not_alone(graph, norm.inputs[0])


def fold_chain(graph: Graph, node: Node, refusals: dict[str, str]) -> Folded | None:
    """The contraction `node` with the batch normalisations that follow it directly; None if none can be folded.

    Where the chain stops at a batch normalisation, the reason is left in `refusals`.
    """
    if contraction(graph, node) is None:
        return None
    folded, total, value = None, Affine(np.ones(1), np.zeros(1)), node.values[0]
    while (norm := _next_norm(graph, value)) is not None:
        try:
            total = total.then(_affine(graph, norm))
            weights, bias = _apply(graph, node, total)
        except Refused as why:
            refusals[norm.name] = str(why)
            break
        folded = Folded(weights, bias, (*(folded.absorbed if folded else ()), norm.name))
        value = norm.values[0]
    return folded


def _next_norm(graph: Graph, value: Value) -> Node | None:
    """The batch normalisation that normalises `value`, if nobody else reads it."""
    reader = graph.sole_consumer(value)
    if reader is None or not isinstance(reader.op, BatchNormalization) or reader.inputs[0] != value:
        return None
    return reader


def _known(graph: Graph, values: Sequence[Value], what: str) -> list[Array]:
    """The constants behind `values` in float64; raises Refused if one arrives at run time."""
    arrays = [graph.constant(value) for value in values]
    if any(array is None for array in arrays):
        raise Refused(f"{what} are known only at run time")
    return [np.asarray(array, np.float64) for array in arrays]


def _affine(graph: Graph, norm: Node) -> Affine:
    """Factor and shift of `norm`; raises Refused where its variance allows none."""
    assert isinstance(norm.op, BatchNormalization)
    scale, bias, mean, variance = _known(graph, norm.inputs[1:], "its statistics")
    spread = variance + norm.op.epsilon
    bad = ~(np.isfinite(spread) & (spread > 0))
    if bad.any():
        channel = int(np.argmax(bad))
        raise Refused(f"variance + epsilon is {spread[channel]:g} in channel {channel}")
    with np.errstate(all="ignore"):
        factor = scale / np.sqrt(spread)
        return Affine(factor, bias - mean * factor)


def _apply(graph: Graph, node: Node, affine: Affine) -> tuple[Array, Array]:
    """Weights and bias of `node` after `affine`, rounded to float32; raises Refused if not finite."""
    w, *bias = _known(graph, node.inputs[1:], f"the weights of '{node.name}'")
    with np.errstate(all="ignore"):
        weights = (w * affine.factor.reshape(-1, *(1,) * (w.ndim - 1))).astype(np.float32)
        shift = ((bias[0] if bias else 0) * affine.factor + affine.shift).astype(np.float32)
    if not (np.isfinite(weights).all() and np.isfinite(shift).all()):
        raise Refused(f"the folded weights of '{node.name}' would not be finite")
    return weights, shift
