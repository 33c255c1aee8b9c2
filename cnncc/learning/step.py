"""A training step in native code, for loops of one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..api import compile
from ..errors import InputError
from ..runtime.model import Model
from ..source import load_graph
from ..types import Array
from .arguments import expect_count, expect_rate, expect_seed
from .data import examples, expect_alike, wanted
from .losses import CORRECT, LOSS, LayerLoss, Loss, loss_of
from .optimisers import Optimiser, optimiser_of
from .training import Training, training


class Step:
    """One step of training for a batch of `batch` images: loss, gradients and updates are one compiled function.

    `source` is what `cnncc.load_graph` takes. `train` are patterns for the names of the parameters that learn (default:
    all); the others stay as they are, with all that compiling does for constants. `clip` bounds the norm of all
    gradients together. Further options are those of `cnncc.compile`. The bits of a step do not depend on `threads`.

    Random numbers (dropout) depend on `seed` and the number of the step. Raises UsageError and ModelError for what
    cannot be trained (see `training`).
    """

    def __init__(
        self,
        source: Any,
        *,
        loss: str | Loss | LayerLoss = "cross-entropy",
        optimiser: str | Optimiser = "sgd",
        batch: int = 32,
        train: Sequence[str] | None = None,
        clip: float | None = None,
        seed: int = 0,
        **options: Any,
    ):
        expect_count("batch", batch)
        expect_seed(seed)
        self.source, self.batch, self.seed = source, batch, seed
        self.loss, self.optimiser = loss_of(loss), optimiser_of(optimiser)
        self.training: Training = training(
            load_graph(source), loss=self.loss, optimiser=self.optimiser, batch=batch, train=train, clip=clip
        )
        self.model: Model = compile(self.training.graph, **options)
        self.number = 0
        """Steps so far."""
        graph = self.training.graph
        own = {self.training.wanted, self.training.rate, *self.training.noises}
        self.inputs = {name: type for name, type in graph.inputs.items() if name not in own}
        self.arrays = {name: np.zeros(type.shape, type.dtype.numpy) for name, type in graph.inputs.items()}
        """What the last step was given, by the names of the graph's inputs."""
        self._results = {port.name: np.zeros((), np.float32) for port in self.model.outputs}
        self._run = self.model.bind(self.arrays, out=self._results)

    def __call__(self, x: Any, y: Any, rate: float | None = None) -> float:
        """The loss of a batch, before the parameters learn from it at this `rate` (default: the optimiser's).

        Raises InputError for arrays that do not fit (see `data`), and for another number of images than `batch`.
        """
        if rate is not None:
            expect_rate(rate)
        type = self.training.graph.inputs[self.training.wanted]
        arrays, truth = examples(self.inputs, x), wanted(type, self.classes, y)
        if expect_alike(arrays, truth) != self.batch:
            raise InputError(f"the step takes {self.batch} images, got {len(truth)}")
        return self.run(arrays, truth, self.optimiser.rate if rate is None else rate)

    def run(self, arrays: Mapping[str, Array], truth: Array, rate: float) -> float:
        """One step with arrays that fit."""
        for name in self.inputs:
            np.copyto(self.arrays[name], arrays[name])
        np.copyto(self.arrays[self.training.wanted], truth)
        self.arrays[self.training.rate][...] = rate
        random = np.random.default_rng([self.seed, self.number]) if self.training.noises else None
        for name in self.training.noises:
            assert random is not None
            random.random(dtype=np.float32, out=self.arrays[name])
        self._run()
        self.number += 1
        return float(self._results[LOSS])

    @property
    def classes(self) -> int | None:
        """How many classes labels may name; None if y are no labels."""
        return self.training.classes

    @property
    def correct(self) -> int | None:
        """How many predictions of the last batch were right, if that means something."""
        return int(self._results[CORRECT]) if CORRECT in self._results else None

    @property
    def state(self) -> dict[str, Array]:
        """Parameters and the optimiser's states by name: arrays in the memory that steps update."""
        return self.model.state

    @property
    def block(self) -> Array:
        """The bytes of all states."""
        return self.model.state_block

    @property
    def weights(self) -> dict[str, Array]:
        """A copy of the parameters as they are now."""
        state = self.model.state
        return {name: state[name].copy() for name in self.training.parameters}
