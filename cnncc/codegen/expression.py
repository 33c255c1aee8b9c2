"""Expressions on registers: the emitter's meaning of each function of `cnncc.expr`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..expr import Arg, Call, Expr, Number
from . import functions
from .emitter import Emitter, Ssa, lanes_of

FUNCTIONS: Mapping[str, Callable[..., Ssa]] = {
    "add": lambda e, a, b: e.binary("fadd", a, b),
    "subtract": lambda e, a, b: e.binary("fsub", a, b),
    "multiply": lambda e, a, b: e.binary("fmul", a, b),
    "divide": lambda e, a, b: e.binary("fdiv", a, b),
    "maximum": Emitter.maximum,
    "multiply_add": Emitter.multiply_add,
    "sqrt": lambda e, a: e.intrinsic("sqrt", a),
    "exp": functions.exp,
}


def emit(e: Emitter, expr: Expr, arguments: Sequence[Ssa]) -> Ssa:
    """The value of `expr` for vector arguments of one width."""
    if isinstance(expr, Arg):
        return arguments[expr.index]
    if isinstance(expr, Number):
        return e.number(expr.value, lanes_of(arguments[0].type))
    assert isinstance(expr, Call)
    return FUNCTIONS[expr.function](e, *(emit(e, part, arguments) for part in expr.arguments))
