"""A fused node means what its anchor and stages mean one after the other."""

from __future__ import annotations

import numpy as np
import pytest

from cnncc.errors import ShapeError
from cnncc.op import REGISTRY, Cost
from cnncc.ops import Add, AveragePool, BatchNormalization, Conv, Dense, Fused, FusedOp, MaxPool, Relu
from cnncc.types import TensorType

OP = Fused(
    Conv((3, 3), padding=1),
    3,
    (FusedOp(BatchNormalization(), extra=4), FusedOp(Add(), 1, 1), FusedOp(Relu()), FusedOp(MaxPool((2, 2)))),
)
SHAPES = ((2, 3, 6, 6), (5, 3, 3, 3), (5,), (5,), (5,), (5,), (5,), (2, 5, 6, 6))


def arrays(rng):
    made = [rng.standard_normal(shape).astype(np.float32) for shape in SHAPES]
    made[6] = np.abs(made[6])
    return made


def test_split_gives_each_its_inputs():
    assert OP.split(range(8)) == [(0, 1, 2), (3, 4, 5, 6), (7,), (), ()]


def test_reference_and_type_fold_over_the_body(rng):
    x, w, bias, scale, shift, mean, variance, residual = arrays(rng)
    (y,) = OP.anchor.reference(x, w, bias)
    (y,) = BatchNormalization().reference(y, scale, shift, mean, variance)
    (y,) = Add().reference(residual, y)
    (y,) = Relu().reference(y)
    (y,) = MaxPool((2, 2)).reference(y)
    (fused,) = OP.reference(x, w, bias, scale, shift, mean, variance, residual)
    np.testing.assert_array_equal(fused, y)
    assert OP.infer(*map(TensorType, SHAPES)) == (TensorType(y.shape),)


def test_the_running_value_takes_its_position():
    stage = FusedOp(Add(), 1, 1)
    assert stage.arguments("running", ["other"]) == ["other", "running"]
    assert FusedOp(Add(), 0, 1).arguments("running", ["other"]) == ["running", "other"]


def test_cost_adds_up():
    image = 2 * 5 * 6 * 6
    assert OP.cost(*map(TensorType, SHAPES)) == Cost(macs=image * 27, flops=2 * image + image + image + image)


def test_images_come_from_the_body():
    ranks = [len(shape) for shape in SHAPES]
    assert OP.images(*ranks) == (True, False, False, False, False, False, False, True)
    assert Fused(Dense(), 2, (FusedOp(Relu()),)).images(2, 2) == (True, False)


def test_a_stage_that_does_not_fit_is_refused():
    with pytest.raises(ShapeError, match="window of 9 elements"):
        Fused(Conv((3, 3)), 2, (FusedOp(AveragePool((9, 9))),)).infer(*map(TensorType, SHAPES[:2]))


def test_it_is_no_op_of_its_own():
    assert "Fused" not in REGISTRY
    assert not list(Fused.samples())
    assert str(OP).split(" → ") == [
        "Conv(kernel=(3, 3), padding=1)",
        "BatchNormalization()",
        "Add()",
        "Relu()",
        "MaxPool(kernel=(2, 2))",
    ]
