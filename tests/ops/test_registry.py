"""A walk through the registry: a missing rule is a failing test, and traits must be true."""

from __future__ import annotations

import pickle
from dataclasses import is_dataclass

import numpy as np
import pytest

from cnncc.computation import Computation
from cnncc.op import REGISTRY, Constant, Op
from cnncc.ops import Flatten

from .cases import data, each_op, each_sample, label, samples

OPS = """
    Abs Acos Acosh AdaptiveAveragePool AdaptiveMaxPool Add And ArgMax ArgMin Asin Asinh Atan Atanh AveragePool
    BatchNormalization BatchStandardization BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Cast Ceil Celu
    ChannelShuffle Clip Concat Conv ConvTranspose Cos Cosh CumProd CumSum Dense DepthToSpace Dequantize Div Dropout Elu
    Equal Erf Exp Expand Flatten Floor Gather GatherElements GatherND Gelu GlobalAveragePool GlobalMaxPool Greater
    GreaterOrEqual GridSample GroupNormalization HardSigmoid HardSwish Hardmax Identity ImageToTensor
    InstanceNormalization IsInf IsNaN LRN LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax LpPool MatMul
    Max MaxPool MaxPoolIndices Mean Min Mish MixedPool Mod Mul Neg Not NotEqual OneHot Or PRelu Pad Pow Quantize
    Reciprocal ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
    ReduceSumSquare Relu Reshape Resize Round ScatterElements ScatterND Selu Shrink Sigmoid Sign Silu Sin Sinh Slice
    Softmax Softplus Softsign SpaceToDepth SpatialPyramidPool SpectralPool Split Sqrt Squeeze Sub Sum Tan Tanh
    ThresholdedRelu Tile TopK Transpose Trilu Unsqueeze Where Xor
""".split()
RULES = ("infer", "reference", "cost", "lower", "samples")


def test_the_ops_are_all_here():
    assert sorted(REGISTRY) == OPS


@pytest.mark.parametrize("rule", RULES)
@each_op
def test_every_op_has_every_rule(op, rule):
    assert getattr(op, rule) is not getattr(Op, rule), f"{op.__name__} inherits an empty '{rule}'"


@each_op
def test_every_op_is_a_documented_frozen_dataclass_with_samples(op):
    assert is_dataclass(op)
    assert op.__dataclass_params__.frozen
    assert op.__doc__ and not op.__doc__.startswith(op.__name__ + "(")
    assert len(list(op.samples())) >= 2


@each_sample
def test_ops_are_hashable_comparable_and_picklable(sample):
    again = pickle.loads(pickle.dumps(sample.op))
    assert again == sample.op
    assert hash(again) == hash(sample.op)
    assert str(again) == str(sample.op)


@each_sample
def test_cost_counts_something(sample):
    cost = sample.op.cost(*sample.types)
    assert min(cost.macs, cost.flops, cost.moved) >= 0
    assert cost.macs + cost.flops + cost.moved > 0


@each_sample
def test_lowering_refers_backwards_only_and_ends_in_the_inferred_types(sample):
    lowering = sample.op.lower(*sample.types)
    inputs = len(sample.shapes)
    for number, piece in enumerate(lowering.pieces):
        assert isinstance(piece.computation, Computation)
        assert all(0 <= operand < inputs + number for operand in piece.operands)
    types = [*sample.types, *(piece.type for piece in lowering.pieces)]
    assert tuple(types[result] for result in lowering.results) == sample.op.infer(*sample.types)


@each_sample
def test_images_says_truly_which_inputs_carry_images(sample):
    """With three images the result is the three single results one after the other."""
    marks = sample.op.images(*(len(shape) for shape in sample.shapes))
    if marks is None:
        return
    assert len(marks) == len(sample.shapes)
    whole = data(sample)
    counts = [3 if mark else 1 for mark in marks]
    several = [
        np.concatenate([array[:1] * (k + 1) for k in range(n)]) if n > 1 else array
        for array, n in zip(whole, counts, strict=True)
    ]
    together = sample.op.reference(*several)
    for k in range(3):
        one = [array[k : k + 1] if mark else array for array, mark in zip(several, marks, strict=True)]
        for result, alone in zip(together, sample.op.reference(*one), strict=True):
            np.testing.assert_array_equal(result[k : k + 1], alone)


def test_flatten_mixes_images_unless_it_starts_at_the_second_axis():
    assert Flatten(1).images(4) == Flatten(-3).images(4) == Flatten(1).images(1) == (True,)
    assert Flatten(0).images(4) is Flatten(0).images(1) is Flatten(-1).images(1) is Flatten(2).images(4) is None


with_weights = pytest.mark.parametrize(
    "sample", [sample for sample in samples() if sample.op.weight_layout is not None], ids=label
)


@with_weights
def test_a_weight_layout_tells_outputs_and_inputs_apart(sample):
    """Doubled filters of an output double that output; doubled filters of an input do what that input doubled does.

    Doubling is exact in binary, so the comparisons are.
    """
    x, w, *bias = data(sample)
    layout, none = sample.op.weight_layout, [np.zeros_like(vector) for vector in bias]
    filters = layout.filters(w)
    groups, outputs, inputs, _ = filters.shape
    assert groups * inputs == x.shape[1]
    np.testing.assert_array_equal(layout.weights(filters).reshape(w.shape), w)
    (once,) = sample.op.reference(x, w, *none)
    assert once.shape[1] == groups * outputs

    def scaled(*at):
        changed = filters.copy()
        changed[at] *= 2
        (result,) = sample.op.reference(x, layout.weights(changed).reshape(w.shape), *none)
        return result

    for number in {0, groups * outputs - 1}:
        wanted = once.copy()
        wanted[:, number] *= 2
        np.testing.assert_array_equal(scaled(*divmod(number, outputs)), wanted)
    for number in {0, groups * inputs - 1}:
        louder = x.copy()
        louder[:, number] *= 2
        group, channel = divmod(number, inputs)
        (wanted,) = sample.op.reference(louder, w, *none)
        np.testing.assert_array_equal(scaled(group, slice(None), channel), wanted)


@with_weights
def test_a_bias_beside_a_weight_layout_is_added_to_each_output_channel(sample):
    x, w, *_ = data(sample)
    (without,) = sample.op.reference(x, np.zeros_like(w))
    bias = np.arange(without.shape[1], dtype=np.float32)
    (result,) = sample.op.reference(x, np.zeros_like(w), bias)
    np.testing.assert_array_equal(result, without + bias.reshape(-1, *(1,) * (result.ndim - 2)))


@pytest.mark.parametrize("sample", [sample for sample in samples() if sample.op.statistics], ids=label)
def test_stated_statistics_are_those_that_the_op_normalises_by(sample):
    """An x that is the mean everywhere, and one that is a deviation above it."""
    x, scale, bias, *_ = inputs = data(sample)
    mean, deviation = sample.op.stated(*(inputs[index].astype(np.float64) for index in sample.op.statistics))
    along = (-1, *(1,) * (x.ndim - 2))
    for steps in (0, 1):
        there = np.broadcast_to((mean + steps * deviation).reshape(along), x.shape).astype(np.float32)
        (result,) = sample.op.reference(there, *inputs[1:])
        wanted = np.broadcast_to((steps * scale + bias).reshape(along), x.shape)
        np.testing.assert_allclose(result, wanted, rtol=1e-5, atol=1e-5)


def test_an_op_without_rules_says_so():
    class Empty(Op, abstract=True):
        pass

    for rule in ("infer", "reference", "cost", "lower", "samples"):
        with pytest.raises(NotImplementedError):
            getattr(Empty(), rule)()
    assert "Empty" not in REGISTRY


def test_a_constant_owns_a_read_only_copy():
    data = np.ones((2, 3), np.float32)
    constant = Constant.of(data)
    data[0, 0] = 5
    assert constant.data[0, 0] == 1
    assert not constant.data.flags.writeable
    assert constant == Constant.of(np.ones((2, 3)))
    assert constant != Constant.of(np.ones((3, 2)))
    assert pickle.loads(pickle.dumps(constant)) == constant
    assert not pickle.loads(pickle.dumps(constant)).data.flags.writeable
