"""Expressions on registers: the code of each function of `cnncc.expr`."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence

from ..expr import Arg, Call, Expr, Number
from . import functions
from .emitter import Emitter
from .lanes import Lanes
from .power import power
from .registers import Ssa
from .trigonometry import cos, sin


def own(function: Callable[..., Lanes]) -> Callable[..., Ssa]:
    """A function on `Lanes` as a function on the emitter's values."""
    return lambda e, *arguments: function(*(Lanes(e, argument) for argument in arguments)).ssa


FUNCTIONS: Mapping[str, Callable[..., Ssa]] = {
    "add": lambda e, a, b: e.binary("add", a, b),
    "subtract": lambda e, a, b: e.binary("subtract", a, b),
    "multiply": lambda e, a, b: e.binary("multiply", a, b),
    "divide": lambda e, a, b: e.binary("divide", a, b),
    "maximum": lambda e, a, b: e.maximum(a, b),
    "minimum": lambda e, a, b: e.minimum(a, b),
    "multiply_add": lambda e, a, b, c: e.multiply_add(a, b, c),
    "sqrt": lambda e, a: e.unary("square_root", a),
    "absolute": own(abs),
    "negate": own(operator.neg),
    "floor": own(functions.floor),
    "ceil": own(functions.ceil),
    "rint": own(functions.rint),
    "sign": own(functions.sign),
    "where_less": own(functions.where_less),
    "exp": own(functions.exp),
    "expm1": own(functions.expm1),
    "log": own(functions.log),
    "log1p": own(functions.log1p),
    "tanh": own(functions.tanh),
    "sigmoid": own(functions.sigmoid),
    "erf": own(functions.erf),
    "sin": own(sin),
    "cos": own(cos),
    "power": own(power),
}


def emit(e: Emitter, expr: Expr, arguments: Sequence[Ssa], lanes: int) -> Ssa:
    """The value of `expr` for arguments of `lanes` lanes; a common subexpression is computed once."""
    known: dict[int, Ssa] = {}

    def visit(part: Expr) -> Ssa:
        if isinstance(part, Arg):
            return arguments[part.index]
        if isinstance(part, Number):
            return e.number(part.value, lanes)
        assert isinstance(part, Call)
        if id(part) not in known:
            known[id(part)] = FUNCTIONS[part.function](e, *(visit(inner) for inner in part.arguments))
        return known[id(part)]

    return visit(expr)
