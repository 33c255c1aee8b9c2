"""Concat, split, flatten: moves and aliases in all their combinations."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest

from cnncc.ir import Value
from cnncc.ops import Add, Concat, Conv, Dense, Flatten, MaxPool, Relu, Reshape, Sigmoid, Softmax, Split
from cnncc.plan.kernels import Move
from tests.graphs import Net, assert_same_bits, check, compilation, native, runnable_targets

pytestmark = pytest.mark.combinations

ORDERS = ["planar", "channels last"]


def image(net: Net, order: str, *shape: int) -> Value:
    """A tensor of this shape that lies in an order: of the caller's, or made by a convolution of many channels."""
    if order == "planar":
        return net.input(*shape)
    x = net.input(shape[0], 16, *shape[2:])
    kernel = (3,) * (len(shape) - 2)
    return net.apply(Conv(kernel, padding="same"), x, net.weights(shape[1], 16, *kernel))


def conv(net: Net, x: Value, outputs: int = 16) -> Value:
    rank = len(net.shape(x)) - 2
    return net.apply(Conv((1,) * rank), x, net.weights(outputs, net.shape(x)[1], *(1,) * rank))


def split(net: Net, x: Value, *sizes: int, axis: int = 1) -> tuple[Value, ...]:
    return net.builder.add(Split(sizes, axis), (x,))


Build = Callable[[Net, str], list[Value]]


def split_of_concat(net: Net, order: str) -> list[Value]:
    a, b = image(net, order, 2, 3, 4, 5), image(net, order, 2, 4, 4, 5)
    joined = net.apply(Concat(), a, b)
    parts = split(net, joined, 2, 3, 2)
    return [conv(net, parts[1]), net.apply(Relu(), parts[2]), parts[0]]


def concat_of_parts(net: Net, order: str) -> list[Value]:
    a, b, c = split(net, image(net, order, 1, 9, 5, 4), 2, 4, 3)
    joined = net.apply(Concat(), c, a, b, a)
    return [joined, conv(net, joined), net.apply(Relu(), joined)]


def concat_of_one_twice(net: Net, order: str) -> list[Value]:
    a = image(net, order, 1, 3, 4, 6)
    twice = net.apply(Concat(), a, a)
    return [conv(net, twice), net.apply(Concat(2), twice, twice), a]


def output_is_read(net: Net, order: str) -> list[Value]:
    a = image(net, order, 1, 5, 6, 6)
    made = conv(net, a, 12)
    return [made, conv(net, made), net.apply(MaxPool((2, 2)), made)]


def output_is_input(net: Net, order: str) -> list[Value]:
    x = net.input(2, 3, 4, 4)
    return [x, conv(net, x), x]


def output_twice(net: Net, order: str) -> list[Value]:
    made = net.apply(Relu(), image(net, order, 1, 4, 5, 6))
    return [made, made, net.apply(Flatten(), made)]


def output_is_part(net: Net, order: str) -> list[Value]:
    a, b = image(net, order, 1, 3, 5, 5), image(net, order, 1, 17, 5, 5)
    joined = net.apply(Concat(), a, b)
    return [a, joined, b]


def output_is_flat(net: Net, order: str) -> list[Value]:
    a = image(net, order, 2, 3, 5, 4)
    flat = net.apply(Flatten(), a)
    return [flat, net.apply(Flatten(2), a), net.apply(Flatten(0), a), net.apply(Flatten(4), a), net.apply(Relu(), flat)]


def flat_parts(net: Net, order: str) -> list[Value]:
    """Parts of a flattened image, flattened parts of an image, and both joined."""
    a = image(net, order, 2, 6, 3, 4)
    left, right = split(net, a, 2, 4)
    flat = net.apply(Flatten(), a)
    head, tail = split(net, flat, 25, 47)
    joined = net.apply(Concat(), net.apply(Flatten(), left), net.apply(Flatten(), right))
    return [net.apply(Add(), flat, joined), net.apply(Concat(), tail, head), net.apply(Flatten(), right)]


def concat_of_concats(net: Net, order: str) -> list[Value]:
    parts = [net.apply(Relu(), image(net, order, 1, n, 4, 5)) for n in (3, 5, 2)]
    inner = net.apply(Concat(), *parts[:2])
    outer = net.apply(Concat(), inner, parts[2], inner)
    return [outer, conv(net, inner), conv(net, outer)]


def along_every_axis(net: Net, order: str) -> list[Value]:
    a = image(net, order, 2, 4, 6, 8)
    made = []
    for axis, size in enumerate((2, 4, 6, 8)):
        first, second = split(net, a, 1, size - 1, axis=axis)
        made.append(net.apply(Concat(axis), net.apply(Relu(), second), first, a))
        made.append(net.apply(Relu(), first))
    return made


def border_inside_a_concat(net: Net, order: str) -> list[Value]:
    """Convolutions with padding that read parts and wholes of one joined buffer."""
    parts = [conv(net, image(net, order, 1, 3, 6, 7), n) for n in (12, 20)]
    joined = net.apply(Concat(), *parts)
    first, second = split(net, joined, 16, 16)
    wide = Conv((3, 3), padding=1)
    return [
        net.apply(wide, value, net.weights(8, net.shape(value)[1], 3, 3)) for value in (joined, first, second, *parts)
    ]


def joined_along_rows(net: Net, order: str) -> list[Value]:
    """A part of an image has neighbours where a border would be."""
    a = conv(net, image(net, order, 1, 16, 4, 6))
    top, bottom = split(net, a, 2, 2, axis=2)
    wide = Conv((3, 3), padding=1)
    turned = net.apply(Concat(2), bottom, top)
    return [net.apply(wide, value, net.weights(8, 16, 3, 3)) for value in (top, bottom, turned, a)]


COMBINATIONS: list[Build] = [
    split_of_concat,
    concat_of_parts,
    concat_of_one_twice,
    output_is_read,
    output_is_input,
    output_twice,
    output_is_part,
    output_is_flat,
    flat_parts,
    concat_of_concats,
    along_every_axis,
    border_inside_a_concat,
    joined_along_rows,
]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("build", COMBINATIONS, ids=lambda build: build.__name__)
def test_combinations(build: Build, order: str) -> None:
    net = Net()
    graph = net.graph(*build(net, order))
    wanted = check(graph, net.feeds, borders="none")
    assert_same_bits(check(graph, net.feeds, borders="all", checked=True), wanted)
    assert_same_bits(native(compilation(graph), net.feeds, threads=3), wanted)


@pytest.mark.parametrize("target", list(runnable_targets()))
def test_every_pair_of_orders(target: str) -> None:
    """Moves between all orders of parts, with every small number of channels and columns (transposed squares)."""
    net = Net()
    outputs = []
    for channels, columns in itertools.product((1, 3, 4, 5, 8, 9, 16, 19), (1, 2, 4, 7, 8, 17)):
        x = net.input(1, channels, 2, columns)
        last = net.apply(Conv((1, 1), padding=((0, 1), (0, 0))), x, net.weights(channels, channels, 1, 1))
        outputs.append(net.apply(Relu(), last))
    check(net.graph(*outputs), net.feeds, target)


def test_a_product_with_a_scalar_that_was_reshaped() -> None:
    """A layer that makes no axes is no flattened image."""
    net = Net()
    number = net.apply(Reshape((1, 1)), net.apply(Sigmoid(), net.arrives(np.array(0.5, np.float32))))
    check(net.graph(net.apply(Dense(), number, net.weights(7, 1))), net.feeds)


def test_moves_of_three_dimensions() -> None:
    net = Net()
    x = image(net, "channels last", 2, 5, 3, 4, 6)
    parts = split(net, x, 2, 3)
    check(net.graph(net.apply(Flatten(), x), *parts, net.apply(Concat(4), x, x)), net.feeds)


def test_parts_are_computed_where_they_stand() -> None:
    """A concatenation of results of one order, and its parts again, move nothing."""
    net = Net()
    x = net.input(1, 16, 5, 5)
    joined = net.apply(Concat(), conv(net, x), conv(net, x))
    parts = split(net, joined, 20, 12)
    sums = [conv(net, part) for part in parts]
    steps = compilation(net.graph(net.apply(Softmax(), net.apply(Add(), *sums)))).plan.steps
    assert not [step for step in steps if isinstance(step.kernel, Move) and "concat" in step.name]
