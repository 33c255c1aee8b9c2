"""A second back end: C source, lane by lane. It proves that `Instructions` are all that a back end needs.

The name of a value is the list of its lanes, each a variable or a literal, parted by blanks: what moves lanes writes
no code. Integers are unsigned in C, since those wrap around; instructions that count a sign cast.
"""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

from cnncc.codegen.emitter import Emitter
from cnncc.codegen.instructions import Binary, IndexOperation, Loop, Order, Predicate, Unary
from cnncc.codegen.registers import BOOL, FLOAT, INT32, INT64, POINTER, Index, RegisterType, Ssa
from cnncc.machine.target import Target

PRELUDE = """\
#include <stdint.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif
union bits { float f; uint32_t i; };
union wide { double d; uint64_t i; };
"""
OPERATORS: dict[str, str] = {
    "add": "+",
    "subtract": "-",
    "multiply": "*",
    "divide": "/",
    "remainder": "%",
    "and": "&",
    "or": "|",
    "xor": "^",
    "shift_left": "<<",
    "shift_right": ">>",
    "shift_right_zeros": ">>",
}
ORDERS: dict[Order, str] = {
    "relaxed": "__ATOMIC_RELAXED",
    "acquire": "__ATOMIC_ACQUIRE",
    "release": "__ATOMIC_RELEASE",
    "acquire_release": "__ATOMIC_ACQ_REL",
}


def spell(type: RegisterType, signed: bool = False) -> str:
    """A lane of a type."""
    names = {"float": "float", "bool": "_Bool", "pointer": "char*"}
    return names.get(type.kind, f"{'' if signed else 'u'}int{type.bits}_t")


def literal(value: float, type: RegisterType) -> str:
    if type.kind != "float":
        return f"(({spell(type)}){int(value) % 2**64}ULL)"
    if math.isnan(value) or math.isinf(value):
        return '__builtin_nanf("")' if math.isnan(value) else f"({'-' if value < 0 else ''}__builtin_inff())"
    return f"({struct.unpack('<f', struct.pack('<f', value))[0].hex()}f)"


class CEmitter(Emitter):
    """Emits a module of C."""

    def __init__(self, target: Target, *, checked: bool = False):
        self.target, self.checked = target, checked
        self.index_type = RegisterType("int", target.pointer_bits)
        self.functions: list[str] = []
        self.partition_axis: dict[str, str] = {}
        self.numbers = itertools.count()
        self.lines: list[str] = []
        self.variables: list[str] = []

    # Lines and variables

    def emit(self, text: str) -> None:
        self.lines.append(f"  {text};")

    def variable(self, type: RegisterType) -> Ssa:
        """Variables for the lanes of a type."""
        names = [f"x{next(self.numbers)}" for _ in range(type.lanes)]
        for name in names:
            self.variables.append(f"  {spell(type)} {name};")
        return Ssa(type, " ".join(names))

    def set(self, variable: Ssa, texts: Sequence[str]) -> Ssa:
        for name, text in zip(self.lanes(variable), texts, strict=True):
            self.emit(f"{name} = {text}")
        return variable

    def assign(self, type: RegisterType, text: Callable[..., str], *operands: Ssa) -> Ssa:
        """`text` of each lane of the operands."""
        return self.set(self.variable(type), [text(*parts) for parts in zip(*map(self.lanes, operands), strict=True)])

    def lanes(self, value: Index) -> list[str]:
        return self.value(value).name.split(" ")

    # Functions and the module

    @contextmanager
    def function(
        self,
        name: str,
        parameters: Sequence[tuple[RegisterType, str]],
        result: RegisterType | None = None,
        *,
        internal: bool = False,
    ) -> Iterator[list[Ssa]]:
        self.lines, self.variables, self.numbers = [], [], itertools.count()
        yield [Ssa(type, parameter) for type, parameter in parameters]
        listed = ", ".join(f"{spell(type)} {parameter}" for type, parameter in parameters)
        head = f"{'static ' if internal else ''}{spell(result) if result else 'void'} {name}({listed or 'void'})"
        self.functions.append("\n".join([head, "{", *self.variables, *self.lines, "}"]))

    def share_function(self, name: str) -> str:
        text = self.functions.pop()
        if text not in self.partition_axis:
            self.partition_axis[text] = f"{name}{len(self.partition_axis)}"
            self.functions.append(text.replace(f" {name}(", f" {self.partition_axis[text]}(", 1))
        return self.partition_axis[text]

    def call(self, name: str, arguments: Sequence[Ssa]) -> None:
        self.emit(f"{name}({', '.join(map(str, arguments))})")

    def call_pointer(self, function: Ssa, arguments: Sequence[Ssa]) -> None:
        types = ", ".join(spell(argument.type) for argument in arguments)
        self.call(f"((void (*)({types})){function})", arguments)

    def ret(self, value: Ssa | None = None) -> None:
        self.emit(f"return {value}" if value else "return")

    def module(self) -> str:
        return "\n".join([PRELUDE, *self.functions, ""])

    # Constants

    def constant(self, value: float, type: RegisterType) -> Ssa:
        return Ssa(type, " ".join([literal(value, type)] * type.lanes), value)

    def lane_numbers(self, type: RegisterType) -> Ssa:
        return Ssa(type, " ".join(literal(lane, type) for lane in range(type.lanes)))

    def undefined(self, type: RegisterType) -> Ssa:
        return Ssa(type, self.constant(0, type).name)

    def null(self) -> Ssa:
        return self.undefined(POINTER)

    # Arithmetic

    def unary(self, operation: Unary, a: Ssa) -> Ssa:
        names = {"negate": "-", "absolute": "__builtin_fabsf", "square_root": "__builtin_sqrtf"}
        return self.assign(a.type, lambda a: f"{names[operation]}({a})", a)

    def binary(self, operation: Binary, a: Ssa, b: Ssa) -> Ssa:
        signed = a.type.kind == "int" and operation in ("divide", "remainder", "shift_right")
        sign = f"({spell(a.type, signed=True)})" if signed else ""
        return self.assign(a.type, lambda a, b: f"{sign}{a} {OPERATORS[operation]} {sign}{b}", a, b)

    def multiply_add(self, a: Ssa, b: Ssa, c: Ssa) -> Ssa:
        if not self.target.fma:
            return self.binary("add", self.binary("multiply", a, b), c)
        return self.assign(a.type, lambda a, b, c: f"__builtin_fmaf({a}, {b}, {c})", a, b, c)

    def scale(self, a: Ssa, k: Ssa) -> Ssa:
        """In double precision 2^k is normal and the product exact, so that one rounding is left."""
        power = "((union wide){.i = (uint64_t)(1023 + (int64_t)__builtin_floorf(%s)) << 52}).d"
        return self.assign(a.type, lambda a, k: f"{k} == {k} ? (float)({a} * {power % k}) : {k}", a, k)

    def look_up(self, table: Sequence[float], numbers: Ssa) -> Ssa:
        entries = ", ".join(literal(entry, FLOAT) for entry in table)
        return self.assign(
            FLOAT.wide(numbers.lanes), lambda number: f"((const float[]){{{entries}}})[{number} & 15]", numbers
        )

    def copy_sign(self, a: Ssa, sign: Ssa) -> Ssa:
        return self.assign(a.type, lambda a, sign: f"__builtin_copysignf({a}, {sign})", a, sign)

    def funnel_shift(self, high: Ssa, low: Ssa, count: Ssa) -> Ssa:
        def text(high: str, low: str, count: str) -> str:
            return f"(uint32_t)((((uint64_t){high} << 32 | {low}) << ({count} & 31)) >> 32)"

        assert high.type.bits == INT32.bits
        return self.assign(high.type, text, high, low, count)

    def convert(self, value: Ssa, type: RegisterType, *, signed: bool = True) -> Ssa:
        if value.type.kind == "float" and type.kind == "int":
            return self.assign(type, lambda a: f"({spell(type, signed)}){a}", value)
        return self.assign(type, lambda a: f"({spell(type)})({spell(value.type, signed)}){a}", value)

    def convert_saturating(self, value: Ssa, type: RegisterType) -> Ssa:
        end, kind = f"0x1p{type.bits - 1}f", spell(type, signed=True)
        least, most = (literal(number, type) for number in (-(2 ** (type.bits - 1)), 2 ** (type.bits - 1) - 1))

        def text(a: str) -> str:
            return f"{a} >= {end} ? {most} : {a} < -{end} ? {least} : {a} != {a} ? 0 : ({spell(type)})({kind}){a}"

        return self.assign(type, text, value)

    def reinterpret(self, value: Ssa, type: RegisterType) -> Ssa:
        source, result = ("f", "i") if value.type.kind == "float" else ("i", "f")
        return self.assign(type, lambda a: f"((union bits){{.{source} = {a}}}).{result}", value)

    def address_number(self, pointer: Ssa) -> Ssa:
        return self.assign(self.index_type, lambda a: f"(uintptr_t){a}", pointer)

    def index_operation(self, operation: IndexOperation, a: Index, b: Index) -> Ssa:
        return self.binary(operation, self.value(a), self.value(b))

    # Comparisons and choices

    def compare(self, predicate: Predicate, a: Index, b: Index, *, unsigned: bool = False) -> Ssa:
        type = a.type if isinstance(a, Ssa) else b.type if isinstance(b, Ssa) else self.index_type
        left, right = (self.constant(side, type) if isinstance(side, int) else side for side in (a, b))
        cast = f"({spell(type, signed=not unsigned)})"
        return self.assign(BOOL.wide(type.lanes), lambda a, b: f"{cast}{a} {predicate} {cast}{b}", left, right)

    def unordered(self, a: Ssa, b: Ssa) -> Ssa:
        return self.assign(BOOL.wide(a.lanes), lambda a, b: f"__builtin_isunordered({a}, {b})", a, b)

    def select(self, condition: Ssa, a: Ssa, b: Ssa) -> Ssa:
        return self.assign(a.type, lambda c, a, b: f"{c} ? {a} : {b}", self.splat_to(condition, a.lanes), a, b)

    def splat_to(self, value: Ssa, lanes: int) -> Ssa:
        return value if value.lanes == lanes else self.splat(value, lanes)

    # Lanes

    def any_lane(self, mask: Ssa) -> Ssa:
        return self.set(self.variable(BOOL), [" || ".join(self.lanes(mask))])

    def splat(self, scalar: Ssa, lanes: int) -> Ssa:
        return Ssa(scalar.type.wide(lanes), " ".join([scalar.name] * lanes))

    def shuffle(self, a: Ssa, b: Ssa | None, lanes: Sequence[int]) -> Ssa:
        both = [*self.lanes(a), *self.lanes(b if b else a)]
        return Ssa(a.type.wide(len(lanes)), " ".join(both[max(lane, 0)] for lane in lanes))

    def extract(self, vector: Ssa, lane: int) -> Ssa:
        return self.shuffle(vector, None, [lane])

    def insert(self, vector: Ssa, scalar: Ssa, lane: int) -> Ssa:
        names = self.lanes(vector)
        return Ssa(vector.type, " ".join([*names[:lane], scalar.name, *names[lane + 1 :]]))

    def opaque(self, value: Ssa) -> Ssa:
        return value

    # Memory

    def address(self, base: Ssa, offset: Index, element: RegisterType = FLOAT, *, inside: bool = True) -> Ssa:
        size = element.bits // 8
        return self.assign(POINTER, lambda base, by: f"{base} + (intptr_t){by} * {size}", base, self.value(offset))

    def load(self, type: RegisterType, pointer: Ssa, align: int | None = None) -> Ssa:
        return self.set(self.variable(type), self.places(type, pointer))

    def masked_load(self, pointer: Ssa, mask: Ssa, otherwise: Ssa) -> Ssa:
        places = zip(self.lanes(mask), self.places(otherwise.type, pointer), self.lanes(otherwise), strict=True)
        return self.set(self.variable(otherwise.type), [f"{c} ? {place} : {other}" for c, place, other in places])

    def store(self, value: Ssa, pointer: Ssa, align: int | None = None) -> None:
        for place, lane in zip(self.places(value.type, pointer), self.lanes(value), strict=True):
            self.emit(f"{place} = {lane}")

    def places(self, type: RegisterType, pointer: Ssa) -> list[str]:
        """Where the lanes of a type lie in memory."""
        return [f"(({spell(type)}*){pointer})[{lane}]" for lane in range(type.lanes)]

    def prefetch(self, pointer: Ssa) -> None:
        self.emit(f"__builtin_prefetch({pointer})")

    # Between shards, and the processor

    def atomic_load(self, pointer: Ssa, order: Order) -> Ssa:
        return self.assign(INT32, lambda a: f"__atomic_load_n((uint32_t*){a}, {ORDERS[order]})", pointer)

    def atomic_store(self, value: Ssa, pointer: Ssa, order: Order) -> None:
        self.emit(f"__atomic_store_n((uint32_t*){pointer}, {value}, {ORDERS[order]})")

    def atomic_add(self, pointer: Ssa, value: int, order: Order) -> Ssa:
        return self.assign(INT32, lambda a: f"__atomic_fetch_add((uint32_t*){a}, {value}, {ORDERS[order]})", pointer)

    def pause(self) -> None:
        self.emit("__builtin_ia32_pause()" if self.target.architecture == "x86-64" else "")

    def ticks(self) -> Ssa:
        return self.set(self.variable(INT64), ["__builtin_ia32_rdtsc()"])

    def cpuid(self, leaf: int, register: Literal["EAX", "EBX", "ECX", "EDX"]) -> Ssa:
        results = [self.variable(INT32) for _ in range(4)]
        self.emit(f"__cpuid_count({leaf}, 0, {', '.join(map(str, results))})")
        return results[("EAX", "EBX", "ECX", "EDX").index(register)]

    def saved_state(self) -> Ssa:
        low, high = self.variable(INT32), self.variable(INT32)
        self.emit(f'__asm__ volatile("xgetbv" : "=a"({low}), "=d"({high}) : "c"(0))')
        return low

    # Control flow

    def side_by_side(self, pieces: Sequence[Callable[[], Ssa]]) -> list[Ssa]:
        return [piece() for piece in pieces]

    def fresh_label(self, hint: str) -> str:
        return f"{hint}{next(self.numbers)}"

    def label(self, name: str) -> None:
        self.lines.append(f"{name}:;")

    def branch(self, label: str) -> None:
        self.emit(f"goto {label}")

    def branch_if(self, condition: Ssa, yes: str, no: str) -> None:
        self.emit(f"if ({condition}) goto {yes}; else goto {no}")

    @contextmanager
    def counted_loop(self, begin: Index, end: Index, step: int, carry: Sequence[Ssa]) -> Iterator[Loop]:
        index, values = self.variable(self.index_type), [self.variable(value.type) for value in carry]
        self.become([index, *values], [self.value(begin), *carry])
        head, body, after = (self.fresh_label(hint) for hint in ("head", "body", "after"))
        self.label(head)
        self.branch_if(self.compare("<", index, end), body, after)
        self.label(body)
        loop = Loop(index, values)
        yield loop
        self.become([index, *values], [self.value(self.add(index, step)), *loop.carried])
        self.branch(head)
        self.label(after)
        loop.results = values

    def become(self, variables: Sequence[Ssa], values: Sequence[Ssa]) -> None:
        """Assign all at once: what one of them was may be what another one becomes."""
        for variable, copy in zip(variables, [self.assign(v.type, str, v) for v in values], strict=True):
            self.set(variable, self.lanes(copy))
