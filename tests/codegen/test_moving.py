"""Ops that arrange, between ops that calculate: views, insets, tables and rings in all combinations."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cnncc.ir import Value
from cnncc.ops import (
    Add,
    AveragePool,
    ChannelShuffle,
    Concat,
    Conv,
    ConvTranspose,
    Dense,
    DepthToSpace,
    Expand,
    Flatten,
    Gather,
    Identity,
    MatMul,
    MaxPool,
    Pad,
    Relu,
    Reshape,
    Resize,
    Slice,
    Softmax,
    SpaceToDepth,
    SpectralPool,
    Tile,
    Transpose,
)
from tests.graphs import Net, assert_same_bits, check, compilation, expected, native, sprinkled, worst_ratio

pytestmark = pytest.mark.combinations

REVERSED = Slice((-1,), (-99,), (3,), (-1,))


def conv(net: Net, x: Value, outputs: int = 16, taps: int = 3, **options: object) -> Value:
    kernel = (taps,) * (len(net.shape(x)) - 2)
    return net.apply(Conv(kernel, **options), x, net.weights(outputs, net.shape(x)[1], *kernel))


def pads(net: Net, low: int, high: int, *more: object) -> Pad:
    return Pad(((0, 0), (0, 0), (low, high), (high, low)), *more)


def padded(net: Net, x: Value) -> list[Value]:
    """Each mode between two convolutions; the constant one holds what the first one computes."""
    found = []
    for more in ((), ("constant", -2.0), ("reflect",), ("edge",), ("wrap",)):
        y = conv(net, net.apply(pads(net, 2, 1, *more), conv(net, x)))
        found.append(net.apply(MaxPool((3, 3), 2, 1), y))
    return found


def twice_inset(net: Net, x: Value) -> list[Value]:
    """A tensor in a tensor in a tensor; the inner ones are read too."""
    y = conv(net, x)
    first = net.apply(pads(net, 1, 0, "constant", 3.0), y)
    second = net.apply(pads(net, 0, 2, "constant", -3.0), first)
    return [conv(net, second), conv(net, first), net.apply(Relu(), y)]


def upsampled(net: Net, x: Value) -> list[Value]:
    """A small U: down, up by each resize and by a transposed convolution, joined with what was before."""
    down = net.apply(MaxPool((2, 2)), conv(net, x, padding="same"))
    size = net.shape(x)[2:]
    found = []
    for mode in ("nearest", "linear", "cubic"):
        up = net.apply(Resize(size, mode=mode), down)
        found.append(conv(net, net.apply(Concat(), up, x)))
    transposed = net.apply(ConvTranspose((2, 2), 2), down, net.weights(16, 5, 2, 2))
    grown = [(0, big - small) for big, small in zip(size, net.shape(transposed)[2:], strict=True)]
    return [*found, conv(net, net.apply(Concat(), net.apply(Pad(((0, 0), (0, 0), *grown)), transposed), x))]


def shuffled(net: Net, x: Value) -> list[Value]:
    y = conv(net, x, 24)
    y = net.apply(Conv((3, 3), groups=3), net.apply(ChannelShuffle(3), y), net.weights(24, 8, 3, 3))
    up = net.apply(DepthToSpace(2), y)
    down = net.apply(SpaceToDepth(2), up)
    return [conv(net, net.apply(DepthToSpace(2, "CRD"), y)), conv(net, down), net.apply(Relu(), up)]


def sliced(net: Net, x: Value) -> list[Value]:
    """Steps and reversals of what a convolution made, read by convolutions, pools and outputs."""
    y = conv(net, x)
    backwards = net.apply(REVERSED, y)
    odd = net.apply(Slice((1, 0), (99, 99), (2, 3), (2, 3)), y)
    chosen = net.apply(Gather((3, 1, 1, 9), 1), y)
    return [conv(net, backwards), conv(net, odd, taps=1), net.apply(MaxPool((2, 2)), backwards), chosen, odd, backwards]


def repeated(net: Net, x: Value) -> list[Value]:
    y = net.apply(AveragePool(net.shape(x)[2:]), conv(net, x, padding="same"))
    wide = net.apply(Expand((1, 1, *net.shape(x)[2:])), y)
    tiled = net.apply(Tile((1, 2, 1, 2)), conv(net, x))
    return [conv(net, wide), conv(net, tiled), net.apply(Add(), wide, conv(net, x, padding="same")), tiled]


def turned(net: Net, x: Value) -> list[Value]:
    """Channels last as a tensor of its own, and back; an image as a matrix."""
    last = net.apply(Transpose((0, 2, 3, 1)), conv(net, x))
    back = net.apply(Transpose((0, 3, 1, 2)), net.apply(Relu(), last))
    flat = net.apply(Dense(), net.apply(Flatten(), last), net.weights(7, net.shape(last)[1] * net.shape(last)[2] * 16))
    return [conv(net, back), last, flat, conv(net, net.apply(Transpose((0, 1, 3, 2)), x))]


def attention(net: Net, x: Value) -> list[Value]:
    """softmax(Q·Kᵀ)·V over the pixels."""
    _, c, h, w = net.shape(x)
    tokens = net.apply(Transpose((0, 2, 1)), net.apply(Reshape((0, c, h * w)), x))
    q, k, v = (net.apply(MatMul(), tokens, net.weights(c, 12)) for _ in range(3))
    scores = net.apply(Softmax(-1), net.apply(MatMul(), q, net.apply(Transpose((0, 2, 1)), k)))
    mixed = net.apply(MatMul(), scores, v)
    return [net.apply(Add(), net.apply(MatMul(), mixed, net.weights(12, c)), tokens), scores]


def mixed(net: Net, x: Value) -> list[Value]:
    """The spectral map of what a convolution made; a pool in ceil mode and one with dilation after an identity."""
    y = net.apply(Identity(), conv(net, x))
    return [
        conv(net, net.apply(SpectralPool((4, 3)), y)),
        conv(net, net.apply(MaxPool((3, 3), 2, ceil_mode=True), y), taps=2),
        net.apply(AveragePool((2, 3), 2, 1, 2, True, True), y),
    ]


Build = Callable[[Net, Value], list[Value]]
BUILDS: list[Build] = [padded, twice_inset, upsampled, shuffled, sliced, repeated, turned, attention, mixed]


@pytest.mark.parametrize("shape", [(1, 8, 9, 12), (2, 3, 8, 10)], ids=str)
@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.__name__)
def test_between_convolutions(build: Build, shape: tuple[int, ...]) -> None:
    net = Net()
    graph = net.graph(*build(net, net.input(*shape)))
    compiled = compilation(graph, borders="all")
    for feeds in (net.feeds, sprinkled(net.feeds, 1, 0.01)):
        worst_ratio(native(compiled, feeds), expected(compiled, feeds))
    check(graph, net.feeds, borders="none", checked=True)


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.__name__)
def test_streaming_changes_no_bit(build: Build) -> None:
    net = Net()
    graph = net.graph(*build(net, net.input(1, 5, 13, 11)))
    whole = native(compilation(graph, streaming="none"), net.feeds)
    for options in ({"streaming": "chains"}, {"streaming": "pools"}, {"streaming": "chains", "borders": "all"}):
        assert_same_bits(native(compilation(graph, **options), net.feeds), whole, str(options))


@pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.__name__)
def test_threads_and_numbers_of_images_change_no_bit(build: Build) -> None:
    """The plan is for one image; N = 1, 2, 3 and two shards run the same code."""
    net = Net()
    graph = net.graph(*build(net, net.input(1, 4, 10, 8)))
    compiled = compilation(graph)
    one = native(compiled, net.feeds)
    assert_same_bits(native(compiled, net.feeds, threads=2), one, "two threads")
    assert compiled.plan.batchable
    for images in (2, 3):
        several = native(compiled, {name: data.repeat(images, 0) for name, data in net.feeds.items()})
        for image in range(images):
            assert_same_bits({name: data[image : image + 1] for name, data in several.items()}, one, f"image {image}")


@pytest.mark.parametrize("rank", [1, 3])
def test_other_ranks(rank: int) -> None:
    net = Net()
    shape = (2, 9, 6, 5, 4)[: rank + 2]
    y = conv(net, net.input(*shape), padding="same")
    every = ((0, 0), (0, 0), *((1, 2),) * rank)
    outputs = [
        conv(net, net.apply(op, y), padding="same")
        for op in (
            Pad(every),
            Pad(every, "reflect"),
            Resize((7,) * rank, mode="linear"),
            Resize((3,) * rank),
            Slice((0,), (-1,), (-1,)),
            Slice((-1,), (-99,), (2,), (-2,)),
            SpectralPool((3,) * rank),
            Tile((1, 1, *(2,) * rank)),
        )
    ]
    check(net.graph(*outputs), sprinkled(net.feeds, 1, 0.01), checked=True)
