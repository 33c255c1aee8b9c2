"""Layers whose result is linear in their input, with constant weights: convolutions (transposed too) and dense ones."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..expr import UNIT
from ..ir import Graph, Node, Rewriter, Value
from ..ops import Conv, ConvTranspose, Dense
from ..types import Array, TensorType
from .affine import Affine
from .match import fresh
from .report import Refused


def is_weighted(node: Node) -> bool:
    return isinstance(node.op, Conv | ConvTranspose | Dense)


@dataclass(frozen=True)
class Weighted:
    """Weights in float64 as (group, output of the group, input of the group, tap), and the bias (outputs,)."""

    node: Node
    filters: Array
    bias: Array

    @staticmethod
    def of(graph: Graph, node: Node) -> Weighted:
        """The weights of `node`; raises Refused if they arrive at run time."""
        arrays = [graph.constant(value) for value in node.inputs[1:]]
        if any(array is None for array in arrays):
            raise Refused(f"the weights of '{node.name}' are known only at run time")
        w, *bias = (np.asarray(array, np.float64) for array in arrays)
        groups = getattr(node.op, "groups", 1)
        filters = w.reshape(groups, w.shape[0] // groups, w.shape[1], -1)
        if isinstance(node.op, ConvTranspose):
            filters = filters.swapaxes(1, 2)
        return Weighted(node, filters, bias[0] if bias else np.zeros(groups * filters.shape[1]))

    @property
    def weights(self) -> Array:
        """In the op's own order, (O, C / groups, taps) or transposed (C, O / groups, taps)."""
        filters = self.filters.swapaxes(1, 2) if isinstance(self.node.op, ConvTranspose) else self.filters
        return filters.reshape(-1, *filters.shape[2:])

    def before(self, later: Affine) -> Weighted:
        """Followed by `later` on its outputs."""
        groups, outputs = self.filters.shape[:2]
        factor = later.factor.reshape(groups, outputs, 1, 1)
        with np.errstate(all="ignore"):
            return replace(self, filters=self.filters * factor, bias=self.bias * later.factor + later.shift)

    def after(self, earlier: Affine) -> Weighted:
        """Preceded by `earlier` on its inputs; a shift demands that every output sums over all taps."""
        groups, _, inputs = self.filters.shape[:3]
        factor, shift = (vector.reshape(groups, 1, inputs, 1) for vector in (earlier.factor, earlier.shift))
        with np.errstate(all="ignore"):
            shifted = (self.filters * shift).sum(axis=(2, 3)).reshape(-1)
            return replace(self, filters=self.filters * factor, bias=self.bias + shifted)

    def rounded(self) -> tuple[Array, Array]:
        """Weights and bias in float32; raises Refused where one is not finite."""
        with np.errstate(all="ignore"):
            weights, bias = self.weights.astype(np.float32), self.bias.astype(np.float32)
        if not (np.isfinite(weights).all() and np.isfinite(bias).all()):
            raise Refused(f"the folded weights of '{self.node.name}' would not be finite")
        return weights, bias

    @property
    def bound(self) -> str:
        """Weights and bias are each rounded once, which moves a result by as many relative roundings."""
        per_output = np.abs(self.filters).sum(axis=(2, 3)).reshape(-1)
        worst = UNIT * float((per_output + np.abs(self.bias)).max())
        return f"2^-24 (Σ|w||x| + |b|), which is {worst:.2g} for |x| <= 1"

    def add(self, rewriter: Rewriter, source: Value, old: TensorType) -> tuple[Value, ...]:
        """The layer under its own name, reading `source`, on these weights (of type `old`) and this bias."""
        weights, bias = self.rounded()
        name, where = self.node.name, self.node.where
        inputs = [
            rewriter.constant(data, fresh(rewriter, f"{name}.{suffix}"), where, rounded=True)
            for data, suffix in ((weights.reshape(old.shape), "folded"), (bias, "shift"))
        ]
        return rewriter.add(self.node.op, (source, *inputs), name, where)
