"""Seeded random networks that can be trained, and what makes a step of them: loss, optimiser, parameters that learn."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from cnncc import ops
from cnncc.batching import images_of, with_images
from cnncc.check.model import random_feeds
from cnncc.cut import with_needed
from cnncc.errors import ShapeError
from cnncc.ir import Graph, Value
from cnncc.learning import SGD, AdamW, BinaryCrossEntropy, CrossEntropy, MeanSquares
from cnncc.learning.losses import Loss
from cnncc.learning.optimisers import Optimiser
from cnncc.learning.recipe import Recipe
from cnncc.learning.training import Training, parameters_of
from cnncc.types import Array

from .generate import MOST_ELEMENTS, Generator
from .layers import LAYERS

MOST_LAYERS = 8
FLAT = "ArgMax ArgMin Ceil Floor Hardmax MaxPoolIndices OneHot Round Sign Trilu".split()
"""Layers through which no gradient goes, or whose results mostly are 0."""
REFUSED = "CumProd ReduceProd ScatterElements ScatterND".split()
"""Layers that have no gradient, or none in some of their forms."""
OTHERS = [layer for name, layer in LAYERS.items() if name not in (*FLAT, *REFUSED, "ImageToTensor")]
OFTEN = [
    LAYERS[name]
    for name in (
        "AveragePool",
        "ConvTranspose",
        "Dropout",
        "Elu",
        "LayerNormalization",
        "LeakyRelu",
        "MaxPool",
        "PRelu",
    )
]

LOSSES: tuple[Callable[[Generator], Loss], ...] = (
    lambda g: CrossEntropy(g.one_of((0.0, 0.0, 0.2))),
    lambda g: CrossEntropy(g.one_of((0.0, 0.1)), probabilities=True),
    lambda g: MeanSquares(),
    lambda g: BinaryCrossEntropy(),
)
OPTIMISERS: tuple[Callable[[Generator], Optimiser], ...] = (
    lambda g: SGD(0.05, decay=g.one_of((0.0, 1e-2))),
    lambda g: SGD(0.05, 0.9, g.chance(0.5), g.one_of((0.0, 1e-2))),
    lambda g: AdamW(0.01, decay=g.one_of((0.0, 1e-2))),
)


class NetworkGenerator(Generator):
    """Grows a network of one image whose weights are all parameters, down to one output."""

    def __init__(self, seed: int):
        super().__init__(seed)
        self.images = 1

    def weights(self, *shape: int) -> Value:
        return self.net.known(self.net.scaled(*shape))

    def positive(self, size: int) -> Value:
        return self.net.known((np.abs(self.net.random(size)) + 0.1).astype(np.float32))

    def layer(self) -> Value:
        """Mostly what networks consist of; one layer of four is any other one."""
        if self.chance(0.25):
            return self.one_of(OTHERS)(self)
        common = [self.conv, self.conv, self.block, self.pool, self.norm, self.sum, self.join, self.branch, self.relu]
        often: list[Callable[[], Value]] = [*common, *common, *(partial(layer, self) for layer in OFTEN)]
        return self.one_of(often)()

    def keeps_images(self, value: Value) -> bool:
        """Whether each image has its own result."""
        found = images_of(with_needed(self.net.graph(value), {"y0": value}))
        return found.batched is not None and value in found.carrying

    def network(self) -> Graph:
        """Some layers, and a head: dense, or a convolution that leaves positions."""
        self.values.append(self.input())
        wanted, tries = self.number(1, self.one_of((3, MOST_LAYERS))), 0
        while len(self.values) <= wanted and tries < 40:
            tries += 1
            try:
                value = self.layer()
                if math.prod(self.net.shape(value)) <= MOST_ELEMENTS and self.keeps_images(value) and self.sane(value):
                    self.values.append(self.small(value, 30.0))
            except ShapeError:
                continue
        head = self.head(self.values[-1])
        return with_needed(self.net.graph(head), {"y0": head})

    def head(self, x: Value) -> Value:
        classes, shape = self.number(2, 5), self.net.shape(x)
        if 2 < len(shape) <= 5 and self.chance(0.2):  # no convolution has more than three spatial axes
            kernel = (1,) * (len(shape) - 2)
            x = self.net.apply(ops.Conv(kernel), x, self.weights(classes, shape[1], *kernel), self.weights(classes))
        else:
            flat = x if len(shape) == 2 else self.net.apply(ops.Flatten(), x)
            weights = self.weights(classes, self.net.shape(flat)[1])
            x = self.net.apply(ops.Dense(), flat, weights, *([self.weights(classes)] if self.chance(0.7) else []))
        last = self.one_of((None, None, ops.Softmax(), ops.Sigmoid()))
        return x if last is None else self.net.apply(last, x)


@dataclass(frozen=True)
class Case:
    """A network, its step, and arrays for the inputs and first states of that."""

    network: Graph
    step: Training
    feeds: dict[str, Array]


def random_step(seed: int) -> Case:
    """The step of a seed. Raises what `training` raises: a network may have parameters that no gradient reaches."""
    g = NetworkGenerator(seed)
    with np.errstate(all="ignore"):
        network = g.network()
    names = parameters_of(network)
    train = None if g.chance(0.6) else tuple({g.one_of(names) for _ in range(g.number(1, len(names)))})
    clip = g.one_of((0.5, 5.0)) if g.chance(0.2) else None
    recipe = Recipe(g.one_of(LOSSES)(g), g.one_of(OPTIMISERS)(g), g.number(2, 5), train, clip)
    step = recipe.training(network)
    feeds = recipe.trial(step, random_feeds(step.graph, seed), seed)
    images = with_images(network, recipe.batch)
    assert {name: images.inputs[name] for name in network.inputs} == {n: step.graph.inputs[n] for n in network.inputs}
    return Case(network, step, feeds)
