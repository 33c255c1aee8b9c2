"""Blocks and loops of a function."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from ..instructions import Loop
from ..registers import Index, Ssa
from .text import spell
from .values import Values


class Control(Values):
    """Instructions that end a block or begin one."""

    def declare(self, name: str, result: str, parameters: Sequence[str]) -> None:
        """Declare an intrinsic once."""
        if name not in self.declarations:
            self.declarations[name] = f"declare {result} {name}({', '.join(parameters)})"

    # Blocks

    def label(self, name: str) -> None:
        self.lines.append(f"{name}:")
        self.begin_block(name)

    def fresh_label(self, hint: str) -> str:
        self.counter += 1
        return f"{hint}{self.counter}"

    def branch(self, label: str) -> None:
        self.emit(f"br label %{label}")

    def branch_if(self, condition: Ssa, yes: str, no: str) -> None:
        self.emit(f"br i1 {condition.name}, label %{yes}, label %{no}")

    def ret(self, value: Ssa | None = None) -> None:
        self.emit(f"ret {spell(value.type)} {value.name}" if value else "ret void")

    def side_by_side(self, pieces: Sequence[Callable[[], Ssa]]) -> list[Ssa]:
        """Line by line, unless a piece has blocks of its own."""
        first, block, known = len(self.lines), self.block, self.known
        results, parts = [], []
        for piece in pieces:
            begin, self.known = len(self.lines), {}  # lines of another piece may come later
            results.append(piece())
            parts.append(self.lines[begin:])
        if self.block == block:
            turns = itertools.zip_longest(*parts)
            self.lines[first:] = [line for turn in turns for line in turn if line is not None]
            self.known = known
        return results

    # Loops

    @contextmanager
    def counted_loop(self, begin: Index, end: Index, step: int, carry: Sequence[Ssa]) -> Iterator[Loop]:
        """The test is at the end of the body, unless there may be no iteration."""
        known = isinstance(begin, int) and isinstance(end, int) and begin < end
        head, body, after = (self.fresh_label(hint) for hint in ("head", "body", "after"))
        before = self.block
        self.branch(head)
        self.label(head)
        index, phis = self.named("i", self.index_type), [self.named("p", value.type) for value in carry]
        place = len(self.lines)
        if not known:
            self.branch_if(self.compare("<", index, end), body, after)
            self.label(body)
        loop = Loop(index, phis)
        yield loop
        counter, hidden = index, list[str]()
        if self.block == (head if known else body):
            self.share_pointers()
        else:
            counter = self.named("i", self.index_type)
            hidden = self.hidden(index, counter)
        advanced = self.value(self.add(counter, step))
        latch = self.block
        if known:
            self.branch_if(self.compare("<", advanced, end), head, after)
        else:
            self.branch(head)
        ends = [(counter, self.value(begin), advanced), *zip(phis, carry, loop.carried, strict=True)]
        self.lines[place:place] = [
            f"  {phi} = phi {spell(phi.type)} [ {first}, %{before} ], [ {again}, %{latch} ]"
            for phi, first, again in ends
        ] + hidden
        self.label(after)
        loop.results = list(loop.carried) if known else phis
