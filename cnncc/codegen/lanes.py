"""Vectors with operators, so that the code of a function reads like its formula."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .emitter import Emitter
from .instructions import Binary, Predicate
from .registers import FLOAT, INT32, INT64, Ssa
from .roots import square_root


@dataclass(frozen=True)
class Mask:
    """A truth value in each lane."""

    e: Emitter
    ssa: Ssa

    def __and__(self, other: Mask) -> Mask:
        return Mask(self.e, self.e.binary("and", self.ssa, other.ssa))

    def __or__(self, other: Mask) -> Mask:
        return Mask(self.e, self.e.binary("or", self.ssa, other.ssa))

    def where(self, a: Lanes | float, b: Lanes | float) -> Lanes:
        """`a` where it holds, else `b`; one of them is a vector."""
        like = a if isinstance(a, Lanes) else b
        assert isinstance(like, Lanes)
        return Lanes(self.e, self.e.select(self.ssa, like.of(a).ssa, like.of(b).ssa))

    def choose(self, a: Bits | int, b: Bits) -> Bits:
        """`where` for integers."""
        return Bits(self.e, self.e.select(self.ssa, b.of(a).ssa, b.ssa))


@dataclass(frozen=True)
class Lanes:
    """A float in each lane; a Python number as operand stands for all lanes. Comparisons are false for NaN."""

    e: Emitter
    ssa: Ssa

    def of(self, value: Lanes | float) -> Lanes:
        """`value` as a vector like this one."""
        return value if isinstance(value, Lanes) else Lanes(self.e, self.e.number(value, self.ssa.lanes))

    def _binary(self, op: Binary, a: Lanes | float, b: Lanes | float) -> Lanes:
        return Lanes(self.e, self.e.binary(op, self.of(a).ssa, self.of(b).ssa))

    def __add__(self, other: Lanes | float) -> Lanes:
        return self._binary("add", self, other)

    def __radd__(self, other: float) -> Lanes:
        return self._binary("add", other, self)

    def __sub__(self, other: Lanes | float) -> Lanes:
        return self._binary("subtract", self, other)

    def __rsub__(self, other: float) -> Lanes:
        return self._binary("subtract", other, self)

    def __mul__(self, other: Lanes | float) -> Lanes:
        return self._binary("multiply", self, other)

    def __rmul__(self, other: float) -> Lanes:
        return self._binary("multiply", other, self)

    def __truediv__(self, other: Lanes | float) -> Lanes:
        return self._binary("divide", self, other)

    def __rtruediv__(self, other: float) -> Lanes:
        return self._binary("divide", other, self)

    def __neg__(self) -> Lanes:
        return Lanes(self.e, self.e.unary("negate", self.ssa))

    def __abs__(self) -> Lanes:
        return Lanes(self.e, self.e.unary("absolute", self.ssa))

    def root(self) -> Lanes:
        """The square root; NaN below 0."""
        return Lanes(self.e, square_root(self.e, self.ssa))

    def with_sign_of(self, other: Lanes) -> Lanes:
        return Lanes(self.e, self.e.copy_sign(self.ssa, other.ssa))

    def times_plus(self, factor: Lanes | float, summand: Lanes | float) -> Lanes:
        """self · factor + summand, rounded once where the target has the instruction."""
        return Lanes(self.e, self.e.multiply_add(self.ssa, self.of(factor).ssa, self.of(summand).ssa))

    def scaled(self, k: Lanes) -> Lanes:
        """self · 2^⌊k⌋, rounded once; only where the target has the instruction (`Target.scales`)."""
        return Lanes(self.e, self.e.scale(self.ssa, k.ssa))

    def clamped(self, low: float, high: float) -> Lanes:
        """The nearest number between `low` and `high`; NaN stays NaN. Two instructions, where a select takes more."""
        return Lanes(self.e, self.e.minimum(self.at_least(low).ssa, self.of(high).ssa))

    def at_least(self, low: float) -> Lanes:
        """The larger one of it and `low`; NaN stays NaN."""
        return Lanes(self.e, self.e.maximum(self.ssa, self.of(low).ssa))

    def polynomial(self, coefficients: tuple[float, ...]) -> Lanes:
        """The polynomial of these coefficients, the highest power first, by Horner's rule."""
        result = self.of(coefficients[0])
        for coefficient in coefficients[1:]:
            result = result.times_plus(self, coefficient)
        return result

    def _compare(self, predicate: Predicate, other: Lanes | float) -> Mask:
        return Mask(self.e, self.e.compare(predicate, self.ssa, self.of(other).ssa))

    def __lt__(self, other: Lanes | float) -> Mask:
        return self._compare("<", other)

    def __le__(self, other: Lanes | float) -> Mask:
        return self._compare("<=", other)

    def __gt__(self, other: Lanes | float) -> Mask:
        return self._compare(">", other)

    def __ge__(self, other: Lanes | float) -> Mask:
        return self._compare(">=", other)

    def equals(self, other: Lanes | float) -> Mask:
        return self._compare("==", other)

    def bits(self) -> Bits:
        return Bits(self.e, self.e.reinterpret(self.ssa, INT32.wide(self.ssa.lanes)))

    def whole(self) -> Bits:
        """As an integer: for whole numbers below 2^31 only."""
        return Bits(self.e, self.e.convert(self.ssa, INT32.wide(self.ssa.lanes)))


@dataclass(frozen=True)
class Bits:
    """A 32-bit integer in each lane."""

    e: Emitter
    ssa: Ssa

    def of(self, value: Bits | int) -> Bits:
        """`value` in each lane of a vector like this one."""
        return value if isinstance(value, Bits) else Bits(self.e, self.e.constant(value, self.ssa.type))

    def _with(self, op: Binary, other: Bits | int) -> Bits:
        return Bits(self.e, self.e.binary(op, self.ssa, self.of(other).ssa))

    def __add__(self, other: Bits | int) -> Bits:
        return self._with("add", other)

    def __sub__(self, other: Bits | int) -> Bits:
        return self._with("subtract", other)

    def __mul__(self, other: Bits) -> Bits:
        """The lower half of the product."""
        return self._with("multiply", other)

    def times_high(self, other: Bits) -> Bits:
        """The upper half of the unsigned product."""
        e, wide = self.e, INT64.wide(self.ssa.lanes)
        a, b = (e.convert(bits.ssa, wide, signed=False) for bits in (self, other))
        upper = e.binary("shift_right_zeros", e.binary("multiply", a, b), e.constant(32, wide))
        return Bits(e, e.convert(upper, self.ssa.type))

    def __and__(self, other: Bits | int) -> Bits:
        return self._with("and", other)

    def __or__(self, other: Bits | int) -> Bits:
        return self._with("or", other)

    def __xor__(self, other: Bits | int) -> Bits:
        return self._with("xor", other)

    def __lshift__(self, count: int) -> Bits:
        return self._with("shift_left", count)

    def __rshift__(self, count: int) -> Bits:
        """Arithmetic shift: the sign bit is shifted in from the left."""
        return self._with("shift_right", count)

    def shifted_right(self, count: int) -> Bits:
        """Logical shift: zeros are shifted in from the left."""
        return self._with("shift_right_zeros", count)

    def entry_of(self, table: Sequence[float]) -> Lanes:
        """The entry of a table of 16 that the lowest 4 bits number; only where `Target.looks_up`."""
        return Lanes(self.e, self.e.look_up(table, self.ssa))

    def followed_by(self, lower: Bits, count: Bits) -> Bits:
        """Shifted left by `count` modulo 32; the bits of `lower` are shifted in from the right."""
        return Bits(self.e, self.e.funnel_shift(self.ssa, lower.ssa, count.ssa))

    def equals(self, other: Bits | int) -> Mask:
        return Mask(self.e, self.e.compare("==", self.ssa, self.of(other).ssa))

    def below(self, other: Bits | int) -> Mask:
        """Whether it is less than `other`, as unsigned numbers."""
        return Mask(self.e, self.e.compare("<", self.ssa, self.of(other).ssa, unsigned=True))

    def floats(self) -> Lanes:
        """The floats that have these bits."""
        return Lanes(self.e, self.e.reinterpret(self.ssa, FLOAT.wide(self.ssa.lanes)))

    def numbers(self) -> Lanes:
        """The integers converted to floats."""
        return Lanes(self.e, self.e.convert(self.ssa, FLOAT.wide(self.ssa.lanes)))
