"""Rows of a matrix as positions of one image, in programs that take all rows at once."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from cnncc.elements import BOOL
from cnncc.ir import Graph, Value
from cnncc.ops import Add, Dense, Mul, Relu, Reshape, Softmax, Transpose, Where
from cnncc.plan.plan import Plan
from tests.graphs import Net, assert_same_bits, check, check_all, compilation, native, runnable_targets, sprinkled

Epilogue = Callable[[Net, Value], Value]


def plain(net: Net, y: Value) -> Value:
    return y


def relu(net: Net, y: Value) -> Value:
    return net.apply(Relu(), y)


def by_row(net: Net, y: Value) -> Value:
    return net.apply(Mul(), y, net.input(net.shape(y)[0], 1, name="r"))


def by_channel(net: Net, y: Value) -> Value:
    return net.apply(Add(), net.apply(Mul(), y, net.weights(1, net.shape(y)[1])), net.weights(net.shape(y)[1]))


def residual(net: Net, y: Value) -> Value:
    return net.apply(Relu(), net.apply(Add(), y, net.input(*net.shape(y), name="r")))


def rows(
    count: int, features: int, outputs: int, epilogue: Epilogue = plain, arrive: bool = False
) -> tuple[Graph, Net]:
    """Steps of one image, which a transposition brings to the front, through a dense layer."""
    net = Net()
    turned = net.apply(Transpose((2, 0, 1)), net.input(1, features, count))
    flat = net.apply(Reshape((count, features)), turned)
    dense = net.apply(Dense(), flat, net.weights(outputs, features, arrive=arrive), net.weights(outputs))
    return net.graph(epilogue(net, dense)), net


def columns(plan: Plan) -> int:
    """Rows that share a load of weights in the largest tile."""
    return max(getattr(getattr(step.kernel, "tile", None), "columns", 0) for step in plan.steps)


@pytest.mark.parametrize("epilogue", (plain, relu, by_row, by_channel, residual))
def test_epilogues(epilogue: Epilogue) -> None:
    graph, net = rows(5, 37, 50, epilogue)
    check_all(graph, "host", net.feeds, sprinkled(net.feeds, seed=1))


@pytest.mark.parametrize("count", (2, 20))
def test_targets(count: int) -> None:
    graph, net = rows(count, 37, 50, residual)
    for target in runnable_targets():
        check_all(graph, target, net.feeds, sprinkled(net.feeds, seed=1))


def test_weights_that_arrive_and_what_is_read_twice() -> None:
    """A layer may add its own input, or multiply by its own weights."""
    graph, net = rows(7, 33, 18, arrive=True)
    check(graph, net.feeds)
    net = Net()
    x = net.apply(Reshape((6, 6)), net.apply(Transpose((2, 0, 1)), net.input(1, 6, 6)))
    w = net.weights(6, 6)
    y = net.apply(Add(), net.apply(Dense(), x, w), x)
    z = net.apply(Mul(), net.apply(Dense(), y, w), w)
    check(net.graph(net.apply(Softmax(0), z)), net.feeds)


def test_rows_share_loads_of_weights() -> None:
    together, _ = rows(20, 256, 512)
    assert columns(compilation(together).plan) > 1
    net = Net()
    x, w = net.input(20, 256), net.weights(512, 256)
    assert columns(compilation(net.graph(net.apply(Dense(), x, w))).plan) == 1  # images, which come in any number


def test_the_bits_of_a_row_are_those_of_one_alone() -> None:
    """Every row is one sum over the features, in their order."""
    graph, net = rows(9, 40, 21)
    compiled = compilation(graph)
    found = next(iter(native(compiled, net.feeds).values()))
    for row in (0, 8):
        same = np.repeat(net.feeds["x"][:, :, row : row + 1], 9, 2)
        alone = next(iter(native(compiled, {"x": same}).values()))
        assert_same_bits({"y": alone[4:5]}, {"y": found[row : row + 1]})


@pytest.mark.parametrize("shape", [(3, 1), (3, 5), (1, 5)])
@pytest.mark.parametrize("arrive", [False, True])
def test_conditions_keep_their_element(shape: tuple[int, ...], arrive: bool) -> None:
    """An operand of the epilogue may be of another element than the result."""
    net = Net()
    condition = np.arange(math.prod(shape)).reshape(shape) % 3 == 0
    chosen = net.arrives(condition, "c", BOOL) if arrive else net.known(condition, BOOL)
    product = net.apply(Dense(), net.input(3, 4), net.weights(5, 4))
    check(net.graph(net.apply(Where(), chosen, product, net.input(3, 5, name="o"))), net.feeds)
