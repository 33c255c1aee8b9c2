"""Expressions on registers: the emitter's meaning of each function of `cnncc.functions`, for each kind of element."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from ..elements import BOOL, FLOAT16, FLOAT32, INTEGERS, Element, Kind
from ..expr import Apply, Arg, Expr, Number
from ..functions import FUNCTIONS, converter
from . import arcs, functions, halves, hyperbolic, integers
from .emitter import Emitter
from .instructions import Binary, Predicate
from .integers import compare, is_true, truth
from .lanes import Lanes
from .power import power
from .registers import Ssa, memory_type, register_type
from .remainder import fmod, mod
from .roots import square_root
from .trigonometry import cos, sin, tan

Code = Callable[..., Ssa]


def own(function: Callable[..., Lanes]) -> Code:
    """A function on `Lanes` as a function on the emitter's values."""
    return lambda e, *arguments: function(*(Lanes(e, argument) for argument in arguments)).ssa


def instruction(operation: Binary) -> Code:
    return lambda e, a, b: e.binary(operation, a, b)


def comparison(predicate: Predicate) -> Code:
    return lambda e, a, b: compare(e, predicate, a, b)


def to_integer(element: Element) -> Code:
    """From a float."""
    return lambda e, a: integers.clamped(e, integers.from_float(e, a, register_type(element).wide(a.lanes)), element)


def resized(element: Element) -> Code:
    """From a whole number or truth value to a whole number of more bits, or fewer."""
    return lambda e, a: held(e, a, element)


def to_half(e: Emitter, a: Ssa) -> Ssa:
    """From a whole number or truth value: all that a half can be is exact as a float first."""
    return OF_FLOATS[converter(FLOAT16)](e, integers.to_float(e, a))


def held(e: Emitter, value: Ssa, element: Element) -> Ssa:
    """A whole number as a register holds it."""
    return e.convert(value, register_type(element).wide(value.lanes))


def fitted(e: Emitter, value: Ssa, element: Element) -> Ssa:
    """A result without the bits that a register has beyond those of the element: whole numbers wrap to their own."""
    if not element.is_integer or element.bytes == element.in_register.bytes:
        return value
    return e.convert(e.convert(value, memory_type(element).wide(value.lanes)), value.type, signed=element.is_signed)


def inverted(mask: int) -> Code:
    """The bits of `mask` the other way round."""
    return lambda e, a: e.binary("xor", a, e.constant(mask, a.type))


OF_ALL: Mapping[str, Code] = {
    "equal": comparison("=="),
    "select": lambda e, c, a, b: e.select(is_true(e, c), a, b),
}
OF_NUMBERS: Mapping[str, Code] = {
    **OF_ALL,
    "add": instruction("add"),
    "subtract": instruction("subtract"),
    "multiply": instruction("multiply"),
    "maximum": lambda e, a, b: e.maximum(a, b),
    "minimum": lambda e, a, b: e.minimum(a, b),
    "less": comparison("<"),
    "less_equal": comparison("<="),
    "where_less": lambda e, x, y, a, b: e.select(e.compare("<", x, y), a, b),
}
OF_FLOATS: Mapping[str, Code] = {
    **OF_NUMBERS,
    "divide": instruction("divide"),
    "multiply_add": lambda e, a, b, c: e.multiply_add(a, b, c),
    "sqrt": square_root,
    "absolute": own(abs),
    "negate": own(operator.neg),
    "floor": own(functions.floor),
    "ceil": own(functions.ceil),
    "rint": own(functions.rint),
    "sign": own(functions.sign),
    "exp": own(functions.exp),
    "expm1": own(functions.expm1),
    "log": own(functions.log),
    "softplus": own(functions.softplus),
    "tanh": own(functions.tanh),
    "sigmoid": own(functions.sigmoid),
    "erf": own(functions.erf),
    "sin": own(sin),
    "cos": own(cos),
    "tan": own(tan),
    "asin": own(arcs.asin),
    "acos": own(arcs.acos),
    "atan": own(arcs.atan),
    "sinh": own(hyperbolic.sinh),
    "cosh": own(hyperbolic.cosh),
    "asinh": own(hyperbolic.asinh),
    "acosh": own(hyperbolic.acosh),
    "atanh": own(hyperbolic.atanh),
    "power": own(power),
    "remainder": own(fmod),
    "modulo": own(mod),
    "is_nan": lambda e, a: truth(e, e.unordered(a, a)),
    "nearest": lambda e, a: a,
    converter(FLOAT32): lambda e, a: a,
    converter(FLOAT16): own(halves.rounded),
    **{converter(element): to_integer(element) for element in INTEGERS},
    converter(BOOL): lambda e, a: inverted(1)(e, compare(e, "==", a, e.constant(0, a.type))),
}
OF_BITS: Mapping[str, Code] = {"and": instruction("and"), "or": instruction("or"), "xor": instruction("xor")}
OF_INTEGERS: Mapping[str, Code] = {
    **OF_NUMBERS,
    **OF_BITS,
    "not": inverted(-1),
    "divide": integers.quotient,
    "remainder": integers.remainder,
    "modulo": integers.modulo,
    "power": integers.power,
    "absolute": integers.absolute,
    "negate": integers.negated,
    "sign": integers.sign,
    converter(FLOAT32): integers.to_float,
    converter(FLOAT16): to_half,
    **{converter(element): resized(element) for element in INTEGERS},
    converter(BOOL): lambda e, a: truth(e, is_true(e, a)),
}
OF_UNSIGNED: Mapping[str, Code] = {  # numbers of fewer bits than their registers, which hold them with a sign
    **OF_INTEGERS,
    "shift_left": integers.shifted("shift_left"),
    "shift_right": integers.shifted("shift_right_zeros"),
}
OF_TRUTH: Mapping[str, Code] = {
    **OF_ALL,
    **OF_BITS,
    "not": inverted(1),
    converter(FLOAT32): integers.to_float,
    converter(FLOAT16): to_half,
    **{converter(element): resized(element) for element in INTEGERS},
    converter(BOOL): lambda e, a: a,
}
CODE: Mapping[Kind, Mapping[str, Code]] = {
    "float": OF_FLOATS,
    "signed": OF_INTEGERS,
    "unsigned": OF_UNSIGNED,
    "truth": OF_TRUTH,
}


def emit(e: Emitter, expr: Expr, arguments: Sequence[Ssa], elements: Sequence[Element], lanes: int) -> Ssa:
    """The value of `expr` for arguments, in so many lanes, of these elements; what it shares is computed once.

    What loads make of elements counts (`Access.read_as`): a picture's bytes are floats.
    """
    known: dict[int, tuple[Ssa, Element]] = {}

    def number(part: Number, element: Element) -> Ssa:
        return e.constant(part.value, register_type(element).wide(lanes))

    def visit(part: Expr) -> tuple[Ssa, Element]:
        if isinstance(part, Arg):
            return arguments[part.index], elements[part.index]
        if isinstance(part, Number):
            return number(part, FLOAT32), FLOAT32
        assert isinstance(part, Apply)
        if id(part) not in known:
            known[id(part)] = call(part)
        return known[id(part)]

    def call(part: Apply) -> tuple[Ssa, Element]:
        function = FUNCTIONS[part.function]
        made = {at: visit(inner) for at, inner in enumerate(part.arguments) if not isinstance(inner, Number)}
        first = len(part.arguments) - len(function.alike(part.arguments))
        element = next((made[at][1] for at in made if at >= first), FLOAT32)
        values = [
            number(inner, element) if isinstance(inner, Number) else made[at][0]
            for at, inner in enumerate(part.arguments)
        ]
        result = function.result or element
        return fitted(e, CODE[element.kind][part.function](e, *values), result), result

    return visit(expr)[0]


def emit_several(e: Emitter, expr: Expr, arguments: Sequence[Sequence[Ssa]], elements: Sequence[Element]) -> list[Ssa]:
    """The values of `expr` for each of several lists of arguments; their instructions alternate.

    A core looks some 100 vector instructions ahead, and a series is a chain of some 15 that wait for each other.
    """
    return e.side_by_side([partial(emit, e, expr, each, elements, each[0].lanes) for each in arguments])
