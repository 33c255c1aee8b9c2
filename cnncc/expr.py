"""Element-wise expressions: the common language of op pages (which write them) and kernels (which emit them).

An expression is a small tree over numbered arguments. `FUNCTIONS` is its whole vocabulary: for each function
its NumPy meaning and the rule by which an error of its arguments, and its own rounding, reach its result.
"""

from __future__ import annotations

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


def where_positive(x: Operand, a: Operand, b: Operand) -> Expr:
    """`b` where x ≤ 0, else `a`: also for a NaN, which goes on since `a` is made of x."""
    return Call("where_positive", (wrap(x), wrap(a), wrap(b)))


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
    """`steps` spells the function in simpler ones; its error is then bounded as theirs."""

    meaning: Callable[..., Any]
    error: ErrorRule | None = None
    steps: Callable[..., Expr] | None = None


def _rounded(result: Array, carried: Array, units: float = 1.0) -> Array:
    """What the arguments' errors make of the result (`carried`), and the rounding of that perturbed result."""
    return np.asarray(carried + units * UNIT * (np.abs(result) + carried) + TINY)


def _product_error(v: Sequence[Array], e: Sequence[Array]) -> Array:
    return np.asarray(np.abs(v[0]) * e[1] + np.abs(v[1]) * e[0] + e[0] * e[1])


def _divide_error(v: Sequence[Array], e: Sequence[Array], r: Array) -> Array:
    """|a′/b′ − a/b| ≤ (eᵃ + |a/b| eᵇ) / (|b| − eᵇ), infinite where b may be 0."""
    least = np.maximum(np.abs(v[1]) - e[1], 0)
    return _rounded(r, (e[0] + np.abs(r) * e[1]) / least, 2)


def _sqrt_error(v: Sequence[Array], e: Sequence[Array], r: Array) -> Array:
    """|√x′ − √x| is at most √e, and at most e / 2√(x − e); infinite where x may be negative."""
    carried = np.fmin(np.sqrt(e[0]), e[0] / (2 * np.sqrt(v[0] - e[0])))
    return _rounded(r, np.where(v[0] < e[0], np.inf, carried))


def _where_positive_error(v: Sequence[Array], e: Sequence[Array], r: Array) -> Array:
    """The error of the branch that is taken; of both, and their distance, where the error of x lets either be."""
    either = np.abs(v[1] - v[2]) + np.maximum(e[1], e[2])
    taken = np.where(v[0] <= 0, e[2], e[1])
    return np.asarray(np.where(np.abs(v[0]) <= e[0], np.where(e[0] > 0, either, taken), taken))


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
    """A function that only rises: what an error of its argument makes of it shows at the ends of the interval."""

    def error(v: Sequence[Array], e: Sequence[Array], r: Array) -> Array:
        ends = np.abs(meaning(v[0] + e[0]) - r), np.abs(meaning(v[0] - e[0]) - r)
        carried = np.where(e[0] > 0, np.maximum(*ends), 0)
        return _rounded(r, carried, 2 * ulps) if ulps else carried

    return Function(meaning, error)


def _wave(meaning: Callable[..., Any], ulps: float) -> Function:
    """A function between −1 and 1 that is nowhere steeper than 1."""
    return Function(meaning, lambda v, e, r: _rounded(r, np.minimum(e[0], 2), 2 * ulps))


FUNCTIONS: Mapping[str, Function] = {
    "add": Function(np.add, lambda v, e, r: _rounded(r, e[0] + e[1])),
    "subtract": Function(np.subtract, lambda v, e, r: _rounded(r, e[0] + e[1])),
    "multiply": Function(np.multiply, lambda v, e, r: _rounded(r, _product_error(v, e))),
    "divide": Function(np.divide, _divide_error),
    "maximum": Function(np.maximum, lambda v, e, r: np.maximum(e[0], e[1])),
    "minimum": Function(np.minimum, lambda v, e, r: np.maximum(e[0], e[1])),
    "sqrt": Function(np.sqrt, _sqrt_error),
    "absolute": Function(np.abs, lambda v, e, r: e[0]),
    "negate": Function(np.negative, lambda v, e, r: e[0]),
    "floor": _monotone(np.floor),
    "ceil": _monotone(np.ceil),
    "rint": _monotone(np.rint),
    "sign": _monotone(np.sign),
    "where_positive": Function(lambda x, a, b: np.where(x <= 0, b, a), _where_positive_error),
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
    # One rounding less where it is one instruction, so the bound of the two steps holds for both.
    "multiply_add": Function(lambda a, b, c: a * b + c, steps=lambda a, b, c: a * b + c),
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
    """Value of `expr` in float64 and a bound on what float32 arithmetic may differ from it."""
    if isinstance(expr, Arg):
        return arguments[expr.index]
    if isinstance(expr, Number):
        return np.asarray(expr.value, np.float64), np.asarray(_literal_error(expr.value))
    assert isinstance(expr, Call)
    function = FUNCTIONS[expr.function]
    if function.steps is not None:
        return evaluate_with_error(function.steps(*expr.arguments), arguments)
    assert function.error is not None
    parts = [evaluate_with_error(part, arguments) for part in expr.arguments]
    values, errors = [p[0] for p in parts], [p[1] for p in parts]
    with np.errstate(all="ignore"):
        result = np.asarray(function.meaning(*values))
        error = np.asarray(function.error(values, errors, result))
        return result, _settled(function, values, errors, result, error)


def _literal_error(value: float) -> float:
    with np.errstate(over="ignore"):
        rounded = float(np.float32(value))
    return 0.0 if rounded == value else abs(rounded - value)


def _settled(
    function: Function, values: Sequence[Array], errors: Sequence[Array], result: Array, error: Array
) -> Array:
    """`error`, made infinite where float32 may overflow, and 0 where NaN or an infinity is certain.

    An argument without a bound may be NaN, so the result has none either, even that of a function with bounds.
    It is certain where it comes out at every corner of the box of arguments: the functions of the vocabulary are
    monotone or multilinear in each argument, or finite wherever that is, so the corners speak for the box.
    """
    error = np.where(np.isnan(error) | (np.abs(result) + error > LARGEST), np.inf, error)
    for e in errors:
        error = np.where(np.isinf(e), np.inf, error)
    certain = ~np.isfinite(result)
    if not certain.any():
        return error
    for signs in itertools.product((-1.0, 1.0), repeat=len(values)):
        corner = function.meaning(*(v + sign * e for v, e, sign in zip(values, errors, signs, strict=True)))
        certain = certain & ((corner == result) | (np.isnan(corner) & np.isnan(result)))
    for e in errors:
        certain = certain & np.isfinite(e)
    return np.where(certain, 0.0, error)


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
