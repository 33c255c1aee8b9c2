"""Options that only place data change no bit: neither a border nor a ring decides in which order a sum is taken."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cnncc import ops
from cnncc.ir import Value
from cnncc.op import Op
from cnncc.plan.kernels import Fill
from tests.graphs import Net, assert_same_bits, compilation, native

pytestmark = pytest.mark.combinations

Layer = Callable[[Net, Value], Value]
PLACES = [("pools", "all"), ("cost", "none"), ("chains", "none")]


def positions(net: Net, x: Value) -> tuple[int, ...]:
    return tuple(range(2, len(net.shape(x))))


def of_positions(op: Callable[[tuple[int, ...]], Op], join: Op, *before: int) -> Layer:
    """A tensor joined with what is reduced over its positions, and over the axes `before` them."""
    return lambda net, x: net.apply(join, x, net.apply(op((*before, *positions(net, x))), x))


def scaled(op: Op, axis: int = 1, rank: int | None = 1) -> Layer:
    """A normalisation with scale and bias of `rank` axes of the tensor, or of all axes from `axis` on."""

    def layer(net: Net, x: Value) -> Value:
        shape = net.shape(x)[axis:][:rank]
        return net.apply(op, x, net.weights(*shape), net.weights(*shape))

    return layer


def pool(kind: Callable[..., Op], size: int) -> Layer:
    return lambda net, x: net.apply(kind((size,) * len(positions(net, x)), 1, size // 2), x)


SUMS: dict[str, Layer] = {
    "instance norm": scaled(ops.InstanceNormalization()),
    "layer norm": scaled(ops.LayerNormalization(1), 1, None),
    "layer norm of positions": scaled(ops.LayerNormalization(2), 2, None),
    "layer norm of a row": scaled(ops.LayerNormalization(-1), -1, None),
    "softmax of channels": lambda net, x: net.apply(ops.Softmax(1), x),
    "softmax of a row": lambda net, x: net.apply(ops.Softmax(-1), x),
    "powers over their sum": lambda net, x: of_positions(ops.ReduceSum, ops.Div())(net, net.apply(ops.Exp(), x)),
    "length of all": of_positions(ops.ReduceL2, ops.Div(), 1),
    "mean of images": of_positions(ops.ReduceMean, ops.Sub(), 0),
    "logarithm of powers": of_positions(ops.ReduceLogSumExp, ops.Sub()),
    "gate": lambda net, x: net.apply(ops.Mul(), x, net.apply(ops.Tanh(), net.apply(ops.GlobalAveragePool(), x))),
    "mean": lambda net, x: net.apply(ops.GlobalAveragePool(), x),
    "response": lambda net, x: net.apply(ops.LRN(5, 0.1), x),
    "average": pool(ops.AveragePool, 3),
    "large average": pool(ops.AveragePool, 7),
    "average of all": lambda net, x: net.apply(ops.AveragePool(net.shape(x)[2:]), x),
}


def conv(net: Net, x: Value, size: int, groups: int = 1) -> Value:
    channels, axes = net.shape(x)[1], (size,) * len(positions(net, x))
    weights = net.weights(channels, channels // groups, *axes)
    return net.apply(ops.Conv(axes, padding="same", groups=groups), x, weights)


def wants_border(net: Net, x: Value) -> Value:
    return conv(net, x, 3, net.shape(x)[1])


def reads_ring(net: Net, x: Value) -> Value:
    return net.apply(ops.MaxPool((3,) * len(positions(net, x)), 1, 1), x)


def assert_places_change_no_bit(net: Net, *outputs: Value) -> None:
    graph = net.graph(*outputs)
    first = compilation(graph, streaming="none", borders="all")
    assert any(isinstance(step.kernel, Fill) for step in first.plan.steps)
    found = native(first, net.feeds, threads=2)
    others = (compilation(graph, streaming=streaming, borders=borders) for streaming, borders in PLACES)
    distinct = {repr(other.plan.steps): other for other in others if other.plan.steps != first.plan.steps}
    assert distinct
    for other in distinct.values():
        assert_same_bits(native(other, net.feeds), found, str(other.options.plan))


@pytest.mark.parametrize("layer", SUMS)
def test_neither_borders_nor_rings_decide_in_which_order_a_sum_is_taken(layer: str) -> None:
    """What a sum reads, or what is made of it, is read by layers that want a border, and by a chain of rows."""
    net, found = Net(), []
    for shape, made in [((1, 4, 9, 11), ops.Relu()), ((1, 3, 21), ops.Relu()), ((2, 20, 4, 5), None)]:
        x = net.input(*shape)
        x = net.apply(made, x) if made else conv(net, x, 1)
        y = SUMS[layer](net, x)
        found += [wants_border(net, y), wants_border(net, x)]
    rows = SUMS[layer](net, net.apply(ops.Relu(), net.input(1, 3, 9, 10)))
    assert_places_change_no_bit(net, *found, reads_ring(net, rows))
