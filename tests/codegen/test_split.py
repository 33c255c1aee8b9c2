"""Native code of fused nodes, with the pool in registers and as a step of its own, against the interpreter."""

from __future__ import annotations

import numpy as np
import pytest

from cnncc.compiler import Compilation
from cnncc.ir import Graph, Value
from cnncc.op import Op
from cnncc.ops import Add, AveragePool, Clip, Conv, Elu, LpPool, MaxPool, Mul, Relu, Sigmoid
from cnncc.plan.kernels import Candidate, Winograd
from cnncc.runtime.model import Model
from cnncc.types import Array
from tests.graphs import Net, assert_same_bits, call, compilation, expected, runnable_targets, sprinkled, worst_ratio

SEEDS = range(9)


def chain(seed: int) -> tuple[Graph, dict[str, Array]]:
    """A random convolution, what stands before its pool, the pool, and what follows it."""
    net = Net(seed)
    rng = np.random.default_rng(seed)
    rank = 1 if seed % 6 == 5 else 2
    sizes = tuple(int(n) for n in rng.integers(9, 22, rank))
    window, groups = tuple(int(n) for n in rng.choice([1, 3, 3, 5], rank)), int(rng.choice([1, 1, 2, 8]))
    channels, outputs = (8 * int(n) for n in rng.integers(1, 4, 2))
    if groups == 8:  # one channel each
        channels = outputs = groups = 24
    x = net.apply(Conv((1,) * rank), net.input(2, 3, *sizes), net.weights(channels, 3, *(1,) * rank))
    weights = [net.weights(outputs, channels // groups, *window), *([net.weights(outputs)] if seed % 2 else [])]
    y = net.apply(Conv(window, padding=("same", "valid")[seed % 3 == 0], groups=groups), x, *weights)
    y = residual(net, y, rng)
    y = net.apply(activation(rng), y)
    pools = tuple(
        int(min(n, size)) for n, size in zip(rng.choice([2, 2, 3, 4, 8], rank), net.shape(y)[2:], strict=True)
    )
    kind = (MaxPool, AveragePool, LpPool)[int(rng.choice([0, 0, 1, 1, 2]))]
    y = residual(net, net.apply(kind(pools, pools), y), rng)
    return net.graph(net.apply(activation(rng), y)), net.feeds


def activation(rng: np.random.Generator) -> Op:
    return (Relu(), Clip(-0.5, 0.5), Elu(0.5), Sigmoid())[int(rng.integers(4))]


def residual(net: Net, y: Value, rng: np.random.Generator) -> Value:
    """The value itself, or plus or times another, whole or one number a channel."""
    how = int(rng.integers(4))
    if how < 2:
        return y
    shape = net.shape(y)
    other = net.input(*(shape if how == 2 else (1, shape[1], *(1,) * (len(shape) - 2))), name="other")
    return net.apply((Add(), Mul())[how % 2], y, other)


def both(compiled: Compilation, seed: int) -> list[tuple[tuple[str, str], Candidate]]:
    """For the layer with the pool a fused and a split candidate each, of transforms where there are some."""
    rng = np.random.default_rng(seed)
    found = []
    for name, offers in compiled.plan.offers.items():
        for split in (False, True) if " pool" in name else ():
            among = [offer for offer in offers if offer.split == split]
            transforms = [offer for offer in among if isinstance(offer.kernel, Winograd)]
            among = transforms if transforms and rng.random() < 0.5 else among
            if among:
                offer = among[int(rng.integers(len(among)))]
                found.append(((name, offer.label), offer))
    return found


@pytest.mark.parametrize("target", runnable_targets())
@pytest.mark.parametrize("seed", SEEDS)
def test_split_and_fused_keep_the_bound(seed: int, target: str) -> None:
    """Also for special values; and the same bits from every number of threads and in a stream."""
    graph, feeds = chain(seed)
    wild = sprinkled(feeds, seed)
    compiled = compilation(graph, target)
    for choices in [(choice,) for choice, _ in both(compiled, seed)] or [()]:
        made = compilation(graph, target, choices=choices)
        wanted = expected(made, feeds), expected(made, wild)
        with Model(made.build()) as model:
            found = call(model, feeds), call(model, wild)
        for results, bounds in zip(found, wanted, strict=True):
            worst_ratio(results, bounds)
        with Model(compilation(graph, target, choices=choices, streaming="chains").build(), threads=2) as model:
            for given, results in zip((feeds, wild), found, strict=True):
                assert_same_bits(call(model, given), results, f"{choices}")


def test_both_ways_are_reached() -> None:
    ways = {(type(o.kernel), o.split) for seed in SEEDS for _, o in both(compilation(chain(seed)[0]), seed)}
    assert {split for _, split in ways} == {False, True} and len({kind for kind, _ in ways}) >= 2


@pytest.mark.parametrize(("kind", "taps"), [(MaxPool, 4), (AveragePool, 5)])
@pytest.mark.parametrize("size", [14, 19])
def test_transforms_leave_out_what_no_window_holds(
    kind: type[MaxPool] | type[AveragePool], taps: int, size: int
) -> None:
    """Of 14 rows three windows of four hold twelve: the grid has three tiles on an axis, and not four."""
    net, pool = Net(), kind((taps, taps), taps)
    y = net.apply(Conv((3, 3), padding="same"), net.input(1, 16, size, size), net.weights(16, 16, 3, 3))
    graph = net.graph(net.apply(pool, y))
    ((name, offers),) = compilation(graph).plan.offers.items()
    for offer in (offer for offer in offers if isinstance(offer.kernel, Winograd) and not offer.split):
        assert offer.kernel.grid == (size // taps * taps // offer.kernel.steps[0],) * 2
        made = compilation(graph, choices=((name, offer.label),))
        with Model(made.build(), threads=2) as model:
            worst_ratio(call(model, net.feeds), expected(made, net.feeds))
