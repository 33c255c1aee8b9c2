"""The walk over whole graphs: shares are added, only what is asked for has a gradient, and it can be done again."""

from __future__ import annotations

import numpy as np
import pytest

from cnncc import learn, nn, ops
from cnncc.check.graph import verify
from cnncc.gradient import differentiated
from cnncc.ops import Computed
from cnncc.passes.fuse import fuse
from cnncc.text import parse, show
from tests.graphs import Net

from .support import CLOSE, off, precisely


def small():
    """A network with a branch, a Softmax and weights that arrive."""
    net = Net(2)
    x = net.input(2, 3, 6, 6)
    w, b = net.weights(4, 3, 3, 3, arrive=True), net.arrives(net.random(4), "b")
    conv = net.apply(ops.Conv((3, 3), padding="same"), x, w, b)
    gate = net.apply(ops.Sigmoid(), conv)
    pooled = net.apply(ops.AveragePool((2, 2)), net.apply(ops.Mul(), conv, gate))
    flat = net.apply(ops.Flatten(), pooled)
    y = net.apply(ops.Softmax(), net.apply(ops.Dense(), flat, net.weights(5, 36, arrive=True)))
    return net, net.graph(y)


@pytest.mark.parametrize("by", ["x", "w", "b", "w_1"])
def test_a_network_by_central_differences(by):
    net, graph = small()
    assert off(graph, "y0", by, net.feeds) < CLOSE


def test_the_graph_is_one_like_others():
    _net, graph = small()
    slopes = differentiated(graph, "y0", ("x", "w"))
    verify(slopes)
    assert list(slopes.outputs) == ["y0", "d_x", "d_w"]
    assert list(slopes.inputs) == ["x", "w", "b", "w_1", "d_y0"]
    assert slopes.name == "net_gradient"
    assert slopes.type(slopes.outputs["d_w"]) == graph["w"].types[0]
    known = {node.name: node.op.data for node in slopes if node.op.source == "constant"}
    assert parse(show(slopes), known) == slopes


def test_forward_layers_stay_what_they_are_where_they_are_one_computation():
    _, graph = small()
    slopes = differentiated(graph, "y0", ("x",))
    same = [node.name for node in graph if node.name in slopes.nodes and slopes[node.name].op == node.op]
    assert {"conv", "sigmoid", "mul", "averagepool", "flatten", "dense"} <= set(same)
    assert isinstance(slopes["softmax"].op, Computed)


def test_backward_convolutions_are_convolutions():
    """So passes and plan treat them as such."""
    net = Net()
    x, w = net.input(2, 3, 8, 8), net.weights(4, 3, 3, 3, arrive=True)
    slopes = differentiated(net.graph(net.apply(ops.Conv((3, 3)), x, w)), "y0", ("x", "w"))
    assert [type(node.op).__name__ for node in slopes if node.name.startswith("conv")].count("Conv") == 3


def test_an_operand_used_twice_has_two_shares():
    net = Net()
    x = net.arrives(np.array([[2.0, -3.0]]))
    graph = net.graph(net.apply(ops.Add(), net.apply(ops.Mul(), x, x), x))
    found = precisely(differentiated(graph, "y0", ("x",)), {**net.feeds, "d_y0": np.ones((1, 2))})
    np.testing.assert_array_equal(found["d_x"], [[5, -5]])


def test_only_what_lies_above_is_differentiated():
    """Of the last layer's weights there is no gradient of what lies before, nor of frozen weights."""
    _net, graph = small()
    slopes = differentiated(graph, "y0", ("w_1",))
    before = [node for node in slopes if node.name.startswith(("conv.", "sigmoid.", "mul.", "averagepool."))]
    assert before == []
    assert "d_x" not in slopes.outputs


def test_of_a_layer_by_a_layer():
    net, graph = small()
    slopes = differentiated(graph, "mul", ("sigmoid",))
    assert list(slopes.outputs) == ["mul", "d_sigmoid"] and "w_1" not in slopes.inputs
    counts = np.random.default_rng(0).standard_normal((2, 4, 6, 6))
    found = precisely(slopes, {**net.feeds, "d_mul": counts})
    conv = precisely(differentiated(graph, "conv", ("x",)), {**net.feeds, "d_conv": counts})["conv"]
    np.testing.assert_allclose(found["d_sigmoid"], conv * counts)


def test_of_a_value_by_itself():
    net = Net()
    y = net.apply(ops.ReduceSum(None, False), net.apply(ops.Relu(), net.input(2, 3)))
    slopes = differentiated(net.graph(y), "y0", ("reducesum",))
    assert float(precisely(slopes, net.feeds)["d_reducesum"]) == 1


def test_one_number_counts_one():
    net = Net()
    x = net.arrives(np.array([1.0, -2.0, 3.0]))
    graph = net.graph(net.apply(ops.ReduceSumSquare(None, False), x))
    slopes = differentiated(graph, "y0", ("x",))
    assert list(slopes.inputs) == ["x"]
    np.testing.assert_array_equal(precisely(slopes, net.feeds)["d_x"], [2, -4, 6])


@pytest.mark.parametrize("op", [ops.Tanh(), ops.Gelu(), ops.Softmax(1), ops.MaxPool((2,)), ops.AveragePool((3,), 1)])
def test_second_derivatives(op):
    """The gradient of the gradient: the rules stay within the computations that they are for."""
    net = Net(4)
    x = net.input(1, 3, 8)
    square = net.apply(ops.Mul(), net.apply(ops.Mul(), x, x), net.input(1, 3, 8))
    graph = net.graph(net.apply(op, square))
    once = differentiated(graph, "y0", ("x",))
    feeds = {**net.feeds, "d_y0": net.random(*graph.type(graph.outputs["y0"]).shape)}
    assert list(differentiated(once, "d_x", ("x", "x_1")).outputs) == ["d_x", "d_d_x_by_x", "d_x_1"]
    assert max(off(once, "d_x", by, feeds) for by in ("x", "x_1", "d_y0")) < CLOSE


def test_second_derivatives_of_a_convolution():
    """By x, its gradient by w: a transposed convolution again."""
    net = Net(4)
    x, w = net.input(2, 3, 6), net.weights(4, 3, 3, arrive=True)
    once = differentiated(net.graph(net.apply(ops.Conv((3,), 2, padding=1), x, w)), "y0", ("w",))
    feeds = {**net.feeds, "d_y0": net.random(2, 4, 3)}
    assert off(once, "d_w", "x", feeds) < CLOSE and off(once, "d_w", "d_y0", feeds) < CLOSE


def test_a_graph_with_fused_layers():
    net, graph = small()
    fused = fuse(graph).graph
    assert any(isinstance(node.op, ops.Fused) for node in fused)
    assert all(node.name in differentiated(fused, "y0", ("x",)).nodes for node in fused)
    feeds = {**net.feeds, "d_y0": net.random(2, 5)}
    found, expected = (precisely(differentiated(each, "y0", ("x", "w")), feeds) for each in (fused, graph))
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-12, atol=1e-15)


def test_what_cancels_is_held():
    """No gradient goes through the maximum that keeps Softmax from overflowing."""
    net = Net()
    slopes = differentiated(net.graph(net.apply(ops.Softmax(), net.input(1, 5))), "y0", ("x",))
    extremes = [
        node for node in slopes if "maximum" in repr(node.op) or "minimum" in repr(node.op) or "fmax" in repr(node.op)
    ]
    assert len(extremes) == 1


def test_models_and_names():
    model = nn.Sequential(nn.Conv(4, 3, name="conv"), nn.ReLU(), nn.Flatten(), nn.Dense(3), input=(1, 6, 6), seed=0)
    slopes = learn.gradient(model, of="output", by=("input", "conv.weights", "conv.bias"))
    assert list(slopes.outputs) == ["output", "d_input", "d_conv.weights", "d_conv.bias"]
    assert learn.gradient(model, of="output", by="input").outputs.keys() == {"output", "d_input"}


def test_windows_that_see_nothing_but_padding():
    """Of one element, with a stride beyond it, only the window in the padding is left: the weights do not count."""
    net = Net()
    x, w = net.input(2, 3, 1), net.weights(4, 3, 1, arrive=True)
    op = ops.Conv((1,), 3, padding=((1, 0),))
    slopes = differentiated(net.graph(net.apply(op, x, w)), "y0", ("x", "w"))
    found = precisely(slopes, {**net.feeds, "d_y0": np.ones((2, 4, 1))})
    assert not found["d_x"].any() and not found["d_w"].any() and found["d_w"].shape == (4, 3, 1)
