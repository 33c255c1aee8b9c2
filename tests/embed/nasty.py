"""Networks whose kernels have to end exactly where their data does: odd channels, tails, every rank, every op."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import cnncc
from cnncc.ir import Graph, Value
from cnncc.ops import (
    Add,
    AveragePool,
    BatchNormalization,
    Concat,
    Conv,
    Dense,
    Flatten,
    MaxPool,
    Relu,
    Softmax,
    Split,
    TopK,
)
from cnncc.types import Array
from tests.graphs import Net, of_weights, one_op
from tests.ops.cases import data, indexed_samples, of_floats, samples, wild

from .support import EXAMPLES

STREAMINGS = ("none", "pools", "cost", "chains")


@dataclass(frozen=True)
class Case:
    """A graph, its inputs, further inputs of it, and the options of its plan."""

    name: str
    graph: Graph
    feeds: dict[str, Array]
    options: dict[str, Any] = field(default_factory=dict)
    more: tuple[dict[str, Array], ...] = ()


def cases() -> Iterator[Case]:
    """The digits network, every sample of every op with its weights constant and arriving, and the nasty ones."""
    pictures = np.load(EXAMPLES / "digits" / "held_out.npz")["images"]
    digits = cnncc.load_graph(EXAMPLES / "digits.py")
    yield Case("digits", digits, {"input": (pictures[:1, None] / 255).astype(np.float32)})
    for sample in samples():
        arrays = data(sample)
        if sample in indexed_samples():
            continue
        for known in {0, len(arrays) - 1} if of_floats(sample) else {0}:
            yield Case(f"{sample.op}, {known} known", *one_op(sample.op, *arrays, known=range(1, 1 + known)))
    for sample in indexed_samples():
        graph, feeds = one_op(sample.op, *data(sample))
        beyond = dict(zip(feeds, wild(sample), strict=True))
        yield Case(f"{sample.op}, indices beyond the ends", graph, beyond, more=(feeds,))
    for make in NETWORKS:
        for streaming in STREAMINGS:
            net = Net()
            graph = net.graph(*make(net))
            yield Case(f"{make.__name__}, streaming {streaming}", graph, net.feeds, {"streaming": streaming})
    for sizes in ((1, 5, 19, 9), (5, 17, 3, 7)):
        yield Case(f"gradient by weights of {sizes}", *of_weights(*sizes))


def conv(net: Net, x: Value, channels: int, *kernel: int, arrive: bool = False, **attributes: object) -> Value:
    """A convolution with random weights and a bias."""
    groups = attributes.get("groups", 1)
    assert isinstance(groups, int)
    weights = net.weights(channels, net.shape(x)[1] // groups, *kernel, arrive=arrive)
    bias = net.arrives(net.random(channels), "b") if arrive else net.known(net.random(channels))
    return net.apply(Conv(kernel, **attributes), x, weights, bias)  # type: ignore[arg-type]


def odd_channels(net: Net) -> list[Value]:
    x = conv(net, net.input(1, 3, 11, 13), 17, 3, 3, padding="same")
    return [conv(net, net.apply(Relu(), x), 5, 3, 3)]


def one_pixel(net: Net) -> list[Value]:
    x = net.input(1, 1, 1, 1)
    return [conv(net, x, 1, 3, 3, padding="same"), conv(net, x, 33, 1, 1)]


def long_rows(net: Net) -> list[Value]:
    x = conv(net, net.input(2, 7, 101), 9, 5, padding="full", dilation=3)
    return [net.apply(AveragePool((4,), 3, ((1, 2),)), x)]


def volume(net: Net) -> list[Value]:
    x = conv(net, net.input(1, 2, 5, 6, 7), 19, 3, 2, 3, stride=(2, 1, 2), padding="same")
    return [net.apply(MaxPool((2, 2, 2)), x)]


def depthwise(net: Net) -> list[Value]:
    x = conv(net, net.input(1, 21, 9, 10), 21, 3, 3, padding="same", groups=21)
    return [conv(net, x, 13, 1, 1), conv(net, x, 42, 5, 5, stride=2, groups=21)]


def groups(net: Net) -> list[Value]:
    return [conv(net, net.input(1, 6, 7, 7), 9, 3, 3, padding="same", groups=3)]


def overlapping_pools(net: Net) -> list[Value]:
    x = net.apply(Relu(), conv(net, net.input(1, 4, 15, 17), 18, 3, 3, padding="same"))
    return [
        net.apply(MaxPool((3, 3), 2, "same"), x),
        net.apply(AveragePool((5, 5), 1, "same", count_padding=True), x),
        net.apply(MaxPool((2, 2)), x),
    ]


def fused_pool(net: Net) -> list[Value]:
    x = net.apply(Relu(), conv(net, net.input(1, 1, 9, 9), 20, 3, 3, padding="same"))
    return [net.apply(MaxPool((2, 2)), x)]


def residual(net: Net) -> list[Value]:
    x = net.input(2, 10, 6, 6)
    y = conv(net, net.apply(Relu(), conv(net, x, 10, 3, 3, padding="same")), 10, 3, 3, padding="same")
    return [net.apply(Relu(), net.apply(Add(), x, y))]


def weights_that_arrive(net: Net) -> list[Value]:
    x = conv(net, net.input(1, 5, 8, 8), 11, 3, 3, padding="same", arrive=True)
    flat = net.apply(Flatten(), net.apply(MaxPool((2, 2)), x))
    return [net.apply(Dense(), flat, net.weights(7, net.shape(flat)[1], arrive=True), net.arrives(net.random(7), "b"))]


def normalised(net: Net) -> list[Value]:
    x = net.input(1, 23, 5, 5)
    arriving = [net.arrives(net.random(23), "norm") for _ in range(3)]
    variance = net.arrives(np.abs(net.random(23)) + np.float32(0.1), "variance")
    return [net.apply(BatchNormalization(), x, *arriving, variance)]


def split_and_joined(net: Net) -> list[Value]:
    low, middle, high = net.builder.add(Split((1, 5, 7)), (net.input(1, 13, 4, 5),))
    joined = net.apply(Concat(), high, conv(net, middle, 3, 3, 3, padding="same"), low)
    return [joined, net.apply(Concat(axis=3), middle, middle), low]


def softmaxes(net: Net) -> list[Value]:
    x = net.input(3, 37)
    return [net.apply(Softmax(), x), net.apply(Softmax(axis=2), net.input(1, 2, 19, 3, name="z"))]


def dense_tails(net: Net) -> list[Value]:
    x = net.input(1, 3)
    return [net.apply(Dense(), x, net.weights(size, 3), net.known(net.random(size))) for size in (1, 15, 31, 65)]


def ranks(net: Net) -> list[Value]:
    """Lines whose candidates are sorted by counting and by digits, found by sorting and bit by bit."""
    x = net.arrives(np.round(20 * net.random(2, 701)))
    return [y for k in (1, 9, 70, 170, 500) for y in net.builder.add(TopK(k, 1, k > 9), (x,))]


NETWORKS: tuple[Callable[[Net], list[Value]], ...] = (
    odd_channels,
    one_pixel,
    long_rows,
    volume,
    depthwise,
    groups,
    overlapping_pools,
    fused_pool,
    residual,
    weights_that_arrive,
    normalised,
    split_and_joined,
    softmaxes,
    dense_tails,
    ranks,
)
