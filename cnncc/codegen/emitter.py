"""The emitter that kernels call: the instructions of a back end, and operations composed of them.

Index arithmetic takes Python integers and values alike and folds constants. A vector of one lane is a scalar, so
kernels need no special case for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, Protocol

from .instructions import Instructions, Loop, Predicate
from .registers import FLOAT, INT32, Index, Ssa


class Emitter(Instructions, Protocol):
    """Emits functions of one module. A back end is a class that inherits this and has all `Instructions`."""

    # Index arithmetic

    def value(self, index: Index) -> Ssa:
        """An index as a value."""
        return index if isinstance(index, Ssa) else self.constant(index, self.index_type)

    def add(self, a: Index, b: Index) -> Index:
        """a + b."""
        if isinstance(a, int) and isinstance(b, int):
            return a + b
        if a == 0 or b == 0:
            return b if a == 0 else a
        return self.index_operation("add", a, b)

    def sub(self, a: Index, b: Index) -> Index:
        """a − b."""
        if isinstance(b, int):
            return self.add(a, -b)
        return self.index_operation("subtract", a, b)

    def mul(self, a: Index, b: Index) -> Index:
        """a · b."""
        if isinstance(a, int) and isinstance(b, int):
            return a * b
        if a == 0 or b == 0:
            return 0
        if a == 1 or b == 1:
            return b if a == 1 else a
        return self.index_operation("multiply", a, b)

    def div(self, a: Index, b: Index) -> Index:
        """Quotient of non-negative numbers."""
        if b == 1:
            return a
        return a // b if isinstance(a, int) and isinstance(b, int) else self.index_operation("divide", a, b)

    def remainder(self, a: Index, b: int) -> Index:
        """a modulo b for non-negative a."""
        return self.sub(a, self.mul(self.div(a, b), b)) if b > 1 else 0

    def mask(self, a: Index, bits: int) -> Index:
        """a modulo (bits + 1), a power of two; right for negative a too."""
        return a & bits if isinstance(a, int) else self.index_operation("and", a, bits)

    def least(self, a: Index, b: Index) -> Index:
        """The smaller one."""
        if isinstance(a, int) and isinstance(b, int):
            return min(a, b)
        return self.choose(self.compare("<", a, b), a, b)

    def largest(self, a: Index, b: Index) -> Index:
        """The larger one."""
        if isinstance(a, int) and isinstance(b, int):
            return max(a, b)
        return self.choose(self.compare(">", a, b), a, b)

    def choose(self, condition: Ssa, a: Index, b: Index) -> Ssa:
        """`a` where the condition holds, else `b` (indices)."""
        return self.select(condition, self.value(a), self.value(b))

    def all_of(self, conditions: Sequence[Ssa]) -> Ssa | None:
        """Conjunction; None for none (always true)."""
        result: Ssa | None = None
        for condition in conditions:
            result = condition if result is None else self.binary("and", result, condition)
        return result

    # Control flow

    @contextmanager
    def loop(self, begin: Index, end: Index, step: int = 1, carry: Sequence[Ssa] = ()) -> Iterator[Loop]:
        """`for index in range(begin, end, step)` with values carried from one iteration to the next.

        With constant bounds, a loop of one iteration is emitted as its body alone.
        """
        if isinstance(begin, int) and isinstance(end, int) and begin < end <= begin + step:
            once = Loop(begin, list(carry))
            yield once
            once.results = once.carried
            return
        with self.counted_loop(begin, end, step, carry) as loop:
            yield loop

    @contextmanager
    def when(self, condition: Ssa) -> Iterator[None]:
        """The body runs only if the condition holds."""
        yes, after = self.fresh_label("then"), self.fresh_label("done")
        self.branch_if(condition, yes, after)
        self.label(yes)
        yield
        self.branch(after)
        self.label(after)

    def if_any(self, mask: Ssa, body: Callable[[], list[Ssa]], otherwise: Sequence[Ssa]) -> list[Ssa]:
        """The values of `body`, which runs only where the mask holds in some lane, or else `otherwise`."""
        with self.loop(0, self.choose(self.any_lane(mask), 1, 0), carry=otherwise) as once:
            once.next(body())
        return once.results

    # Vectors

    def number(self, value: float, lanes: int) -> Ssa:
        """A float in every lane."""
        return self.constant(value, FLOAT.wide(lanes))

    def join(self, a: Ssa, b: Ssa) -> Ssa:
        """The lanes of `a`, then those of `b`."""
        lanes = a.lanes + b.lanes
        order = [lane if lane < a.lanes else lanes + lane - a.lanes for lane in range(lanes)]
        return self.shuffle(self.resize(a, lanes), self.resize(b, lanes), order)

    def resize(self, value: Ssa, lanes: int) -> Ssa:
        """The first `lanes` lanes; additional lanes are undefined."""
        if value.lanes == lanes:
            return value
        return self.shuffle(value, None, [lane if lane < value.lanes else -1 for lane in range(lanes)])

    def maximum(self, a: Ssa, b: Ssa) -> Ssa:
        """The larger one of numbers; NaN if either is NaN. Of 0 and −0 it is `a`."""
        return self._better("<", a, b)

    def minimum(self, a: Ssa, b: Ssa) -> Ssa:
        """The smaller one of numbers; NaN if either is NaN. Of 0 and −0 it is `a`."""
        return self._better(">", a, b)

    def _better(self, predicate: Predicate, a: Ssa, b: Ssa) -> Ssa:
        """`b` where the predicate holds, else `a`.

        With a constant `b` one comparison is enough (x86's maxps returns its second operand for NaN); otherwise a
        second comparison keeps a NaN of `b`.
        """
        better = self.select(self.compare(predicate, a, b), b, a)
        if a.type.kind != "float" or (b.constant is not None and not math.isnan(b.constant)):
            return better
        return self.select(self.unordered(b, b), b, better)

    def larger(self, a: Ssa, b: Ssa) -> Ssa:
        """The larger one of numbers, none of which is NaN. Of 0 and −0 it is `b`."""
        return self.select(self.compare(">", a, b), a, b)

    def extreme(self, kind: Literal["maximum", "minimum"], values: Sequence[Ssa]) -> Ssa:
        """The largest or smallest of several numbers; NaN if any is NaN.

        A comparison with NaN fails and yields the later value, so only NaNs before the last value are lost; one test
        finds a NaN in two of these values.
        """
        predicate: Predicate = ">" if kind == "maximum" else "<"
        result, *later = values
        for value in later:
            result = self.select(self.compare(predicate, result, value), result, value)
        if result.type.kind != "float":
            return result
        earlier = values[:-1]
        lost: Ssa | None = None
        for a, b in zip(earlier[::2], [*earlier[1::2], earlier[-1]], strict=False):
            test = self.unordered(a, b)
            lost = test if lost is None else self.binary("or", lost, test)
        assert lost is not None
        return self.select(lost, self.number(math.nan, result.lanes), result)

    # Memory (raw; kernels go through `codegen.memory`)

    def load_index(self, table: Ssa, index: Index) -> Ssa:
        """An entry of a table of 32-bit indices."""
        return self.convert(self.load(INT32, self.address(table, index, INT32)), self.index_type)
