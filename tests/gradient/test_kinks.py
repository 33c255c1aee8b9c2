"""Where a maximum has no derivative, the first one in row-major order takes all; and worked examples."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

import cnncc
from cnncc import ops
from cnncc.gradient import differentiated, windows
from cnncc.ir import Builder
from cnncc.types import TensorType
from cnncc.windows import resolve

from .support import fed, gradients, of_op, precisely

CASES = range(60)


def random_pool(seed):
    """A random pool, small whole numbers with many ties, and how much each result counts."""
    rng = np.random.default_rng(seed)
    draw = lambda low, high: tuple(int(n) for n in rng.integers(low, high, 2))  # noqa: E731
    kernel, stride, dilation = draw(1, 4), draw(1, 4), draw(1, 3)
    padding = tuple(int(rng.integers(0, k // 2 + 1)) for k in kernel)
    x = rng.integers(0, 3, (2, 2, 9, 10)).astype(float)
    pool = ops.MaxPool(kernel, stride, padding, dilation)
    shape = (2, 2, *(axis.out for axis in resolve(x.shape[2:], kernel, stride, dilation, padding)))
    return pool, x, rng.standard_normal(shape)


def naive(pool, x, counts):
    """Window by window: the first maximum in row-major order gets what the window counts."""
    result = np.zeros_like(x)
    for n, c, row, column in np.ndindex(*counts.shape):
        best = None
        for i, j in product(range(pool.kernel[0]), range(pool.kernel[1])):
            at = tuple(
                o * s + t * d - p
                for o, s, t, d, p in zip((row, column), pool.stride, (i, j), pool.dilation, pool.padding, strict=True)
            )
            inside = all(0 <= place < size for place, size in zip(at, x.shape[2:], strict=True))
            if inside and (best is None or x[(n, c, *at)] > x[(n, c, *best)]):
                best = at
        result[(n, c, *best)] += counts[n, c, row, column]
    return result


@pytest.mark.parametrize("seed", CASES)
def test_ties_of_overlapping_padded_and_dilated_windows(seed):
    pool, x, counts = random_pool(seed)
    (found,) = gradients(pool, [x], counts)
    np.testing.assert_allclose(found, naive(pool, x, counts), rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", CASES[:20])
def test_large_windows_go_back_axis_by_axis(seed, monkeypatch):
    monkeypatch.setattr(windows, "MOST_TAPS", 1)
    pool, x, counts = random_pool(seed)
    (found,) = gradients(pool, [x], counts)
    np.testing.assert_allclose(found, naive(pool, x, counts), rtol=0, atol=1e-12)


@pytest.mark.parametrize("op", [ops.Relu(), ops.Sigmoid(), ops.Tanh(), ops.Exp()], ids=lambda op: op.name)
@pytest.mark.parametrize("seed", CASES[:15])
def test_the_slope_below_a_maximum_is_taken_at_the_maximum(op, seed):
    """As if it were taken of each element, which it is where these are asked for as well."""
    pool, x, counts = random_pool(seed)
    b = Builder("pooled")
    (y,) = b.add(op, [b.input("x", TensorType(x.shape))], "layer")
    (z,) = b.add(pool, [y], "pool")
    graph = b.graph({"z": z})
    feeds = {"x": (x - 1) * 0.7, "d_z": counts}  # equal elements on both sides of 0, and 0
    at_maximum, of_each = (precisely(differentiated(graph, "z", by), feeds)["d_x"] for by in (("x",), ("x", "layer")))
    np.testing.assert_allclose(at_maximum, of_each, rtol=1e-12, atol=0)


def test_elements_that_are_read_elsewhere_have_slopes_of_their_own():
    b = Builder("twice")
    x = b.input("x", TensorType((1, 1, 4)))
    (y,) = b.add(ops.Relu(), [x], "layer")
    (z,) = b.add(ops.MaxPool((2,)), [y], "pool")
    (whole,) = b.add(ops.ReduceSum((1, 2)), [y], "whole")
    (sums,) = b.add(ops.Add(), [whole, z], "sums")
    feeds = {"x": np.array([[[3.0, 1, -1, -2]]]), "d_sums": np.array([[[1.0, 10]]])}
    found = precisely(differentiated(b.graph({"sums": sums}), "sums", ("x",)), feeds)["d_x"]
    np.testing.assert_array_equal(found, [[[12, 11, 0, 0]]])


def test_padding_takes_nothing_from_elements_that_are_minus_infinity():
    x = np.full((1, 1, 3), -np.inf)
    (found,) = gradients(ops.MaxPool((3,), 1, 1), [x], np.array([[[1.0, 10.0, 100.0]]]))
    np.testing.assert_array_equal(found, [[[11, 100, 0]]])


def test_a_window_that_holds_nan_passes_nothing_on():
    x = np.array([[[1.0, np.nan, 3.0, 2.0]]])
    (found,) = gradients(ops.MaxPool((2,)), [x], np.ones((1, 1, 2)))
    np.testing.assert_array_equal(found, [[[0, 0, 1, 0]]])


def test_the_first_extreme_of_whole_axes():
    x = np.array([[[3.0, 1, 3], [1, 1, 3]]])
    for op, expected in (
        (ops.ReduceMax((1, 2)), [[1, 0, 0], [0, 0, 0]]),
        (ops.ReduceMin((1, 2)), [[0, 1, 0], [0, 0, 0]]),
    ):
        (found,) = gradients(op, [x], np.ones((1, 1, 1)))
        np.testing.assert_array_equal(found[0], expected)
    (found,) = gradients(ops.ReduceMax((1,)), [x], np.array([[[1.0, 10, 100]]]))
    np.testing.assert_array_equal(found[0], [[1, 10, 100], [0, 0, 0]])
    (found,) = gradients(ops.GlobalMaxPool(), [np.ones((1, 1, 2, 2))], np.ones((1, 1, 1, 1)))
    np.testing.assert_array_equal(found[0, 0], [[1, 0], [0, 0]])


def test_equal_elements_in_an_order_go_back_to_their_places():
    x = np.array([[2.0, 5, 5, 1]])
    graph_of_values = gradients_of_values(ops.TopK(2), x, np.array([[1.0, 10]]))
    np.testing.assert_array_equal(graph_of_values, [[0, 1, 10, 0]])


def gradients_of_values(op, x, counts):
    return gradients(op, [x], counts)[0]


def test_an_element_that_is_read_twice_gets_both_shares():
    x = np.arange(4.0).reshape(1, 4)
    (found,) = gradients(ops.Gather((1, 3, 1, 1, 3), 1), [x], np.array([[1.0, 2, 4, 8, 16]]))
    np.testing.assert_array_equal(found, [[0, 13, 0, 18]])
    (found,) = gradients(
        ops.Gather((1, 3, 1, 1, 1, 1), 1), [x], np.array([[1.0, 2, 4, 8, 16, 32]])
    )  # added up by index
    np.testing.assert_array_equal(found, [[0, 61, 0, 2]])


def test_batch_norm_of_the_lecture():
    """x = 1 2 4 9, dy = 1 0 −1 2, γ = 2, by hand to eight digits."""
    x, dy = np.array([[1.0], [2], [4], [9]]), np.array([[1.0], [0], [-1], [2]])
    dx, dgamma, dbeta = gradients(ops.BatchStandardization(1e-5), [x, np.array([2.0]), np.array([0.5])], dy)
    np.testing.assert_allclose(dx[:, 0], [0.68303683, -0.0853799, -0.97332801, 0.37567109], rtol=0, atol=5e-9)
    np.testing.assert_allclose([dgamma[0], dbeta[0]], [2.2710987, 2.0], rtol=0, atol=5e-8)


def test_softmax_and_cross_entropy_of_the_textbook():
    """The gradient of −log softmax(x)[k] is softmax(x) − one-hot(k), also where powers overflow."""
    x = np.array([[1.0, 2, 3, 1000]])
    (found,) = gradients(ops.LogSoftmax(1), [x], -np.eye(4)[[2]])
    np.testing.assert_allclose(found, [[0, 0, -1, 1]], atol=1e-12)
    (small,) = gradients(ops.LogSoftmax(1), [x[:, :3]], -np.eye(3)[[0]])
    powers = np.exp(x[:, :3])
    np.testing.assert_allclose(small, powers / powers.sum() - [[1, 0, 0]], rtol=1e-12)


INDICES = np.array([[1, -1, 1, 5, -6, 0]])
"""Two updates meet element 1, one counts from the back, two indices do not exist."""


@pytest.mark.parametrize(
    "reduction, by_x, by_updates",
    [
        ("none", [0, 0, 100, 0], [0, 1000, 10, 0, 0, 1]),
        ("add", [1, 10, 100, 1000], [10, 1000, 10, 0, 0, 1]),
        ("max", [1, 0, 100, 0], [10, 1000, 0, 0, 0, 0]),
        ("min", [1, 10, 100, 1000], [0, 0, 0, 0, 0, 0]),
    ],
)
def test_writes_at_indices(reduction, by_x, by_updates):
    """Of equal ones that are the extreme, x comes first, then the updates in their order."""
    x, updates = np.array([[7.0, 2, 2, 2]]), np.array([[5.0, 4, 5, 9, 9, 7]])
    graph = of_op(ops.ScatterElements(1, reduction), *map(TensorType.of, (x, INDICES, updates)))
    feeds = {**fed(x, INDICES, updates), "d_y": np.array([[1.0, 10, 100, 1000]])}
    found = precisely(differentiated(graph, "y", ("x0", "x2")), feeds)
    np.testing.assert_array_equal(found["d_x0"], [by_x])
    np.testing.assert_array_equal(found["d_x2"], [by_updates])


def test_reads_at_indices_go_back_to_what_they_read():
    """Beyond either end it was the element there."""
    x = np.zeros((1, 4))
    graph = of_op(ops.GatherElements(1), *map(TensorType.of, (x, INDICES)))
    counts = np.array([[1.0, 10, 100, 1000, 10000, 100000]])
    found = precisely(differentiated(graph, "y", ("x0",)), {**fed(x, INDICES), "d_y": counts})
    np.testing.assert_array_equal(found["d_x0"], [[110000, 101, 0, 1010]])


@pytest.mark.parametrize("ends", [(1.1, None), (None, 0.7), (-0.9, 0.9), (0.1, 0.3)])
def test_clipped_numbers_have_no_slope_whatever_the_ends(ends):
    """Results at an end that no float32 equals: it is rounded, up or down, and so are they."""
    x = np.array([-3, -0.9, 0, 0.2, 0.5, 0.7, 1.1, 2], np.float32)
    low, high = (None if end is None else np.float32(end) for end in ends)
    inside = (x > (-np.inf if low is None else low)) & (x < (np.inf if high is None else high))
    slopes = differentiated(of_op(ops.Clip(*ends), x), "y", ("x0",))
    given = {"x0": x, "d_y": np.ones_like(x)}
    np.testing.assert_array_equal(cnncc.interpret(slopes, given)[1], inside)
    np.testing.assert_array_equal(cnncc.compile(slopes, cache=False)(given)[1], inside)
