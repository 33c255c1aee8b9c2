"""Tensors are told apart by what they are: layers may be called as copies, pieces and buffers are shown."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from cnncc.ir import Graph, Value
from cnncc.machine.target import named
from cnncc.op import Op
from cnncc.ops import Add, ChannelShuffle, Conv, Dense, Flatten, MaxPool, Relu, Softmax, Tanh, Transpose
from cnncc.plan.make import make_plan
from cnncc.plan.shuffle import ChannelSelection
from cnncc.plan.tensors import Tensor, piece, value
from cnncc.types import Array
from tests.graphs import Net, check, compilation


class Named(Net):
    """A builder whose layers are called as they are asked to be."""

    def called(self, name: str, op: Op, *inputs: Value) -> Value:
        assert name not in self.builder.nodes
        return self.builder.add(op, inputs, name)[0]


def network(names: Sequence[str]) -> tuple[Graph, dict[str, Array]]:
    """Convolutions on a bordered and a reordered image, a softmax, and outputs; `names` are those of five layers."""
    net = Named()
    x = net.input(1, 3, 12, 12)
    a = net.called("conv", Conv((3, 3), padding=1), x, net.weights(16, 3, 3, 3))
    b = net.called(names[0], Relu(), a)
    c = net.called(names[1], Conv((3, 3), padding=1, stride=2), b, net.weights(32, 16, 3, 3))
    d = net.called(names[2], MaxPool((2, 2)), c)
    e = net.called(names[3], Dense(), net.apply(Flatten(), d), net.weights(7, 288))
    f = net.called("soft", Softmax(1), net.called(names[4], Tanh(), e))
    return net.builder.graph({"y": f, "conv": a, "last": c, "y!": b}), net.feeds


SHOWN = ("x@bordered", "conv@last", "conv: weights", "y!", "y (output)", "soft#0", "conv.1", "conv.1#0", "soft#1")


@pytest.mark.parametrize("first", range(len(SHOWN)))
def test_layers_may_be_called_as_what_the_plan_shows(first: int) -> None:
    graph, feeds = network([SHOWN[(first + number) % len(SHOWN)] for number in range(5)])
    for options in ({}, {"off": ("fuse",)}, {"streaming": "chains"}):
        check(graph, feeds, **options)


@pytest.mark.parametrize("name", ["y (output)", "y!", "x: border", "x@bordered"])
def test_inputs_may_be_called_so_as_well(name: str) -> None:
    net = Named()
    x, other = net.input(1, 3, 12, 12), net.input(1, 4, 12, 12, name=name)
    y = net.apply(Add(), net.called("conv", Conv((3, 3), padding=1), x, net.weights(4, 3, 3, 3)), other)
    check(net.builder.graph({"y": y, "z": other}), net.feeds)


def test_a_tensor_is_copied_once_to_each_order() -> None:
    """Channels last for a convolution, and as what is added to it lies: both are shown as '@last'."""
    net = Net()
    x = net.apply(Relu(), net.input(1, 24, 6, 6))
    y = net.apply(Conv((3, 3), padding=1), x, net.weights(24, 24, 3, 3))
    turned = net.apply(Transpose((0, 1, 3, 2)), y)
    graph = net.graph(net.apply(MaxPool((2, 2)), net.apply(Add(), turned, x)))
    copies = {step.target for step in compilation(graph, "x86-64-v3").plan.steps if "@last" in step.target.buffer}
    assert {view.buffer for view in copies} == {"relu@last", "relu@last (2)"}
    check(graph, net.feeds)


@pytest.mark.parametrize("groups", [(2, 3), (3, 4), (2, 6)])
def test_two_shuffles_of_a_tensor_before_the_same_weights(groups: tuple[int, int]) -> None:
    """Known weights change places for each of them in its own way."""
    net = Net()
    x = net.apply(Conv((1, 1)), net.input(1, 12, 7, 7), net.weights(12, 12, 1, 1))
    weights, found = net.weights(12, 1, 3, 3), []
    for number in groups:
        shuffled = net.apply(ChannelShuffle(number), x)
        y = net.apply(Conv((3, 3), padding=1, groups=12), shuffled, weights)
        found.append(net.apply(Conv((1, 1)), y, net.weights(8, 12, 1, 1)))
    check(net.graph(*found), net.feeds)


def test_tensors_with_one_text_differ() -> None:
    x = value(Value("conv#0"))
    assert str(x) == str(piece("conv", 0, 0)) and x != piece("conv", 0, 0)
    copies = [Tensor("copy", (x,), order) for order in ((0, 2, 3, 1), (0, 3, 2, 1))]
    assert str(copies[0]) == str(copies[1]) == "conv#0@last" and copies[0] != copies[1]
    assert ChannelSelection(x, (1, 0)) != ChannelSelection(piece("conv", 0, 0), (1, 0))


def test_buffers_of_one_text_are_numbered() -> None:
    net = Named()
    x = net.input(1, 3, 12, 12, name="y (output)")
    graph = net.builder.graph({"y": net.apply(Relu(), x)})
    plan = make_plan(compilation(graph).optimised.graph, named("x86-64-v3"))
    assert [(b.name, b.space) for b in plan.buffers.values()] == [("y (output)", "input"), ("y (output) (2)", "output")]
