from __future__ import annotations

import pytest

from cnncc.batching import batched_inputs
from cnncc.ir import Graph
from cnncc.op import Op
from cnncc.ops import Flatten, Reshape, Transpose, Unsqueeze
from cnncc.passes.arrangements import merge_arrangements
from cnncc.passes.dead_code import remove_dead_code

from .support import Net, apply, assert_same_bits


def merged(before: Graph) -> Graph:
    result = apply(merge_arrangements, before)
    assert_same_bits(before, result.graph)
    return remove_dead_code(result.graph).graph


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Reshape((0, -1)), Reshape((0, 2, -1))),
        (Reshape((0, -1, 2)), Flatten()),
        (Unsqueeze((2,)), Flatten()),
        (Flatten(2), Reshape((-1, 4))),
    ],
)
def test_of_two_shapes_the_last_is_left(first: Op, second: Op) -> None:
    net = Net()
    graph = merged(net.graph(net.apply(second, net.apply(first, net.input(2, 3, 4)), name="last")))
    assert list(graph.nodes) == ["x", "last"] and graph["last"].op == second


def test_orders_of_axes_are_composed() -> None:
    net = Net()
    y = net.apply(Transpose((0, 3, 1, 2)), net.apply(Transpose((0, 2, 3, 1)), net.input(2, 3, 4, 5)))
    graph = merged(net.graph(net.apply(Transpose((1, 0, 3, 2)), y, name="last")))
    assert graph["last"].op == Transpose((1, 0, 3, 2)) and list(graph.nodes) == ["x", "last"]


def test_a_chain_is_merged_at_once() -> None:
    net = Net()
    y = net.input(2, 3, 4, 5)
    for axes in [(0, 3, 2, 1), (0, 2, 1, 3), (0, 1, 3, 2)]:
        y = net.apply(Transpose(axes), y)
    assert len(merged(net.graph(y)).nodes) == 2


def test_a_size_that_is_copied_from_the_first_shape_keeps_it() -> None:
    """Reshape((0, 0, -1)) of (2, 6, 4) is not that of (2, 3, 8)."""
    net = Net()
    before = net.graph(net.apply(Reshape((0, 0, -1)), net.apply(Reshape((0, 6, 4)), net.input(2, 3, 8))))
    result = apply(merge_arrangements, before)
    assert result.graph.canonical() == before.canonical() and not result.fired


def test_the_number_of_images_stays_free() -> None:
    """Reshape((-1, 4)) of (1, 2, 4) and of (1, 8) agree for one image, and for two; Flatten says so at once."""
    net = Net()
    y = net.apply(Reshape((0, -1)), net.apply(Reshape((0, 2, -1)), net.input(1, 8), name="first"), name="last")
    before = net.graph(y)
    assert batched_inputs(merged(before)) == batched_inputs(before) == {"x": True}


def test_a_shape_and_an_order_do_not_merge() -> None:
    net = Net()
    y = net.apply(Reshape((0, -1)), net.apply(Transpose((0, 2, 1)), net.input(2, 3, 4)))
    assert not apply(merge_arrangements, net.graph(net.apply(Transpose((1, 0)), y))).fired
