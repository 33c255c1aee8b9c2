"""Convolutions and dense layers against the interpreter: every kernel, window, layout, tile and border."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from cnncc.compiler import resolve_target
from cnncc.errors import ShapeError
from cnncc.ir import Graph, Value
from cnncc.ops import Conv, Dense, Flatten, Relu
from cnncc.plan.kernels import Depthwise, Direct, Grouped
from cnncc.types import Array
from cnncc.windows import WindowAxis, resolve
from tests.graphs import (
    Net,
    assert_same_bits,
    bits,
    check,
    compilation,
    expected,
    native,
    runnable_targets,
    sprinkled,
    worst_ratio,
)

from .conftest import Force

pytestmark = pytest.mark.combinations

BORDERS = "none", "all"
TARGETS = list(runnable_targets())
LANES = ["channels", "columns"]


def inner(net: Net, x: Value) -> Value:
    """The same image in a buffer of the plan's own, which can bring a border."""
    channels, rank = net.shape(x)[1], len(net.shape(x)) - 2
    same = np.eye(channels, dtype=np.float32).reshape(channels, channels, *(1,) * rank)
    return net.apply(Conv((1,) * rank), x, net.known(same))


def convolved(net: Net, x: Value, outputs: int, op: Conv, *, bias: bool = True, arrive: bool = False) -> Value:
    w = net.weights(outputs, net.shape(x)[1] // op.groups, *op.kernel, arrive=arrive)
    return net.apply(op, x, w, *([net.weights(outputs, arrive=arrive)] if bias else []))


# Exhaustively over small windows


def small_axes() -> list[tuple[int, int, int, int, int, int]]:
    """(size, kernel, stride, dilation, low, high) of every valid window of sizes up to 5."""
    found = []
    for size, kernel, stride, dilation in itertools.product(range(1, 6), range(1, 4), (1, 2), (1, 2)):
        for low, high in ((0, 0), (1, 1), (2, 0), (0, 2), (kernel, kernel - 1)):
            try:
                resolve((size,), (kernel,), (stride,), (dilation,), ((low, high),))
            except ShapeError:
                continue
            found.append((size, kernel, stride, dilation, low, high))
    return found


def small_convolutions(seed: int, count: int | None = None) -> tuple[Graph, dict[str, Array]]:
    """Every small axis as rows, each with another one as columns, in one graph."""
    net, axes, made = Net(seed), small_axes(), []
    rng = np.random.default_rng(seed)
    for rows, columns in zip(rng.permutation(axes)[:count].tolist(), rng.permutation(axes).tolist(), strict=False):
        (h, kh, sh, dh, top, bottom), (w, kw, sw, dw, left, right) = rows, columns
        channels, outputs = (int(rng.choice([1, 2, 3, 5])) for _ in range(2))
        op = Conv((kh, kw), (sh, sw), (dh, dw), ((top, bottom), (left, right)))
        x = inner(net, net.input(1, channels, h, w))
        made.append(convolved(net, x, outputs, op, bias=bool(rng.integers(2))))
    return net.graph(*made), net.feeds


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("along", LANES)
def test_small_windows(force: Force, along: str, border: str) -> None:
    force(along, 1)
    seed = 2 * LANES.index(along) + BORDERS.index(border)
    check(*small_convolutions(seed, count=120), borders=border)


@pytest.mark.parametrize("target", [name for name in TARGETS if name != "host"])
def test_small_windows_on_every_target(target: str) -> None:
    check(*small_convolutions(5, count=60), target)


# Tails of channels and columns


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("along", LANES)
def test_tails(force: Force, along: str, target: str) -> None:
    """1 to 33 output channels and columns, with random tiles."""
    force(along, 2)
    net = Net()
    outputs = []
    for size in range(1, 34):
        x = net.input(1, 3, 4, 34 - size if size > 3 else 31)
        outputs.append(convolved(net, x, size, Conv((2, 2), padding="same")))
    check(net.graph(*outputs), net.feeds, target)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("along", LANES)
def test_every_tile_makes_the_same_bits(force: Force, along: str, seed: int) -> None:
    net = Net()
    x = net.input(1, 5, 7, 29)
    graph = net.graph(*(convolved(net, x, outputs, Conv((3, 3), padding=1)) for outputs in (7, 16, 40)))
    direct = compilation(graph, borders="none", precision="strict")
    assert all(isinstance(step.kernel, Direct) for step in direct.plan.steps if step.signature)
    wanted = native(direct, net.feeds)
    force(along, seed)
    forced = compilation(graph, borders="all")
    assert {step.kernel.lanes_along for step in forced.plan.steps if isinstance(step.kernel, Direct)} == {along}
    assert_same_bits(native(forced, net.feeds), wanted)


# Caches


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("target", TARGETS)
def test_chunks_of_rows_make_the_same_bits(force: Force, target: str, threads: int) -> None:
    """With a tiny cache, blocks of outputs pass over a few rows at a time, and ask for the weights that follow."""
    force("channels", 1)
    net = Net()
    x = net.input(1, 3, 40, 21)
    wide = convolved(net, x, 70, Conv((3, 3), padding=1))
    point = convolved(net, x, 70, Conv((1, 1)))
    line = convolved(net, net.input(1, 3, 450), 70, Conv((2,), stride=(3,)))
    graph = net.graph(wide, point, line)
    machine = resolve_target(target)
    small = compilation(graph, replace(machine, l1=2 << 10, l2=32 << 10))
    large = compilation(graph, replace(machine, l1=1 << 30, l2=1 << 30))
    kernels = [step.kernel for step in small.plan.steps if isinstance(step.kernel, Direct)]
    assert all(kernel.chunk or kernel.block >= 70 for kernel in kernels), kernels
    assert any(kernel.prefetch_elements for kernel in kernels) and any(kernel.chunk for kernel in kernels)
    found = native(small, net.feeds, threads)
    worst_ratio(found, expected(small, net.feeds))
    assert_same_bits(found, native(large, net.feeds))


# Groups


@pytest.mark.parametrize("target", TARGETS)
def test_groups_of_few_outputs(target: str) -> None:
    """Inputs and outputs of a group that divide a vector and that do not, with windows of all kinds."""
    net, outputs = Net(), []
    shapes = [
        (4, 4, 8),
        (8, 8, 4),
        (8, 8, 3),
        (2, 1, 16),
        (1, 2, 9),
        (3, 3, 7),
        (5, 6, 3),
        (4, 2, 5),
        (1, 3, 16),
        (2, 4, 2),
    ]
    windows = [Conv((3, 3), padding=1), Conv((3, 3), (2, 2), padding=1), Conv((2, 5), dilation=(2, 3), padding=(1, 6))]
    for (inputs, members, groups), window in itertools.product(shapes, windows):
        x = net.input(1, inputs * groups, 7, 19)
        op = replace(window, groups=groups)
        outputs.append(convolved(net, inner(net, x), groups * members, op, bias=members != 2))
    graph = net.graph(*outputs)
    for options in ({"borders": "none"}, {"borders": "all"}):
        compiled = compilation(graph, target, **options)
        worst_ratio(native(compiled, net.feeds, threads=2), expected(compiled, net.feeds))
    if resolve_target(target).lanes > 4:
        assert sum(isinstance(step.kernel, Grouped) for step in compiled.plan.steps) > 10


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("arrive", [False, True])
def test_groups_of_few_outputs_of_all_ranks(arrive: bool, target: str) -> None:
    net, outputs = Net(), []
    groups = 8 if resolve_target(target).lanes > 4 else 16  # several of them in a vector
    for sizes, kernel in (((23,), (3,)), ((5, 18), (1, 1)), ((4, 3, 18), (2, 3, 3))):
        x = inner(net, net.input(2, 32, *sizes))
        op = Conv(kernel, groups=groups, padding="same", flip=arrive)
        outputs.append(net.apply(Relu(), convolved(net, x, 32, op, arrive=arrive)))
    compiled = compilation(net.graph(*outputs), target)
    assert any(isinstance(step.kernel, Grouped) for step in compiled.plan.steps)
    for feeds in (net.feeds, sprinkled(net.feeds, 1)):
        worst_ratio(native(compiled, feeds), expected(compiled, feeds))


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("target", TARGETS)
def test_groups(target: str, border: str) -> None:
    """Depthwise, channel multipliers, narrow and wide groups, with channel tails."""
    net = Net()
    outputs = []
    for groups, channels, multiple in itertools.product((2, 3, 17, 32), (1, 2, 5), (1, 2, 3)):
        if groups * channels > 64:
            continue
        x = inner(net, net.input(1, groups * channels, 6, 7))
        op = Conv((3, 2), (1, 2) if multiple == 2 else 1, padding="same", groups=groups)
        outputs.append(convolved(net, x, groups * multiple, op, bias=multiple != 3))
    check(net.graph(*outputs), net.feeds, target, borders=border)


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_depthwise(rank: int, border: str) -> None:
    """Windows of all kinds, on 1 to 40 channels and 1 to 20 columns."""
    net = Net(rank)
    outputs = []
    rng = np.random.default_rng(rank)
    for channels in (2, 7, 16, 23, 40):
        for _ in range(4):
            kernel = tuple(int(k) for k in rng.integers(1, 6, rank))
            x = inner(net, net.input(2, channels, *(int(n) for n in rng.integers(5, 12 if rank < 3 else 7, rank))))
            stride, dilation = (tuple(int(n) for n in rng.integers(1, 3, rank)) for _ in range(2))
            op = Conv(kernel, stride, dilation, str(rng.choice(["same", "full"])), channels, bool(rng.integers(2)))
            outputs.append(convolved(net, x, channels, op))
    compiled = compilation(net.graph(*outputs), borders=border)
    assert any(isinstance(step.kernel, Depthwise) for step in compiled.plan.steps)
    worst_ratio(native(compiled, net.feeds), expected(compiled, net.feeds))


# One and three dimensions


@pytest.mark.parametrize("along", LANES)
@pytest.mark.parametrize("border", BORDERS)
def test_one_dimension(force: Force, along: str, border: str) -> None:
    force(along, 4)
    net = Net()
    outputs = []
    for n, stride, dilation, padding in itertools.product((1, 6, 40), (1, 2), (1, 3), ("same", ((3, 0),))):
        x = inner(net, net.input(2, 3, n))
        for size in (1, 19):
            outputs.append(
                convolved(net, x, size, Conv((3,), stride, dilation, padding)) if n > 4 or dilation == 1 else x
            )
    check(net.graph(*outputs), net.feeds, borders=border)


@pytest.mark.parametrize("along", LANES)
@pytest.mark.parametrize("border", BORDERS)
def test_three_dimensions(force: Force, along: str, border: str) -> None:
    force(along, 5)
    net = Net()
    outputs = []
    for stride, padding, outs in itertools.product((1, (2, 1, 2)), ("valid", "same", "full"), (1, 5, 18)):
        x = inner(net, net.input(1, 2, 5, 4, 6))
        outputs.append(convolved(net, x, outs, Conv((3, 2, 3), stride, (1, 2, 1), padding)))
    check(net.graph(*outputs), net.feeds, borders=border)


# Weights, orders, flip


@pytest.mark.parametrize("target", TARGETS)
def test_weights_at_run_time(target: str) -> None:
    """They are packed by moves; the same bits as weights that are known."""
    results = []
    for arrive in (False, True):
        net = Net()
        x = net.input(1, 6, 5, 8)
        outputs = []
        for outs, groups, flip in itertools.product((6, 18, 36), (1, 3, 6), (False, True)):
            op = Conv((2, 3), padding="same", groups=groups, flip=flip)
            outputs.append(convolved(net, x, outs, op, arrive=arrive))
        flat = net.apply(Flatten(), outputs[-1])
        outputs.append(net.apply(Dense(), flat, net.weights(20, net.shape(flat)[1], arrive=arrive)))
        # Known weights might also be transformed (Winograd), which rounds differently.
        results.append(check(net.graph(*outputs), net.feeds, target, precision="strict"))
        assert (len(net.feeds) > 1) == arrive
    assert_same_bits(results[1], results[0])


def test_weights_computed_by_other_layers() -> None:
    """A convolution's result, channels last, as the next one's weights."""
    net = Net()
    x = net.input(1, 4, 9, 9)
    w = convolved(net, net.input(5, 16, 3, 3, name="seed"), 4, Conv((1, 1)))
    grouped = convolved(net, net.input(4, 16, 3, 3, name="other"), 1, Conv((1, 1)))
    outputs = [net.apply(Conv((3, 3), flip=flip), x, w) for flip in (False, True)]
    outputs.append(net.apply(Conv((3, 3), groups=4), x, grouped))
    check(net.graph(*outputs), net.feeds)


def test_a_flipped_kernel_is_the_kernel_reversed() -> None:
    net = Net()
    x, w = net.input(1, 3, 6, 7), net.random(4, 3, 3, 2)
    flipped = net.apply(Conv((3, 2), flip=True), x, net.known(w))
    plain = net.apply(Conv((3, 2)), x, net.known(w[:, :, ::-1, ::-1].copy()))
    found = check(net.graph(flipped, plain), net.feeds)
    assert (bits(found["y0"]) == bits(found["y1"])).all()


@pytest.mark.parametrize("second", LANES)
@pytest.mark.parametrize("first", LANES)
def test_every_order_meets_every_other(force: Force, first: str, second: str) -> None:
    """A producer of either order before a consumer of either order, with few and many channels."""
    net = Net()
    outputs = []
    for channels, size in itertools.product((2, 9, 20), (1, 5)):
        x = net.input(1, channels, size, 6)
        middle = convolved(net, x, channels + 1, Conv((1, 3), padding="same"))
        outputs.append(convolved(net, middle, 10, Conv((3, 3), padding="same")))
        depthwise = Conv((3, 3), padding="same", groups=channels + 1)
        outputs.append(convolved(net, middle, channels + 1, depthwise))
    graph = net.graph(*outputs)
    force(first)
    wanted = check(graph, net.feeds, borders="none")
    force(second, 1)
    assert_same_bits(check(graph, net.feeds, borders="all"), wanted)


# Padding that meets values which are not finite


@pytest.mark.parametrize("along", LANES)
def test_padding_is_multiplied_alike_in_every_mode(force: Force, along: str) -> None:
    """0 · ∞ is NaN: infinite and NaN weights tell whether padding is really read as 0."""
    force(along, 3)
    for special in (np.nan, np.inf, -np.inf):
        net = Net()
        outputs = []
        for groups, rank in itertools.product((1, 6), (1, 2, 3)):
            x = inner(net, net.input(1, 6, *(5,) * rank))
            data = net.random(6, 6 // groups, *(3,) * rank)
            data.reshape(-1)[:: 7 if groups == 1 else 5] = special
            outputs.append(net.apply(Conv((3,) * rank, padding=2, groups=groups), x, net.known(data)))
        graph = net.graph(*outputs)
        clip = check(graph, net.feeds, borders="none")
        assert_same_bits(check(graph, net.feeds, borders="all"), clip)
        assert any(np.isnan(array).any() for array in clip.values())


@pytest.mark.parametrize("target", TARGETS)
def test_special_values(target: str) -> None:
    net = Net()
    x = net.input(2, 8, 6, 9)
    outputs = [convolved(net, x, size, Conv((3, 3), padding=1)) for size in (3, 16)]
    outputs += [convolved(net, x, 8, Conv((3, 3), padding=1, groups=8))]
    flat = net.apply(Flatten(), x)
    outputs.append(net.apply(Dense(), flat, net.weights(11, net.shape(flat)[1])))
    for seed in range(3):
        check(net.graph(*outputs), sprinkled(net.feeds, seed, 0.02), target)


# Dense


@pytest.mark.parametrize("target", TARGETS)
def test_dense(target: str) -> None:
    """All tails of outputs, one and several images, with and without bias, after planar and other images."""
    net = Net()
    outputs = []
    for outs in (*range(1, 34), 70, 130):
        x = net.input(1 + outs % 3, 5 + outs)
        bias = [net.weights(outs)] if outs % 2 else []
        outputs.append(net.apply(Dense(), x, net.weights(outs, 5 + outs), *bias))
    check(net.graph(*outputs), net.feeds, target)


@pytest.mark.parametrize("shape", [(3, 16, 4, 5), (1, 20, 7), (2, 9, 2, 3, 4), (1, 33, 1, 1), (2, 1, 5, 5)])
def test_dense_after_flatten(shape: tuple[int, ...]) -> None:
    """The weights are permuted instead of the image; with run-time weights too."""
    for arrive in (False, True):
        net = Net()
        rank = len(shape) - 2
        image = convolved(net, net.input(shape[0], 16, *shape[2:]), shape[1], Conv((1,) * rank))
        flat = net.apply(Flatten(), image)
        outputs = [net.apply(Dense(), flat, net.weights(o, net.shape(flat)[1], arrive=arrive)) for o in (1, 10, 40)]
        check(net.graph(*outputs), net.feeds)


def each_axis() -> Iterator[WindowAxis]:
    for size, kernel, stride, dilation, low, high in small_axes():
        yield WindowAxis(size, kernel, stride, dilation, low, high)


def test_the_small_windows_hold_every_kind() -> None:
    axes = list(each_axis())
    assert any(axis.interior[0] == axis.interior[1] for axis in axes), "no window without an inside"
    assert any(axis.reach == (0, 0) for axis in axes) and any(min(axis.reach) > 0 for axis in axes)
    assert any(axis.low > axis.size for axis in axes), "no padding wider than the image"
