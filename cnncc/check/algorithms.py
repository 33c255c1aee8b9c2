"""What the bounds of a plan's contractions depend on, where they are not float32 sums of float32 products."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from ..computation import Contraction
from ..cook_toom import Tiling
from ..elements import FLOAT32, Element
from ..types import Array


@dataclass(frozen=True)
class Algorithms:
    """How a plan computes contractions, where it is not one float32 sum of products.

    `tiles` are those by Winograd's transforms (not flipped), with their tiles (`Plan.tiles`). `stored` are
    the layers whose weights lie in memory as something else than float32 (`Plan.stored`); `layer` is the one at hand.
    """

    tiles: Mapping[Contraction, Collection[Tiling]] = field(default_factory=dict)
    stored: Mapping[str, Element] = field(default_factory=dict)
    layer: str = ""

    def of(self, layer: str) -> Algorithms:
        """The same with another layer at hand."""
        return replace(self, layer=layer)

    def error_of_weights(self, weights: Array, error: Array) -> Array:
        """What the layer's weights, off by `error`, are off by where they lie in memory, rounded once to nearest even.

        What rounding does to a known weight is known: |fl(w) − w|, which is 0 for zeros, powers of two and small
        integers, at most 2^-11 |w| for normal numbers of float16, and at most 2^-25 below 2^-14. A weight that is off
        by δ ≤ e is rounded where it is: the distance to the nearest number changes no faster than the number does, so
        that |fl(w + δ) − w| ≤ |fl(w) − w| + 2e.
        """
        element = self.stored.get(self.layer, FLOAT32)
        if element is FLOAT32:
            return error
        held = weights.astype(element.numpy).astype(np.float64)
        return 2 * error + np.where(np.isfinite(weights), np.abs(held - weights), 0.0)


DIRECT = Algorithms()
"""Sums of products of float32."""
