"""Channel shuffles as tables: which moves are left, and that the numbers are right wherever a shuffle is read."""

from __future__ import annotations

import math

import pytest

from cnncc.ir import Value
from cnncc.ops import Add, ChannelShuffle, Concat, Conv, Gather, MaxPool, Relu, Reshape, Split
from cnncc.plan.kernels import Move
from cnncc.plan.shuffle import ChannelSelection
from cnncc.plan.text import copied_bytes, show_plan
from tests.graphs import Net, check, compilation, runnable_targets


def conv(net: Net, x: Value, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> Value:
    weights = net.weights(outputs, net.shape(x)[1] // groups, kernel, kernel)
    op = Conv((kernel, kernel), stride, padding="same", groups=groups)
    return net.apply(Relu(), net.apply(op, x, weights, net.known(net.random(outputs))))


def block(net: Net, x: Value) -> Value:
    """Half of the channels pass, the others are computed with, then both are shuffled."""
    half = net.shape(x)[1] // 2
    kept, rest = net.builder.add(Split((half, half)), [x])
    rest = conv(net, conv(net, conv(net, rest, half), half, 3, groups=half), half)
    return net.apply(ChannelShuffle(2), net.apply(Concat(1), kept, rest))


@pytest.mark.parametrize("target", runnable_targets())
def test_blocks_move_only_what_passes_through_them(target: str) -> None:
    net, half, area = Net(), 18, 30
    x = conv(net, net.input(1, 3, 5, 6), 2 * half, 3)
    for _ in range(4):
        x = block(net, x)
    left = conv(net, conv(net, x, 2 * half, 3, 2, groups=2 * half), 7)
    graph = net.graph(net.apply(Add(), left, conv(net, conv(net, x, 7), 7, 3, 2)))
    plan = compilation(graph, target).plan
    steps = [step for step in plan.steps if step.sources and step.sources[0].buffer not in graph.inputs]  # (a border)
    moves = [step for step in steps if isinstance(step.kernel, Move)]
    result = 7 * 3 * 3  # in the caller's order
    assert sum(math.prod(step.target.shape) for step in moves) == 4 * half * area + result
    assert all(not step.tables for step in moves)
    copies = [copied_bytes(plan, step) for step in plan.steps if isinstance(step.kernel, Move)]
    assert f"{len(copies)} copies of {sum(copies):,} bytes" in show_plan(plan)
    check(graph, net.feeds, target)
    check(graph, net.feeds, target, checked=True)


@pytest.mark.parametrize("target", runnable_targets())
@pytest.mark.parametrize("size", [1, 3, 8])
def test_grouped_convolutions_and_whoever_else_reads_a_shuffle(size: int, target: str) -> None:
    net = Net(size)
    x = conv(net, net.input(2, 12, size, size), 12, groups=3)
    x = net.apply(ChannelShuffle(3), x)
    x = conv(net, x, 12, 3, groups=12)  # its weights change places
    y = conv(net, x, 12, groups=4)  # groups cannot look channels up
    z = net.apply(MaxPool((1, 1)), net.apply(ChannelShuffle(2), y))
    flat = net.apply(Reshape((2, -1)), net.apply(ChannelShuffle(6), y))
    check(net.graph(y, z, flat, net.apply(ChannelShuffle(4), y)), net.feeds, target)


def test_channels_picked_twice_or_in_no_order() -> None:
    net = Net()
    x = conv(net, net.input(1, 9, 4, 4), 9)
    twice = net.apply(Gather((3, 1, 3, 0, 8), 1), x)
    joined = net.apply(Concat(1), twice, x, net.apply(ChannelShuffle(3), x))
    check(net.graph(conv(net, joined, 5), conv(net, net.apply(ChannelShuffle(23), joined), 4, 3)), net.feeds)


def test_runs_of_a_choice() -> None:
    assert ChannelSelection("x", (5, 0, 3, 4, 1)).runs == [(0, 2), (3, 3)]
    assert ChannelSelection("x", (2, 4, 6)).then((2, 0)) == ChannelSelection("x", (6, 2))
