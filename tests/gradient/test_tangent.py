"""Derivatives of expressions: one line for each function, and what is chosen where there is none."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cnncc.elements import FLOATS
from cnncc.expr import (
    Apply,
    Arg,
    Number,
    arguments_of,
    calls,
    evaluate,
    exp,
    maximum,
    minimum,
    power,
    select,
    unary,
    where_less,
)
from cnncc.functions import FUNCTIONS
from cnncc.tangent import TANGENTS, ZERO, tangent

G, R = Arg(8), Arg(9)
"""The direction and the result."""


def slope(expr, index, *x):
    """The derivative at a point, from arguments in float64."""
    arguments = [np.asarray(value, np.float64) for value in x]
    arguments += [np.zeros(())] * (8 - len(x)) + [np.ones(()), evaluate(expr, arguments)]
    return float(evaluate(tangent(expr, index, G, R), arguments))


def test_every_function_has_a_line():
    assert set(TANGENTS) == set(FUNCTIONS)


POINTS = (0.3, 0.8, 0.55)
STEPS = {"floor", "ceil", "rint", "sign", "is_nan", "equal", "less", "less_equal"}
SMOOTH = [
    name
    for name, function in FUNCTIONS.items()
    if set(FLOATS) & set(function.takes) and name not in STEPS and not name.startswith("to_") and name != "nearest"
]
ARITY = {"where_less": 4, "select": 3, "multiply_add": 3}
TWO = {"add", "subtract", "multiply", "divide", "remainder", "modulo", "maximum", "minimum", "power"}


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("sign", [1, -1])
def test_lines_are_derivatives(name, sign):
    arity = ARITY.get(name, 2 if name in TWO else 1)
    x = [1.7, 1.2, 0.4, 0.9][:arity] if name == "acosh" else [sign * 0.7, 0.45, -0.4, 0.9][:arity]
    if name in ("log", "sqrt", "power", "acosh"):
        x = [abs(value) for value in x]
    arguments = tuple(Arg(k) for k in range(arity))
    if name == "select":
        arguments = (Apply("less", (Arg(1), Arg(2))), Arg(1), Arg(2))
    call = Apply(name, arguments)
    for index in range(arity):
        ends = []
        for step in (1e-6, -1e-6):
            moved = [np.asarray(value + step * (k == index)) for k, value in enumerate(x)]
            ends.append(float(evaluate(call, moved)))
        assert slope(call, index, *x) == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("name", sorted(STEPS | {"to_int32", "to_bool"}))
def test_steps_are_flat(name):
    assert (
        tangent(Apply(name, (Arg(0), Arg(0))[: 2 if name in ("equal", "less", "less_equal") else 1]), 0, G, R) == ZERO
    )


def test_conversions_between_floats_count_as_exact():
    assert tangent(unary("to_float32", Arg(0)), 0, G, R) == tangent(unary("nearest", Arg(0)), 0, G, R) == G


def test_kinks():
    x = Arg(0)
    relu, relu6 = maximum(x, 0), minimum(maximum(x, 0), 6)
    assert slope(relu, 0, 0) == slope(maximum(0, x), 0, 0) == 0
    assert slope(relu6, 0, 0) == slope(relu6, 0, 6) == slope(minimum(6, x), 0, 6) == 0
    assert slope(relu6, 0, 3) == 1
    assert slope(unary("absolute", x), 0, 0) == slope(unary("absolute", x), 0, -0.0) == 0
    for of in (maximum, minimum):
        assert (slope(of(Arg(0), Arg(1)), 0, 2, 2), slope(of(Arg(0), Arg(1)), 1, 2, 2)) == (0, 1)
    assert slope(unary("sqrt", x), 0, 0) == slope(power(x, 1 / 3), 0, 0) == 0
    assert slope(power(x, 1), 0, 0) == 1 and slope(power(x, 2), 0, 0) == slope(power(x, 0), 0, 0) == 0
    assert slope(power(Arg(0), Arg(1)), 0, 0, 0) == 0 and slope(power(Arg(0), Arg(1)), 1, 0, 2) == 0
    assert slope(where_less(x, 0, 0.1 * x, x), 0, 0) == 1


def test_no_slope_at_nan():
    assert slope(maximum(Arg(0), 0), 0, math.nan) == 0


def test_infinities_of_a_branch_that_is_not_taken_do_not_count():
    """The selection is outermost, so that nothing is multiplied with what it leaves aside."""
    elu = where_less(Arg(0), 0, 2 * (exp(Arg(0)) - 1), Arg(0))
    assert slope(elu, 0, 1e3) == 1
    assert slope(select(Apply("less", (Arg(0), Number(0.0))), exp(Arg(0) * Arg(0)), Arg(0)), 0, 1e3) == 1


def test_results_stand_for_arguments():
    """What reads the result only lets the argument go."""
    for name in ("exp", "expm1", "tanh", "sigmoid", "sqrt", "tan"):
        assert arguments_of(tangent(unary(name, Arg(0)), 0, G, R)) == {8, 9}
    assert arguments_of(tangent(maximum(Arg(0), 0), 0, G, R)) == {8, 9}


def test_products_with_nothing_are_not_computed():
    assert tangent(Arg(0) * Arg(1), 0, G, R) == G * Arg(1)
    assert tangent(Arg(0) + Arg(1), 0, G, R) == G
    assert tangent(power(Arg(0), 2), 0, G, R) == G * (Number(2.0) * Arg(0))
    assert tangent(exp(Arg(1)), 0, G, R) == ZERO
    assert calls(tangent(Arg(0) / Arg(1), 0, G, R)) == 1
