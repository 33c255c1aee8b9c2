"""Random small graphs through the whole pipeline, compared by the interpreter after every pass."""

from __future__ import annotations

from collections.abc import Callable

import networkx as nx
import numpy as np
import pytest

from cnncc.errors import ShapeError
from cnncc.interpreter import run
from cnncc.ir import Graph, Value
from cnncc.ops import Add, AveragePool, Concat, Conv, Flatten, Fused, MaxPool, Relu, Softmax, Split
from cnncc.passes.fuse import find_chains
from cnncc.passes.manager import optimise, seeded_feeds
from cnncc.passes.unfuse import expand

from .support import Net, assert_same_bits

GRAPHS = 60
Grow = Callable[[Net, np.random.Generator, list[Value]], Value]


def pick(net: Net, rng: np.random.Generator, values: list[Value], rank: int | None = None) -> Value:
    """Mostly the newest value (of that rank), so that chains grow."""
    fitting = [value for value in values if rank is None or len(net.shape(value)) == rank]
    return fitting[-1 if rng.random() < 0.75 else int(rng.integers(len(fitting)))]


def grow_conv(net: Net, rng: np.random.Generator, values: list[Value]) -> Value:
    x = pick(net, rng, values, 4)
    channels = net.shape(x)[1]
    groups = int(rng.choice([g for g in range(1, channels + 1) if channels % g == 0]))
    kernel = (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
    padding = rng.choice(["valid", "same", "full"])
    op = Conv(kernel, int(rng.integers(1, 3)), int(rng.integers(1, 3)), str(padding), groups, bool(rng.integers(2)))
    shape = (groups * int(rng.integers(1, 3)), channels // groups, *kernel)
    rank_one = rng.integers(1, 4, (*shape[:3], 1)) * rng.integers(1, 4, (*shape[:2], 1, shape[3]))
    data = rank_one if rng.random() < 0.4 else rng.standard_normal(shape)
    bias = [net.weights(shape[0])] if rng.integers(2) else []
    return net.apply(op, x, net.known(data), *bias)


def grow_sum(net: Net, rng: np.random.Generator, values: list[Value]) -> Value:
    x = pick(net, rng, values)
    alike = [value for value in values if net.shape(value) == net.shape(x)]
    other = alike[int(rng.integers(len(alike)))] if rng.integers(3) else net.weights(net.shape(x)[1], 1, 1)
    return net.apply(Add(), *((x, other) if rng.integers(2) else (other, x)))


def grow_pool(net: Net, rng: np.random.Generator, values: list[Value]) -> Value:
    kind = MaxPool if rng.integers(2) else AveragePool
    stride = None if rng.integers(3) else 1
    return net.apply(kind((2, int(rng.integers(1, 3))), stride), pick(net, rng, values, 4))


def grow_joined(net: Net, rng: np.random.Generator, values: list[Value]) -> Value:
    x = pick(net, rng, values, 4)
    channels = net.shape(x)[1]
    cut = int(rng.integers(1, channels + 1))
    sizes = (cut, channels - cut) if cut < channels else (channels,)
    return net.apply(Concat(), *reversed(net.builder.add(Split(sizes), (x,), None)))


STEPS: list[Grow] = [
    grow_conv,
    grow_conv,
    grow_sum,
    grow_pool,
    grow_joined,
    lambda net, rng, values: net.norm(pick(net, rng, values)),
    lambda net, rng, values: net.norm(pick(net, rng, values)),
    lambda net, rng, values: net.apply(Relu(), pick(net, rng, values)),
    lambda net, rng, values: net.apply(Softmax(), pick(net, rng, values)),
    lambda net, rng, values: net.dense(net.apply(Flatten(), pick(net, rng, values)), 4),
]


def random_graph(seed: int) -> Graph:
    net, rng = Net(seed), np.random.default_rng(seed)
    values = [net.input(int(rng.integers(1, 3)), int(rng.integers(1, 5)), 7, 6)]
    while len(values) < 10:
        try:
            values.append(STEPS[int(rng.integers(len(STEPS)))](net, rng, values))
        except ShapeError:
            continue  # a step that does not fit the values: another one then
    return net.graph(values[-1], *([values[-4]] if rng.integers(2) else []))


@pytest.mark.parametrize("seed", range(GRAPHS))
def test_the_pipeline(seed: int) -> None:
    graph = random_graph(seed)
    fast, strict = optimise(graph, check=True).graph, optimise(graph, "strict", check=True).graph
    assert_same_bits(graph, strict)
    assert optimise(fast).graph.canonical() == fast.canonical()
    assert optimise(strict, "strict").graph.canonical() == strict.canonical()
    whole = strict
    for node in strict:
        if isinstance(node.op, Fused):
            whole = expand(whole, node.name)
    feeds = seeded_feeds(graph)
    expected, found = run(strict, feeds), run(whole, feeds)
    assert all(expected[name].tobytes() == found[name].tobytes() for name in expected)


def test_chains_are_convex() -> None:
    """No path leaves a chain and comes back."""
    for seed in range(GRAPHS):
        graph = random_graph(seed)
        for chain in find_chains(graph).values():
            members = {chain.anchor.name, *(node.name for node in chain.members)}
            between = nx.descendants(graph.index, chain.anchor.name) & nx.ancestors(graph.index, chain.running.node)
            assert between <= members


def test_the_graphs_reach_every_pass() -> None:
    fired = {entry.pass_name for seed in range(GRAPHS) for entry in optimise(random_graph(seed)).fired}
    assert fired == {"dead_code", "identities", "separable", "fold_batch_norm", "fuse"}
