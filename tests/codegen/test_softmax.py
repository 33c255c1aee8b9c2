"""Softmax and the exponential function under it."""

from __future__ import annotations

import numpy as np
import pytest

from cnncc.functions import EXP_ULPS
from cnncc.ops import Conv, Softmax
from cnncc.types import Array
from tests.graphs import Net, check, compilation, native, runnable_targets, sprinkled

from .kernels import run_expression

pytestmark = pytest.mark.combinations

TARGETS = list(runnable_targets())
OVERFLOW = 88.72283172607422  # the largest float32 whose exp is finite
UNDERFLOW = -103.97208404541016  # below it exp rounds to 0


@pytest.mark.parametrize("target", TARGETS)
def test_every_axis(target: str) -> None:
    net = Net()
    outputs = []
    for shape in [(7,), (3, 10), (1, 33), (2, 5, 9), (1, 21, 3, 4), (2, 3, 4, 2, 5)]:
        x = net.input(*shape)
        outputs += [net.apply(Softmax(axis), x) for axis in range(len(shape))]
    graph = net.graph(*outputs)
    check(graph, net.feeds, target)
    for seed in range(3):
        check(graph, sprinkled(net.feeds, seed), target)


def test_channels_last() -> None:
    net = Net()
    x = net.apply(Conv((3, 3)), net.input(1, 16, 5, 6), net.weights(20, 16, 3, 3))
    check(net.graph(*(net.apply(Softmax(axis), x) for axis in range(4))), net.feeds)


def test_large_differences_neither_overflow_nor_vanish_wrongly() -> None:
    net = Net()
    x = net.arrives(np.array([[3e38, -3e38, 0, 1], [1000, 1001, 999, -1000], [-90, 0, -104, -88]], np.float32))
    graph = net.graph(net.apply(Softmax(), x))
    found = check(graph, net.feeds)["y0"]
    assert np.isfinite(found).all() and found[0, 0] == 1


# exp itself


def all_exponents() -> Array:
    """Numbers of every exponent and sign, and many between the ends of the finite range."""
    rng = np.random.default_rng(1)
    patterns = np.arange(0, 1 << 32, 65_521, dtype=np.uint64).astype(np.uint32).view(np.float32)
    return np.concatenate([patterns, rng.uniform(-104.5, 89.5, 200_000).astype(np.float32), ends()])


def ends() -> Array:
    """Both ends, float by float."""
    around = [OVERFLOW, UNDERFLOW, -87.3365447506, 0.0, np.log(2) / 2, -np.log(2) / 2]
    found = []
    for centre in np.array(around, np.float32):
        bits = centre.view(np.int32) + np.arange(-300, 301, dtype=np.int32)
        found.append(bits.view(np.float32))
    return np.concatenate(found)


def ulps(found: Array, x: Array) -> Array:
    """Error in units of the last place of the result (of the subnormals, where it is one)."""
    exact = np.exp(x.astype(np.float64))
    unit = np.exp2(np.maximum(np.floor(np.log2(np.maximum(exact, 1e-300))), -126) - 23)
    return np.abs(found.astype(np.float64) - exact) / unit


@pytest.mark.parametrize("lanes", [1, 4, 16])
@pytest.mark.parametrize("target", TARGETS)
def test_exp_is_as_exact_as_stated(target: str, lanes: int) -> None:
    x = all_exponents()
    x = x[~np.isnan(x)]
    found = run_expression("exp", x, target=target, lanes=lanes)
    with np.errstate(over="ignore"):
        finite = np.exp(x.astype(np.float64)) < np.finfo(np.float32).max
    assert ulps(found[finite], x[finite]).max() <= EXP_ULPS
    assert (found[~finite] == np.inf).all()
    assert (found[x < -104] == 0).all()


@pytest.mark.parametrize("target", TARGETS)
def test_exp_at_the_ends(target: str) -> None:
    tiny = np.float32(2.0**-149)
    x = np.array(
        [np.nan, np.inf, -np.inf, OVERFLOW, 88.73, -103.97, -104, 3e38, -3e38, 0, -0.0, tiny, -tiny],
        np.float32,
    )
    found = run_expression("exp", x, target=target, lanes=1)
    largest = np.float32(np.exp(OVERFLOW))
    wanted = np.array([np.nan, np.inf, 0, largest, np.inf, tiny, 0, np.inf, 0, 1, 1, 1, 1], np.float32)
    np.testing.assert_allclose(found, wanted, rtol=3e-7, atol=0)


def test_the_largest_finite_argument() -> None:
    with np.errstate(over="ignore"):
        beyond = np.nextafter(np.float32(OVERFLOW), np.float32(100))
        assert np.isfinite(np.exp(np.float64(OVERFLOW)).astype(np.float32))
        assert np.isinf(np.exp(np.float64(beyond)).astype(np.float32))


def test_the_bound_is_not_generous() -> None:
    """A quarter of the stated bound would not do."""
    x = all_exponents()
    x = x[(x > -87) & (x < 88)]
    assert ulps(run_expression("exp", x), x).max() > EXP_ULPS / 4


def test_native_softmax_sums_to_one() -> None:
    net = Net()
    graph = net.graph(net.apply(Softmax(), net.input(50, 37)))
    assert np.abs(native(compilation(graph), net.feeds)["y0"].sum(1) - 1).max() < 1e-6
