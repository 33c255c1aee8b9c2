"""The derived bounds: float32 evaluations in any order stay inside, mistakes fall outside, specials are settled."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cnncc.check import tolerance
from cnncc.check.bound import Bound, Comparison, compare
from cnncc.check.tolerance import bounds, op_bounds
from cnncc.elements import FLOAT32
from cnncc.errors import DifferenceError
from cnncc.expr import Apply, Arg, evaluate, evaluate_with_error, power, unary
from cnncc.functions import FUNCTIONS
from cnncc.ir import Builder, Value
from cnncc.op import Constant
from cnncc.ops import (
    Add,
    AveragePool,
    BatchNormalization,
    Celu,
    Clip,
    Conv,
    Dense,
    Elu,
    Exp,
    Flatten,
    Fused,
    FusedOp,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    Max,
    MaxPool,
    Min,
    ReduceL2,
    ReduceLogSumExp,
    ReduceMax,
    ReduceMin,
    ReduceProd,
    ReduceSum,
    Relu,
    Selu,
    Softmax,
)
from cnncc.types import TensorType

from .cases import data, each_float_sample

F32 = np.float32
INF, NAN = math.inf, math.nan


def bound_of(op, *arrays, errors=None):
    errors = errors or [0.0] * len(arrays)
    operands = [
        Bound(np.asarray(a, F32).astype(float), np.broadcast_to(np.asarray(e, float), np.shape(a)))
        for a, e in zip(arrays, errors, strict=True)
    ]
    return op_bounds(op, operands)[0]


def float32_sum(terms, rng):
    """A float32 sum of float32 products in a random order."""
    total = F32(0)
    for term in rng.permutation(terms):
        total = F32(total + term)
    return total


@pytest.mark.parametrize("length", [1, 2, 7, 64, 500])
def test_a_float32_sum_in_any_order_stays_inside(length, rng):
    x = rng.standard_normal((20, length)).astype(F32)
    w = rng.standard_normal((3, length)).astype(F32)
    bound = bound_of(Dense(), x, w)
    for _ in range(5):
        actual = np.array([[float32_sum(row * column, rng) for column in w] for row in x], F32)
        found = compare(actual, bound)
        assert found.ok
        assert length == 1 or found.worst_ratio > 0.01 / length  # a bound, but no absurd one


def test_fused_multiply_add_stays_inside(rng):
    x, w = rng.standard_normal((4, 300)).astype(F32), rng.standard_normal((2, 300)).astype(F32)
    actual = np.zeros((4, 2), F32)
    for k in range(300):  # float64 holds the product of two float32 exactly
        actual = (x[:, None, k].astype(float) * w[None, :, k] + actual).astype(F32)
    assert compare(actual, bound_of(Dense(), x, w)).ok


STEPS = ("Ceil", "Floor", "Hardmax", "Round", "Sign")
"""A small change of the input mostly changes nothing."""


@each_float_sample
def test_perturbed_inputs_stay_inside(sample, rng):
    """Inputs moved within their errors, then evaluated: the result moves within the bound."""
    arrays = data(sample, seed=3)
    if sample.op.name == "BatchNormalization":
        arrays[4] += F32(1)  # a variance that stays positive
    moved = [(a + rng.uniform(-1e-3, 1e-3, a.shape)).astype(F32) for a in arrays]
    operands = [Bound(a.astype(float), np.abs(m.astype(float) - a)) for a, m in zip(arrays, moved, strict=True)]
    for bound, actual in zip(op_bounds(sample.op, operands), sample.op.reference(*moved), strict=True):
        found = compare(actual, bound)
        assert found.ok, found
        assert found.worst_ratio > 1e-3 or sample.op.name in STEPS


@each_float_sample
def test_the_reference_itself_is_at_distance_0(sample):
    arrays = data(sample)
    operands = [Bound.exact(a) for a in arrays]
    for bound, actual in zip(op_bounds(sample.op, operands), sample.op.reference(*arrays), strict=True):
        assert compare(actual, bound).worst_ratio == 0
        assert np.isfinite(bound.error).all()


@pytest.mark.parametrize("op", [Relu(), MaxPool((2, 2)), Flatten()], ids=str)
def test_what_does_not_round_has_no_tolerance(op, rng):
    x = rng.standard_normal((1, 2, 4, 4))
    assert not bound_of(op, x).error.any()
    assert bound_of(op, x, errors=[0.25]).error.max() == 0.25


def test_one_wrong_bit_in_a_short_sum_is_seen():
    bound = bound_of(Dense(), [[1.0, 2.0]], [[4.0, 0.5]])
    assert compare(np.array([[5.0]], F32), bound).ok
    assert not compare(np.array([[5.00001]], F32), bound).ok


ARITY = {
    **dict.fromkeys(("add", "subtract", "multiply", "divide", "maximum", "minimum", "power"), 2),
    "multiply_add": 3,
    "where_less": 4,
}


LEAPS = ("select", "remainder", "modulo")
"""What some errors of arguments lead to another value of, or to another branch."""
DOMAIN = {**dict.fromkeys(("tan", "asin", "acos", "atanh"), (-0.9, 0.9)), "acosh": (1.1, 4.0)}
"""Where a function is finite and not steep, unless that is from 0.5 to 4."""
OF_FLOATS = [name for name, f in FUNCTIONS.items() if FLOAT32 in f.takes and f.result in (None, FLOAT32)]


@pytest.mark.parametrize("name", [name for name in OF_FLOATS if name not in LEAPS])
def test_functions_in_float32_stay_inside(name, rng):
    function = FUNCTIONS[name]
    arity = ARITY.get(name, 1)
    values = [rng.uniform(*DOMAIN.get(name, (0.5, 4.0)), 1000).astype(F32) for _ in range(arity)]
    moved = [(v + rng.uniform(-1e-4, 1e-4, 1000)).astype(F32) for v in values]
    expr = Apply(name, tuple(Arg(k) for k in range(arity)))
    arguments = [(v.astype(float), np.abs(m.astype(float) - v)) for v, m in zip(values, moved, strict=True)]
    value, error = evaluate_with_error(expr, arguments)
    actual = np.asarray(function.meaning(*(m.astype(float) for m in moved)), F32)
    assert (np.abs(actual - value) <= error).all()
    assert (error <= 1e-2 * np.abs(value) + 1e-2).all()
    assert evaluate(expr, moved).dtype == F32


@pytest.mark.parametrize("name", ["remainder", "modulo"])
def test_rests_of_divisions_stay_inside(name, rng):
    """Most moves leave the whole quotient what it is; where they may not, there is no bound."""
    values = [(rng.uniform(0.5, 4.0, 4000) * rng.choice([-1, 1], 4000)).astype(F32) for _ in range(2)]
    moved = [(v + rng.uniform(-1e-4, 1e-4, 4000)).astype(F32) for v in values]
    arguments = [(v.astype(float), np.abs(m.astype(float) - v)) for v, m in zip(values, moved, strict=True)]
    value, error = evaluate_with_error(Apply(name, (Arg(0), Arg(1))), arguments)
    found = compare(evaluate(Apply(name, (Arg(0), Arg(1))), moved), Bound(value, error))
    assert found.ok and found.unbounded < 40
    exact = evaluate_with_error(Apply("remainder", (Arg(0), Arg(1))), [(v.astype(float), 0 * v) for v in values])
    assert not exact[1].any()


@pytest.mark.parametrize("exponent", [-3, -1, 0, 1, 2, 3, 0.5, 2.5, -0.5])
@pytest.mark.parametrize("moves", [False, True], ids=["the base moves", "both move"])
def test_powers_stay_inside(exponent, moves, rng):
    """Bases of both signs and near 0; an exponent that moves is no longer whole, so negative bases are uncertain."""
    base = rng.uniform(-2, 2, 4000).astype(F32)
    base[:100] *= F32(1e-3)
    y = np.full(4000, exponent, F32)
    moved = [(base + rng.uniform(-1e-3, 1e-3, 4000)).astype(F32), y]
    if moves:
        moved[1] = (y + rng.uniform(-1e-3, 1e-3, 4000)).astype(F32)
    arguments = [(v.astype(float), np.abs(m.astype(float) - v)) for v, m in zip((base, y), moved, strict=True)]
    value, error = evaluate_with_error(power(Arg(0), Arg(1)), arguments)
    with np.errstate(all="ignore"):
        actual = np.power(*(m.astype(float) for m in moved)).astype(F32)
    assert compare(actual, Bound(value, error)).ok
    if exponent in (1, 2, 3) and not moves:
        assert (error <= 0.1).all()


@pytest.mark.parametrize("function", ["erf", "sigmoid", "sign", "tanh"])
def test_what_may_be_nan_stays_so_through_functions_with_bounds(function):
    _, error = evaluate_with_error(unary(function, Arg(0)), [(np.array([0.5, -np.inf]), np.array([np.inf, np.inf]))])
    assert np.isinf(error).all()


def test_a_literal_is_rounded_to_float32():
    """0.1 is no float32: what that makes of a sum is inside the bound."""
    value, error = evaluate_with_error(Arg(0) + 0.1, [(np.zeros(()), np.zeros(()))])
    assert value == 0.1 and error >= abs(float(F32(0.1)) - 0.1)
    value, error = evaluate_with_error(Arg(0) + 0.5, [(np.zeros(()), np.zeros(()))])
    assert error <= 2.0**-24


class TestSpecialValues:
    def test_a_certain_nan_must_be_met(self):
        bound = bound_of(Dense(), [[NAN, 1.0]], [[1.0, 1.0]])
        assert compare(np.array([[NAN]], F32), bound).ok
        assert not compare(np.array([[0.0]], F32), bound).ok
        assert not compare(np.array([[INF]], F32), bound).ok

    def test_a_certain_infinity_must_be_the_same(self):
        bound = bound_of(Conv((1,)), [[[INF, 1.0]]], [[[-2.0]]])
        assert compare(np.array([[[-INF, -2.0]]], F32), bound).ok
        for wrong in (INF, NAN, 3e38):
            assert not compare(np.array([[[wrong, -2.0]]], F32), bound).ok

    @pytest.mark.parametrize("actual", [0.0, 3e38, INF, NAN])
    def test_where_float32_may_overflow_on_the_way_anything_goes(self, actual):
        bound = bound_of(Dense(), [[3e38, 3e38, -3e38]], [[1.0, 1.0, 1.0]])
        assert bound.error.item() == INF
        assert compare(np.array([[actual]], F32), bound).ok

    def test_infinity_times_a_weight_that_may_be_0_is_uncertain(self):
        assert bound_of(Dense(), [[INF]], [[1e-3]], errors=[0.0, 1e-2]).error.item() == INF
        assert bound_of(Dense(), [[INF]], [[1e-3]], errors=[0.0, 1e-4]).error.item() == 0

    def test_uncertainty_travels(self):
        assert bound_of(MaxPool((2,)), [[[1.0, 2.0]]], errors=[INF]).error.item() == INF
        assert bound_of(Relu(), [-1.0], errors=[INF]).error.item() == INF
        assert bound_of(AveragePool((2,)), [[[1.0, 2.0]]], errors=[INF]).error.item() == INF

    @pytest.mark.parametrize("op", [ReduceMax(), ReduceMin(), MaxPool((2,))], ids=str)
    @pytest.mark.parametrize("other", [INF, -INF, 1.0, NAN])
    def test_an_extreme_may_be_nan_if_one_element_may(self, op, other):
        """Only another NaN that is certain decides it; the value without a bound may look like anything."""
        for unbounded in (INF, -INF, NAN, 2.0):
            x = [[[unbounded, other]]]
            bound = bound_of(op, x, errors=[[[[INF, 0.0]]]])
            assert (bound.error == (0 if math.isnan(other) else INF)).all()

    @pytest.mark.parametrize("function", [Max(), Min()], ids=str)
    @pytest.mark.parametrize("other", [INF, -INF, 1.0])
    def test_the_larger_of_two_may_be_nan_if_one_may(self, function, other):
        for unbounded in (INF, -INF, 2.0):
            assert bound_of(function, [unbounded], [other], errors=[INF, 0.0]).error.item() == INF

    def test_certain_values_of_every_kind(self):
        assert bound_of(Add(), [INF, INF, NAN, 1.0], [1.0, -INF, 1.0, 1.0]).error[:3].tolist() == [0, 0, 0]
        assert bound_of(AveragePool((2,)), [[[INF, 1.0]]]).error.item() == 0
        assert not bound_of(Softmax(), [[INF, 1.0]]).error.any()
        assert bound_of(Softmax(), [[-INF, 1.0]]).error[0, 0] < 1e-40
        statistics = [[1.0], [0.0], [0.0], [-1.0]]
        assert bound_of(BatchNormalization(), [[2.0]], *statistics).error.item() == 0

    def test_the_root_of_what_may_be_negative_is_uncertain(self):
        statistics = [[1.0], [0.0], [0.0], [0.0]]
        errors = [0.0, 0.0, 0.0, 0.0, 1.0]
        assert bound_of(BatchNormalization(0.0), [[2.0]], *statistics, errors=errors).error.item() == INF

    def test_a_product_that_overflows_before_an_infinity_is_added_is_uncertain(self):
        """Fused it gives −∞, in two steps ∞ − ∞."""
        statistics = [[1e30], [-INF], [0.0], [1.0]]
        assert bound_of(BatchNormalization(), [[1e30]], *statistics).error.item() == INF

    @pytest.mark.parametrize(
        ("op", "x", "y"),
        [
            (Exp(), 100, INF),
            (LeakyRelu(3e38), -2, -INF),
            (Clip(-INF, INF), 3e38, 3e38),
            (ReduceSum(), [3e38, 3e38, -1], INF),
            (ReduceProd(), [3e38, -2, 1], -INF),
            (ReduceLogSumExp(), [INF, 1], INF),
            (ReduceSum(), [3e38, 3e38, NAN], NAN),
        ],
        ids=str,
    )
    def test_what_overflows_for_certain_must_be_that_infinity(self, op, x, y):
        bound = bound_of(op, np.atleast_1d(x))
        assert compare(np.full(1, y, F32), bound).ok
        for wrong in {INF, -INF, NAN, 3.4e38, 0.0} - {y}:
            assert (math.isnan(wrong) and math.isnan(y)) or not compare(np.full(1, wrong, F32), bound).ok

    @pytest.mark.parametrize("op", [Elu(), Selu(), Celu(), LeakyRelu(-3.0)], ids=str)
    def test_a_branch_that_is_not_taken_leaves_nothing_open(self, op):
        assert np.isfinite(bound_of(op, [100.0, 3e38]).error).all()

    def test_what_is_cut_off_has_no_error(self):
        assert bound_of(HardSigmoid(), [1e4, -1e4, 3e38]).error.tolist() == [0, 0, 0]
        assert bound_of(HardSwish(), [1e4]).error.item() < 1e-2
        assert bound_of(ReduceMax(), [1.0, 5.0], errors=[0.5]).error.item() == 0.5
        assert bound_of(ReduceMax(), [[-9.0, 5.0]], errors=[[[8.0, 0.5]]]).error.item() == 0.5

    def test_a_root_of_squares_is_bounded_however_small_they_are(self):
        bound = bound_of(ReduceL2(), [1e-30, -1e-45, 0.0])
        assert bound.error.item() < 1e-20 and compare(np.zeros(1, F32), bound).ok
        assert bound_of(ReduceL2(), [0.0, -0.0]).error.item() == 0

    def test_exact_zeros_decide(self):
        statistics = [[1.0], [0.5], [2.0], [0.0]]
        bound = bound_of(BatchNormalization(0.0), [[1.0], [2.0], [3.0]], *statistics)
        assert bound.reference.ravel().tolist()[::2] == [-INF, INF] and np.isnan(bound.reference[1, 0])
        assert not bound.error.any()

    def test_elements_without_a_bound_are_counted(self):
        bound = bound_of(ReduceL2((1,)), [[1e30, 1.0], [3.0, 4.0]])
        assert compare(np.array([[1.0], [5.0]], F32), bound).unbounded == 1

    def test_minus_0_is_0(self):
        assert compare(np.array([-0.0], F32), Bound.exact(np.array([0.0]))).ok


def test_compare_tells_the_worst_element():
    bound = Bound(np.array([[1.0, 2.0], [3.0, 4.0]]), np.full((2, 2), 0.5))
    found = compare(np.array([[1.25, 2.0], [4.0, 4.0]], F32), bound)
    assert found == Comparison(False, 2.0, (1, 0))
    assert compare(np.float32(1.0).reshape(()), Bound.exact(np.array(1.0))) == Comparison(True, 0.0, ())


def test_compare_refuses_another_shape():
    with pytest.raises(DifferenceError) as caught:
        compare(np.zeros((2, 1), F32), Bound.exact(np.zeros((1, 2))))
    assert str(caught.value) == "expected a result of shape (1, 2), got (2, 1)"


def folded(rounded: bool):
    """A dense layer, its weights scaled by thirds: before and after a pass multiplied them out."""
    rng = np.random.default_rng(9)
    w, bias = rng.standard_normal((5, 40)).astype(F32), rng.standard_normal(5).astype(F32)
    factor, statistics = rng.uniform(0.5, 2, 5).astype(F32), [np.zeros(5, F32), np.zeros(5, F32), np.ones(5, F32) / 3]
    b = Builder()
    x = b.input("x", TensorType((3, 40)))
    if rounded:
        scale = factor.astype(float) / np.sqrt(statistics[2] + 1e-5)
        constants = (b.constant(w * scale[:, None], "w", rounded=True), b.constant(bias * scale, "b", rounded=True))
        (y,) = b.add(Dense(), (x, *constants), "dense")
    else:
        (y,) = b.add(Dense(), (x, b.constant(w, "w"), b.constant(bias, "b")), "dense")
        (y,) = b.add(BatchNormalization(), (y, *(b.constant(v, f"v{k}") for k, v in enumerate([factor, *statistics]))))
    return b.graph({"y": y})


def test_a_rounding_rewrite_stays_inside_its_bound(make_feeds):
    before, after = folded(False), folded(True)
    feeds = make_feeds(before)
    bound = tolerance.rewrite_bounds(before, after, feeds)["y"]
    found = compare(tolerance.evaluate(after, feeds)[after.outputs["y"]], bound)
    assert found.ok
    assert found.worst_ratio > 1e-4
    loose = bounds(after, feeds, exact_constants=False)[after.outputs["y"]].error
    assert (loose > bounds(after, feeds)[after.outputs["y"]].error).all()
    assert isinstance(after["w"].op, Constant)


def test_a_fused_node_is_bounded_like_its_stages(make_feeds, rng):
    fused, apart = Builder(), Builder()
    stages = (FusedOp(Add(), 0, 1), FusedOp(Relu()), FusedOp(AveragePool((2, 2))))
    w = rng.standard_normal((4, 2, 3, 3))
    for b in (fused, apart):
        x, r = b.input("x", TensorType((1, 2, 6, 6))), b.input("r", TensorType((1, 4, 6, 6)))
        conv = Conv((3, 3), padding=1)
        if b is fused:
            (y,) = b.add(Fused(conv, 2, stages), (x, b.constant(w), r), "y")
        else:
            (y,) = b.add(conv, (x, b.constant(w)))
            (y,) = b.add(Add(), (y, r))
            (y,) = b.add(Relu(), (y,))
            (y,) = b.add(AveragePool((2, 2)), (y,), "y")
    one, two = fused.graph({"y": Value("y")}), apart.graph({"y": Value("y")})
    feeds = make_feeds(one)
    left, right = bounds(one, feeds)[Value("y")], bounds(two, feeds)[Value("y")]
    np.testing.assert_array_equal(left.reference, right.reference)
    np.testing.assert_array_equal(left.error, right.error)
