"""The memory order of what layers make, where expressions stand between them."""

from __future__ import annotations

from cnncc.machine.target import TARGETS
from cnncc.ops import Conv, Mul, Tanh
from cnncc.plan.text import view_order
from tests.graphs import Net, compilation


def test_a_layer_writes_what_the_layer_behind_an_expression_reads() -> None:
    """Its image is planar, and so it would stay if nobody looked further than to the expression."""
    net = Net()
    x = net.apply(Conv((3, 3), padding=1), net.input(1, 3, 32, 32), net.weights(16, 3, 3, 3))
    y = net.apply(Mul(), x, net.apply(Tanh(), x))
    z = net.apply(Conv((3, 3), padding=1), y, net.weights(16, 16, 3, 3))
    graph = net.graph(net.apply(Conv((3, 3), stride=2), z, net.weights(16, 16, 3, 3)))
    plan = compilation(graph, TARGETS["x86-64-v4"], off=("fuse", "diamonds")).plan
    first = next(step for step in plan.steps if step.name == "conv" and step.macs)
    assert view_order(first.target) == "channels last"
