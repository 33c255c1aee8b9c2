from __future__ import annotations

import numpy as np

from cnncc.check.graph import verify_pass
from cnncc.op import Constant
from cnncc.ops import Add, Expand, MatMul, Relu, Split, Transpose
from cnncc.passes import constants
from cnncc.passes.constants import fold_constants

from .support import Net, apply, assert_same_bits, layers, why


def test_what_depends_on_constants_only_becomes_one() -> None:
    net = Net()
    bias = net.relu(net.add(net.weights(4, 1), net.weights(1, 4)), name="bias")
    before = net.graph(net.add(net.input(2, 4, 4), bias, name="sum"))
    result = apply(fold_constants, before)
    assert layers(result.graph) == ["sum"]
    assert [entry.layer for entry in result.fired] == ["add", "bias"]
    assert result.fired[0].tag == "exact"
    assert_same_bits(before, result.graph)


def test_every_output_becomes_a_constant() -> None:
    net = Net()
    parts = net.builder.add(Split((1, 3)), (net.weights(2, 4),), "split")
    before = net.graph(net.add(net.input(2, 1), parts[0]), net.add(net.input(2, 3, name="z"), parts[1]))
    result = apply(fold_constants, before)
    assert layers(result.graph) == ["add", "add_1"]
    assert_same_bits(before, result.graph)
    verify_pass(before, result.graph, "constants")


def test_only_calculated_constants_count_as_rounded() -> None:
    net = Net()
    turned = net.apply(Transpose(), net.weights(3, 2), name="turned")
    summed = net.add(turned, turned, name="summed")
    moved = net.apply(Transpose(), summed, name="moved")
    x = net.input(3, 2)
    result = apply(fold_constants, net.graph(net.add(net.add(x, net.apply(Transpose(), turned)), moved)))
    flags = {n.name: n.op.rounded for n in result.graph if isinstance(n.op, Constant)}
    assert not flags["turned"] and flags["summed"] and flags["moved"] and not flags["transpose"]


def test_weights_hardly_grow() -> None:
    net = Net()
    side = int((constants.ALLOWANCE / 4) ** 0.5) + 1
    grown = net.apply(Expand((side, side)), net.weights(1, 1), name="grown")
    before = net.graph(net.add(net.input(side, side), grown))
    result = apply(fold_constants, before)
    assert result.graph.canonical() == before.canonical()
    growth = side * side * 4 - 4
    assert why(result, "grown") == (
        f"its result would take {growth} bytes more than what it is made of, {constants.ALLOWANCE} are allowed"
    )


def test_weights_may_grow_for_the_products_that_they_save() -> None:
    """(100, 8) · (8, 100) are 40 kB more than 6.4 for 80,000 multiply-adds; with 64 in place of 8 they are worth it."""
    for features, kept in ((8, True), (64, False)):
        net = Net()
        product = net.apply(MatMul(), net.weights(100, features), net.weights(features, 100), name="product")
        before = net.graph(net.add(net.input(100, 100), product, name="sum"))
        result = apply(fold_constants, before)
        assert layers(result.graph) == (["product", "sum"] if kept else ["sum"])
        if kept:
            told = "its result would take 33600 bytes more than what it is made of, 14096 are allowed"
            assert why(result, "product") == told


def test_a_large_constant_may_be_arranged() -> None:
    net = Net()
    turned = net.apply(Transpose(), net.weights(300, 301), name="turned")
    assert layers(apply(fold_constants, net.graph(net.add(net.input(301, 300), turned))).graph) == ["add"]


def test_outputs_are_no_constants() -> None:
    net = Net()
    net.input(1)
    before = net.graph(net.apply(Relu(), net.weights(3), name="known"))
    result = apply(fold_constants, before)
    assert result.graph.canonical() == before.canonical()
    assert why(result, "known") == "its result leaves the graph, and an output is no constant"


def test_run_time_values_stay() -> None:
    net = Net()
    before = net.graph(net.apply(Add(), net.input(3), net.known(np.ones(3))))
    assert apply(fold_constants, before).log == ()
