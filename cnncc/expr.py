"""Element-wise expressions: the common language of op pages (which write them) and kernels (which emit them).

An expression is a small tree over numbered arguments. `FUNCTIONS` is its whole vocabulary: for each function
its NumPy meaning and the rule by which an error of its arguments, and its own rounding, reach its result.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .types import Array

UNIT = 2.0**-24  # unit roundoff of float32: half a unit in the last place
TINY = 2.0**-149  # the smallest subnormal: what underflow may lose
LARGEST = float(np.finfo(np.float32).max)
OVERFLOW = LARGEST + 2.0**103  # from here on float32 rounds to an infinity


class Expr:
    """A node of an expression tree; operators build larger trees."""

    def __add__(self, other: Operand) -> Expr:
        return Call("add", (self, wrap(other)))

    def __sub__(self, other: Operand) -> Expr:
        return Call("subtract", (self, wrap(other)))

    def __mul__(self, other: Operand) -> Expr:
        return Call("multiply", (self, wrap(other)))

    def __truediv__(self, other: Operand) -> Expr:
        return Call("divide", (self, wrap(other)))

    def __radd__(self, other: float) -> Expr:
        return Call("add", (wrap(other), self))

    def __rsub__(self, other: float) -> Expr:
        return Call("subtract", (wrap(other), self))

    def __rmul__(self, other: float) -> Expr:
        return Call("multiply", (wrap(other), self))

    def __rtruediv__(self, other: float) -> Expr:
        return Call("divide", (wrap(other), self))


@dataclass(frozen=True)
class Arg(Expr):
    """Argument number `index` of the computation that holds the expression."""

    index: int

    def __str__(self) -> str:
        return f"${self.index}"


@dataclass(frozen=True)
class Number(Expr):
    """A literal, rounded to float32 where it is used."""

    value: float

    def __str__(self) -> str:
        return f"{self.value:g}"


@dataclass(frozen=True)
class Call(Expr):
    """A function of the vocabulary applied to sub-expressions."""

    function: str
    arguments: tuple[Expr, ...]

    def __str__(self) -> str:
        return f"{self.function}({', '.join(map(str, self.arguments))})"


Operand = Expr | float | int
RUNNING = Arg(0)
"""The running value of an epilogue."""


def wrap(value: Operand) -> Expr:
    return value if isinstance(value, Expr) else Number(float(value))


def maximum(a: Operand, b: Operand) -> Expr:
    """The larger one; NaN if either is NaN (NumPy's `maximum`)."""
    return Call("maximum", (wrap(a), wrap(b)))


def minimum(a: Operand, b: Operand) -> Expr:
    """The smaller one; NaN if either is NaN (NumPy's `minimum`)."""
    return Call("minimum", (wrap(a), wrap(b)))


def unary(function: str, x: Operand) -> Expr:
    """A function of one argument, by its name in the vocabulary."""
    return Call(function, (wrap(x),))


def exp(x: Operand) -> Expr:
    return unary("exp", x)


def log(x: Operand) -> Expr:
    return unary("log", x)


def sqrt(x: Operand) -> Expr:
    return unary("sqrt", x)


def power(x: Operand, y: Operand) -> Expr:
    """x to the power of y, with the special cases of IEEE 754 (see `ieee_power`)."""
    return Call("power", (wrap(x), wrap(y)))


def where_less(x: Operand, y: Operand, a: Operand, b: Operand) -> Expr:
    """`a` where x < y, else `b`: also where x or y is NaN, for then no comparison holds."""
    return Call("where_less", (wrap(x), wrap(y), wrap(a), wrap(b)))


def multiply_add(a: Operand, b: Operand, c: Operand) -> Expr:
    """a * b + c, in one rounding where the target has the instruction."""
    return Call("multiply_add", (wrap(a), wrap(b), wrap(c)))


# Meaning: float64 in, float64 out. Error rule: (values, errors of the arguments, result) -> error of the result.
ErrorRule = Callable[[Sequence[Array], Sequence[Array], Array], Array]

# Bounds of the functions of codegen/functions.py, power.py and trigonometry.py, in units in the last place (two UNITs
# each).
EXP_ULPS = EXPM1_ULPS = ERF_ULPS = POWER_ULPS = 2.0
LOG_ULPS = LOG1P_ULPS = SIN_ULPS = COS_ULPS = 1.0
TANH_ULPS = SIGMOID_ULPS = 3.0


def ieee_power(x: Array, y: Array) -> Array:
    """x to the power of y. NumPy's `power` takes the square root for a broadcast exponent of 0.5: NaN for -inf."""
    return np.asarray(np.float_power(x, y)).astype(np.result_type(x, y), copy=False)


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(−x)), with no overflow on the way."""
    return np.asarray(np.where(x < 0, np.exp(np.minimum(x, 0)), 1) / (1 + np.exp(-np.abs(x))))


def erf(x: Array) -> Array:
    """The error function, which NumPy lacks."""
    return np.asarray(np.vectorize(math.erf, otypes=[np.float64])(x), np.asarray(x).dtype)


@dataclass(frozen=True)
class Function:
    """`steps` spells the function in simpler ones, which some targets compute instead: what holds, holds for both.

    One that `chooses` among its arguments makes nothing of those that it leaves aside.
    """

    meaning: Callable[..., Any]
    error: ErrorRule
    steps: Callable[..., Expr] | None = None
    chooses: bool = False


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


def _where_less_error(v: Sequence[Array], e: Sequence[Array], r: Array) -> Array:
    """The error of the branch that is taken; of both, and their distance, where the errors of x and y let either be."""
    (x, y, a, b), (ex, ey, ea, eb) = v, e
    sure = (ex + ey == 0) | (np.abs(x - y) > ex + ey)
    apart = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0, np.abs(a - b))
    return np.asarray(np.where(sure, np.where(x < y, ea, eb), apart + np.maximum(ea, eb)))


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


def _monotone(meaning: Callable[..., Any], ulps: float = 0.0) -> Function:
    """A function that only rises: what errors of its arguments make of it shows at the ends of their intervals.

    It is exact at an infinite argument, and where it leads from 0 to 0.
    """

    def error(v: Sequence[Array], e: Sequence[Array], r: Array) -> Array:
        above, below = (meaning(*map(step, v, e)) for step in (np.add, np.subtract))
        limit = (np.isinf(v[0]) | ((v[0] == 0) & (r == 0))) & (e[0] == 0)
        moves = functools.reduce(np.maximum, e) > 0
        carried = np.where(moves, np.maximum(np.abs(above - r), np.abs(below - r)), 0)
        return np.where(limit, 0, _rounded(r, carried, 2 * ulps)) if ulps else carried

    return Function(meaning, error)


def _wave(meaning: Callable[..., Any], ulps: float) -> Function:
    """A function between −1 and 1 that is nowhere steeper than 1."""
    return Function(meaning, lambda v, e, r: _rounded(r, np.minimum(e[0], 2), 2 * ulps))


FUNCTIONS: Mapping[str, Function] = {
    "add": Function(np.add, lambda v, e, r: _exact_if_tiny(r, e[0] + e[1])),
    "subtract": Function(np.subtract, lambda v, e, r: _exact_if_tiny(r, e[0] + e[1])),
    "multiply": Function(np.multiply, lambda v, e, r: _nearest(r, _product_error(v, e))),
    "divide": Function(np.divide, _divide_error),
    "maximum": _monotone(np.maximum),
    "minimum": _monotone(np.minimum),
    "sqrt": Function(np.sqrt, _sqrt_error),
    "absolute": Function(np.abs, lambda v, e, r: e[0]),
    "negate": Function(np.negative, lambda v, e, r: e[0]),
    "floor": _monotone(np.floor),
    "ceil": _monotone(np.ceil),
    "rint": _monotone(np.rint),
    "sign": _monotone(np.sign),
    "where_less": Function(lambda x, y, a, b: np.where(x < y, a, b), _where_less_error, chooses=True),
    "exp": _monotone(np.exp, EXP_ULPS),
    "expm1": _monotone(np.expm1, EXPM1_ULPS),
    "log": _monotone(np.log, LOG_ULPS),
    "log1p": _monotone(np.log1p, LOG1P_ULPS),
    "tanh": _monotone(np.tanh, TANH_ULPS),
    "sigmoid": _monotone(sigmoid, SIGMOID_ULPS),
    "erf": _monotone(erf, ERF_ULPS),
    "sin": _wave(np.sin, SIN_ULPS),
    "cos": _wave(np.cos, COS_ULPS),
    "power": Function(ieee_power, _power_error),
    # One rounding where it is one instruction, else two.
    "multiply_add": Function(
        lambda a, b, c: a * b + c, lambda v, e, r: _nearest(r, _product_error(v, e) + e[2]), lambda a, b, c: a * b + c
    ),
}


def evaluate(expr: Expr, arguments: Sequence[Array]) -> Array:
    """The value of `expr`, in the precision of its arguments."""
    if isinstance(expr, Arg):
        return arguments[expr.index]
    if isinstance(expr, Number):
        return np.asarray(expr.value, dtype=np.float64)
    assert isinstance(expr, Call)
    parts = [evaluate(part, arguments) for part in expr.arguments]
    with np.errstate(all="ignore"):
        return np.asarray(FUNCTIONS[expr.function].meaning(*parts))


def evaluate_with_error(expr: Expr, arguments: Sequence[tuple[Array, Array]]) -> tuple[Array, Array]:
    """Value of `expr` in float64 and a bound on what float32 arithmetic may differ from it.

    An infinity stands where float32 overflows for certain.
    """
    if isinstance(expr, Arg):
        return arguments[expr.index]
    if isinstance(expr, Number):
        return np.asarray(expr.value, np.float64), np.asarray(_literal_error(expr.value))
    assert isinstance(expr, Call)
    function = FUNCTIONS[expr.function]
    parts = [evaluate_with_error(part, arguments) for part in expr.arguments]
    with np.errstate(all="ignore"):
        value, error = _applied(function, [p[0] for p in parts], [p[1] for p in parts])
        if function.steps is None:
            return value, error
        stepwise = function.steps(*(Arg(index) for index in range(len(parts))))
        other, other_error = evaluate_with_error(stepwise, parts)
        agree = (np.isfinite(value) & np.isfinite(other)) | (value == other) | (np.isnan(value) & np.isnan(other))
        return value, np.where(agree, np.maximum(error, other_error), np.inf)


def _literal_error(value: float) -> float:
    with np.errstate(over="ignore"):
        rounded = float(np.float32(value))
    return 0.0 if rounded == value or math.isnan(value) else abs(rounded - value)


def _applied(function: Function, values: Sequence[Array], errors: Sequence[Array]) -> tuple[Array, Array]:
    """The result and its error: infinite where nothing is known, 0 where NaN or an infinity is certain.

    An argument without a bound may be NaN, so the result has none either, even that of a function with bounds.
    """
    result = np.asarray(function.meaning(*values))
    error = np.asarray(function.error(values, errors, result))
    error = np.where(np.isnan(error), np.inf, error)
    if function.chooses:
        return result, error
    for e in errors:
        error = np.where(np.isinf(e), np.inf, error)
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


def substitute(expr: Expr, arguments: Mapping[int, Expr]) -> Expr:
    """`expr` with its arguments replaced (the composition of two expressions).

    What `expr` shares stays shared: each part is rewritten once.
    """
    known: dict[int, Expr] = {}

    def visit(part: Expr) -> Expr:
        if isinstance(part, Arg):
            return arguments.get(part.index, part)
        if not isinstance(part, Call):
            return part
        if id(part) not in known:
            known[id(part)] = Call(part.function, tuple(visit(inner) for inner in part.arguments))
        return known[id(part)]

    return visit(expr)


def parts(expr: Expr) -> list[Expr]:
    """`expr` and all its sub-expressions; what it shares stands here once."""
    found: dict[int, Expr] = {}

    def visit(part: Expr) -> None:
        if id(part) not in found:
            found[id(part)] = part
            for inner in part.arguments if isinstance(part, Call) else ():
                visit(inner)

    visit(expr)
    return list(found.values())


def arguments_of(expr: Expr) -> set[int]:
    """The numbers of the arguments that occur in `expr`."""
    return {part.index for part in parts(expr) if isinstance(part, Arg)}


def calls(expr: Expr) -> int:
    """How many functions are computed."""
    return sum(isinstance(part, Call) for part in parts(expr))
