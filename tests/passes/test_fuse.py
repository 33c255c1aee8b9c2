from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cnncc.errors import Location
from cnncc.ir import Graph, Value
from cnncc.ops import Add, AveragePool, Concat, Conv, ConvTranspose, Dense, Fused, FusedOp, MaxPool, Softmax, Split
from cnncc.passes.fuse import fuse

from .support import Net, apply, assert_same_bits, layers, why

Chain = Callable[[Net, Value], Value]

CHAINS: dict[str, tuple[Chain, list[str]]] = {
    "relu": (lambda n, y: n.relu(y), ["Relu"]),
    "norm": (lambda n, y: n.norm(y), ["BatchNormalization"]),
    "norm, relu, pool": (
        lambda n, y: n.apply(MaxPool((2, 2)), n.relu(n.norm(y))),
        ["BatchNormalization", "Relu", "MaxPool"],
    ),
    "pool, relu": (lambda n, y: n.relu(n.apply(AveragePool((3, 2)), y)), ["AveragePool", "Relu"]),
    "residual": (lambda n, y: n.relu(n.add(y, n.input(1, 4, 8, 8, name="r"))), ["Add", "Relu"]),
    "residual on the left": (lambda n, y: n.relu(n.add(n.input(1, 4, 8, 8, name="r"), y)), ["Add", "Relu"]),
    "per channel": (lambda n, y: n.add(y, n.weights(4, 1, 1)), ["Add"]),
    "per column": (lambda n, y: n.add(y, n.weights(8)), ["Add"]),
    "pool, then a pooled residual": (
        lambda n, y: n.add(n.apply(MaxPool((2, 2)), y), n.input(1, 4, 4, 4, name="r")),
        ["MaxPool", "Add"],
    ),
    "two residuals": (
        lambda n, y: n.add(n.weights(1, 4, 8, 8), n.add(y, n.weights(4, 1, 1), name="one"), name="two"),
        ["Add", "Add"],
    ),
}


def stages(graph: Graph, name: str) -> list[str]:
    op = graph[name].op
    return [stage.op.name for stage in op.epilogue] if isinstance(op, Fused) else []


@pytest.mark.parametrize("name", CHAINS)
def test_absorbs(name: str) -> None:
    build, expected = CHAINS[name]
    net = Net()
    before = net.graph(build(net, net.conv(net.input(1, 3, 8, 8), 4, 3, 3, padding=1, bias=True)))
    result = apply(fuse, before)
    assert layers(result.graph) == ["conv"]
    assert stages(result.graph, "conv") == expected
    assert result.fired[0].tag == "exact" and result.fired[0].layer == "conv"
    assert "leaves the graph" in why(result, "conv")
    assert_same_bits(before, result.graph)


@pytest.mark.parametrize(
    ("shape", "kernel", "how"),
    [
        ((1, 3, 12), (3,), {"padding": "same"}),
        ((2, 4, 7, 9), (3, 2), {"stride": 2, "groups": 2}),
        ((1, 4, 9, 9), (3, 3), {"groups": 4, "dilation": 2}),
        ((1, 2, 4, 5, 6), (2, 2, 2), {"padding": "full", "flip": True}),
    ],
)
def test_every_convolution_is_an_anchor(shape: tuple[int, ...], kernel: tuple[int, ...], how: dict[str, Any]) -> None:
    net = Net()
    before = net.graph(net.relu(net.norm(net.conv(net.input(*shape), 4, *kernel, **how))))
    result = apply(fuse, before)
    assert layers(result.graph) == ["conv"]
    assert_same_bits(before, result.graph)


def test_dense_takes_stages_but_no_pool() -> None:
    net = Net()
    before = net.graph(net.relu(net.add(net.dense(net.input(3, 8), 5), net.weights(5))))
    result = apply(fuse, before)
    assert stages(result.graph, "dense") == ["Add", "Relu"]
    assert_same_bits(before, result.graph)


def test_weights_may_arrive_at_run_time() -> None:
    net = Net()
    y = net.apply(Conv((3, 3)), net.input(1, 3, 6, 6), net.input(4, 3, 3, 3, name="w"), name="conv")
    before = net.graph(net.relu(y))
    assert_same_bits(before, apply(fuse, before).graph)


def test_the_stage_knows_where_the_running_value_stands() -> None:
    net = Net()
    y = net.conv(net.input(1, 3, 6, 6), 4, 3, 3)
    result = apply(fuse, net.graph(net.add(net.input(1, 4, 4, 4, name="r"), y)))
    node = result.graph["conv"]
    assert isinstance(node.op, Fused) and node.op.epilogue == (FusedOp(Add(), 1, 1),)
    assert node.inputs == (Value("x"), Value("constant"), Value("r"))


def residual_block(net: Net) -> Graph:
    x = net.relu(net.conv(net.input(1, 3, 8, 8), 4, 3, 3, padding=1, name="stem"), name="stem_relu")
    y = net.relu(net.conv(x, 4, 3, 3, padding=1, name="first"), name="first_relu")
    y = net.conv(y, 4, 3, 3, padding=1, name="second")
    return net.graph(net.relu(net.add(y, x), name="last_relu"))


def test_a_residual_block() -> None:
    before = residual_block(Net())
    result = apply(fuse, before)
    assert layers(result.graph) == ["stem", "first", "second"]
    assert stages(result.graph, "second") == ["Add", "Relu"]
    assert_same_bits(before, result.graph)


def test_of_two_convolutions_the_later_one_takes_the_sum() -> None:
    net = Net()
    x = net.input(1, 3, 8, 8)
    a, b = (net.conv(x, 4, 3, 3, name=name) for name in ("earlier", "later"))
    before = net.graph(net.relu(net.add(a, b)))
    result = apply(fuse, before)
    assert layers(result.graph) == ["earlier", "later"]
    assert stages(result.graph, "later") == ["Add", "Relu"]
    assert why(result, "earlier") == "'add' already belongs to 'later'"
    assert_same_bits(before, result.graph)


def test_the_place_is_that_of_the_last_member() -> None:
    net = Net()
    x = net.input(1, 3, 8, 8)
    y = net.conv(x, 4, 1, 1)
    other = net.apply(Concat(), net.apply(Softmax(), x, name="soft"), net.weights(1, 1, 8, 8), name="other")
    before = net.graph(net.add(y, other))
    result = apply(fuse, before)
    assert layers(result.graph) == ["soft", "other", "conv"]
    assert_same_bits(before, result.graph)


def refused(build: Chain, x_shape: tuple[int, ...] = (1, 3, 8, 8)) -> str:
    net = Net()
    before = net.graph(build(net, net.conv(net.input(*x_shape), 4, 3, 3, padding=1)))
    result = apply(fuse, before)
    assert layers(result.graph) == layers(before)
    return why(result, "conv")


def test_several_readers() -> None:
    net = Net()
    y = net.conv(net.input(1, 3, 8, 8), 4, 3, 3)
    result = apply(fuse, net.graph(net.apply(Concat(), net.relu(y), y)))
    assert layers(result.graph) == ["conv", "relu", "concat"]
    assert why(result, "conv") == "the result of 'conv' is read 2 times"


def test_a_value_added_to_itself() -> None:
    net = Net()
    y = net.conv(net.input(2, 3, 8, 8), 4, 3, 3, padding=1)
    before = net.graph(net.relu(net.add(y, y)))
    result = apply(fuse, before)
    assert layers(result.graph) == ["conv"]
    op = result.graph["conv"].op
    assert isinstance(op, Fused) and op.epilogue[0] == FusedOp(Add(), 0, 0, (1,))
    assert_same_bits(before, result.graph)


def test_a_graph_output() -> None:
    net = Net()
    y = net.conv(net.input(1, 3, 8, 8), 4, 3, 3)
    result = apply(fuse, net.graph(net.relu(y), y))
    assert layers(result.graph) == ["conv", "relu"]
    assert why(result, "conv") == "the result of 'conv' leaves the graph"


def test_an_extra_input_that_depends_on_the_anchor() -> None:
    """Then the anchor's result has two readers: no chain grows around the path between them."""
    net = Net()
    y = net.conv(net.input(1, 3, 8, 8), 4, 3, 3)
    result = apply(fuse, net.graph(net.add(y, net.apply(Softmax(), net.relu(y)))))
    assert layers(result.graph) == ["conv", "relu", "softmax"]
    assert stages(result.graph, "softmax") == ["Add"]
    assert why(result, "conv") == "the result of 'conv' is read 2 times"


def test_an_extra_input_may_share_ancestors() -> None:
    net = Net()
    y = net.conv(net.input(1, 3, 8, 8), 4, 3, 3, name="stem")
    left, right = net.builder.add(Split((2, 2)), (y,), "split")
    before = net.graph(net.add(net.conv(left, 2, 1, 1), net.apply(Softmax(), right)))
    result = apply(fuse, before)
    assert layers(result.graph) == ["stem", "split", "softmax", "conv"]
    assert_same_bits(before, result.graph)


@pytest.mark.parametrize(
    ("pool", "told"),
    [
        (MaxPool((3, 3), 2), "do not lie side by side"),
        (MaxPool((3, 3), 1, "same"), "do not lie side by side"),
        (MaxPool((3, 3), 3, 1), "reach into the padding"),
    ],
)
def test_pools_that_overlap_or_are_padded(pool: MaxPool | AveragePool, told: str) -> None:
    assert told in refused(lambda n, y: n.apply(pool, y, name="pool"))


def test_padding_that_no_window_reaches_is_fine() -> None:
    net = Net()
    y = net.conv(net.input(1, 3, 8, 8), 4, 3, 3, padding=1)
    before = net.graph(net.apply(AveragePool((2, 2), 2, ((0, 1), (0, 0))), y))
    result = apply(fuse, before)
    assert stages(result.graph, "conv") == ["AveragePool"]
    assert_same_bits(before, result.graph)


def test_a_second_pool() -> None:
    net = Net()
    y = net.conv(net.input(1, 3, 8, 8), 4, 3, 3, padding=1)
    before = net.graph(net.apply(MaxPool((2, 2)), net.apply(MaxPool((2, 2)), y, name="one"), name="two"))
    result = apply(fuse, before)
    assert layers(result.graph) == ["conv", "two"]
    assert why(result, "conv") == "no further layer: 'two' would be the second pool"


def test_a_result_that_is_repeated() -> None:
    told = refused(lambda n, y: n.add(y, n.weights(3, 4, 8, 8)))
    assert told == "'add' repeats the result of 'conv' along an axis"
    told = refused(lambda n, y: n.add(y, n.weights(2, 1, 4, 8, 8)))
    assert told == "'add' (Add) is not point-wise in the result of 'conv'"


def test_what_is_not_point_wise() -> None:
    assert refused(lambda n, y: n.apply(Softmax(), y, name="soft")).startswith("'soft' (Softmax) is not point-wise")
    assert "is not point-wise" in refused(lambda n, y: n.conv(y, 2, 1, 1, name="next"))


def test_a_result_that_becomes_the_weights_of_the_reader() -> None:
    net = Net()
    y = net.conv(net.input(1, 3, 8, 8), 4, 3, 3, name="maker")
    result = apply(fuse, net.graph(net.apply(Conv((6, 6)), net.input(1, 4, 8, 8, name="z"), y, name="reader")))
    assert layers(result.graph) == ["maker", "reader"]


def test_labels_and_the_users_line_survive() -> None:
    net = Net()
    net.builder.labels = ("a", "b")
    x, where = net.input(1, 3), Location("model.py", 7)
    (y,) = net.builder.add(Dense(), (x, net.weights(2, 3)), "dense", where)
    result = apply(fuse, net.graph(net.relu(y)))
    assert result.graph.labels == ("a", "b") and result.graph["dense"].where == where


def test_element_wise_layers_are_anchors_too() -> None:
    net = Net()
    x = net.input(1, 4, 6, 6)
    y = net.relu(net.add(net.norm(net.apply(MaxPool((3, 3), 1), x, name="pool")), net.weights(4, 1, 1)))
    before = net.graph(y)
    result = apply(fuse, before)
    assert layers(result.graph) == ["pool", "norm"]
    assert stages(result.graph, "norm") == ["Add", "Relu"]
    assert_same_bits(before, result.graph)


def test_contractions_choose_before_element_wise_layers() -> None:
    net = Net()
    x = net.input(1, 4, 6, 6)
    left, right = net.conv(x, 4, 3, 3, padding=1), net.relu(net.apply(MaxPool((3, 3), 1, 1), x, name="pool"), name="r")
    before = net.graph(net.relu(net.add(right, left)))
    result = apply(fuse, before)
    assert layers(result.graph) == ["pool", "r", "conv"]
    assert why(result, "r") == "'add' already belongs to 'conv'"
    assert_same_bits(before, result.graph)


def test_of_two_element_wise_chains_the_earlier_one_takes_the_sum() -> None:
    net = Net()
    x = net.input(1, 4, 6, 6)
    before = net.graph(net.relu(net.add(net.relu(x, name="a"), net.norm(x, name="b"))))
    result = apply(fuse, before)
    assert layers(result.graph) == ["b", "a"]
    assert_same_bits(before, result.graph)


def test_a_gate_for_each_channel_is_a_stage() -> None:
    net = Net()
    x = net.input(2, 4, 6, 6)
    gate = net.apply(Softmax(), net.conv(net.apply(AveragePool((6, 6)), x), 4, 1, 1, name="gate"), name="soft")
    before = net.graph(net.relu(net.add(net.conv(x, 4, 3, 3, padding=1), gate)))
    result = apply(fuse, before)
    assert stages(result.graph, "conv") == ["Add", "Relu"]
    assert_same_bits(before, result.graph)


def test_a_result_that_is_smaller_than_the_sum_stays_alone() -> None:
    net = Net()
    x = net.input(2, 4, 6, 6)
    gate = net.relu(net.apply(AveragePool((6, 6)), x), name="gate")
    result = apply(fuse, net.graph(net.add(x, gate)))
    assert why(result, "gate") == "'add' repeats the result of 'gate' along an axis"


def test_a_pool_is_no_stage_of_an_element_wise_layer() -> None:
    net = Net()
    result = apply(fuse, net.graph(net.apply(MaxPool((2, 2)), net.relu(net.input(1, 4, 6, 6)), name="pool")))
    assert why(result, "relu") == "'pool' is a pool, but 'relu' is element-wise"


def test_long_chains_are_cut() -> None:
    net = Net()
    y = net.input(1, 4, 6, 6)
    for number in range(60):
        y = net.add(y, net.weights(4, 1, 1), name=f"n{number}")
    before = net.graph(y)
    result = apply(fuse, before)
    assert layers(result.graph) == ["n0", "n25", "n50"]
    assert_same_bits(before, result.graph)


def test_a_transposed_convolution_is_an_anchor_but_not_for_pools_if_it_has_phases() -> None:
    for stride, expected in ((2, ["up", "pool"]), (1, ["up"])):
        net = Net()
        y = net.apply(ConvTranspose((3, 3), stride), net.input(1, 4, 4, 6), net.weights(4, 2, 3, 3), name="up")
        before = net.graph(net.apply(MaxPool((3, 2)), net.relu(y), name="pool"))
        result = apply(fuse, before)
        assert layers(result.graph) == expected
        assert_same_bits(before, result.graph)
        if stride == 2:
            expected_why = "no further layer: 'pool' is a pool, but 'up' computes its outputs in several phases"
            assert why(result, "up") == expected_why
