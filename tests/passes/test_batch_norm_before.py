from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncc.ops import Conv, ConvTranspose
from cnncc.passes.batch_norm_before import fold_batch_norm_before

from .support import Net, apply, assert_within_bounds, layers, why


@pytest.mark.parametrize(
    ("shape", "outputs", "kernel", "how"),
    [
        ((1, 3, 8, 9), 5, (3, 3), {}),
        ((2, 4, 7, 6), 6, (3, 2), {"groups": 2, "bias": True}),
        ((1, 6, 9, 9), 6, (5, 5), {"stride": 2, "groups": 6}),
        ((1, 4, 5, 6), 8, (1, 1), {"padding": "same", "bias": True}),
        ((1, 3, 20), 4, (4,), {"dilation": 2}),
    ],
)
def test_folds_into_convolutions_that_do_not_pad(
    shape: tuple[int, ...], outputs: int, kernel: tuple[int, ...], how: dict[str, Any]
) -> None:
    net = Net()
    before = net.graph(net.conv(net.norm(net.input(*shape)), outputs, *kernel, **how))
    result = apply(fold_batch_norm_before, before)
    assert layers(result.graph) == ["conv"]
    (fired,) = result.fired
    assert fired.tag == "rounding" and fired.layer == "conv" and "norm" in fired.detail and "2^-24" in fired.bound
    assert_within_bounds(before, result.graph)


@pytest.mark.parametrize("bias", [False, True])
def test_folds_into_a_dense_layer(bias: bool) -> None:
    net = Net()
    before = net.graph(net.dense(net.norm(net.input(3, 12)), 7, bias=bias))
    result = apply(fold_batch_norm_before, before)
    assert layers(result.graph) == ["dense"]
    assert_within_bounds(before, result.graph)


def test_folds_a_chain_into_several_readers() -> None:
    net = Net()
    y = net.norm(net.add(net.input(1, 3, 6, 6), net.weights(3, 1, 1)))
    before = net.graph(net.conv(y, 4, 3, 3, name="a"), net.conv(y, 2, 1, 1, name="b"))
    result = apply(fold_batch_norm_before, before)
    assert layers(result.graph) == ["a", "b"]
    assert [entry.detail for entry in result.fired] == ["absorbs add, norm"] * 2
    assert_within_bounds(before, result.graph)


def test_padding_forbids_a_shift() -> None:
    net = Net()
    before = net.graph(net.conv(net.norm(net.input(1, 3, 6, 6)), 4, 3, 3, padding=1))
    result = apply(fold_batch_norm_before, before)
    assert result.graph.canonical() == before.canonical()
    assert why(result, "norm") == "'conv' pads its input with zeros, which the shift would have to leave out"


def scaled(net: Net, *shape: int) -> Any:
    """A batch norm that only scales."""
    channels, zero = shape[1], net.known(np.zeros(shape[1]))
    from cnncc.ops import BatchNormalization

    inputs = net.weights(channels), zero, zero, net.known(np.ones(channels))
    return net.apply(BatchNormalization(), net.input(*shape), *inputs, name="norm")


def test_padding_allows_a_factor() -> None:
    net = Net()
    before = net.graph(net.conv(scaled(net, 1, 3, 6, 6), 4, 3, 3, padding=1))
    result = apply(fold_batch_norm_before, before)
    assert layers(result.graph) == ["conv"]
    assert_within_bounds(before, result.graph)


def test_a_transposed_convolution_takes_a_factor_only() -> None:
    net = Net()
    up = ConvTranspose((3, 3), 2, groups=2)
    before = net.graph(net.apply(up, scaled(net, 1, 4, 5, 5), net.weights(4, 3, 3, 3), name="up"))
    result = apply(fold_batch_norm_before, before)
    assert layers(result.graph) == ["up"]
    assert_within_bounds(before, result.graph)
    net = Net()
    before = net.graph(net.apply(up, net.norm(net.input(1, 4, 5, 5)), net.weights(4, 3, 3, 3), name="up"))
    assert "do not all sum over the same taps" in why(apply(fold_batch_norm_before, before), "norm")


def test_another_reader_or_an_output_forbids_it() -> None:
    net = Net()
    y = net.norm(net.input(1, 3, 6, 6))
    result = apply(fold_batch_norm_before, net.graph(net.conv(y, 4, 3, 3), net.relu(y)))
    assert why(result, "norm") == "'relu' (Relu), which reads it, is no convolution or dense layer"
    net = Net()
    y = net.norm(net.input(1, 3, 6, 6))
    result = apply(fold_batch_norm_before, net.graph(net.conv(y, 4, 3, 3), y))
    assert why(result, "norm") == "the result of 'norm' leaves the graph"


def test_a_norm_that_makes_the_weights_stays() -> None:
    net = Net()
    y = net.norm(net.input(4, 3, 3, 3))
    result = apply(fold_batch_norm_before, net.graph(net.apply(Conv((3, 3)), net.input(1, 3, 6, 6, name="z"), y)))
    assert "is no convolution" in why(result, "norm")


def test_run_time_weights_forbid_it() -> None:
    net = Net()
    w = net.input(4, 3, 3, 3, name="w")
    result = apply(fold_batch_norm_before, net.graph(net.apply(Conv((3, 3)), net.norm(net.input(1, 3, 6, 6)), w)))
    assert why(result, "norm") == "the weights of 'conv' are known only at run time"
