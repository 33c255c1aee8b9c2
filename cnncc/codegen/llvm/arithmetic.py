"""Arithmetic, comparisons and lanes."""

from __future__ import annotations

from collections.abc import Sequence

from ..instructions import Binary, Predicate, Unary
from ..registers import BOOL, FLOAT, INT32, Index, RegisterType, Ssa
from . import text
from .control import Control
from .text import spell, suffix


class Arithmetic(Control):
    """Instructions on registers."""

    # Constants

    def constant(self, value: float, type: RegisterType) -> Ssa:
        return Ssa(type, text.constant(value, type), value)

    def lane_numbers(self, type: RegisterType) -> Ssa:
        element = spell(type.wide(1))
        return Ssa(type, f"<{', '.join(f'{element} {lane}' for lane in range(type.lanes))}>")

    def undefined(self, type: RegisterType) -> Ssa:
        return Ssa(type, "poison")

    # Arithmetic

    def unary(self, operation: Unary, a: Ssa) -> Ssa:
        if operation == "negate":
            return self.compute(a.type, f"fneg {spell(a.type)} {a.name}")
        return self.intrinsic("fabs" if operation == "absolute" else "sqrt", a)

    def binary(self, operation: Binary, a: Ssa, b: Ssa) -> Ssa:
        name = text.OPERATIONS[a.type.kind][operation]
        return self.compute(a.type, f"{name} {spell(a.type)} {a.name}, {b.name}")

    def multiply_add(self, a: Ssa, b: Ssa, c: Ssa) -> Ssa:
        if not self.target.fma:
            return self.binary("add", self.binary("multiply", a, b), c)
        return self.intrinsic("fma", a, b, c)

    def scale(self, a: Ssa, k: Ssa) -> Ssa:
        """x86's `vscalefps`, which has 4, 8 or 16 lanes."""
        width = next((width for width in (4, 8, 16) if width >= a.lanes), 0)
        if not width:
            parts = [[self.shuffle(v, None, range(at, end)) for v in (a, k)] for at, end in ((0, 16), (16, a.lanes))]
            return self.join(*(self.scale(*part) for part in parts))
        wide, name = FLOAT.wide(width), f"@llvm.x86.avx512.mask.scalef.ps.{32 * width}"
        all_lanes = ["i16 -1", f"i32 {text.CURRENT_ROUNDING}"] if width == 16 else ["i8 -1"]
        type, (value, power) = spell(wide), (self.resize(v, width).name for v in (a, k))
        self.declare(name, type, [type] * 3 + [argument.split()[0] for argument in all_lanes])
        operands = ", ".join([f"{type} {value}", f"{type} {power}", f"{type} {value}", *all_lanes])
        return self.resize(self.compute(wide, f"call {type} {name}({operands})"), a.lanes)

    def copy_sign(self, a: Ssa, sign: Ssa) -> Ssa:
        return self.intrinsic("copysign", a, sign)

    def funnel_shift(self, high: Ssa, low: Ssa, count: Ssa) -> Ssa:
        return self.intrinsic("fshl", high, low, count)

    def intrinsic(self, name: str, *arguments: Ssa) -> Ssa:
        """An intrinsic whose arguments and result share one type."""
        of = arguments[0].type
        type, full = spell(of), f"@llvm.{name}.{suffix(of)}"
        self.declare(full, type, [type] * len(arguments))
        return self.compute(of, f"call {type} {full}({', '.join(f'{type} {a.name}' for a in arguments)})")

    def convert(self, value: Ssa, type: RegisterType, *, signed: bool = True) -> Ssa:
        if value.type == type:
            return value
        return self._cast(text.conversion(value.type, type, signed), value, type)

    def convert_saturating(self, value: Ssa, type: RegisterType) -> Ssa:
        name, operand = f"@llvm.fptosi.sat.{suffix(type)}.{suffix(value.type)}", spell(value.type)
        self.declare(name, spell(type), [operand])
        return self.compute(type, f"call {spell(type)} {name}({operand} {value.name})")

    def reinterpret(self, value: Ssa, type: RegisterType) -> Ssa:
        return self._cast("bitcast", value, type)

    def address_number(self, pointer: Ssa) -> Ssa:
        return self._cast("ptrtoint", pointer, self.index_type)

    def _cast(self, name: str, value: Ssa, type: RegisterType) -> Ssa:
        return self.compute(type, f"{name} {spell(value.type)} {value.name} to {spell(type)}")

    # Comparisons and choices

    def compare(self, predicate: Predicate, a: Index, b: Index, *, unsigned: bool = False) -> Ssa:
        type = a.type if isinstance(a, Ssa) else b.type if isinstance(b, Ssa) else self.index_type
        if type.kind == "float":
            name = f"fcmp {text.FLOAT_PREDICATES[predicate]}"
        else:
            name = f"icmp {(text.UNSIGNED if unsigned else text.SIGNED)[predicate]}"
        return self.compute(BOOL.wide(type.lanes), f"{name} {spell(type)} {a}, {b}")

    def unordered(self, a: Ssa, b: Ssa) -> Ssa:
        return self.compute(BOOL.wide(a.lanes), f"fcmp uno {spell(a.type)} {a.name}, {b.name}")

    def select(self, condition: Ssa, a: Ssa, b: Ssa) -> Ssa:
        type = spell(a.type)
        return self.compute(
            a.type, f"select {spell(condition.type)} {condition.name}, {type} {a.name}, {type} {b.name}"
        )

    # Lanes

    def any_lane(self, mask: Ssa) -> Ssa:
        if mask.lanes == 1:
            return mask
        type, name = spell(mask.type), f"@llvm.vector.reduce.or.v{mask.lanes}i1"
        self.declare(name, spell(BOOL), [type])
        return self.compute(BOOL, f"call {spell(BOOL)} {name}({type} {mask.name})")

    def splat(self, scalar: Ssa, lanes: int) -> Ssa:
        if lanes == 1:
            return scalar
        wide = scalar.type.wide(lanes)
        type = spell(wide)
        first = self.compute(wide, f"insertelement {type} poison, {spell(scalar.type)} {scalar.name}, i32 0")
        return self.compute(wide, f"shufflevector {type} {first}, {type} poison, <{lanes} x i32> zeroinitializer")

    def shuffle(self, a: Ssa, b: Ssa | None, lanes: Sequence[int]) -> Ssa:
        if len(lanes) == 1:
            return self.extract(a if lanes[0] < a.lanes or b is None else b, lanes[0] % a.lanes)
        wide = a.type.wide(len(lanes))
        if a.lanes == 1:
            return self._inserted(wide, [b if lane else a for lane in lanes], lanes)
        numbers = ", ".join("i32 poison" if lane < 0 else f"i32 {lane}" for lane in lanes)
        type, other = spell(a.type), b.name if b else "poison"
        return self.compute(wide, f"shufflevector {type} {a.name}, {type} {other}, <{len(lanes)} x i32> <{numbers}>")

    def _inserted(self, wide: RegisterType, scalars: Sequence[Ssa | None], lanes: Sequence[int]) -> Ssa:
        """A vector of scalars; lanes below 0 stay undefined."""
        result = self.undefined(wide)
        for place, (scalar, lane) in enumerate(zip(scalars, lanes, strict=True)):
            if lane >= 0 and scalar is not None:
                result = self.insert(result, scalar, place)
        return result

    def look_up(self, table: Sequence[float], numbers: Ssa) -> Ssa:
        """x86's `vpermps`, which has 16 lanes."""
        if numbers.lanes > 16:
            parts = (self.shuffle(numbers, None, range(*ends)) for ends in ((0, 16), (16, numbers.lanes)))
            return self.join(*(self.look_up(table, part) for part in parts))
        type, of, name = spell(FLOAT.wide(16)), spell(INT32.wide(16)), "@llvm.x86.avx512.permvar.sf.512"
        self.declare(name, type, [type, of])
        operands = f"{type} {text.floats(table)}, {of} {self.resize(numbers, 16)}"
        return self.resize(self.compute(FLOAT.wide(16), f"call {type} {name}({operands})"), numbers.lanes)

    def extract(self, vector: Ssa, lane: int) -> Ssa:
        if vector.lanes == 1:
            return vector
        return self.compute(vector.type.wide(1), f"extractelement {spell(vector.type)} {vector.name}, i32 {lane}")

    def insert(self, vector: Ssa, scalar: Ssa, lane: int) -> Ssa:
        if vector.lanes == 1:
            return scalar
        operands = f"{spell(vector.type)} {vector.name}, {spell(scalar.type)} {scalar.name}"
        return self.compute(vector.type, f"insertelement {operands}, i32 {lane}")

    def opaque(self, value: Ssa) -> Ssa:
        return self.assign(value.type, f"freeze {spell(value.type)} {value.name}")
