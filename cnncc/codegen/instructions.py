"""The instructions of a back end, independent of its output text.

A back end is a class that inherits `Emitter` and implements each of these; the rest of `Emitter` is composed of them.
Floats are IEEE 754 binary32 with rounding to nearest, ties to even, and subnormal numbers. No instruction may be
reordered, contracted or replaced by one that rounds differently. NaN gives NaN unless stated otherwise, with any
payload. −0 is distinct from 0 and compares equal to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Literal, Protocol

from ..machine.target import Target
from .registers import FLOAT, Index, RegisterType, Ssa

Predicate = Literal["<", "<=", ">", ">=", "==", "!="]
Unary = Literal["negate", "absolute", "square_root"]
Binary = Literal[
    "add",
    "subtract",
    "multiply",
    "divide",
    "remainder",
    "and",
    "or",
    "xor",
    "shift_left",
    "shift_right",
    "shift_right_zeros",
]
IndexOperation = Literal["add", "subtract", "multiply", "divide", "and"]
Order = Literal["relaxed", "acquire", "release", "acquire_release"]


@dataclass
class Loop:
    """A loop under construction: `index` and `values` inside, `results` after it; `next` ends an iteration."""

    index: Index
    values: list[Ssa]
    results: list[Ssa] = field(default_factory=list)
    following: list[Ssa] | None = None

    def next(self, values: Sequence[Ssa]) -> None:
        """Set the carried values of the next iteration."""
        self.following = list(values)

    @property
    def carried(self) -> list[Ssa]:
        """The carried values after the body: those given to `next`, else those at its begin."""
        return self.values if self.following is None else self.following


class Instructions(Protocol):
    """A module under construction for one target. With `checked`, every access tests its bounds (`codegen.memory`)."""

    target: Target
    checked: bool
    index_type: RegisterType
    """An integer as wide as a pointer."""

    # Functions and the module

    def function(
        self,
        name: str,
        parameters: Sequence[tuple[RegisterType, str]],
        result: RegisterType | None = None,
        *,
        internal: bool = False,
    ) -> AbstractContextManager[list[Ssa]]:
        """A function, a symbol of the object unless `internal`. Yields its parameters; the body must end with `ret`."""

    def share_function(self, name: str) -> str:
        """Merge the last function, `name`, with an equal one that was merged under this name before.

        Returns the name of the function to call: `name` with a number.
        """

    def call(self, name: str, arguments: Sequence[Ssa]) -> None:
        """Call a function of this module that has no result."""

    def call_pointer(self, function: Ssa, arguments: Sequence[Ssa]) -> None:
        """Call a function without a result by its address, as C does."""

    def ret(self, value: Ssa | None = None) -> None:
        """Return; ends a block."""

    def module(self) -> str:
        """The text of the module."""

    # Constants

    def constant(self, value: float, type: RegisterType) -> Ssa:
        """A number (or truth value) in every lane; floats are rounded to the type."""

    def lane_numbers(self, type: RegisterType) -> Ssa:
        """0, 1, 2… in the lanes of an integer type."""

    def undefined(self, type: RegisterType) -> Ssa:
        """A value of arbitrary bits, for lanes that are not used or are inserted later."""

    def null(self) -> Ssa:
        """The null pointer."""

    # Arithmetic, lane by lane

    def unary(self, operation: Unary, a: Ssa) -> Ssa:
        """An operation on floats. Sign changes affect only the sign bit, also of 0 and NaN; the root of −0 is −0."""

    def binary(self, operation: Binary, a: Ssa, b: Ssa) -> Ssa:
        """An operation on operands of one type. Floats are rounded once; sums and products of integers wrap around.

        `and`, `or` and `xor` take integers and truth values, shifts integers; `shift_right` repeats the sign bit.
        Counts of shifts are below the number of bits. `divide` and `remainder` (integers only) of integers with a sign
        go toward zero, for at most `Architecture.integer_bits`; 0 is no divisor, nor −1 of the least number.
        """

    def multiply_add(self, a: Ssa, b: Ssa, c: Ssa) -> Ssa:
        """a · b + c on floats: rounded once if the target has the instruction (`Target.fma`), else product and sum."""

    def scale(self, a: Ssa, k: Ssa) -> Ssa:
        """Floats: a · 2^⌊k⌋ for |k| < 500, rounded once; only where that is an instruction (`Target.scales`)."""

    def copy_sign(self, a: Ssa, sign: Ssa) -> Ssa:
        """Floats: the bits of `a` with the sign bit of `sign`, also for 0 and NaN."""

    def funnel_shift(self, high: Ssa, low: Ssa, count: Ssa) -> Ssa:
        """Integers: `high` shifted left by `count` modulo its bits; the bits of `low` are shifted in from the right."""

    def convert(self, value: Ssa, type: RegisterType, *, signed: bool = True) -> Ssa:
        """The number as another type of as many lanes.

        Integers to floats and floats to shorter ones round to nearest; floats to integers round toward 0 (and are
        undefined where that does not fit); a wider integer repeats the sign bit or, unless `signed`, has zeros (a truth
        value is an integer of one bit); a narrower one keeps the low bits.
        """

    def convert_saturating(self, value: Ssa, type: RegisterType) -> Ssa:
        """A float as an integer with a sign: toward zero, beyond the range its nearest end, and 0 for NaN.

        For at most `Architecture.integer_bits`.
        """

    def reinterpret(self, value: Ssa, type: RegisterType) -> Ssa:
        """The same bits as another type of as many lanes and bits."""

    def address_number(self, pointer: Ssa) -> Ssa:
        """A pointer as an index: its byte address."""

    def index_operation(self, operation: IndexOperation, a: Index, b: Index) -> Ssa:
        """An operation on indices that never overflows; `divide` takes non-negative numbers and rounds down."""

    # Comparisons and choices

    def compare(self, predicate: Predicate, a: Index, b: Index, *, unsigned: bool = False) -> Ssa:
        """Truth values of a comparison of two floats, integers, indices or pointers, lane by lane.

        Comparisons of floats are false if either is NaN (`!=` takes no floats); −0 equals 0.
        """

    def unordered(self, a: Ssa, b: Ssa) -> Ssa:
        """Whether at least one of two floats is NaN, lane by lane."""

    def select(self, condition: Ssa, a: Ssa, b: Ssa) -> Ssa:
        """The bits of `a` where the condition holds, else of `b`; lane by lane, or all by a scalar condition."""

    # Lanes

    def any_lane(self, mask: Ssa) -> Ssa:
        """Whether a truth value holds in at least one lane: a scalar."""

    def splat(self, scalar: Ssa, lanes: int) -> Ssa:
        """One scalar in every lane."""

    def shuffle(self, a: Ssa, b: Ssa | None, lanes: Sequence[int]) -> Ssa:
        """Lanes of `a`, and of `b` (numbered after those of `a`), in a new order; −1 leaves a lane undefined."""

    def look_up(self, table: Sequence[float], numbers: Ssa) -> Ssa:
        """Of 16 floats, those that the lowest 4 bits of 32-bit integers number; only where `Target.looks_up`."""

    def extract(self, vector: Ssa, lane: int) -> Ssa:
        """One lane as a scalar."""

    def insert(self, vector: Ssa, scalar: Ssa, lane: int) -> Ssa:
        """The vector with one lane replaced."""

    def opaque(self, value: Ssa) -> Ssa:
        """The same value; the back end must not recompute it from its operands."""

    # Memory

    def address(self, base: Ssa, offset: Index, element: RegisterType = FLOAT, *, inside: bool = True) -> Ssa:
        """The address `offset` elements after `base`; unless `inside`, it may lie outside the array of `base`."""

    def load(self, type: RegisterType, pointer: Ssa, align: int | None = None) -> Ssa:
        """Load adjacent elements into lanes; `align` is in bytes, by default the size of an element."""

    def masked_load(self, pointer: Ssa, mask: Ssa, otherwise: Ssa) -> Ssa:
        """As `load`, of the type of `otherwise`; lanes outside the mask are `otherwise` and touch no memory."""

    def store(self, value: Ssa, pointer: Ssa, align: int | None = None) -> None:
        """Store lanes to adjacent elements."""

    def prefetch(self, pointer: Ssa) -> None:
        """Prefetch a cache line: a hint, not an access; the address may be invalid."""

    # Between shards, and the processor

    def atomic_load(self, pointer: Ssa, order: Order) -> Ssa:
        """Load a 32-bit integer, with the order of C11's memory model."""

    def atomic_store(self, value: Ssa, pointer: Ssa, order: Order) -> None:
        """Store a 32-bit integer, with the order of C11's memory model."""

    def atomic_add(self, pointer: Ssa, value: int, order: Order) -> Ssa:
        """Add to a 32-bit integer; returns its former value."""

    def pause(self) -> None:
        """Tell the core that this is a spin loop."""

    def ticks(self) -> Ssa:
        """The processor's 64-bit counter of constant rate: x86's time stamp, AArch64's virtual count."""

    def cpuid(self, leaf: int, register: Literal["EAX", "EBX", "ECX", "EDX"]) -> Ssa:
        """A 32-bit register of a CPUID leaf (sub-leaf 0); x86-64 only."""

    def saved_state(self) -> Ssa:
        """The low 32 bits of XCR0: which registers the operating system saves; x86-64 only."""

    # Control flow

    def side_by_side(self, pieces: Sequence[Callable[[], Ssa]]) -> list[Ssa]:
        """The results of pieces of code that do not depend on each other; their instructions should alternate.

        They must not touch memory.
        """

    def fresh_label(self, hint: str) -> str:
        """A new label."""

    def label(self, name: str) -> None:
        """Begin a block; the block before must have ended."""

    def branch(self, label: str) -> None:
        """Branch to a label; ends a block."""

    def branch_if(self, condition: Ssa, yes: str, no: str) -> None:
        """Branch to one of two labels; ends a block."""

    def counted_loop(self, begin: Index, end: Index, step: int, carry: Sequence[Ssa]) -> AbstractContextManager[Loop]:
        """`for index in range(begin, end, step)`, with values carried from one iteration to the next.

        If both bounds are constant, there is at least one iteration.
        """
