"""The vocabulary of expressions: each function's meaning, what it takes and makes, and its rule of errors.

Floats mean real numbers, which NumPy's float64 stands for, and every function has a rule by which errors of its
arguments, and its own rounding, reach its result. Whole numbers wrap modulo 2^n and truth values have two states: what
is computed with them is exact, and its meaning, in NumPy's integers, is what every target computes bit for bit.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .elements import BOOL, COMPUTED, FLOAT32, FLOATS, INTEGERS, NUMBERS, UNSIGNED, VALUES, Element
from .integers import conversion, modulo, power, quotient, remainder, shifted_left, shifted_right
from .types import Array

UNIT, TINY, LARGEST, OVERFLOW = FLOAT32.unit, FLOAT32.tiny, FLOAT32.most, FLOAT32.overflow
"""Of the floats that registers hold."""

# Error rule: (values, errors of the arguments, result) -> error of the result; asked where an argument is a float.
ErrorRule = Callable[[Sequence[Array], Sequence[Array], Array], Array]

# Bounds of the functions of codegen/functions.py, power.py, trigonometry.py, hyperbolic.py and arcs.py, in units in the
# last place (two UNITs each).
EXP_ULPS = 1.5
EXPM1_ULPS = SIN_ULPS = COS_ULPS = POWER_ULPS = 2.0
LOG_ULPS = 1.0
SIGMOID_ULPS = SOFTPLUS_ULPS = 3.0
TANH_ULPS = ERF_ULPS = TAN_ULPS = ASIN_ULPS = 4.0
ACOS_ULPS = ATAN_ULPS = SINH_ULPS = ASINH_ULPS = ACOSH_ULPS = 3.0
COSH_ULPS = ATANH_ULPS = 2.5


def ieee_power(x: Array, y: Array) -> Array:
    """x to the power of y. NumPy's `power` takes the square root for a broadcast exponent of 0.5: NaN for -inf."""
    return np.asarray(np.float_power(x, y)).astype(np.result_type(x, y), copy=False)


def nearest(x: Array) -> Array:
    """The nearest float of a register, which holds no other: what float64, which stands for it, has to round to."""
    with np.errstate(all="ignore"):
        return x.astype(FLOAT32.numpy).astype(x.dtype)


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(−x)), with no overflow on the way."""
    return np.asarray(np.where(x < 0, np.exp(np.minimum(x, 0)), 1) / (1 + np.exp(-np.abs(x))))


def softplus(x: Array) -> Array:
    """log(1 + exp(x))."""
    return np.asarray(np.logaddexp(np.zeros((), np.asarray(x).dtype), x))


def erf(x: Array) -> Array:
    """The error function, which NumPy lacks."""
    return np.asarray(np.vectorize(math.erf, otypes=[np.float64])(x), np.asarray(x).dtype)


@dataclass(frozen=True)
class Function:
    """`steps` spells the function in simpler ones, which some targets compute instead: what holds, holds for both.

    `meaning` is that of floats and, unless there is a `whole`, that of all other elements that it `takes`. The
    arguments are of one element, which is also that of the result unless that is stated. One that `chooses` among its
    arguments makes nothing of those that it leaves aside; where it does so by a truth value, that is its first one.
    """

    meaning: Callable[..., Any]
    error: ErrorRule
    steps: Callable[..., Any] | None = None
    chooses: bool = False
    takes: tuple[Element, ...] = FLOATS
    result: Element | None = None
    whole: Callable[..., Any] | None = None
    condition: bool = False

    def alike(self, arguments: Sequence[Any]) -> Sequence[Any]:
        """The arguments that are of one element: all but a condition."""
        return arguments[1:] if self.condition else arguments

    def of(self, *arguments: Array) -> Array:
        """The result for arrays of floats, or of another element."""
        exact = self.whole is not None and all(x.dtype.kind in "iu" for x in arguments)
        meaning = self.whole if exact and self.whole else self.meaning
        return np.asarray(meaning(*arguments))


def _rounded(result: Array, carried: Array, units: float = 1.0) -> Array:
    """What the arguments' errors make of the result (`carried`), and the rounding of that perturbed result."""
    return np.asarray(carried + units * UNIT * (np.abs(result) + carried) + TINY)


def _nearest(result: Array, carried: Array, units: float = 1.0) -> Array:
    """As `_rounded` for IEEE's products and quotients: nothing is rounded farther than to 0, so 0 is exact."""
    size = np.abs(result) + carried
    return np.asarray(carried + np.minimum(units * UNIT * size + TINY, size))


def _exact_if_tiny(result: Array, carried: Array) -> Array:
    """As `_rounded` for IEEE's sums and roots: what would underflow is exact."""
    return np.asarray(carried + UNIT * (np.abs(result) + carried))


def _product_error(v: Sequence[Array], e: Sequence[Array]) -> Array:
    return np.asarray(np.abs(v[0]) * e[1] + np.abs(v[1]) * e[0] + e[0] * e[1])


def _divide_error(v: Sequence[Array], e: Sequence[Array], r: Array) -> Array:
    """|a′/b′ − a/b| ≤ (eᵃ + |a/b| eᵇ) / (|b| − eᵇ), infinite where b may be 0."""
    least = np.maximum(np.abs(v[1]) - e[1], 0)
    return _nearest(r, (e[0] + np.abs(r) * e[1]) / least, 2)


def _sqrt_error(v: Sequence[Array], e: Sequence[Array], r: Array) -> Array:
    """|√x′ − √x| is at most √e, and at most e / 2√(x − e); infinite where x may be negative."""
    carried = np.fmin(np.sqrt(e[0]), e[0] / (2 * np.sqrt(v[0] - e[0])))
    return _exact_if_tiny(r, np.where(v[0] < e[0], np.inf, carried))


def _sure(v: Sequence[Array], e: Sequence[Array]) -> Array:
    """Where the errors of x and y do not decide how they compare, nor the rounding of this sum and this difference."""
    return np.asarray((e[0] + e[1] == 0) | (np.abs(v[0] - v[1]) > (e[0] + e[1]) * (1 + 2.0**-50)))


def _compared(v: Sequence[Array], e: Sequence[Array], r: Array) -> Array:
    return np.where(_sure(v, e), 0.0, np.inf)


def _either(a: Array, b: Array, ea: Array, eb: Array) -> Array:
    """The error of a branch that may be either: those of both, and their distance."""
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    apart = np.abs(a - b) if a.dtype.kind == b.dtype.kind == "f" else np.inf
    return np.asarray(np.where(same, 0, apart) + np.maximum(ea, eb))


def _where_less_error(v: Sequence[Array], e: Sequence[Array], r: Array) -> Array:
    """The error of the branch that is taken; see `_either` where the errors of x and y let either be."""
    (x, y, a, b), (_, _, ea, eb) = v, e
    return np.where(_sure(v, e), np.where(x < y, ea, eb), _either(a, b, ea, eb))


def _select_error(v: Sequence[Array], e: Sequence[Array], r: Array) -> Array:
    (condition, a, b), (unsure, ea, eb) = v, e
    return np.where(unsure == 0, np.where(condition, ea, eb), _either(a, b, ea, eb))


def _power_error(v: Sequence[Array], e: Sequence[Array], r: Array) -> Array:
    """Through the logarithm: |y′ log x′ − y log x| ≤ (|y| + eʸ) |log x′ − log x| + eʸ |log x|, in any sign of x.

    Where x may be 0 or of either sign, y must be exact: then by the derivative, y (|x| + eˣ)^(y − 1) eˣ, for y ≥ 1.
    """
    (x, y), (ex, ey) = v, e
    size, whole = np.abs(x), y == np.rint(y)
    of_log = (np.abs(y) + ey) * -np.log1p(-ex / size) + np.where(ey > 0, ey * np.abs(np.log(size)), 0)
    carried = np.where((size > ex) & ((x > 0) | ((ey == 0) & whole)), np.abs(r) * np.expm1(of_log), np.inf)
    by_slope = np.where((ey == 0) & (y >= 1) & (whole | (x >= ex)), y * (size + ex) ** (y - 1) * ex, np.inf)
    exact = (ex == 0) & (ey == 0)
    return _rounded(r, np.where(exact, 0, np.fmin(carried, by_slope)), 2 * POWER_ULPS)


def _remainder_error(v: Sequence[Array], e: Sequence[Array], r: Array) -> Array:
    """None of exact arguments: the rest of a division is a float. It leaps where errors let the whole quotient be
    another one; else each divisor that was taken off brings its own error."""
    x, y = np.abs(v[0]), np.abs(v[1])
    low = np.floor((x - e[0]) / (y + e[1]) * (1 - 2.0**-50))
    high = np.floor((x + e[0]) / (y - e[1]) * (1 + 2.0**-50))
    carried = np.where((x >= e[0]) & (y > e[1]) & (low == high), e[0] + (high + 1) * e[1], np.inf)
    return np.where((e[0] == 0) & (e[1] == 0), 0.0, carried)


def _modulo_error(v: Sequence[Array], e: Sequence[Array], r: Array) -> Array:
    """As of a remainder, and of the sum that puts its sign right."""
    return _exact_if_tiny(r, _remainder_error(v, e, r))


def _monotone(meaning: Callable[..., Any], ulps: float = 0.0, takes: tuple[Element, ...] = FLOATS) -> Function:
    """A function that only rises, or only falls: what errors of its arguments make of it shows at the ends of their
    intervals.

    It is exact at an infinite argument if its limit is a whole number or infinite, and where it leads from 0 to 0.
    """

    def error(v: Sequence[Array], e: Sequence[Array], r: Array) -> Array:
        above, below = (meaning(*map(step, v, e)) for step in (np.add, np.subtract))
        limit = ((np.isinf(v[0]) & (r == np.rint(r))) | ((v[0] == 0) & (r == 0))) & (e[0] == 0)
        moves = functools.reduce(np.maximum, e) > 0
        carried = np.where(moves, np.maximum(np.abs(above - r), np.abs(below - r)), 0)
        return np.where(limit, 0, _rounded(r, carried, 2 * ulps)) if ulps else carried

    return Function(meaning, error, takes=takes)


def _compares(meaning: Callable[..., Any], takes: tuple[Element, ...]) -> Function:
    return Function(meaning, _compared, takes=takes, result=BOOL)


def _logic(meaning: np.ufunc) -> Function:
    """Of truth values, and of integers bit by bit."""
    return Function(meaning, _exact, takes=(*INTEGERS, BOOL))


def _exact(v: Sequence[Array], e: Sequence[Array], r: Array) -> Array:
    return np.zeros(r.shape)


def _converts(element: Element) -> Function:
    """A conversion: without a bound where errors of a float decide which whole number, or truth value, it becomes."""
    meaning = conversion(element)

    def error(v: Sequence[Array], e: Sequence[Array], r: Array) -> Array:
        if element is FLOAT32:
            return e[0]
        if element.is_float:
            ends = [meaning(step(v[0], e[0])) - r for step in (np.add, np.subtract)]
            return np.where(e[0] == 0, 0.0, np.maximum(*map(np.abs, ends)))
        if element.kind == "truth":
            return np.where((e[0] == 0) | (np.abs(v[0]) > e[0]), 0.0, np.inf)
        above, below = np.nextafter(v[0] + e[0], np.inf), np.nextafter(v[0] - e[0], -np.inf)
        return np.where((e[0] == 0) | ((meaning(above) == r) & (meaning(below) == r)), 0.0, np.inf)

    return Function(meaning, error, takes=VALUES, result=element)


def converter(element: Element) -> str:
    """The name of the function that converts to `element`."""
    return f"to_{element}"


def _wave(meaning: Callable[..., Any], ulps: float) -> Function:
    """A function between −1 and 1 that is nowhere steeper than 1."""
    return Function(meaning, lambda v, e, r: _rounded(r, np.minimum(e[0], 2), 2 * ulps))


def _tangent_error(v: Sequence[Array], e: Sequence[Array], r: Array) -> Array:
    """Rising between two poles; without a bound where there may be a pole within the error."""
    below, above = v[0] - e[0], v[0] + e[0]
    same = (above - below < np.pi) & (np.floor(below / np.pi + 0.5) == np.floor(above / np.pi + 0.5))
    carried = np.maximum(np.abs(np.tan(above) - r), np.abs(np.tan(below) - r))
    return _rounded(r, np.where(e[0] == 0, 0, np.where(same, carried, np.inf)), 2 * TAN_ULPS)


FUNCTIONS: Mapping[str, Function] = {
    "add": Function(np.add, lambda v, e, r: _exact_if_tiny(r, e[0] + e[1]), takes=NUMBERS),
    "subtract": Function(np.subtract, lambda v, e, r: _exact_if_tiny(r, e[0] + e[1]), takes=NUMBERS),
    "multiply": Function(np.multiply, lambda v, e, r: _nearest(r, _product_error(v, e)), takes=NUMBERS),
    "divide": Function(np.divide, _divide_error, takes=NUMBERS, whole=quotient),
    "remainder": Function(np.fmod, _remainder_error, takes=NUMBERS, whole=remainder),
    "modulo": Function(np.mod, _modulo_error, takes=NUMBERS, whole=modulo),
    "shift_left": Function(shifted_left, _exact, takes=UNSIGNED),
    "shift_right": Function(shifted_right, _exact, takes=UNSIGNED),
    "maximum": _monotone(np.maximum, takes=NUMBERS),
    "minimum": _monotone(np.minimum, takes=NUMBERS),
    "sqrt": Function(np.sqrt, _sqrt_error),
    "absolute": Function(np.abs, lambda v, e, r: e[0], takes=NUMBERS),
    "negate": Function(np.negative, lambda v, e, r: e[0], takes=NUMBERS),
    "floor": _monotone(np.floor),
    "ceil": _monotone(np.ceil),
    "rint": _monotone(np.rint),
    "sign": _monotone(np.sign, takes=NUMBERS),
    "where_less": Function(lambda x, y, a, b: np.where(x < y, a, b), _where_less_error, chooses=True, takes=NUMBERS),
    "is_nan": Function(np.isnan, _exact, result=BOOL),
    "equal": _compares(np.equal, COMPUTED),
    "less": _compares(np.less, NUMBERS),
    "less_equal": _compares(np.less_equal, NUMBERS),
    "and": _logic(np.bitwise_and),
    "or": _logic(np.bitwise_or),
    "xor": _logic(np.bitwise_xor),
    "not": _logic(np.invert),
    "select": Function(np.where, _select_error, chooses=True, takes=COMPUTED, condition=True),
    **{converter(element): _converts(element) for element in VALUES},
    "exp": _monotone(np.exp, EXP_ULPS),
    "expm1": _monotone(np.expm1, EXPM1_ULPS),
    "log": _monotone(np.log, LOG_ULPS),
    "tanh": _monotone(np.tanh, TANH_ULPS),
    "sigmoid": _monotone(sigmoid, SIGMOID_ULPS),
    "erf": _monotone(erf, ERF_ULPS),
    "softplus": _monotone(softplus, SOFTPLUS_ULPS),
    "sin": _wave(np.sin, SIN_ULPS),
    "cos": _wave(np.cos, COS_ULPS),
    "tan": Function(np.tan, _tangent_error),
    "asin": _monotone(np.arcsin, ASIN_ULPS),
    "acos": _monotone(np.arccos, ACOS_ULPS),
    "atan": _monotone(np.arctan, ATAN_ULPS),
    "sinh": _monotone(np.sinh, SINH_ULPS),
    "cosh": _monotone(np.cosh, COSH_ULPS),  # in one direction from 0 on: the end that is farther from 0 decides
    "asinh": _monotone(np.arcsinh, ASINH_ULPS),
    "acosh": _monotone(np.arccosh, ACOSH_ULPS),
    "atanh": _monotone(np.arctanh, ATANH_ULPS),
    "power": Function(ieee_power, _power_error, takes=NUMBERS, whole=power),
    "nearest": Function(nearest, lambda v, e, r: _rounded(r, e[0])),
    # One rounding where it is one instruction, else two.
    "multiply_add": Function(
        lambda a, b, c: a * b + c, lambda v, e, r: _nearest(r, _product_error(v, e) + e[2]), lambda a, b, c: a * b + c
    ),
}


def applied(function: Function, values: Sequence[Array], errors: Sequence[Array]) -> tuple[Array, Array]:
    """The result and its error: infinite where nothing is known, 0 where NaN or an infinity is certain.

    An argument without a bound may be NaN, so the result has none either, even that of a function with bounds. Whole
    numbers and truth values are exact unless an argument has no bound.
    """
    result = function.of(*values)
    if function.chooses or any(value.dtype.kind == "f" for value in values):
        error = np.asarray(function.error(values, errors, result))
        error = np.where(np.isnan(error), np.inf, error)
    else:
        error = np.zeros(result.shape)
    if function.chooses:
        return result, error
    for e in errors:
        error = np.where(np.isinf(e), np.inf, error)
    if result.dtype.kind != "f":
        return result, error
    if not any(value.dtype.kind == "f" for value in values):
        return result.astype(np.float64), error
    overflows = np.isfinite(result) & (np.abs(result) - error >= OVERFLOW)
    # IEEE's arithmetic overflows from |p| = OVERFLOW on, p made of arguments with errors: |r| + error is |p| (1 + u).
    error = np.where(np.abs(result) + error >= OVERFLOW * (1 + UNIT), np.inf, error)
    error = np.where(_certain(function, values, errors, result) | overflows, 0.0, error)
    return np.where(overflows, np.copysign(np.inf, result), result), error


def _certain(function: Function, values: Sequence[Array], errors: Sequence[Array], result: Array) -> Array:
    """Where a NaN or an infinity comes out at every corner of the box of arguments.

    The functions of the vocabulary are monotone or multilinear in each argument, or finite wherever that is, so the
    corners speak for the box.
    """
    certain = ~np.isfinite(result)
    if not certain.any():
        return certain
    for signs in itertools.product((-1.0, 1.0), repeat=len(values)):
        ends = (np.where(e == 0, v, v + sign * e) for v, e, sign in zip(values, errors, signs, strict=True))  # keeps −0
        corner = function.meaning(*ends)
        certain = certain & ((corner == result) | (np.isnan(corner) & np.isnan(result)))
    for e in errors:
        certain = certain & np.isfinite(e)
    return np.asarray(certain)
