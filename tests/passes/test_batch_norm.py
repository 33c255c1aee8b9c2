from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncc.op import Op
from cnncc.ops import Add, BatchNormalization, Concat, Conv, ConvTranspose, Div, Mul, Sub
from cnncc.passes.batch_norm import fold_batch_norm

from .support import Net, apply, assert_within_bounds, layers, why

CONVOLUTIONS = [
    ((1, 3, 8, 9), 5, (3, 3), {}),
    ((2, 4, 7, 6), 6, (3, 2), {"padding": "same", "groups": 2, "bias": True}),
    ((1, 6, 9, 9), 6, (5, 5), {"stride": 2, "padding": 2, "groups": 6}),
    ((1, 4, 5, 6), 8, (2, 3), {"padding": "full", "flip": True, "bias": True}),
    ((1, 3, 20), 4, (4,), {"dilation": 2, "padding": ((3, 1),)}),
    ((1, 2, 4, 5, 6), 3, (3, 2, 2), {"padding": 1}),
]


@pytest.mark.parametrize(("shape", "outputs", "kernel", "how"), CONVOLUTIONS)
def test_folds_into_every_kind_of_convolution(
    shape: tuple[int, ...], outputs: int, kernel: tuple[int, ...], how: dict[str, Any]
) -> None:
    net = Net()
    before = net.graph(net.norm(net.conv(net.input(*shape), outputs, *kernel, **how)))
    result = apply(fold_batch_norm, before)
    assert layers(result.graph) == ["conv"]
    (fired,) = result.fired
    assert fired.tag == "rounding" and fired.layer == "conv" and "norm" in fired.detail and "2^-24" in fired.bound
    assert_within_bounds(before, result.graph)


@pytest.mark.parametrize("bias", [False, True])
def test_folds_into_a_dense_layer(bias: bool) -> None:
    net = Net()
    before = net.graph(net.norm(net.dense(net.input(3, 12), 7, bias=bias)))
    result = apply(fold_batch_norm, before)
    assert layers(result.graph) == ["dense"]
    assert_within_bounds(before, result.graph)


def test_folds_a_chain_and_rounds_once() -> None:
    net = Net()
    y = net.conv(net.input(1, 3, 6, 6), 4, 3, 3)
    before = net.graph(net.norm(net.norm(y, name="first"), name="second"))
    result = apply(fold_batch_norm, before)
    assert layers(result.graph) == ["conv"]
    assert result.fired[0].detail == "absorbs first, second"
    assert result.graph["conv.folded"].op.rounded  # type: ignore[attr-defined]
    assert_within_bounds(before, result.graph)


def test_folds_the_formula_in_double_precision() -> None:
    net = Net()
    x = net.input(1, 1, 1)
    y = net.apply(Conv((1,)), x, net.known(np.full((1, 1, 1), 3.0)), name="conv")
    statistics = [net.known(np.array([value])) for value in (2.0, 0.5, 1.0, 8.0)]
    result = apply(fold_batch_norm, net.graph(net.apply(BatchNormalization(1.0), y, *statistics, name="norm")))
    _, weights, bias = result.graph["conv"].inputs
    assert result.graph.constant(weights) == np.float32(3.0 * 2.0 / 3.0)
    assert result.graph.constant(bias) == np.float32(0.5 - 1.0 * 2.0 / 3.0)


@pytest.mark.parametrize(
    ("variance", "told"),
    [(-1.0, "factor is nan in channel 2"), (0.0, "inf in channel 2"), (np.nan, "is nan in channel 2")],
)
def test_a_useless_variance_is_left_alone(variance: float, told: str) -> None:
    net = Net()
    y = net.conv(net.input(1, 3, 6, 6), 4, 3, 3)
    before = net.graph(net.norm(y, variance=np.array([1.0, 1.0, variance, 1.0]), epsilon=0.0))
    result = apply(fold_batch_norm, before)
    assert result.graph.canonical() == before.canonical()
    assert told in why(result, "norm")


def test_the_chain_stops_at_a_useless_variance() -> None:
    net = Net()
    y = net.norm(net.conv(net.input(1, 3, 6, 6), 4, 3, 3), name="good")
    result = apply(fold_batch_norm, net.graph(net.norm(y, name="bad", variance=np.zeros(4), epsilon=0.0)))
    assert layers(result.graph) == ["conv", "bad"]
    assert "factor is " in why(result, "bad")


def test_weights_that_would_overflow_are_left_alone() -> None:
    net = Net()
    weights = net.known(np.full((4, 3, 3, 3), 3e38))
    y = net.apply(Conv((3, 3)), net.input(1, 3, 6, 6), weights, name="conv")
    result = apply(fold_batch_norm, net.graph(net.norm(y, variance=np.full(4, 1e-4))))
    assert "would not be finite" in why(result, "norm")


def test_a_second_reader_forbids_it() -> None:
    net = Net()
    y = net.conv(net.input(1, 3, 6, 6), 4, 3, 3)
    result = apply(fold_batch_norm, net.graph(net.add(net.norm(y), y)))
    assert layers(result.graph) == ["conv", "norm", "add"]
    assert why(result, "norm") == "the result of 'conv' is read 2 times"


def test_two_norms_of_one_result_are_both_told_why() -> None:
    net = Net()
    y = net.conv(net.input(1, 3, 6, 6), 4, 3, 3)
    result = apply(fold_batch_norm, net.graph(net.norm(y, name="a"), net.norm(y, name="b")))
    assert why(result, "a") == why(result, "b") == "the result of 'conv' is read 2 times"


def test_an_output_forbids_it() -> None:
    net = Net()
    y = net.conv(net.input(1, 3, 6, 6), 4, 3, 3)
    result = apply(fold_batch_norm, net.graph(net.norm(y), y))
    assert why(result, "norm") == "the result of 'conv' leaves the graph"


def test_run_time_weights_forbid_it() -> None:
    net = Net()
    x, w = net.input(1, 3, 6, 6), net.input(4, 3, 3, 3, name="w")
    result = apply(fold_batch_norm, net.graph(net.norm(net.apply(Conv((3, 3)), x, w, name="conv"))))
    assert why(result, "norm") == "the weights of 'conv' are known only at run time"


def test_run_time_statistics_forbid_it() -> None:
    net = Net()
    y = net.conv(net.input(1, 3, 6, 6), 4, 3, 3)
    vectors = [net.weights(4), net.weights(4), net.input(4, name="mean"), net.known(np.ones(4))]
    result = apply(fold_batch_norm, net.graph(net.apply(BatchNormalization(), y, *vectors, name="norm")))
    assert why(result, "norm") == "its statistics are known only at run time"


def test_a_norm_without_convolution_is_told_so() -> None:
    net = Net()
    result = apply(fold_batch_norm, net.graph(net.norm(net.relu(net.input(1, 3, 6, 6)))))
    assert why(result, "norm") == "no convolution or dense layer stands before it"


def test_new_names_do_not_take_those_of_later_layers() -> None:
    net = Net()
    y = net.norm(net.conv(net.input(1, 3, 6, 6), 4, 3, 3))
    result = apply(fold_batch_norm, net.graph(net.relu(y, name="conv.folded")))
    assert layers(result.graph) == ["conv", "conv.folded"]


def test_folds_into_a_transposed_convolution() -> None:
    for groups in (1, 2):
        net = Net()
        x, w = net.input(1, 4, 5, 6), net.weights(4, 3, 3, 2)
        y = net.apply(ConvTranspose((3, 2), 2, padding=1, groups=groups), x, w, net.weights(3 * groups), name="up")
        before = net.graph(net.norm(y))
        result = apply(fold_batch_norm, before)
        assert layers(result.graph) == ["up"]
        assert_within_bounds(before, result.graph)


def test_sums_of_constants_are_shifts() -> None:
    net = Net()
    y = net.conv(net.input(1, 3, 6, 6), 4, 3, 3, bias=True)
    y = net.add(net.add(y, net.weights(4, 1, 1), name="first"), net.weights(1), name="second")
    before = net.graph(net.norm(net.add(net.weights(1, 4, 1, 1), y, name="third")))
    result = apply(fold_batch_norm, before)
    assert layers(result.graph) == ["conv"]
    assert result.fired[0].detail == "absorbs first, second, third, norm"
    assert_within_bounds(before, result.graph)


def test_what_differs_within_a_channel_is_no_shift() -> None:
    net = Net()
    y = net.conv(net.input(1, 3, 6, 6), 4, 3, 3)
    before = net.graph(net.add(net.add(y, net.weights(4), name="columns"), net.weights(1, 4, 4, 4), name="pixels"))
    result = apply(fold_batch_norm, before)
    assert result.graph.canonical() == before.canonical() and not result.log


def test_folds_through_a_concatenation() -> None:
    net = Net()
    x = net.input(1, 3, 6, 6)
    inner = net.apply(Concat(), net.conv(x, 2, 1, 1, name="b"), net.conv(x, 3, 1, 1, name="c", bias=True))
    before = net.graph(net.norm(net.norm(net.apply(Concat(), net.conv(x, 4, 1, 1, name="a"), inner)), name="again"))
    result = apply(fold_batch_norm, before)
    assert layers(result.graph) == ["b", "c", "concat", "a", "concat_1"]
    assert [entry.detail for entry in result.fired] == ["absorbs norm, again"] * 3
    assert_within_bounds(before, result.graph)


def test_a_concatenation_folds_as_a_whole_or_not_at_all() -> None:
    net = Net()
    x = net.input(1, 3, 6, 6)
    parts = net.conv(x, 4, 1, 1, name="a"), net.relu(net.conv(x, 4, 1, 1, name="b"))
    result = apply(fold_batch_norm, net.graph(net.norm(net.apply(Concat(), *parts))))
    assert layers(result.graph) == ["a", "b", "relu", "concat", "norm"]
    assert why(result, "norm") == "no convolution or dense layer stands before it"


def test_a_concatenation_along_another_axis_is_left_alone() -> None:
    net = Net()
    x = net.input(1, 3, 6, 6)
    parts = (net.conv(x, 4, 1, 1, name=name) for name in "ab")
    assert not apply(fold_batch_norm, net.graph(net.norm(net.apply(Concat(2), *parts)))).fired


@pytest.mark.parametrize("op", [Mul, Sub, Div, Add])
@pytest.mark.parametrize("first", [False, True])
def test_arithmetic_with_constants_is_a_scale_and_shift(op: type[Op], first: bool) -> None:
    net = Net()
    y = net.conv(net.input(1, 3, 6, 6), 4, 3, 3, bias=True)
    known = net.weights(4, 1, 1)
    before = net.graph(net.apply(op(), *((known, y) if first else (y, known)), name="step"))
    result = apply(fold_batch_norm, before)
    if op is Div and first:  # a constant divided by the result
        assert layers(result.graph) == ["conv", "step"] and not result.log
    else:
        assert layers(result.graph) == ["conv"]
    assert_within_bounds(before, result.graph)
