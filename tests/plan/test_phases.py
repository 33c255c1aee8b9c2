"""Phases of a transposed convolution that read the same points, as outputs of one contraction."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from cnncc.ir import Graph, Value
from cnncc.ops import Add, Concat, Conv, ConvTranspose, Relu
from cnncc.plan.kernels import Convolution
from cnncc.plan.phases import Phases
from cnncc.plan.plan import Plan
from tests.graphs import Net, assert_same_bits, check, check_all, compilation, native, sprinkled

PAIR = ConvTranspose((2, 2), 2)


def transposed(net: Net, x: Value, op: ConvTranspose, outputs: int, arrive: bool = False) -> Value:
    weights = net.weights(net.shape(x)[1], outputs // op.groups, *op.kernel, arrive=arrive)
    return net.apply(Relu(), net.apply(op, x, weights, net.weights(outputs)))


def layer(op: ConvTranspose, *shape: int, outputs: int = 3, arrive: bool = False) -> tuple[Graph, Net]:
    net = Net()
    return net.graph(transposed(net, net.input(*shape), op, outputs, arrive)), net


def contractions(plan: Plan) -> int:
    return sum(isinstance(step.kernel, Convolution) for step in plan.steps)


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Phases, "pays", lambda self, alike: True)


CASES: Sequence[tuple[ConvTranspose, tuple[int, ...]]] = (
    (PAIR, (2, 5, 7, 19)),
    (ConvTranspose((2, 3), (2, 3), padding="same"), (1, 3, 6, 17)),
    (ConvTranspose((3, 1), (3, 1)), (1, 3, 5, 9)),
    (ConvTranspose((4,), 4), (2, 3, 40)),
    (ConvTranspose((2, 2, 2), 2), (1, 3, 3, 4, 5)),
    (ConvTranspose((9, 9), 9), (1, 2, 4, 5)),
)


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize(("op", "shape"), CASES, ids=[f"{op.kernel} by {op.stride}" for op, _ in CASES])
def test_one_contraction_computes_all_phases(op: ConvTranspose, shape: tuple[int, ...]) -> None:
    graph, net = layer(op, *shape)
    assert contractions(compilation(graph).plan) == 1
    check_all(graph, "host", net.feeds, sprinkled(net.feeds, 2))


@pytest.mark.parametrize("target", ["x86-64-v3", "host"])
def test_few_outputs_are_computed_together_behind_a_layer_with_channels_last(target: str) -> None:
    net = Net()
    x = net.apply(Relu(), net.apply(Conv((3, 3), padding=1), net.input(1, 16, 20, 24), net.weights(16, 16, 3, 3)))
    graph = net.graph(transposed(net, x, PAIR, 1))
    plan = compilation(graph, target).plan
    assert contractions(plan) == 2
    check(graph, net.feeds, target)


def test_bits_are_those_of_phases_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, net = layer(PAIR, 3, 5, 7, 19)
    found = []
    for pays in (False, True):
        monkeypatch.setattr(Phases, "pays", lambda self, alike, pays=pays: pays)
        compiled = compilation(graph, precision="strict")
        assert contractions(compiled.plan) == (1 if pays else 4)
        found += [native(compiled, net.feeds, threads) for threads in (1, 2)]
    for other in found[1:]:
        assert_same_bits(found[0], other)


@pytest.mark.usefixtures("always")
def test_weights_in_half_the_bytes() -> None:
    graph, net = layer(PAIR, 1, 5, 7, 19)
    assert contractions(compilation(graph, weights="float16").plan) == 1
    check(graph, net.feeds, weights="float16")


def test_full_lanes_need_no_blocks() -> None:
    """With channels last, 64 outputs fill the lanes, and each phase is stored at its place without a move."""
    net = Net()
    x = net.apply(Relu(), net.apply(Conv((1, 1)), net.input(1, 128, 9, 10), net.weights(128, 128, 1, 1)))
    y = transposed(net, x, PAIR, 64)
    graph = net.graph(net.apply(Conv((1, 1)), y, net.weights(64, 64, 1, 1)))
    assert contractions(compilation(graph, "x86-64-v4").plan) == 1 + 4 + 1


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("way", ["arrive", "groups", "taps", "residual", "joined", "cortex-m4", "chains"])
def test_phases_that_stay_apart(way: str) -> None:
    """Weights that arrive, groups, more taps, operands of the epilogue, a place elsewhere, little memory."""
    net = Net()
    x = net.input(1, 4, 7, 9)
    ops = {"groups": ConvTranspose((2, 2), 2, groups=2), "taps": ConvTranspose((4, 4), 2)}
    y = transposed(net, x, ops.get(way, PAIR), 6, arrive=way == "arrive")
    if way == "residual":
        y = net.apply(Add(), y, net.weights(6, 1, 1, arrive=True))
    if way == "joined":
        y = net.apply(Concat(1), y, net.input(1, 2, 14, 18, name="skip"))
    target = way if way == "cortex-m4" else "host"
    graph = net.graph(y)
    options = {"streaming": "chains"} if way == "chains" else {}
    assert contractions(compilation(graph, target, **options).plan) == 4
    if target == "host":
        check(graph, net.feeds, target)
