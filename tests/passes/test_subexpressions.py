from __future__ import annotations

import numpy as np

from cnncc.ops import Pad, Split
from cnncc.passes.subexpressions import merge_subexpressions

from .support import Net, apply, assert_same_bits, layers, why


def test_equal_constants_and_equal_layers_are_merged() -> None:
    net = Net()
    x, data = net.input(1, 4), np.ones((3, 4))
    from cnncc.ops import Dense

    a, b = (net.apply(Dense(), x, net.known(data), name=name) for name in "ab")
    before = net.graph(net.add(net.relu(a), net.relu(b)))
    result = apply(merge_subexpressions, before)
    assert layers(result.graph) == ["a", "relu", "add"]
    assert [(entry.layer, entry.detail) for entry in result.fired] == [
        ("b", "equals 'a'"),
        ("relu_1", "equals 'relu'"),
        ("constant", "equals constant_1"),
    ]
    assert all(entry.tag == "exact" for entry in result.fired)
    assert_same_bits(before, result.graph)


def test_all_outputs_of_a_layer_follow() -> None:
    net = Net()
    x = net.input(1, 4)
    one, two = (net.builder.add(Split((1, 3)), (x,), "split") for _ in range(2))
    before = net.graph(net.relu(one[1]), net.add(two[1], one[0]))
    result = apply(merge_subexpressions, before)
    assert layers(result.graph) == ["split", "relu", "add"]
    assert_same_bits(before, result.graph)


def test_other_attributes_inputs_or_orders_are_others() -> None:
    net = Net()
    x, y = net.input(1, 4), net.input(1, 4, name="z")
    padded = [net.apply(Pad(((0, 0), (0, 1)), value=value), x) for value in (0.0, -0.0, 1.0)]
    before = net.graph(net.add(x, y), net.add(y, x), *padded)
    result = apply(merge_subexpressions, before)
    assert result.graph.canonical() == before.canonical() and not result.log


def test_zeros_of_both_signs_are_different_constants() -> None:
    net = Net()
    x = net.input(1, 4)
    before = net.graph(net.add(x, net.known(np.zeros(1))), net.add(x, net.known(np.full(1, -0.0))))
    assert not apply(merge_subexpressions, before).fired


def test_two_outputs_do_not_become_one() -> None:
    net = Net()
    x = net.input(1, 4)
    before = net.graph(net.relu(x, name="a"), net.relu(x, name="b"))
    result = apply(merge_subexpressions, before)
    assert result.graph.canonical() == before.canonical()
    assert why(result, "b") == "equals 'a', but both are outputs"


def test_an_output_may_be_another_layers_result() -> None:
    net = Net()
    x = net.input(1, 4)
    inner = net.relu(x, name="a")
    before = net.graph(net.add(inner, x), net.relu(x, name="b"), net.relu(x, name="c"))
    result = apply(merge_subexpressions, before)
    assert layers(result.graph) == ["a", "add", "c"]
    assert why(result, "c") == "equals 'a', but both are outputs"
    assert_same_bits(before, result.graph)
