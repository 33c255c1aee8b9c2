from __future__ import annotations

from collections.abc import Callable

import pytest

from cnncc.batching import batched_inputs
from cnncc.ir import Graph, Value
from cnncc.ops import Add, Clip, Div, Fused, GlobalAveragePool, Mul, Sigmoid, Softplus, Tanh
from cnncc.passes.diamonds import merge_diamonds
from cnncc.passes.fuse import fuse
from cnncc.passes.manager import optimise
from cnncc.passes.unfuse import expand

from .support import Net, apply, assert_same_bits, layers

Shape = Callable[[Net, Value], Value]


def silu(net: Net, x: Value) -> Value:
    return net.apply(Mul(), x, net.apply(Sigmoid(), x))


def hard_swish(net: Net, x: Value) -> Value:
    gate = net.apply(Clip(0.0, 6.0), net.add(x, net.weights(1)))
    return net.apply(Div(), net.apply(Mul(), x, gate), net.weights(1))


def mish(net: Net, x: Value) -> Value:
    return net.apply(Mul(), net.apply(Tanh(), net.apply(Softplus(), x)), x)


def cubed(net: Net, x: Value) -> Value:
    """x is read four times, once twice by one layer, and a batch norm prepares something of its own."""
    cube = net.apply(Mul(), net.norm(net.apply(Mul(), x, x)), x)
    return net.apply(Mul(), x, net.apply(Tanh(), net.add(cube, net.weights(4, 1, 1))))


def nested(net: Net, x: Value) -> Value:
    """A diamond over a layer that is itself a side of one."""
    inner = silu(net, net.relu(x))
    return net.apply(Mul(), net.add(inner, net.weights(4, 1, 1)), x)


SHAPES: dict[str, Shape] = {"silu": silu, "hard-swish": hard_swish, "mish": mish, "cubed": cubed, "nested": nested}


@pytest.mark.parametrize("name", SHAPES)
def test_what_parts_and_meets_again_is_one_layer(name: str) -> None:
    net = Net()
    before = net.graph(net.relu(SHAPES[name](net, net.input(2, 4, 5, 6)), name="last"))
    result = apply(merge_diamonds, before)
    made = [node for node in result.graph if isinstance(node.op, Fused)]
    assert len(made) == 1 and len(layers(result.graph)) <= 3
    assert result.fired[-1].tag == "exact" and result.fired[-1].layer == made[0].name
    assert_same_bits(before, result.graph)
    assert batched_inputs(result.graph) == batched_inputs(before) == {"x": True}


@pytest.mark.parametrize("name", SHAPES)
def test_a_convolution_takes_it_up(name: str) -> None:
    net = Net()
    y = net.conv(net.input(2, 3, 5, 6), 4, 3, 3, padding=1)
    before = net.graph(net.relu(SHAPES[name](net, y), name="last"))
    result = apply(fuse, merge_diamonds(before).graph)
    assert layers(result.graph) == ["conv"]
    assert_same_bits(before, result.graph)
    assert_same_bits(before, expand(result.graph, "conv"))
    assert batched_inputs(result.graph) == batched_inputs(before) == {"x": True}


def test_two_in_a_row() -> None:
    net = Net()
    y = net.conv(net.input(2, 3, 5, 6), 4, 3, 3, padding=1)
    before = net.graph(mish(net, silu(net, y)))
    result = optimise(before, "strict", check=True)
    assert layers(result.graph) == ["conv"]


def test_the_bounds_of_the_whole_are_those_of_its_expression() -> None:
    net = Net()
    before = net.graph(cubed(net, net.input(2, 4, 5, 6)))
    (node,) = (n for n in merge_diamonds(before).graph if isinstance(n.op, Fused))
    found = node.op.lower(*(before.type(value) for value in node.inputs))
    assert found.pieces[-1].type == node.types[0] and found.results == (len(node.inputs) + len(found.pieces) - 1,)


def refused(build: Callable[[Net, Value], list[Value]]) -> None:
    net = Net()
    before: Graph = net.graph(*build(net, net.input(2, 4, 5, 6)))
    assert apply(merge_diamonds, before).graph.canonical() == before.canonical()


def test_a_gate_that_is_no_function_of_the_place_stays() -> None:
    refused(lambda net, x: [net.apply(Mul(), x, net.apply(Sigmoid(), net.apply(GlobalAveragePool(), x)))])


def test_a_third_reader_forbids_it() -> None:
    refused(lambda net, x: [silu(net, x), net.conv(x, 2, 1, 1)])


def test_an_inner_result_that_is_read_elsewhere_forbids_it() -> None:
    def build(net: Net, x: Value) -> list[Value]:
        gate = net.apply(Sigmoid(), x)
        return [net.apply(Mul(), x, gate), net.conv(gate, 2, 1, 1)]

    refused(build)


def test_results_that_grow_forbid_it() -> None:
    def build(net: Net, x: Value) -> list[Value]:
        return [net.apply(Add(), net.apply(Sigmoid(), net.add(x, net.weights(3, 2, 4, 5, 6))), x)]

    refused(build)


def test_constants_are_no_source() -> None:
    net = Net()
    before = net.graph(net.apply(Mul(), net.input(2, 4), silu(net, net.weights(2, 4))))
    assert not apply(merge_diamonds, before).fired
