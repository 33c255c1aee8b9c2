"""Layers whose result is linear in their input, with constant weights: those whose op has a `weight_layout`.

The limits of folding into them: the error of a sum of products is at most γ·(Σ|w||x| + |b|) (see `tolerance`). So a
fold that enlarges the products, or the bias, loses precision, although it is correct in exact arithmetic.

- **Before** a layer, n = f·x + t: Σ|w||n| becomes Σ|w||f||x|. For n = (x − m) / s and a typical x = m ± s that is
  (|m| + s) / s times as much: 2,000 times for an air pressure of 101,325 ± 50 Pa. The bias, at most Σ|w||t| more, adds
  about as much again.
- **After** a layer, z = f·y + t: the products are scaled as their sum is. Only the bias grows, to |f·b + t|, and it
  takes part in every rounding of the sum. A large t that subtracts the mean of y (in a batch norm) costs nothing:
  where y is large, so is Σ|w||x| + |b| ≥ |y|, and the sum was rounded at that size already.
  A t that is large relative to y (y · 50 + 101,325 after the last layer) would be rounded once if added at the end.

Both may enlarge these sizes up to `LIMIT` times: pictures (0.485, 0.229: 3.1 times; bytes about 127.5 by 58: 3.2)
and batch norms between layers stay below.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, replace

import numpy as np

from ..elements import FLOAT32
from ..ir import Graph, Node, Rewriter, Value
from ..op import WeightLayout, rounded
from ..types import Array, TensorType
from .affine import Affine
from .match import fresh
from .report import Refused

LIMIT = 4.0  # the largest factor by which a fold may enlarge the terms of a sum


def rounding(products: Array, bias: Array) -> float:
    """2^-24 (Σ|w||x| + |b|): the most that one rounding of weights and bias changes a result."""
    return FLOAT32.unit * float((products + np.abs(bias)).max())


@dataclass(frozen=True)
class FoldedWeights:
    """Weights in float64 as (group, output of the group, input of the group, tap), and the bias (outputs,)."""

    node: Node
    layout: WeightLayout
    filters: Array
    bias: Array

    @staticmethod
    def of(graph: Graph, node: Node) -> FoldedWeights:
        """The weights of a `node` whose op has a layout for them; raises Refused if they arrive at run time."""
        layout = node.op.weight_layout
        assert layout is not None
        arrays = [graph.constant(value) for value in node.inputs[1:]]
        if any(array is None for array in arrays):
            raise Refused(f"the weights of '{node.name}' are known only at run time")
        w, *bias = (np.asarray(array, np.float64) for array in arrays)
        filters = layout.filters(w)
        return FoldedWeights(node, layout, filters, bias[0] if bias else np.zeros(layout.groups * filters.shape[1]))

    @property
    def weights(self) -> Array:
        """The weights in the op's own order, with the taps along one axis."""
        return self.layout.weights(self.filters)

    def before(self, later: Affine) -> FoldedWeights:
        """The layer followed by `later` on its outputs."""
        groups, outputs = self.filters.shape[:2]
        factor = later.factor.reshape(groups, outputs, 1, 1)
        with np.errstate(all="ignore"):
            return replace(self, filters=self.filters * factor, bias=self.bias * later.factor + later.shift)

    def after(self, earlier: Affine) -> FoldedWeights:
        """The layer preceded by `earlier` on its inputs; a shift requires that every output sums over all taps."""
        groups, _, inputs = self.filters.shape[:3]
        factor, shift = (vector.reshape(groups, 1, inputs, 1) for vector in (earlier.factor, earlier.shift))
        with np.errstate(all="ignore"):
            shifted = (self.filters * shift).sum(axis=(2, 3)).reshape(-1)
            return replace(self, filters=self.filters * factor, bias=self.bias + shifted)

    def sizes(self, inputs: Array | float = 1.0) -> Array:
        """Σ|w||x| of each output, for inputs of this size: one for all, or one for each channel."""
        with np.errstate(all="ignore"):
            if isinstance(inputs, float):
                return np.asarray(self.reach.sum(axis=2).reshape(-1)) * inputs
            return np.asarray((self.reach @ inputs.reshape(len(self.reach), -1, 1)).reshape(-1))

    @functools.cached_property
    def reach(self) -> Array:
        """Σ|w| over the taps, (group, output, input)."""
        magnitudes = np.abs(self.filters)
        return np.asarray(magnitudes[..., 0] if magnitudes.shape[3] == 1 else magnitudes.sum(axis=3))

    def growth_after(self, earlier: Affine) -> float:
        """The largest factor by which the products grow for a typical x if `earlier` is folded in."""
        product, result = (self.sizes(size) for size in earlier.sizes())
        with np.errstate(all="ignore"):
            return float(np.max(np.where(product <= result, 1.0, product / result)))

    def growth_before(self, later: Affine) -> float:
        """The factor by which the largest sum of products and bias grows if `later` is folded in.

        Inputs count as 1, so the products count as f·Σ|w|, and at least as the size that a batch norm states for their
        sum. The largest output counts, since channels with f ≈ 0, unused after training, consist of a bias only.
        """
        if not self.reach.any():
            return 1.0
        with np.errstate(all="ignore"):
            products = np.abs(later.factor) * self.sizes()
            if later.stated is not None:
                products = np.maximum(products, later.sizes()[0])
            before = (products + np.abs(later.factor * self.bias)).max()
            bias = np.abs(later.factor * self.bias + later.shift).max()
            return float(1.0 + bias / before)

    def rounded(self) -> tuple[Array, Array]:
        """Weights and bias in float32; raises Refused where one is not finite, or where underflow loses precision."""
        with np.errstate(all="ignore"):
            weights, bias = rounded(self.weights), rounded(self.bias)
        sizes = np.abs(weights)
        if not (sizes.max() < np.inf and np.isfinite(bias).all()):  # nor is it less if one is NaN
            raise Refused(f"the folded weights of '{self.node.name}' would not be finite")
        if sizes.min() < FLOAT32.normal and self._lost(weights).max() > 2 * rounding(self.sizes(), self.bias):
            raise Refused(f"the folded weights of '{self.node.name}' would be too small for {FLOAT32}")
        return weights, bias

    def _lost(self, weights: Array) -> Array:
        """The rounding error of the weights of each row."""
        return np.asarray(np.abs(weights - self.weights).sum(axis=(1, 2)))

    def add(self, rewriter: Rewriter, source: Value, old: TensorType) -> tuple[Value, ...]:
        """Add the layer under its own name, on `source`, with these weights (of type `old`) and this bias."""
        weights, bias = self.rounded()
        name, where = self.node.name, self.node.where
        inputs = [
            rewriter.constant(data, fresh(rewriter, f"{name}.{suffix}"), where, rounded=True)
            for data, suffix in ((weights.reshape(old.shape), "folded"), (bias, "shift"))
        ]
        return rewriter.add(self.node.op, (source, *inputs), name, where)
