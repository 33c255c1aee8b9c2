"""The only place that spells LLVM: structured control flow, index arithmetic and explicit vectors as IR text.

Writing text is an order of magnitude faster than building llvmlite's objects, and nothing is lost: every
module is parsed and verified before use. Index arithmetic takes Python integers and SSA values alike and
folds what is known at compile time. A vector of one lane is a scalar, so that kernels need not know.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from ..target import Target


@dataclass(frozen=True, slots=True)
class Ssa:
    """A value of the module: its LLVM type and its name (or literal)."""

    type: str
    name: str

    def __str__(self) -> str:
        return self.name


Index = int | Ssa


def vector_type(lanes: int) -> str:
    return "float" if lanes == 1 else f"<{lanes} x float>"


def lanes_of(type: str) -> int:
    """Number of lanes of a float or float-vector type."""
    return int(type[1:].split(" ", 1)[0]) if type[0] == "<" else 1


def literal(value: float) -> str:
    """A float32 number as LLVM writes it: the bits of the equal double."""
    single = struct.unpack("<f", struct.pack("<f", value))[0]
    return f"0x{struct.unpack('<Q', struct.pack('<d', single))[0]:016X}"


@dataclass
class Loop:
    """A loop under construction: `index` and `values` inside, `results` after it; `next` ends an iteration."""

    index: Index
    values: list[Ssa]
    results: list[Ssa] = field(default_factory=list)
    following: list[Ssa] | None = None

    def next(self, values: Sequence[Ssa]) -> None:
        """What the carried values are in the next iteration."""
        self.following = list(values)


class Emitter:
    """Emits functions of one module for one target.

    `checked` makes every memory access test its bounds (see `codegen.memory`).
    """

    def __init__(self, target: Target, *, checked: bool = False):
        self.target, self.checked = target, checked
        self.index_type = f"i{target.pointer_bits}"
        self.functions: list[str] = []
        self.declarations: dict[str, str] = {}
        self.lines: list[str] = []
        self.counter = 0
        self.block = ""

    # Functions and modules

    @contextmanager
    def function(
        self, result: str, name: str, parameters: Sequence[tuple[str, str]], linkage: str = ""
    ) -> Iterator[list[Ssa]]:
        """A function; yields its parameters. The body must end with `ret`."""
        self.lines, self.counter, self.block = [], 0, "entry"
        values = [Ssa(type, f"%{parameter}") for type, parameter in parameters]
        yield values
        signature = ", ".join(f"{v.type} {v.name}" for v in values)
        head = f"define {linkage} {result} {name}({signature}) #0 {{\nentry:"
        self.functions.append("\n".join([" ".join(head.split(" ")).replace("define  ", "define "), *self.lines, "}"]))

    def declare(self, name: str, text: str) -> None:
        """Declare an intrinsic once."""
        self.declarations[name] = text

    def module(self, extra: Sequence[str] = ()) -> str:
        """The whole module as text."""
        target = self.target
        features = f' "target-features"="{target.features}"' if target.features else ""
        features += f' "tune-cpu"="{target.tune}"' if target.tune else ""
        width = ""
        if target.architecture == "x86-64":
            # Some CPUs' tuning splits 512-bit vectors unless told that they are wanted.
            width = f' "prefer-vector-width"="{target.vector_bits}" "min-legal-vector-width"="{target.vector_bits}"'
        attributes = f'attributes #0 = {{ nounwind "no-builtins" "target-cpu"="{target.cpu}"{features}{width} }}'
        parts = [f'target triple = "{target.triple}"', *extra, *self.functions, *self.declarations.values(), attributes]
        return "\n\n".join(parts) + "\n"

    # Instructions

    def emit(self, text: str) -> None:
        self.lines.append(f"  {text}")

    def assign(self, type: str, text: str) -> Ssa:
        """A new value defined by the instruction `text`."""
        self.counter += 1
        value = Ssa(type, f"%x{self.counter}")
        self.emit(f"{value} = {text}")
        return value

    def label(self, name: str) -> None:
        self.lines.append(f"{name}:")
        self.block = name

    def fresh_label(self, hint: str) -> str:
        self.counter += 1
        return f"{hint}{self.counter}"

    def branch(self, label: str) -> None:
        self.emit(f"br label %{label}")

    def branch_if(self, condition: Ssa, yes: str, no: str) -> None:
        self.emit(f"br i1 {condition}, label %{yes}, label %{no}")

    def ret(self, value: Ssa | None = None) -> None:
        self.emit(f"ret {value.type} {value}" if value else "ret void")

    def typed(self, value: Index) -> str:
        """`value` as an operand with its type."""
        return f"{value.type} {value}" if isinstance(value, Ssa) else f"{self.index_type} {value}"

    # Index arithmetic

    def _arithmetic(self, op: str, a: Index, b: Index) -> Ssa:
        return self.assign(self.index_type, f"{op} {self.index_type} {a}, {b}")

    def add(self, a: Index, b: Index) -> Index:
        if isinstance(a, int) and isinstance(b, int):
            return a + b
        if a == 0 or b == 0:
            return b if a == 0 else a
        return self._arithmetic("add nsw", a, b)

    def sub(self, a: Index, b: Index) -> Index:
        if isinstance(b, int):
            return self.add(a, -b)
        return self._arithmetic("sub nsw", a, b)

    def mul(self, a: Index, b: Index) -> Index:
        if isinstance(a, int) and isinstance(b, int):
            return a * b
        if a == 0 or b == 0:
            return 0
        if a == 1 or b == 1:
            return b if a == 1 else a
        return self._arithmetic("mul nsw", a, b)

    def div(self, a: Index, b: Index) -> Index:
        """Quotient of non-negative numbers."""
        if b == 1:
            return a
        return a // b if isinstance(a, int) and isinstance(b, int) else self._arithmetic("udiv", a, b)

    def remainder(self, a: Index, b: int) -> Index:
        """a modulo b for non-negative a."""
        return self.sub(a, self.mul(self.div(a, b), b)) if b > 1 else 0

    def mask(self, a: Index, bits: int) -> Index:
        """a modulo (bits + 1), a power of two; right for negative a too."""
        return a & bits if isinstance(a, int) else self._arithmetic("and", a, bits)

    def least(self, a: Index, b: Index) -> Index:
        if isinstance(a, int) and isinstance(b, int):
            return min(a, b)
        return self.choose(self.compare("slt", a, b), a, b)

    def largest(self, a: Index, b: Index) -> Index:
        if isinstance(a, int) and isinstance(b, int):
            return max(a, b)
        return self.choose(self.compare("sgt", a, b), a, b)

    def compare(self, predicate: str, a: Index, b: Index) -> Ssa:
        type = a.type if isinstance(a, Ssa) else b.type if isinstance(b, Ssa) else self.index_type
        return self.assign("i1", f"icmp {predicate} {type} {a}, {b}")

    def choose(self, condition: Ssa, a: Index, b: Index) -> Ssa:
        """`a` where the condition holds, else `b` (indices)."""
        return self.assign(self.index_type, f"select i1 {condition}, {self.typed(a)}, {self.typed(b)}")

    def all_of(self, conditions: Sequence[Ssa]) -> Ssa | None:
        """Conjunction; None for none (always true)."""
        result: Ssa | None = None
        for condition in conditions:
            result = condition if result is None else self.assign("i1", f"and i1 {result}, {condition}")
        return result

    # Control flow

    @contextmanager
    def loop(self, begin: Index, end: Index, step: int = 1, carry: Sequence[Ssa] = ()) -> Iterator[Loop]:
        """`for index in range(begin, end, step)` with values carried from one iteration to the next.

        With known bounds a loop of one iteration is no loop, and the test stands at the bottom, unless there is none.
        """
        known = isinstance(begin, int) and isinstance(end, int) and begin < end
        if known and end <= begin + step:  # type: ignore[operator]
            once = Loop(begin, list(carry))
            yield once
            once.results = once.following if once.following is not None else once.values
            return
        head, body, after = (self.fresh_label(hint) for hint in ("head", "body", "after"))
        before = self.block
        self.branch(head)
        self.label(head)
        self.counter += 1
        index = Ssa(self.index_type, f"%i{self.counter}")
        phis = []
        for value in carry:
            self.counter += 1
            phis.append(Ssa(value.type, f"%p{self.counter}"))
        place = len(self.lines)
        if not known:
            self.branch_if(self.compare("slt", index, end), body, after)
            self.label(body)
        loop = Loop(index, phis)
        yield loop
        following = loop.following if loop.following is not None else phis
        advanced = self.add(index, step)
        latch = self.block
        if known:
            self.branch_if(self.compare("slt", advanced, end), head, after)
        else:
            self.branch(head)
        lines = [f"  {index} = phi {index.type} [ {begin}, %{before} ], [ {advanced}, %{latch} ]"]
        for phi, first, again in zip(phis, carry, following, strict=True):
            lines.append(f"  {phi} = phi {phi.type} [ {first}, %{before} ], [ {again}, %{latch} ]")
        self.lines[place:place] = lines
        self.label(after)
        loop.results = list(following) if known else phis

    @contextmanager
    def when(self, condition: Ssa) -> Iterator[None]:
        """The body runs only if the condition holds."""
        yes, after = self.fresh_label("then"), self.fresh_label("done")
        self.branch_if(condition, yes, after)
        self.label(yes)
        yield
        self.branch(after)
        self.label(after)

    # Floating point: explicit vectors

    def number(self, value: float, lanes: int) -> Ssa:
        """A constant in every lane."""
        text = literal(value)
        if lanes == 1:
            return Ssa("float", text)
        return Ssa(vector_type(lanes), "<" + ", ".join([f"float {text}"] * lanes) + ">")

    def splat(self, scalar: Ssa, lanes: int) -> Ssa:
        """One float (or truth value) in every lane."""
        if lanes == 1:
            return scalar
        type = f"<{lanes} x {scalar.type}>"
        first = self.assign(type, f"insertelement {type} poison, {scalar.type} {scalar}, i32 0")
        return self.assign(type, f"shufflevector {type} {first}, {type} poison, <{lanes} x i32> zeroinitializer")

    def shuffle(self, a: Ssa, b: Ssa | None, lanes: Sequence[int]) -> Ssa:
        """Lanes of a (and of b, counted on) in a new order; −1 leaves a lane undefined."""
        count = lanes_of(a.type)
        if len(lanes) == 1:
            return self.extract(a if lanes[0] < count or b is None else b, lanes[0] % count)
        if count == 1:
            result = Ssa(vector_type(len(lanes)), "poison")
            for place, lane in enumerate(lanes):
                scalar = a if lane == 0 else b
                if lane >= 0 and scalar is not None:
                    result = self.insert(result, scalar, place)
            return result
        numbers = ", ".join("i32 poison" if lane < 0 else f"i32 {lane}" for lane in lanes)
        other = b.name if b else "poison"
        return self.assign(
            vector_type(len(lanes)), f"shufflevector {a.type} {a}, {a.type} {other}, <{len(lanes)} x i32> <{numbers}>"
        )

    def join(self, a: Ssa, b: Ssa) -> Ssa:
        """The lanes of `a`, then those of `b`."""
        lanes = lanes_of(a.type) + lanes_of(b.type)
        order = [lane if lane < lanes_of(a.type) else lanes + lane - lanes_of(a.type) for lane in range(lanes)]
        return self.shuffle(self.resize(a, lanes), self.resize(b, lanes), order)

    def resize(self, value: Ssa, lanes: int) -> Ssa:
        """The first `lanes` lanes; added ones are undefined."""
        count = lanes_of(value.type)
        if count == lanes:
            return value
        return self.shuffle(value, None, [lane if lane < count else -1 for lane in range(lanes)])

    def extract(self, vector: Ssa, lane: int) -> Ssa:
        if vector.type == "float":
            return vector
        return self.assign("float", f"extractelement {vector.type} {vector}, i32 {lane}")

    def insert(self, vector: Ssa, scalar: Ssa, lane: int) -> Ssa:
        if vector.type == "float":
            return scalar
        return self.assign(vector.type, f"insertelement {vector.type} {vector}, float {scalar}, i32 {lane}")

    def binary(self, op: str, a: Ssa, b: Ssa) -> Ssa:
        """fadd, fsub, fmul or fdiv."""
        return self.assign(a.type, f"{op} {a.type} {a}, {b}")

    def multiply_add(self, a: Ssa, b: Ssa, c: Ssa) -> Ssa:
        """a · b + c: one instruction where the target has it, else a product and a sum, each rounded."""
        if not self.target.fma:
            return self.binary("fadd", self.binary("fmul", a, b), c)
        return self.intrinsic("fma", a, b, c)

    def intrinsic(self, name: str, *arguments: Ssa) -> Ssa:
        """An LLVM intrinsic whose arguments and result share one float type."""
        type = arguments[0].type
        lanes = lanes_of(type)
        full = f"@llvm.{name}.{'' if lanes == 1 else f'v{lanes}'}f32"
        self.declare(full, f"declare {type} {full}({', '.join([type] * len(arguments))})")
        return self.assign(type, f"call {type} {full}({', '.join(f'{type} {a}' for a in arguments)})")

    def mask_type(self, type: str) -> str:
        lanes = lanes_of(type)
        return "i1" if lanes == 1 else f"<{lanes} x i1>"

    def compare_floats(self, predicate: str, a: Ssa, b: Ssa) -> Ssa:
        return self.assign(self.mask_type(a.type), f"fcmp {predicate} {a.type} {a}, {b}")

    def select(self, condition: Ssa, a: Ssa, b: Ssa) -> Ssa:
        """Lane by lane (or, for a scalar condition, as a whole) `a` where the condition holds, else `b`."""
        return self.assign(a.type, f"select {condition.type} {condition}, {a.type} {a}, {b.type} {b}")

    def maximum(self, a: Ssa, b: Ssa) -> Ssa:
        """The larger one; NaN if either is NaN.

        Against a constant one comparison does (x86's maxps returns its second operand for NaN); otherwise
        a second one lets a NaN of `a` through.
        """
        if self._is_number(b):
            return self.select(self.compare_floats("olt", a, b), b, a)
        larger = self.select(self.compare_floats("olt", a, b), b, a)
        return self.select(self.compare_floats("uno", b, b), b, larger)

    def minimum(self, a: Ssa, b: Ssa) -> Ssa:
        """The smaller one; NaN if either is NaN (see `maximum`)."""
        if self._is_number(b):
            return self.select(self.compare_floats("ogt", a, b), b, a)
        smaller = self.select(self.compare_floats("ogt", a, b), b, a)
        return self.select(self.compare_floats("uno", b, b), b, smaller)

    def _is_number(self, value: Ssa) -> bool:
        """Whether it is a constant, the same in every lane, and not NaN."""
        return value.name[:1] in "<0" and value != self.number(math.nan, lanes_of(value.type))

    def extreme(self, kind: Literal["maximum", "minimum"], values: Sequence[Ssa]) -> Ssa:
        """The largest or smallest of several; NaN if any is NaN.

        A comparison that a NaN makes fail yields the later value, so that only NaNs before the last value get lost:
        one test finds them in two of those at once.
        """
        predicate = "ogt" if kind == "maximum" else "olt"
        result, *later = values
        for value in later:
            result = self.select(self.compare_floats(predicate, result, value), result, value)
        earlier = values[:-1]
        lost: Ssa | None = None
        for a, b in zip(earlier[::2], [*earlier[1::2], earlier[-1]], strict=False):
            test = self.compare_floats("uno", a, b)
            lost = test if lost is None else self.assign(test.type, f"or {test.type} {lost}, {test}")
        assert lost is not None
        return self.select(lost, self.number(math.nan, lanes_of(result.type)), result)

    # Memory (raw; kernels go through `codegen.memory`)

    def address(self, base: Ssa, offset: Index, element: str = "float") -> Ssa:
        if offset == 0:
            return base
        return self.assign("ptr", f"getelementptr inbounds {element}, ptr {base}, {self.typed(offset)}")

    def load_type(self, type: str, pointer: Ssa, align: int) -> Ssa:
        return self.assign(type, f"load {type}, ptr {pointer}, align {align}")

    def load_index(self, table: Ssa, index: Index) -> Ssa:
        """An entry of a table of 32-bit indices."""
        entry = self.load_type("i32", self.address(table, index, "i32"), 4)
        return entry if self.index_type == "i32" else self.assign(self.index_type, f"sext i32 {entry} to i64")

    def store_value(self, value: Ssa, pointer: Ssa, align: int) -> None:
        self.emit(f"store {value.type} {value}, ptr {pointer}, align {align}")
