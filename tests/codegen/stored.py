"""Networks that together reach each kernel that reads packed weights, with tails."""

from __future__ import annotations

from collections.abc import Callable

from cnncc.ir import Value
from cnncc.ops import Conv, ConvTranspose, Dense, Flatten, MatMul, MaxPool, Relu
from tests.graphs import Net


def convolved(net: Net, x: Value, outputs: int, op: Conv, *, bias: bool = True) -> Value:
    weights = net.weights(outputs, net.shape(x)[1] // op.groups, *op.kernel)
    return net.apply(op, x, weights, *([net.weights(outputs)] if bias else []))


def channels(net: Net) -> list[Value]:
    """Lanes along the channels, the last vector shared by two pixels or not, a pool and residual in the epilogue."""
    x = net.apply(Relu(), net.input(2, 24, 9, 11))
    y = net.apply(Relu(), convolved(net, x, 40, Conv((3, 3), padding="same")))
    z = net.apply(MaxPool((2, 2), (2, 2)), net.apply(Relu(), convolved(net, y, 19, Conv((1, 1), 2), bias=False)))
    return [z, convolved(net, x, 70, Conv((1, 1)))]


def columns(net: Net) -> list[Value]:
    """Lanes along the columns, folded rows among them, and filters."""
    x = net.input(2, 3, 13, 21)
    y = convolved(net, x, 5, Conv((5, 3), padding=((2, 2), (1, 1))))
    z = net.apply(
        MaxPool((2, 2), (2, 2)), net.apply(Relu(), convolved(net, net.input(2, 2, 4, 5, name="z"), 3, Conv((1, 2))))
    )
    alone = net.input(2, 1, 17, 30, name="f")
    return [y, z, convolved(net, alone, 2, Conv((3, 3), padding="same")), convolved(net, alone, 1, Conv((1, 9)))]


def groups(net: Net) -> list[Value]:
    """Depthwise and in groups, of few outputs and of many."""
    x = net.apply(Relu(), net.input(2, 36, 8, 9))
    return [
        convolved(net, x, 36, Conv((3, 3), padding="same", groups=36)),
        convolved(net, x, 36, Conv((3, 3), 2, groups=36), bias=False),
        convolved(net, x, 36, Conv((3, 3), groups=9)),
        convolved(net, x, 72, Conv((1, 3), groups=2)),
    ]


def dense(net: Net) -> list[Value]:
    """Dense layers, one over a flattened image of channels last, and rows times a matrix."""
    x = net.input(3, 37)
    y = net.apply(Relu(), net.apply(Dense(), x, net.weights(50, 37), net.weights(50)))
    image = convolved(net, net.input(3, 18, 5, 4, name="i"), 33, Conv((3, 3)))
    flat = net.apply(Flatten(), image)
    known = net.apply(MatMul(), net.input(3, 4, 7, name="m"), net.weights(7, 18))
    return [
        net.apply(Dense(), y, net.weights(7, 50)),
        net.apply(Dense(), flat, net.weights(20, net.shape(flat)[1])),
        known,
    ]


def products(net: Net) -> list[Value]:
    """Matrices of which each image has its own, and one for all."""
    x = net.input(3, 7, 18)
    return [net.apply(MatMul(), net.weights(3, 6, 7), x), net.apply(MatMul(), net.weights(9, 7), x)]


def other_ranks(net: Net) -> list[Value]:
    """One and three spatial axes, and a transposed convolution."""
    x = net.apply(Relu(), net.input(2, 17, 33))
    y = net.apply(Relu(), net.input(2, 4, 5, 6, 7, name="v"))
    z = net.input(2, 9, 5, 6, name="t")
    return [
        convolved(net, x, 20, Conv((5,), dilation=2)),
        convolved(net, y, 18, Conv((3, 2, 3), padding="same")),
        net.apply(ConvTranspose((4, 3), 2), z, net.weights(9, 11, 4, 3), net.weights(11)),
    ]


NETWORKS: tuple[Callable[[Net], list[Value]], ...] = (channels, columns, groups, dense, products, other_ranks)
