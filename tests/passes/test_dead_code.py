from __future__ import annotations

from cnncc.ops import Split
from cnncc.passes.dead_code import remove_dead_code

from .support import Net, apply, assert_same_bits, layers


def test_unread_layers_and_their_weights_go() -> None:
    net = Net()
    x = net.input(1, 3, 6, 6)
    y = net.conv(x, 4, 3, 3, name="used")
    net.relu(net.conv(y, 5, 3, 3, name="unused"), name="unused_relu")
    before = net.graph(y)
    result = apply(remove_dead_code, before)
    assert layers(result.graph) == ["used"]
    assert {entry.layer for entry in result.fired} == {"unused", "unused_relu", "constant_1"}
    assert_same_bits(before, result.graph)


def test_inputs_stay_because_they_are_the_interface() -> None:
    net = Net()
    x = net.input(1, 3)
    net.input(2, 2, name="ignored")
    assert list(apply(remove_dead_code, net.graph(net.relu(x))).graph.inputs) == ["x", "ignored"]


def test_a_node_with_one_read_output_stays_whole() -> None:
    net = Net()
    parts = net.builder.add(Split((1, 2)), (net.input(1, 3),), "split")
    before = net.graph(parts[1])
    assert apply(remove_dead_code, before).graph is before
