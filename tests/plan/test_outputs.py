"""Outputs that are views: the tensor behind them is computed in the caller's buffer wherever its memory is the same."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest

from cnncc.ir import Graph, Value
from cnncc.ops import Conv, MatMul, Relu, Reshape, Transpose
from cnncc.plan.plan import Plan
from tests.graphs import Net, check, compilation


def copies(plan: Plan) -> int:
    return sum(step.kernel.is_copy for step in plan.steps)


def conv(net: Net, x: Value, outputs: int) -> Value:
    return net.apply(Conv((1, 1)), x, net.weights(outputs, net.shape(x)[1], 1, 1))


def turned(*outputs: Sequence[int], channels: int = 32) -> tuple[Graph, Net]:
    """A layer with channels last (its image is, and there are many channels) and its transposes as outputs."""
    net = Net()
    x = net.apply(Transpose((0, 3, 1, 2)), net.input(2, 5, 6, channels))
    y = net.apply(Relu(), conv(net, x, channels))
    return net.graph(*(net.apply(Transpose(tuple(axes)), y) for axes in outputs)), net


@pytest.mark.parametrize("shape", [(3, 20), (2, 7, 20), (2, 3, 4, 20)])
def test_a_product_is_computed_where_the_caller_reads_it(shape: tuple[int, ...]) -> None:
    """Rows are positions and their products channels: with channels last they lie as the product's rows do."""
    net = Net()
    graph = net.graph(net.apply(MatMul(), net.input(*shape), net.weights(20, 33)))
    assert copies(compilation(graph).plan) == 0
    check(graph, net.feeds)


def test_channels_last_are_computed_where_the_caller_reads_them() -> None:
    graph, net = turned((0, 2, 3, 1))
    assert copies(compilation(graph).plan) == 0
    check(graph, net.feeds)


@pytest.mark.parametrize("axes", [*itertools.permutations((1, 2, 3))])
def test_any_transpose(axes: tuple[int, ...]) -> None:
    graph, net = turned((0, *axes))
    check(graph, net.feeds)


def test_one_of_several_outputs_is_computed_there() -> None:
    graph, net = turned((0, 2, 3, 1), (0, 2, 3, 1), (0, 1, 2, 3))
    found = check(graph, net.feeds)
    assert np.array_equal(found["y0"], found["y1"])


@pytest.mark.parametrize("apart", [False, True])
def test_a_tensor_that_is_an_output_itself(apart: bool) -> None:
    """Also behind a reshape: what lies in one caller's buffer cannot lie in another's."""
    net = Net()
    x = net.apply(Relu(), net.input(1, 4, 6))
    y = net.apply(Reshape((1, 24)), x)
    graph = net.graph(*((y, x) if apart else (x, y)))
    check(graph, net.feeds)


def test_reshaped_products_of_both_orientations() -> None:
    """Few rows: the left matrices are packed; many: the right ones."""
    for rows in (1, 3, 8, 49):
        net = Net()
        x, y = net.input(2, 3, rows, 20), net.input(2, 3, 20, 17)
        graph = net.graph(net.apply(MatMul(), x, y))
        plan = compilation(graph).plan
        assert plan.steps[-1].kernel.sources == 2
        assert plan.buffers[plan.steps[-1].target.buffer].space == "output"
        check(graph, net.feeds)
