"""What a step of training is made of, kept together; and arrays to try it on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..ir import Graph
from ..types import Array
from .losses import Loss
from .optimisers import Optimiser
from .training import Training, training


@dataclass(frozen=True)
class Recipe:
    """The arguments of `training`, for any network."""

    loss: Loss
    optimiser: Optimiser
    batch: int
    train: Sequence[str] | None = None
    clip: float | None = None

    def training(self, graph: Graph) -> Training:
        """The step of a network. Raises what `training` raises."""
        return training(graph, **vars(self))

    def trial(self, step: Training, feeds: Mapping[str, Array], seed: int = 0) -> dict[str, Array]:
        """`feeds` for inputs and states of a step, with what has a meaning to it in their place.

        That is the optimiser's rate, random numbers from [0, 1) as noise, and what is wanted: labels of the classes
        that there are, or else numbers that add up to 1 along axis 1, which are a distribution and probabilities alike.
        """
        inputs, rng = step.graph.inputs, np.random.default_rng(seed)
        settled = {step.rate: np.asarray(self.optimiser.rate, np.float32), step.wanted: _wanted(step, rng)}
        settled |= {name: rng.random(inputs[name].shape, np.float32) for name in step.noises}
        return {**feeds, **settled}


def _wanted(step: Training, rng: np.random.Generator) -> Array:
    type = step.graph.inputs[step.wanted]
    if step.classes is not None:
        return rng.integers(0, step.classes, type.shape, type.dtype.numpy)
    shares = rng.random(type.shape) + 0.1
    return np.asarray(shares / shares.sum(axis=1 if type.rank > 1 else 0, keepdims=True), np.float32)
