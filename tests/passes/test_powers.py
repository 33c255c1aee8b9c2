from __future__ import annotations

import numpy as np
import pytest

from cnncc.interpreter import run
from cnncc.ir import Graph
from cnncc.ops import Pow
from cnncc.passes.identities import remove_identities
from cnncc.passes.powers import lower_powers, lower_rounded_powers

from .support import Net, apply, assert_within_bounds, layers

SPECIAL = np.float32([0, -0.0, 1, -1, 2.5, -2.5, 1e-20, -1e-20, 1e-42, 1e19, -1e19, 3e38, np.inf, -np.inf, np.nan])
RANDOM = np.random.default_rng(0).integers(0, 2**32, 20000, np.uint32).view(np.float32)
DATA = np.concatenate([SPECIAL, RANDOM])


def power(exponent: object) -> Graph:
    net = Net()
    return net.graph(net.apply(Pow(), net.input(DATA.size), net.known(np.float32(exponent)), name="power"))


def result(graph: Graph, data: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        return run(graph, {"x": data})["y0"]


def same(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a.view(np.uint32) == b.view(np.uint32)) | (np.isnan(a) & np.isnan(b))


@pytest.mark.parametrize("exponent", [2, -1])
def test_one_rounding_gives_the_same_bits(exponent: float) -> None:
    before = power(exponent)
    after = apply(lower_powers, before)
    assert [entry.tag for entry in after.fired] == ["finite"] and layers(after.graph) == ["power"]
    assert same(result(before, DATA), result(after.graph, DATA)).all()


def test_two_roundings_stay_within_their_bound() -> None:
    before = power(3)
    assert not apply(lower_powers, before).fired
    after = apply(lower_rounded_powers, before)
    assert [entry.tag for entry in after.fired] == ["rounding"] and layers(after.graph) == ["power.part", "power"]
    old, new = (result(graph, DATA) for graph in (before, after.graph))
    with np.errstate(all="ignore"):
        near = np.abs(new.astype(np.float64) - old) <= 2 * 2.0**-24 * np.abs(old.astype(np.float64)) + 2.0**-149
    assert (near | same(old, new)).all()
    assert_within_bounds(before, after.graph)


@pytest.mark.parametrize("exponent", [2.5, 0, 0.5, np.nan, [2.0] * (DATA.size - 1) + [3.0]])
def test_other_exponents_stay(exponent: object) -> None:
    before = power(exponent)
    for lower in (lower_powers, lower_rounded_powers):
        assert not apply(lower, before).fired


def test_a_tensor_of_equal_exponents_is_one_exponent() -> None:
    assert len(apply(lower_powers, power([2.0] * DATA.size)).fired) == 1


def test_exponents_that_arrive_or_shapes_that_grow_stay() -> None:
    net = Net()
    arriving = net.graph(net.apply(Pow(), net.input(4), net.input(1, name="y")))
    grown = net.graph(net.apply(Pow(), net.input(1, name="z"), net.known(np.full(4, 2, np.float32))))
    assert not apply(lower_powers, arriving).fired and not apply(lower_powers, grown).fired


def test_the_power_1_is_an_identity() -> None:
    net = Net()
    x = net.relu(net.input(4))
    graph = net.graph(net.apply(Pow(), x, net.known(np.float32(1)), name="power"))
    assert layers(apply(remove_identities, graph).graph) == ["relu"]
