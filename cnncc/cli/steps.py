"""`--step`: the training step of a model in the model's place, for the verbs that look at compiled code."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import UsageError
from . import common

if TYPE_CHECKING:
    from ..compiler import Compilation
    from ..ir import Graph
    from ..learning.recipe import Recipe
    from ..learning.training import Training
    from ..types import Array

BATCH = 32


def add_arguments(parser: common.Parser, what: str, batch: int = BATCH) -> None:
    """`--step`, which is for `what`, and what makes a step."""
    parser.add_argument("--step", action="store_true", help=what)
    parser.add_argument("--batch", type=common.at_least(1), metavar="N", help=f"images of a step (default: {batch})")
    common.add_learning(parser)


def expect_step(arguments: argparse.Namespace) -> None:
    """Raise UsageError where something is said of a step, and none is asked for."""
    given = {**common.LEARNING, "batch": None}
    for name, default in given.items():
        if not arguments.step and getattr(arguments, name) != default:
            raise UsageError(f"--{name} says what a step is made of: it needs --step")
    if arguments.step and arguments.image:
        raise UsageError("--step trains the network on what it reads: --image comes in front of it without --step")


@dataclass(frozen=True)
class Learned:
    """A step of training, and what it was made with."""

    recipe: Recipe
    training: Training

    @property
    def graph(self) -> Graph:
        return self.training.graph

    def feeds(self, seed: int = 0) -> dict[str, Array]:
        """Random arrays for the inputs of the step, and the first states."""
        from ..check.model import random_feeds

        return self.recipe.trial(self.training, random_feeds(self.graph, seed), seed)

    def inputs(self) -> dict[str, Array]:
        """The same without states."""
        feeds = self.feeds()
        return {name: feeds[name] for name in self.graph.inputs}

    def compiled(self, given: Compilation) -> Compilation:
        """The step on its way to machine code, with the options of its network."""
        from ..compiler import Compilation

        return Compilation(self.graph, given.options, given.stopwatch)


def learned(graph: Graph, arguments: argparse.Namespace, batch: int = BATCH) -> Learned:
    """The step of a network that is asked for. Raises what `learning.training.training` raises."""
    from ..learning.losses import loss_of
    from ..learning.optimisers import optimiser_of
    from ..learning.recipe import Recipe

    loss, optimiser = loss_of(arguments.loss), optimiser_of(arguments.optimiser)
    recipe = Recipe(loss, optimiser, arguments.batch or batch, arguments.train, arguments.clip)
    return Learned(recipe, recipe.training(graph))
