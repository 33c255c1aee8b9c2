"""Passes, plan and code take a time that grows with the number of layers, and hardly faster.

What is counted are calls of functions, not seconds: the count is the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cnncc.ir import Graph, Value
from cnncc.ops import Add, Clip, Concat, Conv, Relu, Split, Sum, Tanh
from cnncc.plan.kernels import Winograd
from tests.graphs import Net, calls, compilation

FEW, MANY = 32, 128
MOST = 1.1  # times the calls that as many layers more would take


def same(net: Net, x: Value, outputs: int = 2) -> Value:
    weights = net.weights(outputs, net.shape(x)[1], 3, 3)
    return net.apply(Conv((3, 3), padding="same"), x, weights)


def convolutions_into_one(net: Net, x: Value, number: int) -> list[Value]:
    return [net.apply(Concat(), *(net.apply(Relu(), same(net, x)) for _ in range(number)))]


def sums_into_one(net: Net, x: Value, number: int) -> list[Value]:
    return [net.apply(Concat(), *(net.apply(Add(), x, net.weights(4, 1, 1)) for _ in range(number)))]


def convolutions_into_a_sum(net: Net, x: Value, number: int) -> list[Value]:
    return [net.apply(Sum(), *(same(net, x) for _ in range(number)))]


def parts(net: Net, x: Value, number: int) -> list[Value]:
    wide = net.input(1, 2 * number, 8, 8)
    found = net.builder.add(Split((2,) * number), (wide,))
    return [net.apply(Concat(), *(same(net, part) for part in found))]


def chain(net: Net, x: Value, number: int) -> list[Value]:
    for index in range(number):
        x = same(net, x, 4) if index % 2 else net.apply(Tanh(), x)
    return [x]


def outputs(net: Net, x: Value, number: int) -> list[Value]:
    return [same(net, x) for _ in range(number)]


SHAPES = (convolutions_into_one, sums_into_one, convolutions_into_a_sum, parts, chain, outputs)


def grown(shape: Callable[[Net, Value, int], list[Value]], number: int) -> Graph:
    net = Net(1)
    return net.graph(*shape(net, net.input(1, 4, 8, 8), number))


def work(graph: Graph) -> int:
    """Calls from the graph to the code."""
    compiled = compilation(graph, sharing="cost")
    return calls(lambda: compiled.llvm)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_work_grows_with_the_number_of_layers(shape: Callable[[Net, Value, int], list[Value]]) -> None:
    work(grown(shape, FEW))  # what is imported or remembered once
    few, many = (work(grown(shape, number)) for number in (FEW, MANY))
    assert many < MOST * few * MANY / FEW, f"{few} calls for {FEW}, {many} for {MANY}"


def test_layers_that_differ_only_in_the_sign_of_a_zero_are_not_mixed_up() -> None:
    """Candidates are remembered by the text of a layer, since −0 equals 0."""
    net = Net(3)
    x = net.input(1, 16, 24, 24)
    found = [net.apply(Clip(zero, 1.0), same(net, x, 16)) for zero in (0.0, -0.0)]
    kernels = [step.kernel for step in compilation(net.graph(*found)).plan.steps]
    texts = [repr(kernel.epilogue) for kernel in kernels if isinstance(kernel, Winograd)]
    assert len(set(texts)) == 2, texts
