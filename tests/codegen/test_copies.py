"""Copies bit for bit: every way of moving elements, of every element type, in both memory orders, on every target."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest

from cnncc.elements import BOOL, FLOAT32, INT32, INT64, UINT8, Element
from cnncc.ir import Value
from cnncc.op import Op
from cnncc.ops import (
    Cast,
    ChannelShuffle,
    Concat,
    Conv,
    DepthToSpace,
    Expand,
    Gather,
    Pad,
    Reshape,
    Resize,
    Slice,
    SpaceToDepth,
    Tile,
    Transpose,
)
from cnncc.plan.kernels import Move
from cnncc.types import Array
from tests.graphs import Net, assert_same_bits, compilation, expected, native, runnable_targets

pytestmark = pytest.mark.combinations


def arranged(shape: tuple[int, ...], rng: np.random.Generator) -> Iterator[Op]:
    """An op of each kind for an image, some of its numbers random."""
    _, c, h, w = shape
    some = lambda size, count: tuple(int(index) for index in rng.integers(0, size, count))  # noqa: E731
    yield Transpose((0, *(int(axis) for axis in 1 + rng.permutation(3))))
    yield Transpose((0, 2, 3, 1))
    yield Transpose((0, 3, 1, 2))
    yield from (SpaceToDepth(block) for block in (2, 3, 4) if h % block == w % block == 0)
    yield from (DepthToSpace(block, "CRD" if block == 3 else "DCR") for block in (2, 3, 4) if c % block**2 == 0)
    yield from (ChannelShuffle(groups) for groups in (2, 3) if c % groups == 0)
    for mode in ("constant", "reflect", "edge", "wrap"):
        yield Pad(((0, 0), (0, 1), some(4, 2), some(4, 2)), mode)
    yield Slice((h // 2, -1), (99, -99), (2, 3), (2, -1))
    yield Slice((-1, 0), (-99, 99), (1, 3), (-2, int(rng.integers(2, 5))))
    yield Gather(some(w, w + 3), 3)
    yield Gather(some(h, 5), 2)
    yield Gather(some(c, c + 1), 1)
    yield Tile((1, 2, 1, 3))
    yield Tile((1, 1, 2, 2))


def image(net: Net, element: Element, shape: tuple[int, ...]) -> Value:
    data: Array = net.rng.integers(0, 2 if element is BOOL else 200, shape)
    if element is FLOAT32:
        data = data.astype(np.uint32) * np.uint32(0x01234567)  # any bits: subnormal numbers, NaN of every payload
        data = data.astype(np.uint32).view(np.float32)
    return net.arrives(data, element=element)


def assert_moved(
    net: Net, *outputs: Value, target: str = "host", checked: bool = False, beside: tuple[Value, ...] = ()
) -> None:
    """Native results have the interpreter's bits, also those of a NaN; but not what is computed `beside` them."""
    graph = net.graph(*outputs, *beside)
    compiled = compilation(graph, target, checked=checked)
    found, wanted = native(compiled, net.feeds), expected(compiled, net.feeds)
    for name, array in list(found.items())[: len(outputs)]:
        as_bytes = [np.ascontiguousarray(each, array.dtype).view(np.uint8) for each in (array, wanted[name].reference)]
        different = np.argwhere(as_bytes[0] != as_bytes[1])
        assert not len(different), f"{graph.outputs[name]}: {len(different)} bytes differ, the first at {different[0]}"


SHAPES = [(1, 18, 12, 12), (2, 16, 7, 7), (1, 9, 5, 33), (1, 3, 24, 40), (1, 36, 1, 17)]


@pytest.mark.parametrize("element", [FLOAT32, INT64, BOOL], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_what_the_caller_gave(shape: tuple[int, ...], element: Element) -> None:
    net = Net(sum(shape))
    x = image(net, element, shape)
    assert_moved(net, *(net.apply(op, x) for op in arranged(shape, net.rng)))


@pytest.mark.parametrize("target", list(runnable_targets()))
def test_other_targets_with_every_access_checked(target: str) -> None:
    net, shape = Net(1), (1, 36, 12, 20)
    x = image(net, FLOAT32, shape)
    assert_moved(net, *(net.apply(op, x) for op in arranged(shape, net.rng)), target=target, checked=True)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_channels_last_of_a_convolution(shape: tuple[int, ...]) -> None:
    """What a convolution left in its own order, with a border for another one, and small whole numbers: exact sums."""
    net = Net(sum(shape))
    x = net.arrives(net.rng.integers(-3, 4, (shape[0], 16, *shape[2:])))
    weights = net.known(net.rng.integers(-2, 3, (shape[1], 16, 1, 1)))
    y = net.apply(Conv((1, 1)), x, weights)
    other = net.known(net.rng.integers(-2, 3, (16, shape[1], 3, 3)))
    moved = [net.apply(op, y) for op in arranged(shape, net.rng)]
    assert_moved(net, *moved, beside=(net.apply(Conv((3, 3), padding="same"), y, other),))


SIZES = [(1, 1), (2, 2), (3, 2), (5, 4), (1, 8)]


@pytest.mark.parametrize("times", SIZES, ids=str)
@pytest.mark.parametrize("nearest", ["floor", "ceil", "round_prefer_floor"])
def test_nearest(times: tuple[int, int], nearest: str) -> None:
    net = Net()
    x = image(net, FLOAT32, (1, 5, 9, 21))
    down, up = ((9 * times[0] // 2 + 1, 21 * times[1] // 3 + 1), (9 * times[0], 21 * times[1]))
    coordinates = ("asymmetric", "half_pixel", "align_corners")
    ops = [Resize(sizes, coordinates=how, nearest=nearest) for sizes in (up, down) for how in coordinates]
    graph = net.graph(*(net.apply(op, x) for op in ops))
    compiled = compilation(graph)
    wanted = {name: bound.reference.astype(np.float32) for name, bound in expected(compiled, net.feeds).items()}
    assert_same_bits(native(compiled, net.feeds), wanted)


@pytest.mark.parametrize("element", [INT32, UINT8], ids=str)
def test_matrices_of_every_small_size(element: Element) -> None:
    """Axes that are dealt out, collected or transposed by squares, and the sizes between."""
    net = Net()
    outputs = []
    for rows in (2, 3, 6, 8, 9, 33):
        for columns in (1, 3, 4, 7, 17, 65):
            x = image(net, element, (1, 3, rows, columns))
            outputs += [net.apply(Transpose((0, 1, 3, 2)), x), net.apply(Transpose((0, 2, 3, 1)), x)]
    if element is UINT8:  # bytes only arrive: they are moved, then converted
        outputs = [net.apply(Cast("float32"), value) for value in outputs]
    assert_moved(net, *outputs)


def test_windows_of_attention_and_heads() -> None:
    """Permutations of six axes whose innermost runs stay, and joined parts whose axes merge."""
    net = Net()
    x = image(net, FLOAT32, (1, 14, 14, 24))
    parted = net.apply(Reshape((2, 7, 2, 7, 24)), x)
    windows = net.apply(Reshape((4, 49, 24)), net.apply(Transpose((0, 2, 1, 3, 4)), parted))
    heads = net.apply(Transpose((0, 2, 3, 1)), net.apply(Reshape((4, 49, 3, 8)), windows))
    joined = net.apply(Concat(2), windows, net.apply(Expand((4, 49, 5)), image(net, FLOAT32, (1, 49, 1))))
    assert_moved(net, windows, heads, joined, net.apply(Tile((1, 3, 5)), joined))


def test_a_copy_of_a_whole_tensor_is_one_run() -> None:
    net = Net()
    x = net.input(1, 8, 12, 20)
    plan = compilation(net.graph(net.apply(Concat(1), x, x))).plan
    for step in plan.steps:
        assert isinstance(step.kernel, Move)
        assert step.kernel.form == "runs"
        assert max(step.target.shape) >= 256 and math.prod(step.target.shape) == 8 * 12 * 20


def test_a_shuffle_is_one_move() -> None:
    """Blocks, repetitions and nearest neighbours go to the caller in one step, without a table."""
    for op in (SpaceToDepth(2), DepthToSpace(2), Tile((1, 2, 2, 2)), Resize((24, 36)), ChannelShuffle(4)):
        net = Net()
        plan = compilation(net.graph(net.apply(op, net.input(1, 16, 12, 18)))).plan
        (step,) = plan.steps
        assert isinstance(step.kernel, Move) and not step.tables, op
        assert step.kernel.lanes > 2, op
