"""NaN, infinities, −0 and subnormals through every op: the documented behaviour, in the reference."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cnncc.ops import (
    Acos,
    Acosh,
    Add,
    Asin,
    Asinh,
    Atan,
    Atanh,
    AveragePool,
    BatchNormalization,
    BatchStandardization,
    Ceil,
    Celu,
    Clip,
    Concat,
    Conv,
    Cos,
    Cosh,
    Dense,
    Elu,
    Erf,
    Flatten,
    Floor,
    Gelu,
    GroupNormalization,
    HardSigmoid,
    HardSwish,
    InstanceNormalization,
    LayerNormalization,
    LeakyRelu,
    LogSoftmax,
    MaxPool,
    Mish,
    Pow,
    ReduceLogSumExp,
    ReduceMax,
    ReduceMean,
    ReduceMin,
    ReduceProd,
    ReduceSum,
    Relu,
    Resize,
    Round,
    Shrink,
    Sigmoid,
    Silu,
    Sin,
    Sinh,
    Softmax,
    Softplus,
    Split,
    Tan,
    Tanh,
    ThresholdedRelu,
)

from .cases import data, each_float_op

NAN, INF = math.nan, math.inf
SUBNORMAL = 2.0**-149


def f32(*values):
    return np.array(values, np.float32)


def line(*values):
    """One image of one channel along one axis."""
    return f32(*values)[None, None]


def same(actual, *expected):
    """Equal with NaN equal to itself, and −0 told from 0."""
    flat = np.ravel(actual)
    np.testing.assert_array_equal(flat, f32(*expected))
    finite = ~np.isnan(flat)
    np.testing.assert_array_equal(np.signbit(flat)[finite], np.signbit(f32(*expected))[finite])


BOUNDED = {"Atan", "Clip", "Erf", "HardSigmoid", "Hardmax", "Reciprocal", "Sigmoid", "Sign", "Tanh"}
HIDE_NAN = {"Hardmax", "Shrink", "ThresholdedRelu"}  # of which the latter become 0: no comparison holds
HIDE_INFINITY = {"Min", "ReduceMin"}
HIDE_MINUS_INFINITY = {
    *("AdaptiveMaxPool", "Celu", "Elu", "Exp", "GlobalMaxPool", "Max", "MaxPool", "ReduceLogSumExp", "ReduceMax"),
    *("Relu", "Selu", "Softmax", "Softplus", "SpatialPyramidPool", "ThresholdedRelu"),
}


@each_float_op
@pytest.mark.parametrize("value", [NAN, INF, -INF], ids=str)
def test_no_op_hides_a_value_that_is_not_finite(op, value):
    """A NaN reaches the output, and an infinity too, unless the op may drop it (see above)."""
    sample = next(iter(op.samples()))
    arrays = data(sample)
    arrays[0].reshape(-1)[arrays[0].size // 2] = value
    seen = np.concatenate([result.ravel() for result in sample.op.reference(*arrays)])
    dropped = HIDE_NAN if math.isnan(value) else BOUNDED | (HIDE_INFINITY if value > 0 else HIDE_MINUS_INFINITY)
    assert np.isfinite(seen).all() == (op.__name__ in dropped)


def test_a_sum_over_no_axes_is_the_input():
    same(ReduceSum(()).reference(f32(-0.0, 0.0, NAN))[0], -0.0, 0, NAN)
    same(ReduceSum().reference(np.float32(-0.0).reshape(()))[0], -0.0)


def test_relu():
    same(Relu().reference(f32(NAN, INF, -INF, -0.0, 0.0, SUBNORMAL, -SUBNORMAL))[0], NAN, INF, 0, -0.0, 0, SUBNORMAL, 0)


def test_add():
    left = f32(NAN, INF, INF, -0.0, -0.0, SUBNORMAL, 3e38)
    right = f32(1, 1, -INF, -0.0, 0.0, SUBNORMAL, 3e38)
    same(Add().reference(left, right)[0], NAN, INF, NAN, -0.0, 0, 2 * SUBNORMAL, INF)


def test_max_pool_keeps_nan_and_pads_with_minus_infinity():
    op = MaxPool((2,))
    same(op.reference(line(NAN, 1, 2, NAN, -INF, -INF, INF, 1))[0], NAN, NAN, -INF, INF)
    same(MaxPool((3,), 1, 1).reference(line(-INF, -5, -7))[0], -5, -5, -5)
    same(MaxPool((2,), 2, ((1, 0),)).reference(line(-INF, 1, 2))[0], -INF, 2)


def test_average_pool():
    op = AveragePool((2,))
    same(op.reference(line(NAN, 1, INF, 1, INF, -INF, SUBNORMAL, SUBNORMAL))[0], NAN, INF, NAN, SUBNORMAL)
    same(op.reference(line(3e38, 3e38))[0], 3e38)  # the sum alone would overflow: the definition does not
    same(AveragePool((2,), 1, 1).reference(line(INF, 4))[0], INF, INF, 4)


def test_convolution():
    op = Conv((2,))
    weights = f32(1, -1)[None, None]
    same(op.reference(line(NAN, 1, 1, INF, INF, 2), weights)[0], NAN, 0, -INF, NAN, INF)


def test_convolution_meets_zero_weights_and_padding():
    """0 · ∞ is NaN even where the weight is 0; padding is a 0 that is multiplied like any other."""
    same(Conv((1,)).reference(line(INF, NAN, 1), np.zeros((1, 1, 1), np.float32))[0], NAN, NAN, 0)
    same(Conv((2,), padding=((1, 0),)).reference(line(1, 2), f32(INF, 1)[None, None])[0], NAN, INF)


def test_convolution_rounds_once_to_subnormals_and_infinity():
    same(Conv((1,)).reference(line(SUBNORMAL, 3e38), f32(4)[None, None])[0], 4 * SUBNORMAL, INF)


def test_dense():
    x = f32(INF, 1, -INF).reshape(3, 1)
    same(Dense().reference(x, f32(2).reshape(1, 1), f32(-0.0))[0], INF, 2, -INF)
    same(Dense().reference(f32(INF, INF)[None], f32(1, -1)[None])[0], NAN)
    same(Dense().reference(x, f32(0).reshape(1, 1), f32(1))[0], NAN, 1, NAN)


def test_batch_normalization():
    one, zero = f32(1), f32(0)
    op = BatchNormalization(0.0)
    x = f32(NAN, INF, -INF, 2).reshape(4, 1)
    same(op.reference(x, one, zero, zero, one)[0], NAN, INF, -INF, 2)
    same(op.reference(x, one, zero, zero, -one)[0], NAN, NAN, NAN, NAN)
    same(op.reference(f32(2, 0).reshape(2, 1), one, zero, zero, zero)[0], INF, NAN)


def test_softmax():
    op = Softmax()
    same(op.reference(f32(0, NAN, 1)[None])[0], NAN, NAN, NAN)
    same(op.reference(f32(INF, 0)[None])[0], NAN, NAN)
    same(op.reference(f32(-INF, 0, -INF)[None])[0], 0, 1, 0)
    same(op.reference(f32(-INF, -INF)[None])[0], NAN, NAN)
    same(op.reference(f32(3e38, -3e38)[None])[0], 1, 0)
    same(op.reference(f32(1000, 1000)[None])[0], 0.5, 0.5)


def test_activations_let_nan_through_and_meet_their_limits():
    x = f32(NAN, INF, -INF, 0)
    for op, limits in (
        (LeakyRelu(0.5), (INF, -INF, 0)),
        (Clip(-1, 6), (6, -1, 0)),
        (HardSigmoid(), (1, 0, 0.5)),
        (Sigmoid(), (1, 0, 0.5)),
        (Sin(), (NAN, NAN, 0)),
        (Cos(), (NAN, NAN, 1)),
        (Tan(), (NAN, NAN, 0)),
        (Asin(), (NAN, NAN, 0)),
        (Acos(), (NAN, NAN, math.pi / 2)),
        (Atan(), (math.pi / 2, -math.pi / 2, 0)),
        (Sinh(), (INF, -INF, 0)),
        (Cosh(), (INF, INF, 1)),
        (Asinh(), (INF, -INF, 0)),
        (Acosh(), (INF, NAN, NAN)),
        (Atanh(), (NAN, NAN, 0)),
        (Tanh(), (1, -1, 0)),
        (Erf(), (1, -1, 0)),
        (Elu(2.0), (INF, -2, 0)),
        (Celu(2.0), (INF, -2, 0)),
        (Softplus(), (INF, 0, math.log(2))),
    ):
        np.testing.assert_array_equal(op.reference(x)[0], f32(NAN, *limits), str(op))


def test_comparisons_of_nan_do_not_hold():
    x = f32(NAN, INF, -INF, 0)
    same(ThresholdedRelu(0).reference(x)[0], 0, INF, 0, 0)
    same(Shrink(0.5, 0.25).reference(x)[0], 0, INF, -INF, 0)
    same(Clip(NAN, -1).reference(f32(-2, 0, NAN))[0], -2, -1, NAN)


def test_products_with_a_factor_that_vanishes_have_no_limit():
    """x · σ(x) is −∞ · 0 at −∞, which is NaN; far below 0 it is 0."""
    for op in (Silu(), Gelu(), Gelu("tanh"), HardSwish(), Mish()):
        (y,) = op.reference(f32(INF, -INF, -3e38))
        assert y[0] == INF and np.isnan(y[1]) and y[2] == 0, op


def test_small_results_keep_their_digits():
    """Where the formula would cancel or overflow, kernels and reference do not."""
    x = f32(-100)
    same(Softplus().reference(x)[0], math.exp(-100))
    same(Sigmoid().reference(x)[0], math.exp(-100))
    same(Elu().reference(f32(-1e-8))[0], -1e-8)
    same(Softplus().reference(f32(1000))[0], 1000)


def test_whole_numbers_of_both_signs():
    x = f32(-2.5, -1.5, -0.5, -0.0, 0.5, 1.5, 2.5, INF, NAN)
    same(Round().reference(x)[0], -2, -2, -0.0, -0.0, 0, 2, 2, INF, NAN)
    same(Floor().reference(x)[0], -3, -2, -1, -0.0, 0, 1, 2, INF, NAN)
    same(Ceil().reference(x)[0], -2, -1, -0.0, -0.0, 1, 2, 3, INF, NAN)


def test_powers():
    base = f32(-2, -2, -8, 0, -0.0, 1, NAN, -INF, 2)
    exponent = f32(3, 2, 1 / 3, -1, -1, NAN, 0, 3, -149)
    same(Pow().reference(base, exponent)[0], -8, 4, NAN, INF, -INF, 1, 1, -INF, SUBNORMAL)


def test_a_broadcast_exponent_of_a_half_is_no_square_root():
    """As IEEE 754's pow, and native code, have it: +inf for -inf, and +0 for -0."""
    same(Pow().reference(f32(-INF, -0.0, 4, -4), f32(0.5).reshape(()))[0], INF, 0.0, 2, NAN)
    assert not np.signbit(Pow().reference(f32(-0.0, 1), np.float32(0.5))[0][0])


def test_reductions():
    x = f32(NAN, 1, INF, -INF, INF, 2).reshape(3, 2)
    same(ReduceMax((1,)).reference(x)[0], NAN, INF, INF)
    same(ReduceMin((1,)).reference(x)[0], NAN, -INF, 2)
    same(ReduceSum((1,)).reference(x)[0], NAN, NAN, INF)
    same(ReduceProd((1,)).reference(f32(INF, 0, INF, -2, 0, 3).reshape(3, 2))[0], NAN, -INF, 0)
    same(ReduceMean((1,)).reference(f32(3e38, 3e38)[None])[0], 3e38)
    infinite = f32(-INF, -INF, INF, -INF, 1000, 1000).reshape(3, 2)
    same(ReduceLogSumExp((1,)).reference(infinite)[0], -INF, INF, 1000 + math.log(2))


def test_log_softmax():
    op = LogSoftmax()
    same(op.reference(f32(0, NAN, 1)[None])[0], NAN, NAN, NAN)
    same(op.reference(f32(-INF, 0, -INF)[None])[0], -INF, 0, -INF)
    same(op.reference(f32(INF, 0)[None])[0], NAN, NAN)
    same(op.reference(f32(-1000, 0)[None])[0], -1000, 0)


def test_normalisations_of_constant_data_give_the_bias():
    x, one, bias = np.full((2, 2, 3), 7, np.float32), np.ones(2, np.float32), f32(0.25, -1)
    for op in (BatchStandardization(), InstanceNormalization(), GroupNormalization(1)):
        np.testing.assert_array_equal(op.reference(x, one, bias)[0], np.broadcast_to(bias[:, None], x.shape))
    same(LayerNormalization().reference(f32(5, 5), f32(1), f32(3))[0], 3, 3)


def test_moving_elements_keeps_every_bit():
    bits = np.array([0x7FC00001, 0xFFC00000, 0x80000000, 0x7F800000, 0x00000001, 0xFF800000], np.uint32)
    x = bits.view(np.float32).reshape(1, 6)
    for op, arrays in ((Flatten(), [x]), (Split((6,)), [x]), (Concat(), [x])):
        np.testing.assert_array_equal(op.reference(*arrays)[0].view(np.uint32).ravel(), bits)


def test_resampling_to_the_nearest_keeps_every_value():
    x = f32(-0.0, INF, -SUBNORMAL, 0.0).reshape(1, 1, 4)
    (y,) = Resize((8,)).reference(x)
    np.testing.assert_array_equal(y.view(np.uint32), x.repeat(2, axis=2).view(np.uint32))
