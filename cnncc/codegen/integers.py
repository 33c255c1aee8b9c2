"""Arithmetic of whole numbers on registers, with the values that `cnncc.integers` states for all operands.

Division traps where operands do not fit, so these are replaced before it and the result after it. Where a processor
does not divide or convert numbers of so many bits (`Architecture.integer_bits`), LLVM would call a library: there it is
done here, in steps. A truth value in a register is an integer, 0 or 1.
"""

from __future__ import annotations

from collections.abc import Callable

from ..elements import Element
from .emitter import Emitter
from .instructions import Binary, Predicate
from .registers import FLOAT, INT32, RegisterType, Ssa


def truth(e: Emitter, condition: Ssa) -> Ssa:
    """What a comparison gives as a truth value that can be kept."""
    return e.convert(condition, INT32.wide(condition.lanes), signed=False)


def compare(e: Emitter, predicate: Predicate, a: Ssa, b: Ssa) -> Ssa:
    return truth(e, e.compare(predicate, a, b))


def is_true(e: Emitter, a: Ssa) -> Ssa:
    """The condition of a truth value, and of a whole number that it is not 0."""
    return e.compare("!=", a, e.constant(0, a.type))


def negated(e: Emitter, x: Ssa) -> Ssa:
    """−x; of the least number itself."""
    return e.binary("subtract", e.constant(0, x.type), x)


def absolute(e: Emitter, x: Ssa) -> Ssa:
    """|x|; of the least number itself, which is right as a number without a sign."""
    return e.select(e.compare("<", x, e.constant(0, x.type)), negated(e, x), x)


def sign(e: Emitter, x: Ssa) -> Ssa:
    """−1, 0 or 1."""
    zero = e.constant(0, x.type)
    above, below = (e.convert(e.compare(p, x, zero), x.type, signed=False) for p in (">", "<"))
    return e.binary("subtract", above, below)


# Division


def quotient(e: Emitter, x: Ssa, y: Ssa) -> Ssa:
    """x / y toward zero; 0 for y = 0, and −x for y = −1."""
    zero, ones = (e.constant(value, x.type) for value in (0, -1))
    result, _ = _divided(e, x, _plain(e, y))
    result = e.select(e.compare("==", y, ones), negated(e, x), result)
    return e.select(e.compare("==", y, zero), zero, result)


def remainder(e: Emitter, x: Ssa, y: Ssa) -> Ssa:
    """x − (x / y) · y, with the sign of x; x for y = 0."""
    _, rest = _divided(e, x, _plain(e, y))
    return e.select(e.compare("==", y, e.constant(0, x.type)), x, rest)


def modulo(e: Emitter, x: Ssa, y: Ssa) -> Ssa:
    """The same with the sign of y; x for y = 0."""
    zero, rest = e.constant(0, x.type), remainder(e, x, y)
    signs = e.compare("<", e.binary("xor", rest, y), zero)
    differs = e.all_of([signs, e.compare("!=", rest, zero), e.compare("!=", y, zero)])
    assert differs is not None
    return e.select(differs, e.binary("add", rest, y), rest)


def _plain(e: Emitter, y: Ssa) -> Ssa:
    """The divisor where dividing is plain; 1 in place of 0 and −1."""
    one = e.constant(1, y.type)
    special = e.compare("<=", e.binary("add", y, one), one, unsigned=True)
    return e.select(special, one, y)


def _divided(e: Emitter, x: Ssa, y: Ssa) -> tuple[Ssa, Ssa]:
    """Quotient and rest for a divisor that is neither 0 nor −1. (LLVM leaves out what is not used.)"""
    if x.type.bits <= e.target.isa.integer_bits:
        return e.binary("divide", x, y), e.binary("remainder", x, y)
    zero = e.constant(0, x.type)
    size, rest = _long_division(e, absolute(e, x), absolute(e, y))
    negative = e.compare("<", e.binary("xor", x, y), zero)
    quotient = e.select(negative, negated(e, size), size)
    return quotient, e.select(e.compare("<", x, zero), negated(e, rest), rest)


def _long_division(e: Emitter, x: Ssa, y: Ssa) -> tuple[Ssa, Ssa]:
    """Quotient and rest of numbers without signs, bit by bit, for y up to half of the range (Knuth, vol. 2, 4.3.1)."""
    type = x.type
    one, top = e.constant(1, type), e.constant(type.bits - 1, type)
    with e.loop(0, type.bits, carry=[x, e.constant(0, type)]) as loop:
        digits, rest = loop.values  # bits of x that are left, behind them those of the quotient
        rest = e.binary("or", e.binary("shift_left", rest, one), e.binary("shift_right_zeros", digits, top))
        fits = e.compare(">=", rest, y, unsigned=True)
        digit = e.convert(fits, type, signed=False)
        following = e.binary("or", e.binary("shift_left", digits, one), digit)
        loop.next([following, e.select(fits, e.binary("subtract", rest, y), rest)])
    result, rest = loop.results
    return result, rest


def shifted(direction: Binary) -> Callable[[Emitter, Ssa, Ssa], Ssa]:
    """Shifts of numbers without a sign; by so many bits as the register has, or more, the result is 0."""

    def code(e: Emitter, x: Ssa, y: Ssa) -> Ssa:
        zero = e.constant(0, x.type)
        fits = e.compare("<", y, e.constant(x.type.bits, x.type), unsigned=True)
        return e.select(fits, e.binary(direction, x, e.select(fits, y, zero)), zero)

    return code


def power(e: Emitter, x: Ssa, y: Ssa) -> Ssa:
    """x to the power of y by squaring; of negative powers 1 / x^−y toward zero, and 0 for x = 0."""
    type = x.type
    zero, one = e.constant(0, type), e.constant(1, type)
    with e.loop(0, type.bits - 1, carry=[one, x, y]) as loop:
        result, square, digits = loop.values
        odd = is_true(e, e.binary("and", digits, one))
        loop.next(
            [
                e.select(odd, e.binary("multiply", result, square), result),
                e.binary("multiply", square, square),
                e.binary("shift_right", digits, one),
            ]
        )
    odd = is_true(e, e.binary("and", y, one))
    of_one = e.select(e.compare("==", absolute(e, x), one), e.select(odd, x, one), zero)
    return e.select(e.compare("<", y, zero), of_one, loop.results[0])


# Conversions


def from_float(e: Emitter, x: Ssa, type: RegisterType) -> Ssa:
    """Toward zero; beyond the range its nearest end, and 0 for NaN."""
    isa, limit = e.target.isa, 2.0 ** (type.bits - 1)
    if type.bits <= isa.integer_bits and (isa.saturates or x.lanes == 1 or type.bits > INT32.bits):
        return e.convert_saturating(x, type)
    zero, least, most = (e.constant(value, type) for value in (0, -int(limit), int(limit) - 1))
    inside = e.compare("<", e.unary("absolute", x), e.number(limit, x.lanes))  # and not NaN
    number = _inside(e, e.select(inside, x, e.number(0.0, x.lanes)), type)
    below = e.select(e.compare("<=", x, e.number(-limit, x.lanes)), least, zero)
    beyond = e.select(e.compare(">=", x, e.number(limit, x.lanes)), most, below)
    return e.select(inside, number, beyond)


def _inside(e: Emitter, x: Ssa, type: RegisterType) -> Ssa:
    """A float as an integer whose range it does not leave."""
    if type.bits <= e.target.isa.integer_bits:
        return e.convert(x, type)
    number = _whole(e, e.unary("absolute", x), type)
    return e.select(e.compare("<", x, e.number(0.0, x.lanes)), negated(e, number), number)


def clamped(e: Emitter, x: Ssa, element: Element) -> Ssa:
    """A number at the nearest end of the range of `element` where it is beyond, if a register holds more."""
    if element.bytes == element.in_register.bytes:
        return x
    return e.minimum(e.maximum(x, e.constant(element.least, x.type)), e.constant(element.most, x.type))


def _whole(e: Emitter, x: Ssa, type: RegisterType) -> Ssa:
    """A float in [0, 2^63) as a 64-bit number: its upper half, and what that leaves; both steps are exact."""
    half = INT32.wide(x.lanes)
    upper = e.convert(e.binary("multiply", x, e.number(2.0**-32, x.lanes)), half, signed=False)
    taken = e.binary("multiply", e.convert(upper, x.type, signed=False), e.number(2.0**32, x.lanes))
    lower = e.convert(e.binary("subtract", x, taken), half, signed=False)
    high, low = (e.convert(part, type, signed=False) for part in (upper, lower))
    return e.binary("or", e.binary("shift_left", high, e.constant(32, type)), low)


SHIFTS = ((16, 47), (8, 39), (4, 35), (5, 31))
"""Shifts that leave 26 to 31 bits of 64: each for numbers that have more bits than it stands beside."""


def to_float(e: Emitter, x: Ssa) -> Ssa:
    """The nearest float; of two, the even one.

    Too many bits lose their lower ones to a sticky bit, which rounds as they would; the power of two is exact.
    """
    type = FLOAT.wide(x.lanes)
    if x.type.bits <= e.target.isa.integer_bits:
        return e.convert(x, type)
    size, scale = absolute(e, x), e.number(1.0, x.lanes)
    for shift, bits in SHIFTS:
        large = e.compare(">=", size, e.constant(1 << bits, x.type), unsigned=True)
        lost = is_true(e, e.binary("and", size, e.constant((1 << shift) - 1, x.type)))
        short = e.binary("shift_right_zeros", size, e.constant(shift, x.type))
        size = e.select(large, e.binary("or", short, e.convert(lost, x.type, signed=False)), size)
        scale = e.select(large, e.binary("multiply", scale, e.number(2.0**shift, x.lanes)), scale)
    number = e.binary("multiply", e.convert(e.convert(size, INT32.wide(x.lanes)), type), scale)
    return e.select(e.compare("<", x, e.constant(0, x.type)), e.unary("negate", number), number)
