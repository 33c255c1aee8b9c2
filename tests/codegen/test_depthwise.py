"""Depthwise convolution: every window, width and border, split into rows anyhow, against the interpreter."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
import pytest

from cnncc.errors import ShapeError
from cnncc.ir import Graph, Value
from cnncc.ops import Add, AveragePool, Conv, MaxPool, Relu
from cnncc.plan.cost import step
from cnncc.plan.kernels import Depthwise, Fill
from cnncc.runtime.model import Model
from cnncc.types import Array, TensorType
from tests.graphs import (
    Net,
    assert_same_bits,
    bits,
    call,
    check,
    compilation,
    expected,
    native,
    runnable_targets,
    worst_ratio,
)

pytestmark = pytest.mark.combinations

TARGETS = list(runnable_targets())


@pytest.fixture(autouse=True)
def channels_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel of these tests, also where a planar image had better stay planar."""
    monkeypatch.setattr(step, "PLANAR_DEPTHWISE", math.inf)


def depthwise(net: Net, x: Value, op: Conv, *, bias: bool = True) -> Value:
    channels = net.shape(x)[1]
    return net.apply(op, x, net.weights(channels, 1, *op.kernel), *([net.weights(channels)] if bias else []))


def each(
    kernel: int, stride: int | tuple[int, int] = 1, dilation: int = 1, padding: object = "same", *, channels: int
) -> Conv:
    return Conv((kernel, kernel), stride, dilation, padding, channels)  # type: ignore[arg-type]


def fits(op: Conv, shape: tuple[int, ...]) -> bool:
    try:
        op.infer(TensorType(shape), TensorType((shape[1], 1, *op.kernel)))
    except ShapeError:
        return False
    return True


def geometries(seed: int) -> Iterator[tuple[tuple[int, ...], Conv]]:
    """Kernels 1 to 7, strides and dilations 1 to 3, borders of all kinds, widths 1 to 40, channels of all tails."""
    rng = np.random.default_rng(seed)
    for height, width in zip(rng.permutation(7) + 1, rng.permutation(7) + 1, strict=True):
        channels = int(rng.choice([9, 16, 24, 31, 32, 40, 50, 64]))
        shape = 1, channels, int(rng.integers(1, 20)), int(rng.integers(1, 41))
        stride, dilation = (tuple(int(n) for n in rng.integers(1, 4, 2)) for _ in range(2))
        sides = tuple((int(low), int(high)) for low, high in rng.integers(0, 4, (2, 2)))
        padding = ["valid", "same", "full", sides][int(rng.integers(4))]
        op = Conv((int(height), int(width)), stride, dilation, padding, channels)
        if fits(op, shape):
            yield shape, op


def network(seed: int) -> tuple[Graph, dict[str, Array]]:
    net = Net(seed)
    outputs = []
    for number, (shape, op) in enumerate(geometries(seed)):
        y = depthwise(net, net.input(*shape), op, bias=number % 3 > 0)
        outputs.append(net.apply(Relu(), y) if number % 2 else y)
    return net.graph(*outputs), net.feeds


@pytest.mark.parametrize("seed", range(20))
def test_every_geometry(seed: int) -> None:
    graph, feeds = network(seed)
    compiled = compilation(graph)
    assert sum(isinstance(step.kernel, Depthwise) for step in compiled.plan.steps) == len(graph.outputs)
    found = native(compiled, feeds)
    worst_ratio(found, expected(compiled, feeds))
    for threads in (2, 3, 7):
        assert_same_bits(native(compiled, feeds, threads), found, f"{threads} threads")


@pytest.mark.parametrize("target", TARGETS)
def test_geometries_on_every_target(target: str) -> None:
    graph, feeds = network(10)
    found = check(graph, feeds, target)
    assert_same_bits(native(compilation(graph, target, checked=True), feeds, threads=3), found, "checked")


def test_every_width() -> None:
    """Balanced tiles, with a border of one on both sides, of one channel vector and more."""
    net, outputs = Net(), []
    for width in range(1, 41):
        channels = 9 + width % 9
        outputs.append(depthwise(net, net.input(1, channels, 3, width), each(3, channels=channels)))
    graph = net.graph(*outputs)
    check(graph, net.feeds)


@pytest.mark.parametrize("channels", [24, 32, 40, 50, 64, 90])
def test_two_vectors_of_channels_at_a_time(channels: int) -> None:
    """Where a stride makes reading the longer part; what is left at the end slides back, if there is enough."""
    net, outputs = Net(), []
    for height, width in ((3, 7), (8, 15), (29, 29), (5, 60)):
        x = net.input(1, channels, height, width)
        outputs.append(net.apply(Relu(), depthwise(net, x, each(3, 2, channels=channels))))
        outputs.append(net.apply(MaxPool((2, 2)), depthwise(net, x, each(2, 2, channels=channels), bias=False)))
        outputs.append(depthwise(net, x, each(1, (2, 3), channels=channels)))
    graph = net.graph(*outputs)
    compiled = compilation(graph)
    found = native(compiled, net.feeds)
    worst_ratio(found, expected(compiled, net.feeds))
    for threads in (2, 5):
        assert_same_bits(native(compiled, net.feeds, threads), found, f"{threads} threads")
    assert_same_bits(native(compilation(graph, checked=True), net.feeds), found, "checked")


@pytest.mark.parametrize("height", range(1, 12))
def test_rows_split_anyhow(height: int) -> None:
    """Tiles of several rows in the middle, single rows at the edges and at the seams of shards."""
    net = Net()
    x = net.input(1, 20, height, 9)
    outputs = [
        depthwise(net, x, each(3, channels=20)),
        depthwise(net, x, each(5, 2, channels=20)),
        depthwise(net, x, each(3, 1, 2, channels=20)),
    ]
    compiled = compilation(net.graph(*outputs))
    wanted = native(compiled, net.feeds)
    worst_ratio(wanted, expected(compiled, net.feeds))
    with_border = compilation(net.graph(*outputs), borders="all")
    assert_same_bits(native(with_border, net.feeds), wanted, "a border")
    for threads in range(2, height + 2):
        with Model(compiled.build(), threads=threads) as model:
            assert_same_bits(call(model, net.feeds), wanted, f"{threads} threads")


def test_edges_and_borders_give_the_same_bits_for_what_is_not_finite() -> None:
    """The multiply-add with the fill is performed either way, also where a weight is infinite or NaN."""
    net = Net()
    x = net.apply(Relu(), net.input(1, 16, 6, 7))
    weights = net.random(16, 1, 3, 3)
    weights[3, 0, 0, 1], weights[7, 0, 2, 2], weights[9, 0, 1, 0] = np.inf, np.nan, -np.inf
    y = net.apply(Conv((3, 3), padding="same", groups=16), x, net.known(weights))
    direct = net.apply(Conv((3, 3), padding="same"), x, net.weights(16, 16, 3, 3))
    graph = net.graph(y, direct)
    haloed = compilation(graph, borders="all")
    assert any(isinstance(step.kernel, Fill) for step in haloed.plan.steps)
    clipped = native(compilation(graph, borders="none"), net.feeds)
    assert_same_bits(native(haloed, net.feeds), clipped)
    assert np.isnan(clipped["y0"][0, 3, 0]).all()


def test_no_border_is_filled_for_a_depthwise_kernel() -> None:
    net = Net()
    x = net.apply(Relu(), net.input(1, 16, 6, 7))
    compiled = compilation(net.graph(depthwise(net, x, each(3, channels=16))), borders="all")
    assert not any(isinstance(step.kernel, Fill) for step in compiled.plan.steps)


@pytest.mark.parametrize("target", TARGETS)
def test_epilogues(target: str) -> None:
    """Pools side by side in registers, and a residual, with tiles of several rows and tails everywhere."""
    net, outputs = Net(), []
    for size in (4, 5, 9, 17):
        x = net.input(1, 20, size, size + 1)
        y = net.apply(Relu(), depthwise(net, x, each(3, channels=20)))
        outputs.append(net.apply(MaxPool((2, 2)), y))
        outputs.append(net.apply(AveragePool((3, 1)), depthwise(net, x, each(2, channels=20))))
        outputs.append(net.apply(Add(), depthwise(net, x, each(3, channels=20)), x))
    check(net.graph(*outputs), net.feeds, target)


@pytest.mark.parametrize("rank", [1, 3])
def test_lines_and_volumes(rank: int) -> None:
    net, outputs = Net(), []
    rng = np.random.default_rng(rank)
    for number in range(25):
        channels = int(rng.choice([9, 16, 24, 31]))
        shape = 1, channels, *(int(n) for n in rng.integers(1, 40 if rank == 1 else 8, rank))
        kernel, stride, dilation = (tuple(int(n) for n in rng.integers(1, most, rank)) for most in (5, 4, 4))
        op = Conv(kernel, stride, dilation, ["same", "full", "valid"][number % 3], channels)
        if fits(op, shape):
            outputs.append(depthwise(net, net.input(*shape), op))
    compiled = compilation(net.graph(*outputs))
    found = native(compiled, net.feeds)
    worst_ratio(found, expected(compiled, net.feeds))
    for threads in (2, 5):
        assert_same_bits(native(compiled, net.feeds, threads), found, f"{threads} threads")


def test_large_windows() -> None:
    """Loops over taps instead of long code; more edge tiles than have code of their own."""
    net, outputs = Net(), []
    for shape, op in (
        ((1, 20, 23, 40), Conv((21, 19), padding="same", groups=20)),
        ((1, 16, 1, 90), Conv((1, 70), padding="full", groups=16)),
        ((1, 16, 5, 90), Conv((3, 3), 1, (1, 40), ((1, 1), (40, 40)), 16)),
        ((1, 18, 300), Conv((270,), padding="same", groups=18)),
    ):
        outputs.append(depthwise(net, net.input(*shape), op))
    check(net.graph(*outputs), net.feeds)


@pytest.mark.parametrize("target", TARGETS)
def test_one_chain_for_each_output(target: str) -> None:
    """The order of the sum is that of the taps, from the bias on: exact where float64 arithmetic can say so."""
    net = Net()
    x = net.input(1, 16, 5, 9)
    w, b = net.random(16, 1, 2, 2), net.random(16)
    y = net.apply(Conv((2, 2), groups=16), x, net.known(w), net.known(b))
    found = native(compilation(net.graph(y), target), net.feeds)["y0"]
    kept = (
        np.float64 if runnable_targets()[target].fma else np.float32
    )  # of a product: it is rounded before it is added
    data, total = net.feeds["x"].astype(np.float64), np.broadcast_to(b[None, :, None, None], found.shape)
    for row, column in itertools.product(range(2), range(2)):
        product = data[:, :, row : row + 4, column : column + 8] * w[:, 0, row, column][None, :, None, None]
        total = (product.astype(kept) + total).astype(np.float32)  # rounds twice at most rarely, where it is exact
    assert (bits(found) == bits(total)).mean() > 0.999


@pytest.mark.parametrize("stride", [1, 2])
def test_a_planar_layer_between_planar_tensors(stride: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With stride 1 filters along the columns save two copies; with and without a pool behind it."""
    monkeypatch.undo()
    net = Net()
    x = net.input(1, 64, 30, 33)
    op = Conv((3, 3), stride, padding="same", groups=64)
    y = depthwise(net, x, op)
    graph = net.graph(y, net.apply(MaxPool((2, 2)), depthwise(net, x, op)))
    kernels = [step.kernel for step in compilation(graph, "x86-64-v4").plan.steps]
    assert any(isinstance(kernel, Depthwise) for kernel in kernels) == (stride == 2)
    check(graph, net.feeds)
