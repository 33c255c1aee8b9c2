"""Vectors with operators, so that a function of our own reads like its formula."""

from __future__ import annotations

from dataclasses import dataclass

from .emitter import Emitter, Ssa, lanes_of


@dataclass(frozen=True)
class Mask:
    """A truth value in each lane."""

    e: Emitter
    ssa: Ssa

    def _with(self, op: str, other: Mask) -> Mask:
        return Mask(self.e, self.e.assign(self.ssa.type, f"{op} {self.ssa.type} {self.ssa}, {other.ssa}"))

    def __and__(self, other: Mask) -> Mask:
        return self._with("and", other)

    def __or__(self, other: Mask) -> Mask:
        return self._with("or", other)

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
    """A float in each lane; numbers beside it are meant for every lane. Comparisons are false for NaN."""

    e: Emitter
    ssa: Ssa

    def of(self, value: Lanes | float) -> Lanes:
        """`value` as a vector like this one."""
        return value if isinstance(value, Lanes) else Lanes(self.e, self.e.number(value, lanes_of(self.ssa.type)))

    def _binary(self, op: str, a: Lanes | float, b: Lanes | float) -> Lanes:
        return Lanes(self.e, self.e.binary(op, self.of(a).ssa, self.of(b).ssa))

    def __add__(self, other: Lanes | float) -> Lanes:
        return self._binary("fadd", self, other)

    def __radd__(self, other: float) -> Lanes:
        return self._binary("fadd", other, self)

    def __sub__(self, other: Lanes | float) -> Lanes:
        return self._binary("fsub", self, other)

    def __rsub__(self, other: float) -> Lanes:
        return self._binary("fsub", other, self)

    def __mul__(self, other: Lanes | float) -> Lanes:
        return self._binary("fmul", self, other)

    def __rmul__(self, other: float) -> Lanes:
        return self._binary("fmul", other, self)

    def __truediv__(self, other: Lanes | float) -> Lanes:
        return self._binary("fdiv", self, other)

    def __rtruediv__(self, other: float) -> Lanes:
        return self._binary("fdiv", other, self)

    def __neg__(self) -> Lanes:
        return Lanes(self.e, self.e.assign(self.ssa.type, f"fneg {self.ssa.type} {self.ssa}"))

    def __abs__(self) -> Lanes:
        return Lanes(self.e, self.e.intrinsic("fabs", self.ssa))

    def with_sign_of(self, other: Lanes) -> Lanes:
        return Lanes(self.e, self.e.intrinsic("copysign", self.ssa, other.ssa))

    def times_plus(self, factor: Lanes | float, summand: Lanes | float) -> Lanes:
        """self · factor + summand, in one rounding where the target has the instruction."""
        return Lanes(self.e, self.e.multiply_add(self.ssa, self.of(factor).ssa, self.of(summand).ssa))

    def polynomial(self, coefficients: tuple[float, ...]) -> Lanes:
        """By Horner's rule, the highest power first."""
        result = self.of(coefficients[0])
        for coefficient in coefficients[1:]:
            result = result.times_plus(self, coefficient)
        return result

    def _compare(self, predicate: str, other: Lanes | float) -> Mask:
        return Mask(self.e, self.e.compare_floats(predicate, self.ssa, self.of(other).ssa))

    def __lt__(self, other: Lanes | float) -> Mask:
        return self._compare("olt", other)

    def __le__(self, other: Lanes | float) -> Mask:
        return self._compare("ole", other)

    def __gt__(self, other: Lanes | float) -> Mask:
        return self._compare("ogt", other)

    def __ge__(self, other: Lanes | float) -> Mask:
        return self._compare("oge", other)

    def equals(self, other: Lanes | float) -> Mask:
        return self._compare("oeq", other)

    def bits(self) -> Bits:
        return Bits(self.e, self._cast("bitcast", _integers(self)))

    def whole(self) -> Bits:
        """As an integer: for whole numbers below 2^31 only."""
        return Bits(self.e, self._cast("fptosi", _integers(self)))

    def _cast(self, op: str, type: str) -> Ssa:
        return self.e.assign(type, f"{op} {self.ssa.type} {self.ssa} to {type}")


@dataclass(frozen=True)
class Bits:
    """A 32-bit integer in each lane."""

    e: Emitter
    ssa: Ssa

    def of(self, value: Bits | int) -> Bits:
        """`value` in each lane of a vector like this one."""
        if isinstance(value, Bits):
            return value
        lanes = _lanes(self.ssa.type)
        text = str(value) if lanes == 1 else "<" + ", ".join([f"i32 {value}"] * lanes) + ">"
        return Bits(self.e, Ssa(self.ssa.type, text))

    def _with(self, op: str, other: Bits | int) -> Bits:
        return Bits(self.e, self.e.assign(self.ssa.type, f"{op} {self.ssa.type} {self.ssa}, {self.of(other).ssa}"))

    def __add__(self, other: Bits | int) -> Bits:
        return self._with("add", other)

    def __sub__(self, other: Bits | int) -> Bits:
        return self._with("sub", other)

    def __mul__(self, other: Bits) -> Bits:
        """The lower half of the product."""
        return self._with("mul", other)

    def times_high(self, other: Bits) -> Bits:
        """The upper half of the unsigned product."""
        wide = self.ssa.type.replace("i32", "i64")
        a, b = (self.e.assign(wide, f"zext {bits.ssa.type} {bits.ssa} to {wide}") for bits in (self, other))
        product = self.e.assign(wide, f"mul {wide} {a}, {b}")
        upper = self.e.assign(wide, f"lshr {wide} {product}, {self.of(32).ssa.name.replace('i32', 'i64')}")
        return Bits(self.e, self.e.assign(self.ssa.type, f"trunc {wide} {upper} to {self.ssa.type}"))

    def __and__(self, other: Bits | int) -> Bits:
        return self._with("and", other)

    def __or__(self, other: Bits | int) -> Bits:
        return self._with("or", other)

    def __lshift__(self, count: int) -> Bits:
        return self._with("shl", count)

    def __rshift__(self, count: int) -> Bits:
        """The sign comes in from the left."""
        return self._with("ashr", count)

    def shifted_right(self, count: int) -> Bits:
        """Zeros come in from the left."""
        return self._with("lshr", count)

    def followed_by(self, lower: Bits, count: Bits) -> Bits:
        """Shifted left by `count` modulo 32; the bits of `lower` come in from the right."""
        lanes = _lanes(self.ssa.type)
        name, type = f"@llvm.fshl.{'' if lanes == 1 else f'v{lanes}'}i32", self.ssa.type
        self.e.declare(name, f"declare {type} {name}({type}, {type}, {type})")
        arguments = ", ".join(f"{type} {bits.ssa}" for bits in (self, lower, count))
        return Bits(self.e, self.e.assign(type, f"call {type} {name}({arguments})"))

    def _compare(self, predicate: str, other: Bits | int) -> Mask:
        type, lanes = self.ssa.type, _lanes(self.ssa.type)
        mask = "i1" if lanes == 1 else f"<{lanes} x i1>"
        return Mask(self.e, self.e.assign(mask, f"icmp {predicate} {type} {self.ssa}, {self.of(other).ssa}"))

    def equals(self, other: Bits | int) -> Mask:
        return self._compare("eq", other)

    def below(self, other: Bits | int) -> Mask:
        """As unsigned numbers."""
        return self._compare("ult", other)

    def floats(self) -> Lanes:
        """The floats that have these bits."""
        return self._cast("bitcast")

    def numbers(self) -> Lanes:
        """The floats of these values."""
        return self._cast("sitofp")

    def _cast(self, op: str) -> Lanes:
        lanes = _lanes(self.ssa.type)
        type = "float" if lanes == 1 else f"<{lanes} x float>"
        return Lanes(self.e, self.e.assign(type, f"{op} {self.ssa.type} {self.ssa} to {type}"))


def _lanes(type: str) -> int:
    return lanes_of(type) if type[0] == "<" else 1


def _integers(like: Lanes) -> str:
    lanes = lanes_of(like.ssa.type)
    return "i32" if lanes == 1 else f"<{lanes} x i32>"
