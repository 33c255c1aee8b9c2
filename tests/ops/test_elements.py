"""The table of element types, whole-number arithmetic, conversions, typed expressions and their bounds."""

from __future__ import annotations

import ast
import math
import pickle
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from cnncc.check.bound import Bound, compare
from cnncc.check.tolerance import bounds, op_bounds
from cnncc.elements import (
    BOOL,
    ELEMENTS,
    FLOAT16,
    FLOAT32,
    INT8,
    INT16,
    INT32,
    INT64,
    INTEGERS,
    UINT8,
    UINT16,
    UINT32,
    VALUES,
    bits,
    element_of,
)
from cnncc.errors import DifferenceError, ShapeError
from cnncc.expr import Apply, Arg, Number, convert, evaluate, evaluate_with_error, less, maximum, select, typed, unary
from cnncc.functions import FUNCTIONS
from cnncc.integers import converted, modulo, quotient, remainder
from cnncc.ops import Add, Cast, Clip, Div, Equal, Less, Mod, Mul, Pad, ReduceProd, ReduceSum, Where
from cnncc.types import MAX_BYTES, TensorType
from tests.graphs import Net

from .cases import data, each_exact_sample
from .oracles_exact import cast, divide, wrapped
from .oracles_exact import modulo as plain_modulo
from .oracles_exact import remainder as plain_remainder

ENDS = {
    INT8: (-128, 127),
    INT16: (-(2**15), 2**15 - 1),
    INT32: (-(2**31), 2**31 - 1),
    INT64: (-(2**63), 2**63 - 1),
    UINT8: (0, 255),
    UINT16: (0, 2**16 - 1),
    UINT32: (0, 2**32 - 1),
}


def corners(element):
    """The ends of the range, what lies around 0, and some numbers between."""
    least, most = ENDS[element]
    numbers = [least, least + 1, -(2**20) - 1, -7, -3, -2, -1, 0, 1, 2, 3, 7, 10**6, most - 1, most]
    return np.array([number for number in numbers if least <= number <= most], element.numpy)


# The table


@pytest.mark.parametrize("element", [FLOAT32, FLOAT16], ids=str)
def test_what_follows_from_the_row_of_a_float(element):
    info = np.finfo(element.numpy)
    assert (element.unit, element.most) == (float(info.epsneg), float(info.max))
    assert (element.normal, element.tiny) == (float(info.smallest_normal), float(info.smallest_subnormal))
    with np.errstate(over="ignore"):
        assert element.numpy.type(np.nextafter(element.overflow, 0)) == element.most
        assert element.numpy.type(element.overflow) == np.inf


@pytest.mark.parametrize("element", INTEGERS, ids=str)
def test_what_follows_from_the_row_of_an_integer(element):
    info = np.iinfo(element.numpy)
    assert (element.least, element.most, element.unit) == (info.min, info.max, 0)
    assert element.holds(info.max) and not element.holds(info.max + 1) and not element.holds(info.min - 1)
    assert not any(map(element.holds, (0.5, math.nan, math.inf, -math.inf)))


@pytest.mark.parametrize("element", ELEMENTS.values(), ids=str)
def test_each_row_fits_numpy_and_is_one_object(element):
    assert element.numpy.itemsize == element.bytes and element.numpy.name == element.name
    assert pickle.loads(pickle.dumps(element)) is element
    assert element_of(np.zeros(2, element.numpy)) is element
    assert element.register in ("float32", "int32", "int64")
    type = TensorType((3, 5), element)
    assert type.nbytes == 15 * element.bytes
    if element is not FLOAT16:
        assert TensorType.of(type.random(np.random.default_rng(1))) == type


def test_a_tensor_of_longer_elements_has_fewer():
    TensorType((MAX_BYTES // 8,), INT64)
    with pytest.raises(ShapeError, match="at most 268435455 fit"):
        TensorType((MAX_BYTES // 8 + 1,), INT64)
    with pytest.raises(ShapeError, match="there are no tensors of uint64"):
        TensorType.of(np.zeros(3, np.uint64))


def test_bits_tell_zeros_apart_and_nan_is_itself():
    a, b = np.float32([0.0, np.nan, 1]), np.float32([-0.0, np.nan, 1])
    np.testing.assert_array_equal(bits(a) == bits(b), [False, True, True])
    np.testing.assert_array_equal(bits(np.array([True, False])), [1, 0])


def test_no_op_and_no_pass_makes_a_type_without_an_element():
    """Such a type would silently be of floats: what is made of a value is of the value's element."""
    root = Path(__file__).parents[2]
    for file in [
        *(root / "cnncc" / "ops").glob("*.py"),
        *(root / "passes").glob("*.py"),
        root / "cnncc/computation.py",
    ]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "TensorType":
                assert len(node.args) + len(node.keywords) == 2, f"{file.name}:{node.lineno}"


# Arithmetic and conversions


@pytest.mark.parametrize(
    ("function", "plain"), [(quotient, divide), (remainder, plain_remainder), (modulo, plain_modulo)]
)
@pytest.mark.parametrize("element", INTEGERS, ids=str)
def test_division_of_all_corners(element, function, plain):
    pairs = list(product(corners(element).tolist(), repeat=2))
    x, y = (np.array(side, element.numpy) for side in zip(*pairs, strict=True))
    found = function(x, y)
    assert found.dtype == x.dtype
    expected = np.array([plain(*pair) for pair in pairs], object)
    np.testing.assert_array_equal(found, wrapped(expected, x.dtype))
    np.testing.assert_array_equal(function(x[:1].reshape(()), y[:1].reshape(())), found[0])


@pytest.mark.parametrize("element", INTEGERS, ids=str)
def test_stated_values(element):
    x = corners(element)
    zero, minus_one, least = np.zeros_like(x), np.zeros_like(x) - np.ones_like(x), x[:1]
    np.testing.assert_array_equal(Div().reference(x, zero)[0], zero)
    np.testing.assert_array_equal(Mod().reference(x, zero)[0], x)
    np.testing.assert_array_equal(Mod(True).reference(x, zero)[0], x)
    if element.is_signed:
        np.testing.assert_array_equal(Div().reference(least, minus_one[:1])[0], least)
        np.testing.assert_array_equal(Mod().reference(x, minus_one)[0], zero)
    with np.errstate(all="ignore"):
        for y in x:  # the identity of division
            np.testing.assert_array_equal(quotient(x, np.full_like(x, y)) * y + remainder(x, np.full_like(x, y)), x)


@pytest.mark.parametrize("element", INTEGERS, ids=str)
def test_sums_and_products_wrap(element):
    least, most = (np.array([end], element.numpy) for end in ENDS[element])
    one = np.ones_like(least)
    assert Add().reference(most, one)[0] == least
    assert Mul().reference(most + one - one, np.full_like(least, 2))[0] == wrapped(
        np.array(2 * ENDS[element][1]), element.numpy
    )
    assert ReduceSum().reference(np.concatenate([most, one, one]))[0] == ENDS[element][0] + 1
    assert ReduceProd().reference(np.concatenate([most, most]))[0] == 1


def test_floats_become_whole_numbers_as_stated():
    x = np.float32([1.9, -1.9, 0.5, -0.0, np.nan, np.inf, -np.inf, 2**31, -(2**31), 2147483520, 3e38, -3e38, 2**63])
    least, most = ENDS[INT32]
    np.testing.assert_array_equal(
        Cast("int32").reference(x)[0],
        [1, -1, 0, 0, 0, most, least, most, least, 2147483520, most, least, most],
    )
    expected = [cast("int64", float(value)) for value in x]
    np.testing.assert_array_equal(Cast("int64").reference(x)[0], np.array(expected, np.int64))
    np.testing.assert_array_equal(Cast("bool").reference(x)[0], [float(value) != 0 for value in x])


def test_whole_numbers_become_floats_by_one_rounding():
    x = np.array([2**24 + 1, 2**24 + 3, 2**62 + 2**38 + 1, 2**62 + 2**38, -(2**63), 2**63 - 1], np.int64)
    np.testing.assert_array_equal(
        Cast("float32").reference(x)[0],
        np.float32([2**24, 2**24 + 4, 2.0**62 + 2.0**39, 2.0**62, -(2.0**63), 2.0**63]),
    )


def test_long_integers_wrap_to_short_ones():
    x = np.array([2**31, -(2**31) - 1, 2**32 + 5, 2**63 - 1], np.int64)
    np.testing.assert_array_equal(converted(x, INT32), [-(2**31), 2**31 - 1, 5, -1])
    np.testing.assert_array_equal(converted(np.array([0, 256, 2**32]), BOOL), [False, True, True])
    assert converted(np.array([True, False]), INT64).tolist() == [1, 0]


def test_ends_and_fillers_are_numbers_of_the_type():
    large = 2**53 + 1
    x = np.array([0, large + 5], np.int64)
    assert Clip(None, large).reference(x)[0].tolist() == [0, large]
    assert Pad(((1, 0),), value=large).reference(x)[0].tolist() == [large, 0, large + 5]
    type = TensorType((2,), INT32)
    for op, what in (
        (Clip(0.5), "minimum=0.5"),
        (Clip(None, 2**31), "maximum=2147483648"),
        (Pad(((1, 0),), value=math.inf), "value=inf"),
    ):
        with pytest.raises(ShapeError) as info:
            op.infer(type)
        assert str(info.value) == f"{what} is no int32, which goes from -2147483648 to 2147483647"


# Expressions


def test_elements_of_expressions():
    x, y = Arg(0), Arg(1)
    assert typed(x + y * 2, (INT64, INT64)) is INT64
    assert typed(less(x, 0), (INT32,)) is BOOL
    assert typed(select(less(x, y), x, 1.0), (FLOAT32, FLOAT32)) is FLOAT32
    assert typed(convert(maximum(x, 0), FLOAT32), (INT32,)) is FLOAT32
    assert typed(Number(2.0), ()) is FLOAT32
    for wrong, elements in (
        (x + y, (INT32, FLOAT32)),
        (unary("exp", x), (INT32,)),
        (select(x, y, y), (INT32, INT32)),
        (unary("not", x), (FLOAT32,)),
        (Apply("shift_left", (x, y)), (INT32, INT32)),
    ):
        with pytest.raises(TypeError):
            typed(wrong, elements)


def test_a_literal_is_of_the_element_beside_it():
    x = np.array([2**62 + 1, -5], np.int64)
    assert evaluate(Arg(0) + 1, [x]).tolist() == [2**62 + 2, -4]
    assert evaluate(maximum(Arg(0), 2**53 + 1), [x]).tolist() == [2**62 + 1, 2**53 + 1]
    value, error = evaluate_with_error(Arg(0) / 2 - 1, [(x, np.zeros(2))])
    assert value.dtype == np.int64 and value.tolist() == [2**61 - 1, -3] and not error.any()
    assert evaluate(select(less(Arg(0), 0), -1, Arg(0)), [x]).tolist() == [2**62 + 1, -1]


def test_every_function_says_what_it_takes():
    for name, function in FUNCTIONS.items():
        assert function.takes and set(function.takes) <= set(ELEMENTS.values()), name
        assert function.result in (None, *VALUES)


@each_exact_sample
def test_exact_ops_have_no_tolerance(sample):
    """Each result is its own only neighbour, and every other one is seen."""
    if sample.op.name in ("Quantize", "Dequantize"):
        pytest.skip("its scale is a float")
    arrays = data(sample, seed=5)
    results = sample.op.reference(*arrays)
    for bound, result in zip(op_bounds(sample.op, [Bound.exact(x) for x in arrays]), results, strict=True):
        assert bound.held.dtype in (result.dtype, FLOAT32.numpy) and not bound.error.any()
        assert compare(result, bound).worst_ratio == 0
        wrong = result.copy()
        wrong.flat[0] = wrong.flat[0] + 1 if wrong.dtype.kind == "f" else wrong.flat[0] ^ 1
        assert not compare(wrong, bound).ok


def test_results_of_other_elements_are_no_results():
    (bound,) = op_bounds(Add(), [Bound.exact(np.arange(3))] * 2)
    with pytest.raises(DifferenceError, match="expected a result of int64, got int32"):
        compare(np.arange(3, dtype=np.int32) * 2, bound)


def inexact(values, errors):
    return Bound(np.asarray(values, float), np.asarray(errors, float))


def test_comparisons_within_the_errors_have_no_bound():
    x, y = (
        inexact([1, 1, 1, 3, np.nan, np.inf], [0, 0.1, 0.1, 0.1, 0, 0]),
        inexact([1, 1.1, 2, 1, 1, 1], [0, 0, 0, 0, 0, 0]),
    )
    (bound,) = op_bounds(Less(), [x, y])
    np.testing.assert_array_equal(bound.error, [0, np.inf, 0, 0, 0, 0])
    np.testing.assert_array_equal(bound.reference, [False, True, True, False, False, False])
    (bound,) = op_bounds(Equal(), [x, y])
    np.testing.assert_array_equal(bound.error, [0, np.inf, 0, 0, 0, 0])


def test_conversions_whose_bound_reaches_over_have_none():
    x = inexact([2.5, 2.95, 3, 3, np.nan, np.nan, 1e10, -0.5, 7.0], [0.1, 0.1, 0.1, 0, 0, np.inf, 10, 0.1, np.inf])
    (bound,) = op_bounds(Cast("int32"), [x])
    np.testing.assert_array_equal(bound.error, [0, np.inf, np.inf, 0, 0, np.inf, 0, 0, np.inf])
    (bound,) = op_bounds(Cast("bool"), [inexact([0, 0, 0.2, 0.05], [0, 0.1, 0.1, 0.1])])
    np.testing.assert_array_equal(bound.error, [0, np.inf, 0, np.inf])


def test_a_choice_that_errors_decide_may_be_either():
    condition = Bound(np.array([True, True, True]), np.array([0, np.inf, np.inf]))
    (bound,) = op_bounds(Where(), [condition, inexact([1, 1, 2], [0.5, 0.5, 0]), inexact([9, 9, 2], [0, 0.25, 0])])
    np.testing.assert_array_equal(bound.error, [0.5, 8.5, 0])
    whole = Bound(np.array([1, 1, 2]), np.zeros(3)), Bound(np.array([9, 9, 2]), np.zeros(3))
    (bound,) = op_bounds(Where(), [condition, *whole])
    np.testing.assert_array_equal(bound.error, [0, np.inf, 0])


def test_what_comes_of_no_bound_has_none():
    """Through sums and reductions of whole numbers, and back to floats."""
    net = Net()
    x = net.arrives(np.float32([[1.0, 2.5, 1e-9]]), "x")
    third = net.apply(Div(), x, net.known(np.float32(3)))
    whole = net.apply(Cast("int32"), net.apply(Mul(), third, net.known(np.float32(3))))
    total = net.apply(ReduceSum((1,)), whole)
    back = net.apply(Cast("float32"), whole)
    found = bounds(net.graph(whole, total, back), net.feeds)
    np.testing.assert_array_equal(found[whole].error, [[np.inf, 0, 0]])
    assert np.isinf(found[total].error).all()
    np.testing.assert_array_equal(found[back].error, [[np.inf, 0, 0]])


def test_perturbed_floats_stay_inside(rng):
    """Comparisons, choices and conversions of random numbers: what moves within its errors stays in the bound."""
    x, y = Arg(0), Arg(1)
    expressions = [
        select(less(x, y), x + y, 2 * x),
        convert(convert(x * 4, INT32) + 3, FLOAT32),
        unary("not", Apply("equal", (convert(x, INT64), convert(y, INT64)))),
        select(convert(x, BOOL), convert(less(y, 0.5), FLOAT32), y),
        convert(Apply("modulo", (convert(2 * x + 0.125, INT32), convert(y, INT32))), FLOAT32),
    ]
    values = [np.round(rng.standard_normal(4000) * 8).astype(np.float32) / np.float32(8) for _ in range(2)]
    moved = [(v + rng.uniform(-0.02, 0.02, v.shape)).astype(np.float32) for v in values]
    given = [(v.astype(float), np.abs(m.astype(float) - v)) for v, m in zip(values, moved, strict=True)]
    for expr in expressions:
        value, error = evaluate_with_error(expr, given)
        found = compare(evaluate(expr, moved), Bound(value, error))
        assert found.ok and found.unbounded < 3000, expr
