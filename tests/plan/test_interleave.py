"""Phases of a transposed convolution, computed apart and moved to their places by one move, or in place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from cnncc.ir import Graph, Value
from cnncc.ops import Add, Concat, Conv, ConvTranspose, MaxPool, Relu, Transpose
from cnncc.plan.kernels import Move
from cnncc.plan.phases import Phases
from cnncc.plan.plan import Plan
from tests.graphs import Net, assert_same_bits, check, check_all, compilation, native, runnable_targets, sprinkled


@pytest.fixture(autouse=True)
def apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each phase as a contraction of its own."""
    monkeypatch.setattr(Phases, "pays", lambda self, alike: False)


def transposed(net: Net, x: Value, op: ConvTranspose, outputs: int = 3, arrive: bool = False) -> Value:
    weights = net.weights(net.shape(x)[1], outputs // op.groups, *op.kernel, arrive=arrive)
    return net.apply(op, x, weights, net.weights(outputs))


def layer(op: ConvTranspose, *shape: int, **options: Any) -> tuple[Graph, Net]:
    net = Net()
    return net.graph(net.apply(Relu(), transposed(net, net.input(*shape), op, **options))), net


def moves(plan: Plan, form: str = "dealt out") -> list[Move]:
    kernels = [step.kernel for step in plan.steps]
    return [kernel for kernel in kernels if isinstance(kernel, Move) and kernel.form == form]


PAIR = ConvTranspose((2, 2), 2)
CASES: Sequence[tuple[ConvTranspose, tuple[int, ...]]] = (
    (PAIR, (1, 3, 9, 20)),
    (ConvTranspose((4, 4), 2, 1, 1), (2, 3, 7, 19)),
    (ConvTranspose((3, 3), 2, 1, 1, 1), (1, 5, 6, 33)),
    (ConvTranspose((3, 5), (1, 3), 1, ((1, 1), (1, 1))), (1, 3, 5, 21)),
    (ConvTranspose((5,), 4, padding="same"), (2, 3, 70)),
    (ConvTranspose((2, 2, 2), 2, padding="same"), (1, 3, 4, 5, 18)),
    (ConvTranspose((2,), 3, padding="same"), (1, 3, 90)),
    (ConvTranspose((2, 2), 2, groups=3), (1, 6, 6, 20)),
)


@pytest.mark.parametrize(("op", "shape"), CASES, ids=[f"{op.kernel} by {op.stride}" for op, _ in CASES])
@pytest.mark.parametrize("target", ["x86-64-v3", "x86-64-v4"])
def test_planar_phases_lie_apart_and_one_move_brings_them_to_their_places(
    op: ConvTranspose, shape: tuple[int, ...], target: str
) -> None:
    graph, net = layer(op, *shape)
    plan = compilation(graph, target).plan
    assert len(moves(plan)) == 1
    assert all(step.target.strides[-1] in (0, 1) for step in plan.steps if not step.kernel.is_copy)
    if target in runnable_targets():
        check_all(graph, target, net.feeds, sprinkled(net.feeds, 1))


@pytest.mark.parametrize("arrive", [False, True])
def test_bits_are_those_of_phases_in_place(arrive: bool) -> None:
    graph, net = layer(ConvTranspose((3, 3), 2, 1, 1, 1), 3, 5, 6, 33, arrive=arrive)
    apart, in_place = compilation(graph), compilation(graph, streaming="chains")
    assert len(moves(apart.plan)) == 1 and not moves(in_place.plan)
    for threads in (1, 2):
        assert_same_bits(native(apart, net.feeds, threads), native(in_place, net.feeds))


def test_a_sum_behind_the_phases_is_added_to_what_was_moved() -> None:
    net = Net()
    y = transposed(net, net.input(1, 3, 9, 20), PAIR)
    graph = net.graph(net.apply(Add(), y, net.input(1, 3, 18, 40, name="residual")))
    assert len(moves(compilation(graph).plan)) == 1
    check(graph, net.feeds)


def test_phases_stay_in_place_where_nothing_is_stored_one_by_one() -> None:
    """With channels last, with lanes of one element, along another axis than the innermost."""
    net = Net()
    last = net.apply(Transpose((0, 3, 1, 2)), net.input(1, 9, 20, 32))
    y = net.apply(Transpose((0, 2, 3, 1)), transposed(net, last, PAIR, 32))
    assert not moves(compilation(net.graph(y), "x86-64-v4").plan)
    graph, _ = layer(PAIR, 1, 3, 9, 20)
    assert not moves(compilation(graph, "cortex-m4").plan)
    graph, net = layer(ConvTranspose((2, 3), (2, 1)), 1, 3, 9, 20)
    assert not moves(compilation(graph, "x86-64-v4").plan)
    check(graph, net.feeds)


@pytest.mark.parametrize("op", [ConvTranspose((3, 3), 2, 1, 1), ConvTranspose((2, 2), 3, padding="same")])
def test_phases_of_several_sizes_or_nests_stay_in_place(op: ConvTranspose) -> None:
    """An odd number of results; rows that no tap reaches, which are known as a whole."""
    graph, net = layer(op, 1, 3, 9, 20)
    assert not moves(compilation(graph, "x86-64-v4").plan)
    check(graph, net.feeds)


@pytest.mark.parametrize("way", ["joined", "bordered", "pooled"])
def test_a_reader_may_want_the_result_at_a_place(way: str) -> None:
    """Inside of a concatenation, or with a border, phases stay in place; a reader that wants neither gets the move."""
    net = Net()
    y = transposed(net, net.input(1, 3, 9, 20), PAIR)
    if way == "joined":
        z = net.apply(Concat(1), y, net.input(1, 2, 18, 40, name="skip"))
    elif way == "bordered":
        z = net.apply(Conv((3, 3), padding=1), y, net.weights(2, 3, 3, 3))
    else:
        z = net.apply(MaxPool((2, 2), 2), y)
    graph = net.graph(z)
    assert len(moves(compilation(graph).plan)) == (way == "pooled")
    check(graph, net.feeds)
