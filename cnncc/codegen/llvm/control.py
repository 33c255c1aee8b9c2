"""Lines, blocks and loops of a function."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from ..emitter import Emitter
from ..instructions import Loop
from ..registers import Index, RegisterType, Ssa
from .text import spell


class Control(Emitter):
    """The function under construction: its lines, the number of the last name, and the current block."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.counter = 0
        self.block = ""
        self.declarations: dict[str, str] = {}

    def emit(self, text: str) -> None:
        """An instruction without a result."""
        self.lines.append(f"  {text}")

    def assign(self, type: RegisterType, text: str) -> Ssa:
        """A new value defined by the instruction `text`."""
        self.counter += 1
        name = f"%x{self.counter}"
        self.lines.append(f"  {name} = {text}")
        return Ssa(type, name)

    def declare(self, name: str, result: str, parameters: Sequence[str]) -> None:
        """Declare an intrinsic once."""
        if name not in self.declarations:
            self.declarations[name] = f"declare {result} {name}({', '.join(parameters)})"

    # Blocks

    def label(self, name: str) -> None:
        self.lines.append(f"{name}:")
        self.block = name

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
        first, block = len(self.lines), self.block
        results, parts = [], []
        for piece in pieces:
            begin = len(self.lines)
            results.append(piece())
            parts.append(self.lines[begin:])
        if self.block == block:
            turns = itertools.zip_longest(*parts)
            self.lines[first:] = [line for turn in turns for line in turn if line is not None]
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
        index, phis = self._named("i", self.index_type), [self._named("p", value.type) for value in carry]
        place = len(self.lines)
        if not known:
            self.branch_if(self.compare("<", index, end), body, after)
            self.label(body)
        loop = Loop(index, phis)
        yield loop
        advanced = self.value(self.add(index, step))
        latch = self.block
        if known:
            self.branch_if(self.compare("<", advanced, end), head, after)
        else:
            self.branch(head)
        ends = [(index, self.value(begin), advanced), *zip(phis, carry, loop.carried, strict=True)]
        self.lines[place:place] = [
            f"  {phi} = phi {spell(phi.type)} [ {first}, %{before} ], [ {again}, %{latch} ]"
            for phi, first, again in ends
        ]
        self.label(after)
        loop.results = list(loop.carried) if known else phis

    def _named(self, prefix: str, type: RegisterType) -> Ssa:
        self.counter += 1
        return Ssa(type, f"%{prefix}{self.counter}")
