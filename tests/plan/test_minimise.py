"""Plans of least memory: chains by need, results in the places of other tensors, and the search for links."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cnncc.compiler import Compilation
from cnncc.ir import Graph, Value
from cnncc.machine.target import Target
from cnncc.ops import Add, Conv, Flatten, MaxPool, Relu
from cnncc.plan.kernels import RowNeed
from cnncc.plan.overlay import order_of_rows
from cnncc.plan.stream import ring_heights
from tests.graphs import Net, assert_same_bits, check, compilation, native, runnable_targets, sprinkled


def one_shard(target: Target) -> Target:
    """The target without threads, as microcontrollers are: its chains may write where they read."""
    return replace(target, atomics=False)


def conv(net: Net, x: Value, channels: int, kernel: int, stride: int = 1, groups: int = 1) -> Value:
    weights = net.weights(channels, net.shape(x)[1] // groups, kernel, kernel)
    low = (kernel - 1) // 2
    return net.apply(
        Conv((kernel, kernel), (stride, stride), padding=((low, low), (low, low)), groups=groups), x, weights
    )


def residual(net: Net, size: int, channels: int) -> Graph:
    """Two residual blocks, the second with a stride and a shortcut."""
    x = net.apply(Relu(), conv(net, net.input(1, 3, size, size), channels, 3))
    y = conv(net, net.apply(Relu(), conv(net, x, channels, 3)), channels, 3)
    x = net.apply(Relu(), net.apply(Add(), y, x))
    y = conv(net, net.apply(Relu(), conv(net, x, 2 * channels, 3, 2)), 2 * channels, 3)
    return net.graph(net.apply(Relu(), net.apply(Add(), y, conv(net, x, 2 * channels, 1, 2))))


def separable(net: Net, size: int, channels: int) -> Graph:
    """Depthwise and 1×1 convolutions in turn."""
    x = conv(net, net.input(1, 2, size, size), channels, 3, 2)
    for kernel in (3, 5, 3):
        x = net.apply(Relu(), conv(net, x, channels, kernel, groups=channels))
        x = net.apply(Relu(), conv(net, x, channels, 1))
    return net.graph(net.apply(Flatten(), net.apply(MaxPool((2, 2), (2, 2)), x)))


GRAPHS = {
    "residual": lambda net: residual(net, 16, 8),
    "odd": lambda net: residual(net, 13, 5),
    "separable": lambda net: separable(net, 26, 8),
    "wide": lambda net: separable(net, 23, 24),
}


@pytest.mark.parametrize(
    ("name", "level"), [*((name, "host") for name in GRAPHS), *(("odd", level) for level in runnable_targets())]
)
def test_least_memory_has_the_same_bits(name: str, level: str) -> None:
    """With and without checks, and where tensors are written over each other."""
    target, net = one_shard(runnable_targets()[level]), Net(3)
    graph = GRAPHS[name](net)
    whole = compilation(graph, target, precision="strict", streaming="none", borders="none")
    for streaming in ("chains", "memory"):
        saved = compilation(graph, target, precision="strict", streaming=streaming)
        assert saved.plan.workspace_base <= whole.plan.workspace_base
        check(graph, net.feeds, target, streaming=streaming)
        for feeds in (net.feeds, sprinkled(net.feeds, 1)):
            assert_same_bits(native(saved, feeds), native(whole, feeds), f"{name} on {level}, {streaming}")
            assert_same_bits(native(saved.varied(checked=True), feeds), native(whole, feeds))


def over(compiled: Compilation) -> int:
    """How many buffers lie over others."""
    return sum(bool(buffer.over) for buffer in compiled.plan.buffers.values())


@pytest.mark.parametrize("name", ["residual", "wide"])
def test_results_take_the_places_of_tensors(name: str) -> None:
    net = Net(3)
    graph = GRAPHS[name](net)
    least = compilation(graph, "cortex-m4", streaming="memory")
    assert over(least) > 0
    assert least.plan.arena_bytes == least.plan.arena_bound
    assert over(compilation(graph, "cortex-m4")) == over(compilation(graph, "aarch64", streaming="memory")) == 0


@pytest.mark.parametrize("name", GRAPHS)
def test_the_search_is_no_worse_than_all_links_and_none(name: str) -> None:
    net = Net(3)
    graph = GRAPHS[name](net)
    sizes = {
        how: compilation(graph, "cortex-m4", streaming=how).plan.workspace_base for how in ("none", "chains", "memory")
    }
    assert sizes["memory"] <= min(sizes.values())


@pytest.mark.parametrize("lead", range(4))
@pytest.mark.parametrize(
    "needs",
    [
        (RowNeed(1, 3, 1), RowNeed(1, 1, 0)),
        (RowNeed(2, 3, 1), RowNeed(1, 3, 1), RowNeed(2, 5, 2)),
        (RowNeed(1, 3, 1, 2), RowNeed(2, 2, 0), RowNeed(1, 3, 1, 3), RowNeed(1, 1, 0)),
        (RowNeed(1, 1, 0), RowNeed(3, 2, 0), RowNeed(1, 7, 3)),
    ],
)
def test_rings_hold_what_is_still_read(needs: tuple[RowNeed, ...], lead: int) -> None:
    """Simulated call by call: no row of a ring is overwritten before its last reader, and all rows come once."""
    rows = [40]
    for need in reversed(needs[1:]):
        rows.insert(0, (rows[0] - 1) * need.stride + need.extent - 2 * need.low)
    heights = ring_heights(needs, needs[-1].granularity, by_need=True, lead=lead)
    done = [0] * len(needs)
    for place, begin, end in order_of_rows(needs, rows, lead):
        assert begin == done[place]
        done[place] = end
        if place:
            need = needs[place]
            first, last = max(0, begin * need.stride - need.low), (end - 1) * need.stride + need.extent - need.low
            assert done[place - 1] >= min(last, rows[place - 1])
            assert first >= done[place - 1] - heights[place - 1]
    assert done == rows
