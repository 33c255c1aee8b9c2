"""How shards share steps with few rows."""

from __future__ import annotations

import numpy as np
import pytest

from cnncc.ir import Graph
from cnncc.ops import Conv, Dense
from cnncc.plan.kernels import Direct, Winograd
from cnncc.types import Array
from tests.graphs import Net, assert_same_bits, check, compilation, native, runnable_targets


def convolution(size: int, channels: int, outputs: int, kernel: int, groups: int = 1) -> tuple[Graph, dict[str, Array]]:
    net = Net()
    x = net.input(1, channels, size, size)
    op = Conv((kernel, kernel), padding="same", groups=groups)
    return net.graph(net.apply(op, x, net.weights(outputs, channels // groups, kernel, kernel))), net.feeds


def dilated(size: int, dilation: int) -> tuple[Graph, dict[str, Array]]:
    net = Net()
    x = net.input(1, 16, size, size)
    op = Conv((3, 3), dilation=dilation, padding="same")
    return net.graph(net.apply(op, x, net.weights(16, 16, 3, 3))), net.feeds


def dense(channels: int, outputs: int) -> tuple[Graph, dict[str, Array]]:
    net = Net()
    x = net.input(1, channels)
    return net.graph(net.apply(Dense(), x, net.weights(outputs, channels), net.known(net.random(outputs)))), net.feeds


CASES = {
    "dense": dense(40, 900),
    "deep": convolution(7, 24, 300, 1),
    "deep 3×3": convolution(3, 8, 250, 3),
    "groups": convolution(2, 20, 200, 3, 10),
    "groups, shared": convolution(2, 80, 800, 3, 10),
    "groups of few": convolution(2, 40, 80, 3, 20),
    "dilated": dilated(21, 5),
    "one position": convolution(1, 30, 130, 1),
    "few outputs": convolution(5, 20, 3, 3),
    "halves of blocks, transformed": convolution(8, 64, 64, 3),
    "halves of blocks, direct": convolution(3, 128, 64, 1),
}


@pytest.mark.parametrize("target", runnable_targets())
@pytest.mark.parametrize("case", CASES)
def test_every_share_gives_the_same_bits(case: str, target: str) -> None:
    graph, feeds = CASES[case]
    compiled = compilation(graph, target)
    alone = check(graph, feeds, target)
    for threads in (2, 3, 7):
        assert_same_bits(native(compiled, feeds, threads), alone, f"{threads} threads")
    assert_same_bits(native(compilation(graph, target, checked=True), feeds, 3), alone, "checked")


def shares(graph: Graph) -> list[str]:
    plan = compilation(graph, "x86-64-v4").plan
    return [step.kernel.partition_axis for step in plan.steps if isinstance(step.kernel, Direct)]


def test_blocks_are_shared_where_rows_are_few() -> None:
    assert shares(CASES["dense"][0]) == ["blocks"]
    assert shares(convolution(2, 80, 800, 3, 10)[0]) == ["blocks"]  # two rows are too few for four shards
    assert shares(CASES["groups"][0]) == ["rows"]  # it takes no longer than fetching what the other shard has
    assert shares(convolution(1, 20, 400, 1, 20)[0]) == ["blocks"]
    assert shares(convolution(32, 24, 300, 1)[0]) == ["rows"]
    assert shares(dense(4, 8)[0]) == ["rows"]  # one block


def test_phases_of_a_dilation_are_shared() -> None:
    plan = compilation(dilated(32, 8)[0], "x86-64-v4").plan
    (kernel,) = (step.kernel for step in plan.steps if isinstance(step.kernel, Winograd))
    assert kernel.partition_axis == "tiles" and kernel.tile_rows == 32 and kernel.grid[0] == 8


@pytest.mark.parametrize("case", ["halves of blocks, transformed", "halves of blocks, direct"])
def test_halves_are_shared_where_blocks_are_few(case: str) -> None:
    (kernel,) = (
        step.kernel
        for step in compilation(CASES[case][0], "x86-64-v4").plan.steps
        if isinstance(step.kernel, Direct | Winograd)
    )
    assert kernel.partition_axis == "blocks" and kernel.parts == 2 and kernel.blocks <= 2


def test_units_are_what_shards_share() -> None:
    (step,) = (
        step for step in compilation(CASES["dense"][0], "x86-64-v4").plan.steps if isinstance(step.kernel, Direct)
    )
    assert step.units == step.kernel.blocks == int(np.ceil(900 / step.kernel.block))
