"""Element-wise expressions: the common language of op pages (which write them) and kernels (which emit them).

An expression is a small tree over numbered arguments; `functions.FUNCTIONS` is its whole vocabulary. It says nothing of
elements: those of its arguments tell what its functions mean and make (`typed`), and a number is one of the element
that it stands beside.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from .elements import BOOL, FLOAT32, Element
from .functions import FUNCTIONS, applied, converter
from .types import Array

T = TypeVar("T")


class Expr:
    """A node of an expression tree; operators build larger trees."""

    def __add__(self, other: Operand) -> Expr:
        return Apply("add", (self, wrap(other)))

    def __sub__(self, other: Operand) -> Expr:
        return Apply("subtract", (self, wrap(other)))

    def __mul__(self, other: Operand) -> Expr:
        return Apply("multiply", (self, wrap(other)))

    def __truediv__(self, other: Operand) -> Expr:
        return Apply("divide", (self, wrap(other)))

    def __radd__(self, other: float) -> Expr:
        return Apply("add", (wrap(other), self))

    def __rsub__(self, other: float) -> Expr:
        return Apply("subtract", (wrap(other), self))

    def __rmul__(self, other: float) -> Expr:
        return Apply("multiply", (wrap(other), self))

    def __rtruediv__(self, other: float) -> Expr:
        return Apply("divide", (wrap(other), self))


@dataclass(frozen=True)
class Arg(Expr):
    """Argument number `index` of the computation that holds the expression."""

    index: int

    def __str__(self) -> str:
        return f"${self.index}"


@dataclass(frozen=True)
class Number(Expr):
    """A literal, rounded to a float where it is used as one; where it is used as a whole number, it is one."""

    value: float

    def __str__(self) -> str:
        return f"{self.value:g}"


@dataclass(frozen=True)
class Apply(Expr):
    """A function of the vocabulary applied to sub-expressions."""

    function: str
    arguments: tuple[Expr, ...]

    def __str__(self) -> str:
        return f"{self.function}({', '.join(map(str, self.arguments))})"


Operand = Expr | float | int
RUNNING = Arg(0)
"""The running value of an epilogue."""


def wrap(value: Operand) -> Expr:
    if isinstance(value, Expr):
        return value
    exact = float(value) == value
    return Number(float(value) if exact or isinstance(value, float) else value)


def maximum(a: Operand, b: Operand) -> Expr:
    """The larger one; NaN if either is NaN (NumPy's `maximum`)."""
    return Apply("maximum", (wrap(a), wrap(b)))


def minimum(a: Operand, b: Operand) -> Expr:
    """The smaller one; NaN if either is NaN (NumPy's `minimum`)."""
    return Apply("minimum", (wrap(a), wrap(b)))


def unary(function: str, x: Operand) -> Expr:
    """A function of one argument, by its name in the vocabulary."""
    return Apply(function, (wrap(x),))


def exp(x: Operand) -> Expr:
    return unary("exp", x)


def log(x: Operand) -> Expr:
    return unary("log", x)


def sqrt(x: Operand) -> Expr:
    return unary("sqrt", x)


def power(x: Operand, y: Operand) -> Expr:
    """x to the power of y, with the special cases of IEEE 754 (see `ieee_power`)."""
    return Apply("power", (wrap(x), wrap(y)))


def where_less(x: Operand, y: Operand, a: Operand, b: Operand) -> Expr:
    """`a` where x < y, else `b`: also where x or y is NaN, for then no comparison holds."""
    return Apply("where_less", (wrap(x), wrap(y), wrap(a), wrap(b)))


def equal(x: Operand, y: Operand) -> Expr:
    """Whether x = y; not so where either is NaN."""
    return Apply("equal", (wrap(x), wrap(y)))


def less(x: Operand, y: Operand) -> Expr:
    """Whether x < y; not so where either is NaN."""
    return Apply("less", (wrap(x), wrap(y)))


def less_equal(x: Operand, y: Operand) -> Expr:
    """Whether x ≤ y; not so where either is NaN."""
    return Apply("less_equal", (wrap(x), wrap(y)))


def select(condition: Operand, a: Operand, b: Operand) -> Expr:
    """`a` where the condition, a truth value, holds, else `b`."""
    return Apply("select", (wrap(condition), wrap(a), wrap(b)))


def convert(x: Operand, element: Element) -> Expr:
    """x as `element` (see `integers.converted`)."""
    return unary(converter(element), x)


def multiply_add(a: Operand, b: Operand, c: Operand) -> Expr:
    """a * b + c, in one rounding where the target has the instruction."""
    return Apply("multiply_add", (wrap(a), wrap(b), wrap(c)))


def typed(expr: Expr, arguments: Sequence[Element]) -> Element:
    """The element of what `expr` makes of arguments of these elements; float32 for a literal.

    Raises TypeError where a function does not take what it gets: the type rules of ops do not let that happen.
    """
    known: dict[int, Element] = {}

    def visit(part: Expr) -> Element:
        if isinstance(part, Arg):
            return arguments[part.index]
        if not isinstance(part, Apply):
            return FLOAT32
        if id(part) not in known:
            known[id(part)] = _result(part, visit)
        return known[id(part)]

    return visit(expr)


def _result(call: Apply, visit: Callable[[Expr], Element]) -> Element:
    function = FUNCTIONS[call.function]
    alike = function.alike(call.arguments)
    elements = {visit(part) for part in alike if not isinstance(part, Number)} or {FLOAT32}
    conditions = {visit(part) for part in call.arguments[: len(call.arguments) - len(alike)]}
    (element, *others) = elements
    if others or element not in function.takes or not conditions <= {BOOL}:
        raise TypeError(f"{call.function} of {', '.join(map(str, map(visit, call.arguments)))}")
    return function.result or element


def evaluate(expr: Expr, arguments: Sequence[Array]) -> Array:
    """The value of `expr`: of floats in the precision of its arguments, of whole numbers bit for bit."""
    if isinstance(expr, Arg):
        return arguments[expr.index]
    if isinstance(expr, Number):
        return np.asarray(expr.value, dtype=np.float64)
    assert isinstance(expr, Apply)
    parts = _operands(expr, lambda part: evaluate(part, arguments), lambda x: x, lambda x: x)
    with np.errstate(all="ignore"):
        return FUNCTIONS[expr.function].of(*parts)


def _operands(
    call: Apply, visit: Callable[[Expr], T], array: Callable[[T], Array], exact: Callable[[Array], T]
) -> list[T]:
    """The arguments of a call; a number beside whole numbers is `exact`, one of their element."""
    found = [visit(part) for part in call.arguments]
    pairs = list(zip(call.arguments, found, strict=True))
    beside = [array(x).dtype for part, x in FUNCTIONS[call.function].alike(pairs) if not isinstance(part, Number)]
    if not beside or beside[0].kind == "f":
        return found
    return [exact(np.asarray(part.value, beside[0])) if isinstance(part, Number) else x for part, x in pairs]


def evaluate_with_error(expr: Expr, arguments: Sequence[tuple[Array, Array]]) -> tuple[Array, Array]:
    """Value of `expr` and a bound on what native arithmetic may differ from it.

    Floats are in float64, with an infinity where float32 overflows for certain. Whole numbers and truth values have an
    error of 0, or an infinite one where errors of floats decide what they are.
    """
    if isinstance(expr, Arg):
        return arguments[expr.index]
    if isinstance(expr, Number):
        return np.asarray(expr.value, np.float64), np.asarray(_literal_error(expr.value))
    assert isinstance(expr, Apply)
    function = FUNCTIONS[expr.function]
    parts = _operands(
        expr, lambda part: evaluate_with_error(part, arguments), lambda x: x[0], lambda x: (x, np.zeros(()))
    )
    with np.errstate(all="ignore"):
        value, error = applied(function, [p[0] for p in parts], [p[1] for p in parts])
        if function.steps is None:
            return value, error
        stepwise = function.steps(*(Arg(index) for index in range(len(parts))))
        other, other_error = evaluate_with_error(stepwise, parts)
        agree = (np.isfinite(value) & np.isfinite(other)) | (value == other) | (np.isnan(value) & np.isnan(other))
        return value, np.where(agree, np.maximum(error, other_error), np.inf)


def _literal_error(value: float) -> float:
    with np.errstate(over="ignore"):
        rounded = float(FLOAT32.numpy.type(value))
    return 0.0 if rounded == value or math.isnan(value) else abs(rounded - value)


def substitute(expr: Expr, arguments: Mapping[int, Expr]) -> Expr:
    """`expr` with its arguments replaced (the composition of two expressions).

    What `expr` shares stays shared: each part is rewritten once.
    """
    known: dict[int, Expr] = {}

    def visit(part: Expr) -> Expr:
        if isinstance(part, Arg):
            return arguments.get(part.index, part)
        if not isinstance(part, Apply):
            return part
        if id(part) not in known:
            known[id(part)] = Apply(part.function, tuple(visit(inner) for inner in part.arguments))
        return known[id(part)]

    return visit(expr)


def parts(expr: Expr) -> list[Expr]:
    """`expr` and all its sub-expressions; what it shares stands here once."""
    found: dict[int, Expr] = {}

    def visit(part: Expr) -> None:
        if id(part) not in found:
            found[id(part)] = part
            for inner in part.arguments if isinstance(part, Apply) else ():
                visit(inner)

    visit(expr)
    return list(found.values())


def arguments_of(expr: Expr) -> set[int]:
    """The numbers of the arguments that occur in `expr`."""
    return {part.index for part in parts(expr) if isinstance(part, Arg)}


def calls(expr: Expr) -> int:
    """How many functions are computed."""
    return sum(isinstance(part, Apply) for part in parts(expr))


def spelled(expr: Expr) -> int:
    """How many functions its text has: what is shared counts as often as it is used.

    Expressions are compared and spelled as trees, so this says what they cost to compile.
    """
    known: dict[int, int] = {}

    def visit(part: Expr) -> int:
        if not isinstance(part, Apply):
            return 0
        if id(part) not in known:
            known[id(part)] = 1 + sum(map(visit, part.arguments))
        return known[id(part)]

    return visit(expr)
