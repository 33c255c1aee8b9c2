"""Attributes at their edges: every value is refused in words or computed as the op's formula says, NaN and all."""

from __future__ import annotations

import math
from dataclasses import fields

import numpy as np
import pytest

from cnncc.errors import ShapeError
from cnncc.ops import BatchNormalization, Celu, Clip, LeakyRelu, MaxPool, ReduceSum, Resize, Selu, Slice
from cnncc.types import TensorType

from .cases import data
from .edges import SPECIAL, accepted, each_row, edges, rows
from .oracles_exact import wrapped
from .test_reference import ORACLES

F64 = np.float64


def cut(x, low, high):
    """ONNX's function body of Clip: two comparisons, of which none holds with NaN."""
    x = low if low is not None and x < low else x
    return high if high is not None and high < x else x


def hard_sigmoid(x, alpha, beta):
    y = alpha * x + beta
    return y if math.isnan(y) else max(0.0, min(1.0, y))


def shrink(x, lambd, bias):
    if x < -lambd:
        return x + bias
    return x - bias if x > lambd else 0.0


def elu(x, alpha):
    return alpha * np.expm1(x) if x < 0 else x


def celu(x, alpha):
    return x if math.isnan(x) else max(0, x) + min(0, alpha * np.expm1(x / alpha))


FORMULAS = {
    "Celu": celu,
    "Clip": lambda x, minimum, maximum: cut(x, minimum, maximum),
    "Elu": elu,
    "HardSigmoid": hard_sigmoid,
    "LeakyRelu": lambda x, alpha: alpha * x if x < 0 else x,
    "Selu": lambda x, alpha, gamma: gamma * elu(x, alpha),
    "Shrink": shrink,
    "ThresholdedRelu": lambda x, alpha: x if x > alpha else 0.0,
}
"""ONNX's formulas on one float64 number."""

NUMBERS_ELSEWHERE = {
    *("BatchNormalization", "BatchStandardization", "GroupNormalization", "InstanceNormalization"),
    *("Dropout", "LayerNormalization", "LRN", "MixedPool", "Pad", "Resize"),
}
"""Ops with a number among their attributes that are no functions of one number."""


def has_truth_values(value):
    return isinstance(value, bool) or (isinstance(value, tuple) and any(map(has_truth_values, value)))


def declared(op, attribute):
    (kinds,) = (str(field.type).split(" | ") for field in fields(op) if field.name == attribute)
    return kinds


def test_every_number_has_a_formula():
    with_numbers = {op.__name__ for op, attribute in rows() if "float" in declared(op, attribute)}
    assert with_numbers == set(FORMULAS) | NUMBERS_ELSEWHERE


@each_row
def test_an_edge_is_refused_or_computed(op, attribute):
    """No other error than ShapeError; no truth value for a number; and what is taken is what the naive loops make."""
    taken = list(accepted(op, attribute))
    assert len(taken) < len(edges(op, attribute))
    kinds = declared(op, attribute)
    for value, sample in taken:
        assert (isinstance(value, bool) and kinds == ["bool"]) or not has_truth_values(value), value
        if "float" not in kinds:
            arrays = data(sample)
            for found, wanted in zip(
                sample.op.reference(*arrays), ORACLES[op.__name__](sample.op, arrays), strict=True
            ):
                assert found.shape == wanted.shape, value
                wanted = wanted if found.dtype.kind == "f" else wrapped(wanted, found.dtype)
                np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6, err_msg=str(sample.op))


@pytest.mark.parametrize("name", FORMULAS)
def test_numbers_at_their_edges_follow_the_formula(name):
    for op, attribute in rows():
        if op.__name__ != name:
            continue
        for _, sample in accepted(op, attribute):
            attributes = {field.name: getattr(sample.op, field.name) for field in fields(op)}
            attributes = {name: value if value is None else F64(value) for name, value in attributes.items()}
            with np.errstate(all="ignore"):
                wanted = np.array([F64(FORMULAS[name](F64(x), **attributes)) for x in SPECIAL]).astype(np.float32)
            found = sample.op.reference(SPECIAL)[0]
            np.testing.assert_allclose(found, wanted, rtol=3e-7, atol=0, err_msg=str(sample.op))


@pytest.mark.parametrize("epsilon", [0.0, 1.0, -1.0, -2.0, math.inf, -math.inf, math.nan, 3e38])
def test_batch_norm_of_any_epsilon(epsilon):
    x = SPECIAL.reshape(1, -1, 1)
    rng = np.random.default_rng(3)
    vectors = [rng.choice(np.append(SPECIAL, np.float32([0, 1, 2, 1, 2])), SPECIAL.size) for _ in range(4)]
    with np.errstate(all="ignore"):
        scale, bias, mean, variance = (vector.astype(F64)[None, :, None] for vector in vectors)
        wanted = ((x.astype(F64) - mean) / np.sqrt(variance + epsilon) * scale + bias).astype(np.float32)
    np.testing.assert_array_equal(BatchNormalization(epsilon).reference(x, *vectors)[0], wanted)


REFUSED = [
    (LeakyRelu(1e39), (1, 3), "alpha=1e+39 is beyond float32, where it becomes inf"),
    (Clip(1e-50), (1, 3), "minimum=1e-50 is beyond float32, where it becomes 0"),
    (Clip(None, 10**400), (1, 3), "maximum is a whole number beyond float32, at most 3.4e+38 fits"),
    (Celu(0.0), (1, 3), "alpha=0.0 must be a finite number other than 0: x is divided by it"),
    (Selu(math.inf), (1, 3), "alpha=inf must be a finite number: alpha · exp(x) − alpha has no value else"),
    (Resize((2,), cubic=math.nan), (1, 1, 3), "cubic=nan must be a finite number"),
    (Resize(scales=("2",)), (1, 1, 3), "scales=('2',) must be a tuple of numbers or None"),
    (ReduceSum((0,), "no"), (1, 3), "keepdims='no' must be True or False"),
    (Slice((None,), (2,)), (1, 3), "starts=(None,) must be a tuple of whole numbers"),
    (MaxPool((1,), 2**63), (1, 1, 3), "a stride of 9223372036854775808 elements: at most 536870911 fit (axis 0)"),
]


@pytest.mark.parametrize(("op", "shape", "message"), REFUSED, ids=[message[:30] for *_, message in REFUSED])
def test_a_refusal_names_the_attribute(op, shape, message):
    with pytest.raises(ShapeError) as caught:
        op.infer(TensorType(shape))
    assert str(caught.value) == message
