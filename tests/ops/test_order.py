"""NaN, ties, ends of ranges and bounds of the ops that compare elements, add them up, or choose by their places."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from cnncc.check.bound import Bound, compare
from cnncc.check.tolerance import op_bounds
from cnncc.ops import ArgMax, ArgMin, CumSum, Hardmax, OneHot, TopK, Trilu
from cnncc.types import Array

NAN, INF = math.nan, math.inf
F32 = np.float32
LINES = [
    [3, 1, 3, 2, 3],
    [1, NAN, 3, NAN, 2],
    [NAN, 1, 2, 3, 0],
    [INF, -INF, INF, -INF, 0],
    [INF, NAN, -INF, 1, NAN],
    [0.0, -0.0, 0.0, -0.0, 0.0],
    [NAN, NAN, NAN, NAN, NAN],
]


def result(op, values) -> list[Array]:
    return [array.tolist() for array in op.reference(np.array([values], F32))]


def test_the_first_nan_is_the_extreme_or_the_last():
    """As `numpy.argmax` and `numpy.argmin` have it."""
    for line, first, last in zip(LINES, (0, 1, 0, 0, 1, 0, 0), (4, 3, 0, 2, 4, 4, 4), strict=True):
        assert result(ArgMax(1), line) == [[[first]]]
        assert result(ArgMax(1, select_last_index=True), line) == [[[last]]]
        assert first == np.argmax(F32(line))
    for line, first, last in zip(LINES, (1, 1, 0, 1, 1, 0, 0), (1, 3, 0, 3, 4, 4, 4), strict=True):
        assert result(ArgMin(1), line) == [[[first]]]
        assert result(ArgMin(1, select_last_index=True), line) == [[[last]]]
        assert first == np.argmin(F32(line))
    assert result(Hardmax(1), LINES[1]) == [[[0, 1, 0, 0, 0]]]


def test_nan_is_larger_than_all_numbers_in_an_order():
    """As `numpy.sort` has it."""
    falling = (
        (0, 2, 4, 3, 1),
        (1, 3, 2, 4, 0),
        (0, 3, 2, 1, 4),
        (0, 2, 4, 1, 3),
        (1, 4, 0, 3, 2),
        *[(0, 1, 2, 3, 4)] * 2,
    )
    rising = (
        (1, 3, 0, 2, 4),
        (0, 4, 2, 1, 3),
        (4, 1, 2, 3, 0),
        (1, 3, 4, 0, 2),
        (2, 3, 0, 1, 4),
        *[(0, 1, 2, 3, 4)] * 2,
    )
    for line, down, up in zip(LINES, falling, rising, strict=True):
        for k in range(1, 6):
            assert result(TopK(k), line)[1] == [list(down[:k])]
            assert result(TopK(k, largest=False), line)[1] == [list(up[:k])]
        np.testing.assert_array_equal(result(TopK(5, largest=False), line)[0], [np.sort(F32(line))])


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_the_ends_of_the_range_are_in_order(dtype):
    ends = np.array([[0, np.iinfo(dtype).min, np.iinfo(dtype).max, np.iinfo(dtype).min + 1, -1]], dtype)
    assert TopK(5).reference(ends)[1].tolist() == [[2, 0, 4, 3, 1]]
    assert TopK(5, largest=False).reference(ends)[1].tolist() == [[1, 3, 4, 0, 2]]
    assert ArgMax(1, False).reference(ends)[0] == 2 and ArgMin(1, False).reference(ends)[0] == 1
    assert CumSum(1).reference(ends)[0].tolist() == [[0, ends[0, 1], -1, ends[0, 1], ends[0, 2]]], "sums wrap"


def test_sums_keep_what_is_not_finite():
    assert result(CumSum(1), [1, INF, 2, -INF, 3])[0][0][:3] == [1, INF, INF]
    assert np.isnan(result(CumSum(1), [1, INF, 2, -INF, 3])[0][0][3:]).all()
    assert result(CumSum(1, True), [1, 2, 3, NAN])[0] == [[0, 1, 3, 6]]
    assert result(CumSum(1, True, True), [NAN, 2, 3, 4])[0] == [[9, 7, 4, 0]]


def test_indices_that_name_no_place():
    values = np.array([0, 1], F32)
    assert OneHot(3).reference(np.array([-4, 3, -3, 2**62, -(2**63)]), values)[0].sum(1).tolist() == [0, 0, 1, 0, 0]
    assert not OneHot(3, from_back=False).reference(np.array([-1, -3]), values)[0].any()
    floats = np.array([-0.9, 2.9, NAN, INF, -1e30], F32)
    assert OneHot(3).reference(floats, values)[0].argmax(1).tolist() == [0, 2, 0, 0, 0]
    assert OneHot(3).reference(floats, values)[0].sum(1).tolist() == [1, 1, 1, 0, 0]


def test_a_triangle_hides_what_is_not_finite():
    x = np.full((3, 3), NAN, F32)
    assert np.isnan(Trilu().reference(x)[0]).tolist() == np.triu(np.ones((3, 3), bool)).tolist()
    for upper, k in product((True, False), (-(2**70), -4, -3, 3, 4, 2**70)):
        expected = np.full((2, 3), (k < 0) == upper)
        np.testing.assert_array_equal(Trilu(upper, k).reference(np.ones((2, 3), F32))[0], expected)


# Bounds


def bound(op, values, errors) -> list[Bound]:
    return op_bounds(op, [Bound(np.array([values], float), np.array([errors], float))])


@pytest.mark.parametrize(("op", "sign"), [(ArgMax(1), 1), (ArgMin(1), -1)])
def test_a_place_is_certain_where_no_other_can_be_as_good(op, sign):
    def certain(values, errors) -> bool:
        (found,) = bound(op, sign * np.array(values, float), errors)
        return not found.error.any()

    assert certain([1, 3, 2], [0.1, 0.4, 0.4])
    assert not certain([1, 3, 2], [0.1, 0.5, 0.5]), "they may be equal, and then the places decide"
    assert certain([3, 3, 2], [0, 0, 0]), "what is exact is equal for certain"
    assert not certain([3, 3, 2], [0, 1e-9, 0])
    assert not certain([3, 1, 2], [0, INF, 0]), "what has no bound may be NaN"
    assert certain([sign * NAN, 1, 2], [0, 0.5, 5.0]) and certain([1, sign * NAN, sign * NAN], [9.0, 0, 0])


def test_an_order_is_certain_where_all_neighbours_are_apart():
    errors = [0.1, 0.1, 0.1, 0.6, 0.1]
    values, places = bound(TopK(5), [5, 1, 4, 2, 3], errors)
    assert np.isinf(places.error).tolist() == [[False, False, False, False, False]]
    assert values.error.max() >= 0.6
    _, places = bound(TopK(5), [5, 1, 4, 2, 3], [0.1, 0.1, 0.1, 0.95, 0.1])
    assert np.isinf(places.error).tolist() == [[False, False, True, True, True]]
    _, places = bound(TopK(2), [5, 1, 4, 2, 3], [0.1, 0.1, 0.1, 2.0, 0.1])
    assert np.isinf(places.error).tolist() == [[False, True]], "what is not among the first may become so"
    _, places = bound(TopK(3, largest=False), [2, 2, NAN, 1], [0, 0, 0, 0.5])
    assert not places.error.any()
    values, places = bound(TopK(1), [5, 1], [0, INF])
    assert np.isinf(values.error).all() and np.isinf(places.error).all()


@pytest.mark.parametrize("op", [TopK(4), TopK(9, largest=False), TopK(1), ArgMax(1), ArgMin(1, select_last_index=True)])
def test_what_moves_within_its_errors_stays_inside(op, rng):
    """Many of the elements are equal or close, so that they change places."""
    open_places = 0
    for _ in range(60):
        x = np.round(rng.standard_normal((7, 9)), 1).astype(F32)
        error = np.where(rng.random(x.shape) < 0.5, rng.choice([0.01, 0.04, 0.2], x.shape), 0)
        for special in (NAN, INF, -INF):
            x[rng.random(x.shape) < 0.04] = special
        error[~np.isfinite(x)] = 0
        bounds = op_bounds(op, [Bound(x.astype(float), error)])
        open_places += sum(int(np.isinf(found.error).sum()) for found in bounds)
        for _ in range(5):
            moved = (x + error * rng.uniform(-0.99, 0.99, x.shape)).astype(F32)
            for found, actual in zip(bounds, op.reference(moved), strict=True):
                assert compare(actual, found).ok
    assert open_places < 60 * 7 * (op.k if isinstance(op, TopK) else 1)
