"""Reads and writes at indices: bounds of their errors, images, and what the type rules refuse."""

from __future__ import annotations

import numpy as np
import pytest

from cnncc.batching import batched_inputs
from cnncc.check.bound import Bound, compare
from cnncc.check.tolerance import op_bounds
from cnncc.elements import BOOL, FLOAT32, INT64, NUMBERS
from cnncc.errors import ShapeError
from cnncc.op import either
from cnncc.ops import Gather, GatherElements, GatherND, GridSample, ScatterElements, ScatterND
from cnncc.types import TensorType
from tests.graphs import Net

INF = np.inf


def exact(*data):
    return [Bound.exact(np.asarray(array)) for array in data]


def test_errors_move_with_elements():
    x = Bound(np.array([[1.0, 2, 3]]), np.array([[0.1, 0.2, 0.3]]))
    (bound,) = op_bounds(GatherElements(1), [x, *exact([[2, 7, -3, 0]])])
    np.testing.assert_array_equal(bound.error, [[0.3, 0.3, 0.1, 0.1]])
    (bound,) = op_bounds(ScatterElements(1), [x, *exact([[2, 7]], [[5.0, 6.0]])])
    np.testing.assert_array_equal(bound.error, [[0.1, 0.2, 0]])


def test_an_index_without_a_bound_leaves_nothing_held():
    """What it might read is one element; what it might write is the whole axis."""
    x = np.arange(6.0).reshape(2, 3)
    unsure = Bound(np.array([[1, 1], [0, 0]]), np.array([[0, INF], [0, 0]]))
    (bound,) = op_bounds(GatherElements(1), [*exact(x), unsure])
    np.testing.assert_array_equal(bound.error, [[0, INF], [0, 0]])
    for reduction in ("none", "add", "max"):
        updates = exact(np.ones((2, 2)))
        (bound,) = op_bounds(ScatterElements(1, reduction), [*exact(x), unsure, *updates])
        assert np.isinf(bound.error[0]).all() and np.isfinite(bound.error[1]).all()


@pytest.mark.parametrize(("reduction", "combine"), [("add", np.add), ("mul", np.multiply)])
def test_sums_and_products_in_float32_stay_inside(reduction, combine, rng):
    x, updates = (rng.standard_normal(size).astype(np.float32) for size in (8, 300))
    indices = rng.integers(0, 7, 300)
    (bound,) = op_bounds(ScatterElements(0, reduction), exact(x, indices, updates))
    for order in (np.arange(300), rng.permutation(300)):
        found = x.copy()
        combine.at(found, indices[order], updates[order])
        assert compare(found, bound).ok
    assert bound.error[7] == 0 and (bound.error[:7] > 0).all()  # no update meets the last one
    found[0] += 4 * bound.error[0]
    assert not compare(found, bound).ok


def test_images_are_free_where_indices_leave_them_alone():
    def batched(op, *shapes, known=()):
        net = Net()
        values = []
        for place, shape in enumerate(shapes):
            element = INT64 if place == 1 else FLOAT32
            data = np.zeros(shape, element.numpy)
            values.append(net.known(data, element) if place in known else net.arrives(data, "x", element))
        return batched_inputs(net.graph(net.apply(op, *values)))

    assert batched(Gather(), (9, 4), (2, 5)) == {"x": False, "x_1": True}
    assert batched(Gather(axis=1), (2, 9, 4), (5,)) == {"x": True, "x_1": False}
    assert batched(Gather(axis=1), (2, 9, 4), (2, 5)) == {"x": True, "x_1": False}
    assert batched(GatherElements(1), (2, 9), (2, 3)) == {"x": True, "x_1": True}
    assert batched(GatherElements(0), (2, 9), (2, 3)) is None
    assert batched(GatherElements(1), (2, 9), (1, 3), known=(0,)) is None  # a table with a row for each of two images
    assert batched(GatherND(1), (2, 9), (2, 3, 1)) == {"x": True, "x_1": True}
    assert batched(GatherND(), (4, 9), (2, 3, 1)) == {"x": False, "x_1": True}
    assert batched(ScatterElements(1), (2, 9), (2, 3), (2, 3)) == {"x": True, "x_1": True, "x_2": True}
    assert batched(ScatterElements(1), (2, 9), (2, 3), (2, 3), known=(1, 2)) is None  # updates for two images only
    assert batched(ScatterND(), (2, 9), (3, 1), (3, 9)) is None


WHOLE = INT64
REFUSED = [
    (
        Gather(),
        [(4, 3), (2,)],
        (FLOAT32, FLOAT32),
        "Gather takes indices of int32 or int64, got float32[2]: Cast converts them",
    ),
    (Gather(axis=2), [(4, 3), (2,)], (FLOAT32, WHOLE), "axis 2 does not exist in a tensor of 2 axes"),
    (
        GatherElements(1),
        [(2, 3), (3, 3)],
        (FLOAT32, WHOLE),
        "indices int64[3, 3] do not fit float32[2, 3]: GatherElements takes at most as many on all axes but 1",
    ),
    (GatherND(1), [(2, 3), (3, 1)], (FLOAT32, WHOLE), "indices int64[3, 1] do not fit float32[2, 3] with batch_dims=1"),
    (GatherND(), [(2, 3), (3, 3)], (FLOAT32, WHOLE), "indices int64[3, 3] do not fit float32[2, 3] with batch_dims=0"),
    (
        GridSample("bilinear"),
        [(1, 2, 3), (1, 4, 1)],
        (FLOAT32,) * 2,
        "mode 'bilinear' is unknown: expected 'nearest', 'linear', 'cubic'",
    ),
    (
        GridSample(padding="wrap"),
        [(1, 2, 3), (1, 4, 1)],
        (FLOAT32,) * 2,
        "padding 'wrap' is unknown: expected 'zeros', 'border', 'reflection'",
    ),
    (
        GridSample(),
        [(1, 2, 3, 4), (1, 4, 5, 3)],
        (FLOAT32,) * 2,
        "expected x (N, C, spatial axes) and a grid (N, as many axes, their number), got float32[1, 2, 3, 4] and "
        "float32[1, 4, 5, 3]",
    ),
    (
        GridSample("cubic"),
        [(1, 2, 3, 3, 3, 3), (1, 4, 4, 4, 4, 4)],
        (FLOAT32,) * 2,
        "mode 'cubic' reads 256 elements of float32[1, 2, 3, 3, 3, 3] for each result: at most 64",
    ),
    (
        ScatterElements(0, "mean"),
        [(3,), (2,), (2,)],
        (FLOAT32, WHOLE, FLOAT32),
        "reduction='mean': expected 'none' or 'add' or 'mul' or 'max' or 'min'",
    ),
    (
        ScatterElements(0, "add"),
        [(3,), (2,), (2,)],
        (BOOL, WHOLE, BOOL),
        f"ScatterElements with reduction='add' takes {either(NUMBERS)}, got bool[3]",
    ),
    (
        ScatterElements(),
        [(3,), (2,), (1,)],
        (FLOAT32, WHOLE, FLOAT32),
        "ScatterElements takes an update for each index int64[2], got float32[1]",
    ),
    (
        ScatterElements(),
        [(3,), (2,), (2,)],
        (FLOAT32, WHOLE, WHOLE),
        "ScatterElements takes operands of one type, got float32[3] and int64[2]: Cast converts one of them",
    ),
    (
        ScatterND(),
        [(3, 4), (2, 1), (2, 3)],
        (FLOAT32, WHOLE, FLOAT32),
        "ScatterND takes updates of shape (2, 4) for indices int64[2, 1], got float32[2, 3]",
    ),
    (
        ScatterND(),
        [(3, 4), (2, 3), (2,)],
        (FLOAT32, WHOLE, FLOAT32),
        "indices int64[2, 3] do not fit float32[3, 4]: their last axis has one for each of its first axes",
    ),
]


@pytest.mark.parametrize(("op", "shapes", "elements", "message"), REFUSED, ids=[row[-1][:40] for row in REFUSED])
def test_refusals(op, shapes, elements, message):
    with pytest.raises(ShapeError) as caught:
        op.infer(*(TensorType(shape, element) for shape, element in zip(shapes, elements, strict=True)))
    assert str(caught.value) == message
