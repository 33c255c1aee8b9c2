from __future__ import annotations

import numpy as np
import pytest

from cnncc.ir import Graph
from cnncc.op import Op
from cnncc.ops import (
    Add,
    Clip,
    Concat,
    Div,
    Expand,
    Flatten,
    Gather,
    Identity,
    Mul,
    Pad,
    Relu,
    Reshape,
    Slice,
    Split,
    Sub,
    Tanh,
    Tile,
    Transpose,
)
from cnncc.passes.identities import remove_identities

from .support import Net, apply, assert_same_bits, layers, why

IDLE: list[Op] = [
    Concat(),
    Concat(-1),
    Split((6,)),
    Flatten(),
    Identity(),
    Transpose((0, 1)),
    Reshape((2, -1)),
    Expand((1, 6)),
    Slice((0, 0), (9, 6)),
    Pad(((0, 0), (0, 0))),
    Tile((1, 1)),
    Gather((0, 1, 2, 3, 4, 5), 1),
]


@pytest.mark.parametrize("op", IDLE)
def test_an_arrangement_that_arranges_nothing_goes(op: Op) -> None:
    net = Net()
    x = net.relu(net.input(2, 6), name="before")
    before = net.graph(net.apply(Tanh(), net.apply(op, x, name="idle"), name="after"))
    result = apply(remove_identities, before)
    assert layers(result.graph) == ["before", "after"]
    (fired,) = result.fired
    assert fired.layer == "idle" and fired.tag == "exact"
    assert_same_bits(before, result.graph)


def test_real_arrangements_stay() -> None:
    net = Net()
    x = net.input(2, 3, 4)
    parts = net.builder.add(Split((1, 2)), (x,), "split")
    joined = net.apply(Concat(), *reversed(parts), name="concat")
    before = net.graph(net.apply(Flatten(), joined, name="flatten"))
    result = apply(remove_identities, before)
    assert layers(result.graph) == ["split", "concat", "flatten"] and result.log == ()


@pytest.mark.parametrize(
    "op",
    [
        Transpose((1, 0)),
        Slice((-1,), (-9,), (0,), (-1,)),
        Gather((0, 2, 1), 1),
        Pad(((0, 0), (1, -1))),
        Pad(((0, 0), (1, -1)), "wrap"),
    ],
)
def test_arrangements_that_keep_the_shape_but_not_the_places_stay(op: Op) -> None:
    net = Net()
    before = net.graph(net.relu(net.apply(op, net.input(3, 3))))
    assert apply(remove_identities, before).graph.canonical() == before.canonical()


def test_arrangements_that_cancel_out_go() -> None:
    net = Net()
    x = net.input(2, 4, 3, 3)
    y = net.apply(Transpose((0, 3, 1, 2)), net.apply(Transpose((0, 2, 3, 1)), x))
    y = net.apply(Concat(), *net.builder.add(Split((1, 3)), (y,), "split"))
    y = net.apply(Reshape((0, 4, 3, 3)), net.apply(Flatten(), y))
    before = net.graph(net.relu(net.apply(Concat(), y)))
    result = apply(remove_identities, before)
    assert result.graph["relu"].inputs[0].node == "x"
    assert {entry.rule for entry in result.fired} >= {"transpose(arrange(x)) => x", "concat(arrange(x)) => x"}
    assert_same_bits(before, result.graph)


def test_what_is_filled_up_is_not_what_was_cut_off() -> None:
    net = Net()
    y = net.apply(Slice((1,), (4,), (1,)), net.input(2, 4))
    assert not apply(remove_identities, net.graph(net.relu(net.apply(Pad(((0, 0), (1, 0))), y)))).fired


NEUTRAL = [(Add, -0.0, 0), (Add, -0.0, 1), (Sub, 0.0, 0), (Mul, 1.0, 0), (Mul, 1.0, 1), (Div, 1.0, 0)]
OTHERS = [(Add, 0.0, 0), (Sub, -0.0, 0), (Sub, 0.0, 1), (Mul, -1.0, 0), (Div, 1.0, 1), (Mul, 0.0, 0)]


def with_constant(op: type[Op], number: float, position: int, shape: tuple[int, ...] = (3, 1, 1)) -> Graph:
    """x and a constant, which is argument 1 − `position` of `op`."""
    net = Net()
    arguments = [net.relu(net.input(1, 3, 4, 4), name="before"), net.known(np.full(shape, number))]
    idle = net.apply(op(), *(arguments if position == 0 else arguments[::-1]), name="idle")
    return net.graph(net.apply(Tanh(), idle, name="after"))


@pytest.mark.parametrize(("op", "number", "position"), NEUTRAL)
def test_neutral_constants_go(op: type[Op], number: float, position: int) -> None:
    before = with_constant(op, number, position)
    result = apply(remove_identities, before)
    assert layers(result.graph) == ["before", "after"]
    assert result.fired[0].rule == f"{op.__name__.lower()}(x, neutral) => x"
    assert_same_bits(before, result.graph)


@pytest.mark.parametrize(("op", "number", "position"), OTHERS)
def test_other_constants_stay(op: type[Op], number: float, position: int) -> None:
    assert not apply(remove_identities, with_constant(op, number, position)).fired


def test_a_neutral_constant_that_repeats_stays() -> None:
    assert not apply(remove_identities, with_constant(Mul, 1.0, 0, (2, 3, 1, 1))).fired


def test_an_output_does_not_become_an_input() -> None:
    net = Net()
    result = apply(remove_identities, net.graph(net.apply(Concat(), net.input(1, 3), name="copy")))
    assert layers(result.graph) == ["copy"]
    assert "would be the input 'x' itself" in why(result, "copy")


def test_two_outputs_do_not_become_one() -> None:
    net = Net()
    y = net.relu(net.input(1, 3))
    copies = [net.apply(Concat(), y, name=name) for name in ("first", "second")]
    result = apply(remove_identities, net.graph(*copies))
    assert layers(result.graph) == ["relu", "second"]
    assert "already is another output" in why(result, "second")


@pytest.mark.parametrize(
    ("inner", "outer"),
    [
        (Relu(), Relu()),
        (Clip(0.0, 6.0), Relu()),
        (Clip(-1.0, 1.0), Clip(-1.0, 2.0)),
        (Relu(), Clip(-1.0, np.inf)),
        (Clip(2.0, 3.0), Clip(0.0, 5.0)),
    ],
)
def test_what_is_in_range_is_not_cut_again(inner: Op, outer: Op) -> None:
    net = Net()
    before = net.graph(net.add(net.apply(outer, net.apply(inner, net.input(1, 40), name="inner")), net.weights(1)))
    result = apply(remove_identities, before)
    assert layers(result.graph) == ["inner", "add"]
    assert_same_bits(before, result.graph)


@pytest.mark.parametrize(
    ("inner", "outer"), [(Relu(), Clip(0.0, 6.0)), (Clip(-1.0, 1.0), Relu()), (Identity(), Relu())]
)
def test_what_may_be_out_of_range_is_cut(inner: Op, outer: Op) -> None:
    net = Net()
    before = net.graph(net.add(net.apply(outer, net.apply(inner, net.input(1, 40)), name="outer"), net.weights(1)))
    assert "outer" in layers(apply(remove_identities, before).graph)
