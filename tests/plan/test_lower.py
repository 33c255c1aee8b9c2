"""Graph → works: what a fused node becomes."""

from __future__ import annotations

from cnncc.computation import Interleave, Pointwise
from cnncc.ops import (
    Add,
    BatchNormalization,
    Conv,
    ConvTranspose,
    Dense,
    Flatten,
    LeakyRelu,
    MaxPool,
    Mish,
    Relu,
)
from cnncc.plan.lower import lower
from tests.graphs import Net, assert_same_bits, check, compilation, native, runnable_targets


def test_results_of_one_layer_have_names_of_their_own() -> None:
    """A pool in three dimensions leaves the epilogue; the batch norm after it makes three results under one label."""
    net = Net()
    x = net.input(1, 2, 4, 4, 4)
    y = net.apply(Conv((1, 1, 1)), x, net.weights(3, 2, 1, 1, 1))
    y = net.apply(MaxPool((2, 2, 2)), y)
    y = net.apply(BatchNormalization(), y, *(net.weights(3) for _ in range(3)), net.known(net.random(3) ** 2 + 1))
    y = net.apply(Relu(), y)
    check(net.graph(y), net.feeds, precision="strict")
    works = lower(compilation(net.graph(y), precision="strict").optimised.graph).works
    assert len({work.result for work in works}) == len(works)


def test_an_epilogue_holds_everything_in_two_dimensions() -> None:
    net = Net()
    x = net.input(1, 2, 6, 6)
    y = net.apply(Conv((3, 3), padding="same"), x, net.weights(4, 2, 3, 3), net.weights(4))
    y = net.apply(Add(), y, net.input(1, 4, 6, 6, name="residual"))
    y = net.apply(MaxPool((2, 2)), net.apply(Relu(), y))
    (work,) = lower(compilation(net.graph(y)).optimised.graph).works
    assert work.pool is not None and len(work.extras) == 1


def test_what_no_input_reaches_is_known_also_where_layers_are_fused() -> None:
    """All that is left of this transposed convolution lies between its taps: it is its bias."""
    net = Net()
    y = net.apply(ConvTranspose((1,), 3, 1, ((1, 1),)), net.input(1, 2, 2), net.weights(2, 5, 1), net.weights(5))
    y = net.apply(LeakyRelu(0.5), net.apply(Mish(), y))
    graph = net.graph(net.apply(Conv((1,)), y, net.weights(3, 5, 1, arrive=True)), y)
    assert len(lower(compilation(graph).optimised.graph).works) == 1
    check(graph, net.feeds)


def test_a_residual_of_a_dense_layer_over_an_image_is_flat() -> None:
    """The layer reads the image as a window; what is added has the two axes of its result (seed 304918)."""
    net = Net()
    x = net.input(1, 4, 6, 6)
    image = net.apply(Conv((3, 3)), x, net.weights(32, 4, 3, 3))
    flat = net.apply(Flatten(), image)
    y = net.apply(Dense(), flat, net.weights(5, net.shape(flat)[1]))
    check(net.graph(net.apply(Add(), y, net.input(1, 5, name="residual"))), net.feeds)


def test_the_phases_of_a_transposed_convolution_hold_its_epilogue() -> None:
    """All but what runs along the interleaved axes: that is added when the phases are in their places."""
    net = Net()
    x = net.input(1, 3, 4, 5)
    y = net.apply(ConvTranspose((4, 4), 2, 1, 1), x, net.weights(3, 5, 4, 4), net.weights(5))
    y = net.apply(BatchNormalization(), y, *(net.weights(5) for _ in range(3)), net.known(net.random(5) ** 2 + 1))
    y = net.apply(Relu(), net.apply(Add(), y, net.weights(5, 1, 1, arrive=True)))
    z = net.apply(LeakyRelu(0.5), net.apply(Add(), y, net.input(1, 5, 8, 10, name="residual")))
    for result, wanted in ((y, 0), (z, 1)):
        graph = net.graph(result)
        works = lower(compilation(graph, precision="strict").optimised.graph).works
        assert sum(isinstance(work.computation, Interleave) for work in works) == 3
        assert sum(isinstance(work.computation, Pointwise) for work in works) == wanted
        feeds = {name: net.feeds[name] for name in graph.inputs}
        for target in runnable_targets():
            check(graph, feeds, target, precision="strict")
        assert_same_bits(*(native(compilation(graph, off=off), feeds) for off in ((), ("fuse",))))


def test_phases_that_no_tap_reaches_keep_the_epilogue_apart() -> None:
    net = Net()
    x = net.input(1, 3, 4, 5)
    y = net.apply(ConvTranspose((2, 1), 3), x, net.weights(3, 5, 2, 1), net.weights(5))
    check(net.graph(net.apply(Mish(), y)), net.feeds)
