"""Element-wise expressions: the common language of op pages (which write them) and kernels (which emit them).

An expression is a small tree over numbered arguments. `FUNCTIONS` is its whole vocabulary: for each function
its NumPy meaning and the rule by which an error of its arguments, and its own rounding, reach its result.
"""

from __future__ import annotations

import itertools
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


@dataclass(frozen=True)
class Arg(Expr):
    """Argument number `index` of the computation that holds the expression."""

    index: int

    def __str__(self) -> str:
        return f"${self.index}"


@dataclass(frozen=True)
class Number(Expr):
    """A literal (a float32 value)."""

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


def exp(x: Operand) -> Expr:
    return Call("exp", (wrap(x),))


def sqrt(x: Operand) -> Expr:
    return Call("sqrt", (wrap(x),))


def multiply_add(a: Operand, b: Operand, c: Operand) -> Expr:
    """a * b + c, in one rounding where the target has the instruction."""
    return Call("multiply_add", (wrap(a), wrap(b), wrap(c)))


# Meaning: float64 in, float64 out. Error rule: (values, errors of the arguments, result) -> error of the result.
ErrorRule = Callable[[Sequence[Array], Sequence[Array], Array], Array]

EXP_ULPS = 2.0  # bound of the polynomial in codegen/functions.py, in units of UNIT


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


FUNCTIONS: Mapping[str, Function] = {
    "add": Function(np.add, lambda v, e, r: _rounded(r, e[0] + e[1])),
    "subtract": Function(np.subtract, lambda v, e, r: _rounded(r, e[0] + e[1])),
    "multiply": Function(np.multiply, lambda v, e, r: _rounded(r, _product_error(v, e))),
    "divide": Function(np.divide, _divide_error),
    "maximum": Function(np.maximum, lambda v, e, r: np.maximum(e[0], e[1])),
    "minimum": Function(np.minimum, lambda v, e, r: np.maximum(e[0], e[1])),
    "sqrt": Function(np.sqrt, _sqrt_error),
    "exp": Function(np.exp, lambda v, e, r: _rounded(r, r * np.expm1(e[0]), 2 * EXP_ULPS)),
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
        return np.asarray(expr.value, np.float64), np.zeros(())
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


def _settled(
    function: Function, values: Sequence[Array], errors: Sequence[Array], result: Array, error: Array
) -> Array:
    """`error`, made infinite where float32 may overflow, and 0 where NaN or an infinity is certain.

    It is certain where it comes out at every corner of the box of arguments: the functions of the
    vocabulary are monotone or multilinear in each argument, so the corners speak for the box.
    """
    error = np.where(np.isnan(error) | (np.abs(result) + error > LARGEST), np.inf, error)
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


def arguments_of(expr: Expr) -> set[int]:
    """The numbers of the arguments that occur in `expr`."""
    found: set[int] = set()
    seen: set[int] = set()

    def visit(part: Expr) -> None:
        if isinstance(part, Arg):
            found.add(part.index)
        elif isinstance(part, Call) and id(part) not in seen:
            seen.add(id(part))
            for inner in part.arguments:
                visit(inner)

    visit(expr)
    return found
