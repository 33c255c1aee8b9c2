"""Derivatives of expressions: one line for each function of `functions.FUNCTIONS`.

A line gives the tangent of a call from its arguments v, their tangents t and its own result r. It is linear in the
tangents, and begins with the direction that the caller gives, so a selection selects among finished products:

    elu(x) = where_less(x, 0, exp(x) − 1, x)        tangent = where_less(x, 0, exp(x) · g, g)

and an infinity in a branch that is not taken never meets a 0. Where the result says as much as the argument (relu,
exp, tanh, sigmoid), the line reads the result: the argument then need not be kept.

Where a function has no derivative, its line chooses one:

    floor, ceil, rint, sign, comparisons, conversions to whole numbers: 0 everywhere, as between their steps
    |x| at 0: 0        √x at 0, and x^p at 0 for 0 < p < 1: 0, one of the subgradients of a norm at 0
    maximum and minimum of x and a number, where they are equal: that of the number, 0 (so relu′(0) = 0)
    maximum and minimum of two tensors, where they are equal: that of the second
    a selection: that of the branch that is taken
    conversions from float to float, and `nearest`: 1, as if nothing were rounded
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from .elements import ELEMENTS
from .expr import Apply, Arg, Expr, Number, exp, log, power, select, sqrt, unary, where_less
from .functions import converter

ZERO, ONE = Number(0.0), Number(1.0)

Tangent = Callable[[Sequence[Expr], Sequence[Expr], Expr], Expr]


def tangent(expr: Expr, index: int, seed: Expr, result: Expr) -> Expr:
    """The derivative of `expr` by its argument `index`, times `seed`; `result` stands for the value of `expr`.

    It is `ZERO` itself if the argument does not count, or nowhere.
    """
    known: dict[int, Expr] = {}

    def visit(part: Expr) -> Expr:
        if isinstance(part, Arg):
            return seed if part.index == index else ZERO
        if not isinstance(part, Apply):
            return ZERO
        if id(part) not in known:
            found = [visit(inner) for inner in part.arguments]
            flat = all(each == ZERO for each in found)
            own = result if part is expr else part
            known[id(part)] = ZERO if flat else TANGENTS[part.function](part.arguments, found, own)
        return known[id(part)]

    return visit(expr)


def _add(a: Expr, b: Expr) -> Expr:
    return b if a == ZERO else a if b == ZERO else a + b


def _negate(a: Expr) -> Expr:
    return ZERO if a == ZERO else unary("negate", a)


def _times(a: Expr, b: Expr) -> Expr:
    return ZERO if ZERO in (a, b) else b if a == ONE else a if b == ONE else a * b


def _over(a: Expr, b: Expr) -> Expr:
    return ZERO if a == ZERO else a / b


def _choose(choice: Callable[[Expr, Expr], Expr], a: Expr, b: Expr) -> Expr:
    return a if a == b else choice(a, b)


def _where_less(x: Expr, y: Expr, a: Expr, b: Expr) -> Expr:
    return _choose(lambda a, b: where_less(x, y, a, b), a, b)


def _along(slope: Callable[[Expr, Expr], Expr]) -> Tangent:
    """Of a function of one argument: its slope from the argument and the result."""
    return lambda v, t, r: _times(t[0], slope(v[0], r))


def _flat(v: Sequence[Expr], t: Sequence[Expr], r: Expr) -> Expr:
    return ZERO


def _as_argument(v: Sequence[Expr], t: Sequence[Expr], r: Expr) -> Expr:
    return t[0]


def _maximum(v: Sequence[Expr], t: Sequence[Expr], r: Expr) -> Expr:
    """The result tells of a tensor and a number which is larger."""
    (a, b), (ta, tb) = v, t
    if isinstance(a, Number):
        return _where_less(a, r, tb, ta)
    return _where_less(b, r if isinstance(b, Number) else a, ta, tb)


def _minimum(v: Sequence[Expr], t: Sequence[Expr], r: Expr) -> Expr:
    (a, b), (ta, tb) = v, t
    if isinstance(a, Number):
        return _where_less(r, a, tb, ta)
    return _where_less(r if isinstance(b, Number) else a, b, ta, tb)


def _absolute(v: Sequence[Expr], t: Sequence[Expr], r: Expr) -> Expr:
    return where_less(v[0], 0, _negate(t[0]), where_less(0, v[0], t[0], 0))


def _sqrt(v: Sequence[Expr], t: Sequence[Expr], r: Expr) -> Expr:
    return where_less(0, r, t[0] / (2 * r), 0)


def _quotient(v: Sequence[Expr], t: Sequence[Expr], r: Expr) -> Expr:
    return _add(_over(t[0], v[1]), _negate(_times(r, _over(t[1], v[1]))))


def _rest(v: Sequence[Expr], t: Sequence[Expr], r: Expr) -> Expr:
    """x − q · y, where q is whole and so does not move."""
    return _add(t[0], ZERO if t[1] == ZERO else t[1] * ((r - v[0]) / v[1]))


def _power(v: Sequence[Expr], t: Sequence[Expr], r: Expr) -> Expr:
    """y · x^(y − 1) and x^y · log x; for x = 0 the latter is 0 (its limit for y > 0)."""
    x, y = v
    by_base = ZERO if t[0] == ZERO else _power_by_base(x, y, t[0])
    by_exponent = ZERO if t[1] == ZERO else where_less(0, unary("absolute", x), t[1] * (r * log(x)), 0)
    return _add(by_base, by_exponent)


def _power_by_base(x: Expr, y: Expr, t: Expr) -> Expr:
    if not isinstance(y, Number):
        return where_less(0, unary("absolute", y), t * (y * power(x, y - 1)), 0)
    slope = _times(y, power(x, y.value - 1) if y.value not in (1.0, 2.0) else (ONE, x)[int(y.value) - 1])
    return where_less(0, unary("absolute", x), t * slope, 0) if 0 < y.value < 1 else _times(t, slope)


TANGENTS: Mapping[str, Tangent] = {
    "add": lambda v, t, r: _add(t[0], t[1]),
    "subtract": lambda v, t, r: _add(t[0], _negate(t[1])),
    "multiply": lambda v, t, r: _add(_times(t[0], v[1]), _times(v[0], t[1])),
    "divide": _quotient,
    "remainder": _rest,
    "modulo": _rest,
    "maximum": _maximum,
    "minimum": _minimum,
    "sqrt": _sqrt,
    "absolute": _absolute,
    "negate": lambda v, t, r: _negate(t[0]),
    "where_less": lambda v, t, r: _where_less(v[0], v[1], t[2], t[3]),
    "select": lambda v, t, r: _choose(lambda a, b: select(v[0], a, b), t[1], t[2]),
    "exp": _along(lambda x, r: r),
    "expm1": _along(lambda x, r: r + 1),
    "log": lambda v, t, r: t[0] / v[0],
    "tanh": _along(lambda x, r: 1 - r * r),
    "sigmoid": _along(lambda x, r: r * (1 - r)),
    "erf": _along(lambda x, r: 2 / math.sqrt(math.pi) * exp(unary("negate", x * x))),
    "softplus": _along(lambda x, r: unary("sigmoid", x)),
    "sin": _along(lambda x, r: unary("cos", x)),
    "cos": _along(lambda x, r: unary("negate", unary("sin", x))),
    "tan": _along(lambda x, r: 1 + r * r),
    "asin": lambda v, t, r: t[0] / sqrt(1 - v[0] * v[0]),
    "acos": lambda v, t, r: unary("negate", t[0] / sqrt(1 - v[0] * v[0])),
    "atan": lambda v, t, r: t[0] / (1 + v[0] * v[0]),
    "sinh": _along(lambda x, r: unary("cosh", x)),
    "cosh": _along(lambda x, r: unary("sinh", x)),
    "asinh": lambda v, t, r: t[0] / sqrt(v[0] * v[0] + 1),
    "acosh": lambda v, t, r: t[0] / sqrt(v[0] * v[0] - 1),
    "atanh": lambda v, t, r: t[0] / (1 - v[0] * v[0]),
    "power": _power,
    "multiply_add": lambda v, t, r: _add(_add(_times(t[0], v[1]), _times(v[0], t[1])), t[2]),
    "nearest": _as_argument,
    **dict.fromkeys(("floor", "ceil", "rint", "sign"), _flat),
    **dict.fromkeys(("is_nan", "equal", "less", "less_equal"), _flat),
    **dict.fromkeys(("and", "or", "xor", "not", "shift_left", "shift_right"), _flat),
    **{converter(element): _as_argument if element.is_float else _flat for element in ELEMENTS.values()},
}
