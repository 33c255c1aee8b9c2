"""Random small graphs through the whole pipeline, compared by the interpreter after every pass."""

from __future__ import annotations

from collections.abc import Callable

import networkx as nx
import numpy as np
import pytest

from cnncc.errors import ShapeError
from cnncc.interpreter import run
from cnncc.ir import Graph, Value
from cnncc.op import REGISTRY, Op
from cnncc.ops import (
    Add,
    AveragePool,
    Concat,
    Conv,
    Flatten,
    Fused,
    Identity,
    MaxPool,
    Pad,
    Pow,
    Relu,
    Reshape,
    Slice,
    Softmax,
    Split,
    Transpose,
)
from cnncc.ops.elementwise import ElementwiseOp
from cnncc.passes import PIPELINE
from cnncc.passes.fuse import find_chains
from cnncc.passes.manager import optimise, seeded_feeds
from cnncc.passes.unfuse import expand

from .support import Net, assert_same_bits

GRAPHS = 90
FINITE = [step.name for step in PIPELINE if step.tag == "finite"]
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


def elementwise(arity: int) -> list[Op]:
    """Every op of the registry that is an expression of `arity` tensors."""
    return [
        sample.op
        for kind in REGISTRY.values()
        if issubclass(kind, ElementwiseOp)
        for sample in kind.samples()
        if len(sample.shapes) == arity
    ]


UNARY, BINARY = elementwise(1), elementwise(2)


def grow_function(net: Net, rng: np.random.Generator, values: list[Value]) -> Value:
    return net.apply(UNARY[int(rng.integers(len(UNARY)))], pick(net, rng, values))


def grow_pair(net: Net, rng: np.random.Generator, values: list[Value]) -> Value:
    """Two tensors, or one and a constant that may be neutral."""
    x, op = pick(net, rng, values), BINARY[int(rng.integers(len(BINARY)))]
    alike = [value for value in values if net.shape(value) == net.shape(x)]
    number = float(rng.choice([0.0, -0.0, 1.0, 2.0, np.inf, -np.inf]))
    channels = (net.shape(x)[1], *(1,) * (len(net.shape(x)) - 2))
    others = [alike[int(rng.integers(len(alike)))], net.known(np.full(1, number)), net.weights(*channels)]
    other = others[int(rng.integers(3))]
    return net.apply(op, *((x, other) if rng.integers(3) else (other, x)))


def grow_arrangement(net: Net, rng: np.random.Generator, values: list[Value]) -> Value:
    x = pick(net, rng, values, 4)
    shape = net.shape(x)
    ops: list[Op] = [
        Transpose((0, 1, 3, 2)),
        Transpose((0, 3, 1, 2)),
        Reshape((0, -1, shape[3], shape[2])),
        Reshape((0, 0, -1, 1)),
        Identity(),
        Slice((0, int(rng.integers(2))), (shape[2], shape[3]), (2, 3)),
        Pad(((0, 0), (0, 0), (1, 0), (0, int(rng.integers(3)))), value=float(rng.integers(2))),
    ]
    y = net.apply(ops[int(rng.integers(len(ops)))], x)
    return y if rng.integers(2) else net.apply(ops[int(rng.integers(2))], y)


def grow_diamond(net: Net, rng: np.random.Generator, values: list[Value]) -> Value:
    """x · f(x)"""
    x = pick(net, rng, values)
    y = net.apply(UNARY[int(rng.integers(len(UNARY)))], x)
    op = BINARY[int(rng.integers(len(BINARY)))]
    return net.apply(op, *((x, y) if rng.integers(2) else (y, x)))


def grow_padded(net: Net, rng: np.random.Generator, values: list[Value]) -> Value:
    """A convolution after zeros."""
    pad = Pad(((0, 0), (0, 0), (int(rng.integers(2)), 1), (1, int(rng.integers(3)))))
    return net.conv(net.apply(pad, pick(net, rng, values, 4)), 3, 2, 2, groups=1)


def grow_branches(net: Net, rng: np.random.Generator, values: list[Value]) -> Value:
    """Parallel 1×1 convolutions whose results meet again."""
    x = pick(net, rng, values, 4)
    branches = [net.relu(net.conv(x, 3, 1, 1, name="branch")) for _ in range(2)]
    return net.apply(Concat(), *(net.conv(y, 2, 2, 2, padding="same") for y in branches))


def grow_blocks(net: Net, rng: np.random.Generator, values: list[Value]) -> Value:
    """Block-diagonal kernels with a ring of zeros."""
    x = pick(net, rng, values, 4)
    channels, blocks = net.shape(x)[1], int(rng.integers(1, 3))
    data = np.zeros((channels * 2, channels, 3, 2))
    wide, high = channels // blocks, channels * 2 // blocks
    for block in range(blocks):
        at = slice(block * high, (block + 1) * high), slice(block * wide, (block + 1) * wide)
        data[(*at, 1)] = rng.standard_normal((high, wide, 2))
    how = {"padding": int(rng.integers(2)), "flip": bool(rng.integers(2)), "stride": int(rng.integers(1, 3))}
    return net.apply(Conv((3, 2), **how), x, net.known(data))


def grow_twins(net: Net, rng: np.random.Generator, values: list[Value]) -> Value:
    """The same twice."""
    x = pick(net, rng, values)
    return net.apply(Add(), net.apply(Softmax(), x), net.apply(Softmax(), x))


def grow_power(net: Net, rng: np.random.Generator, values: list[Value]) -> Value:
    return net.apply(Pow(), pick(net, rng, values), net.known(np.full(1, rng.choice([2.0, 3.0, -1.0]))))


STEPS: list[Grow] = [
    grow_power,
    grow_twins,
    grow_function,
    grow_function,
    grow_pair,
    grow_pair,
    grow_arrangement,
    grow_arrangement,
    grow_branches,
    grow_blocks,
    grow_diamond,
    grow_diamond,
    grow_padded,
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
    while len(values) < 12:
        try:
            values.append(STEPS[int(rng.integers(len(STEPS)))](net, rng, values))
        except ShapeError:
            continue  # a step that does not fit the values: another one then
    return net.graph(values[-1], *([values[-4]] if rng.integers(2) else []))


@pytest.mark.parametrize("seed", range(GRAPHS))
def test_the_pipeline(seed: int) -> None:
    graph = random_graph(seed)
    fast, strict = optimise(graph, check=True).graph, optimise(graph, "strict", check=True).graph
    assert optimise(fast).graph.canonical() == fast.canonical()
    assert optimise(strict, "strict").graph.canonical() == strict.canonical()
    exact = optimise(graph, "strict", FINITE).graph
    assert_same_bits(graph, exact)
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
    elsewhere = {"constants", "sums"}  # no layers of constants alone grow here, and no sums of products
    assert fired == {step.name for step in PIPELINE} - elsewhere
