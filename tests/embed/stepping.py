"""Steps whose states have to end exactly where their block does: training, and updates of every form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from cnncc import learn, nn
from cnncc.check.model import random_feeds
from cnncc.compiler import Compilation
from cnncc.elements import FLOAT32
from cnncc.ir import Graph, Value
from cnncc.learning.optimisers import Optimiser
from cnncc.learning.recipe import Recipe
from cnncc.ops import Add, Conv, Mul, Relu, Softmax, Transpose
from cnncc.types import Array
from tests.graphs import Net

from .nasty import STREAMINGS, Case

LINE = 64


def steps() -> Iterator[Case]:
    """Training steps, the last of whose states ends with a line of the cache and within one, and plain updates.

    Feeds hold the first states as well.
    """
    optimisers: tuple[Optimiser, ...] = (learn.SGD(0.1), learn.SGD(0.1, 0.9, True, 0.01), learn.AdamW(0.1))
    for number, (optimiser, outputs) in enumerate(zip(optimisers, (5, 16, 32), strict=True)):
        graph, feeds = training_step(outputs, optimiser)
        yield Case(f"step by {optimiser}", graph, feeds, {"streaming": STREAMINGS[number]})
    for size in (16, 1, 33):
        yield Case(f"updates of {size} channels", *updates(size))


def training_step(outputs: int, optimiser: Optimiser) -> tuple[Graph, dict[str, Array]]:
    """Odd channels and tails below a dense layer of so many outputs."""
    layers = (
        nn.Conv(7, 3, padding="same"),
        nn.BatchNorm(),
        nn.LeakyReLU(),
        nn.MaxPool(2),
        nn.Dropout(0.3),
        nn.Conv(5, 3, stride=2),
        nn.Flatten(),
        nn.Dense(outputs),
    )
    network = nn.Sequential(*layers, input=(3, 11, 9), seed=0)
    recipe = Recipe(learn.CrossEntropy(), optimiser, 3, clip=1.0)
    step = recipe.training(network.graph)
    return step.graph, recipe.trial(step, random_feeds(step.graph, 0))


def updates(size: int) -> tuple[Graph, dict[str, Array]]:
    """States that change places, that are turned, that are read as weights, and that what arrives replaces."""
    net = Net()

    def state(name: str, *shape: int) -> Value:
        return net.builder.state(net.random(*shape), name)

    x = net.input(2, size, 5, 6)
    weights, turned, last = state("weights", 3, size, 2, 2), state("turned", size, size), state("last", 2, size, 5, 6)
    one, other = state("one", size), state("other", size)
    becomes = net.builder.updates
    becomes["weights"] = net.apply(Mul(), weights, net.known(np.full((), 0.5, np.float32)))
    becomes["turned"] = net.apply(Transpose((1, 0)), turned)
    becomes["last"] = x
    becomes["one"], becomes["other"] = other, net.apply(Add(), one, other)
    y = net.apply(Conv((2, 2)), net.apply(Relu(), net.apply(Add(), x, last)), weights)
    graph = net.graph(y, net.apply(Softmax(), turned))
    return graph, {**net.feeds, **{name: graph.initial(name) for name in graph.states}}


def astray(compiled: Compilation, *, writes: bool, at_end: bool) -> Compilation:
    """The program in which the first view of a state that is written, or read, lies behind the block of states.

    Or else begins some elements before the block.
    """
    plan = compiled.plan
    for number, step in enumerate(plan.steps):
        views = [step.target] if writes else list(step.sources)
        for place, view in enumerate(views):
            buffer = plan.buffer(view)
            if buffer.space == "state":
                offset = ((plan.state_bytes if at_end else -2 * LINE) - buffer.place) // FLOAT32.bytes
                views[place] = replace(view, offset=offset)
                moved = replace(step, target=views[0]) if writes else replace(step, sources=tuple(views))
                compiled.__dict__["plan"] = replace(
                    plan, steps=(*plan.steps[:number], moved, *plan.steps[number + 1 :])
                )
                return compiled
    raise AssertionError("no step touches a state")
