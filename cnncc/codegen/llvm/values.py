"""The lines of a function under construction, and the values that they define.

No middle-end pass of LLVM runs on this text, so what follows here is done while it is written.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from ..emitter import Emitter
from ..instructions import IndexOperation
from ..registers import FLOAT, POINTER, Index, RegisterType, Ssa
from .text import INDEX_OPERATIONS, spell

SHARED_FROM = 4  # addresses that make it worth to compute the first of them into a register


@dataclass
class Pointer:
    """The first of the addresses in a block that differ by a constant: its constant, its line, how many there are."""

    value: Ssa
    constant: int
    line: str
    count: int = 1


class Values(Emitter):
    """Gives names to values. Of equal instructions of a block, only the first is written."""

    def __init__(self) -> None:
        self.declarations: dict[str, str] = {}
        self.begin_function()

    def begin_function(self) -> None:
        self.lines: list[str] = []
        self.counter = 0  # of the last name
        self.sums: dict[str, tuple[Ssa, int]] = {}
        self.replaced: dict[str, str] = {}
        self.begin_block("entry")

    def begin_block(self, name: str) -> None:
        """Values of other blocks are not looked up: that would keep them in registers for long."""
        self.block = name
        self.known: dict[str, Ssa] = {}
        self.pointers: dict[tuple[str, str, RegisterType, bool], Pointer] = {}

    def body(self) -> str:
        """The lines of the function, but not the sums of which only other sums and addresses were made."""
        text = "\n".join([self.replaced.get(line, line) for line in self.lines])
        times = Counter(re.findall(r"%s\d+", text))
        return re.sub(r"\n  (%s\d+) = .*", lambda line: "" if times[line[1]] == 1 else line[0], text)

    def emit(self, text: str) -> None:
        """An instruction without a result."""
        self.lines.append(f"  {text}")

    def named(self, prefix: str, type: RegisterType) -> Ssa:
        self.counter += 1
        return Ssa(type, f"%{prefix}{self.counter}")

    def assign(self, type: RegisterType, text: str, prefix: str = "x") -> Ssa:
        """A new value defined by the instruction `text`."""
        self.counter += 1
        name = f"%{prefix}{self.counter}"
        self.lines.append(f"  {name} = {text}")
        return Ssa(type, name)

    def compute(self, type: RegisterType, text: str, prefix: str = "x") -> Ssa:
        """The value of an instruction whose result depends on its operands alone."""
        value = self.known.get(text)
        if value is None:
            value = self.known[text] = self.assign(type, text, prefix)
        return value

    # Indices: each is a value plus a constant, which is added last

    def index_operation(self, operation: IndexOperation, a: Index, b: Index) -> Ssa:
        (x, p), (y, q) = self._parts(a), self._parts(b)
        if operation == "multiply" and (x is None or y is None):
            return self._sum(self._index(operation, x or p, y or q), p * q)
        if operation == "add":
            return self._sum(self._index(operation, x, y) if x and y else x or y, p + q)
        if operation == "subtract" and x and y:
            return self._sum(self._index(operation, x, y), p - q)
        return self._index(operation, a, b)

    def _parts(self, index: Index) -> tuple[Ssa | None, int]:
        return (None, index) if isinstance(index, int) else self.sums.get(index.name, (index, 0))

    def _sum(self, variable: Ssa | None, constant: int) -> Ssa:
        assert variable is not None, "sums of constants are folded by the emitter"
        if constant == 0:
            return variable
        result = self._index("add", variable, constant, "s")
        self.sums[result.name] = variable, constant
        return result

    def _index(self, operation: IndexOperation, a: Index, b: Index, prefix: str = "x") -> Ssa:
        type = self.index_type
        return self.compute(type, f"{INDEX_OPERATIONS[operation]} {spell(type)} {a}, {b}", prefix)

    # Addresses

    def address(self, base: Ssa, offset: Index, element: RegisterType = FLOAT, *, inside: bool = True) -> Ssa:
        """If one that differs by a constant is known in this block, the address is a distance from that one."""
        if offset == 0 and inside:
            return base
        variable, constant = self._parts(offset)
        if variable is None:
            return self._address(base, offset, element, inside)
        key = base.name, variable.name, element, inside
        first = self.pointers.get(key)
        if first is None:
            value = self._address(base, offset, element, inside)
            self.pointers[key] = Pointer(value, constant, self.lines[-1])
            return value
        if constant == first.constant:
            return first.value
        first.count += 1
        return self._address(first.value, constant - first.constant, element, inside)

    def _address(self, base: Ssa, offset: Index, element: RegisterType, inside: bool) -> Ssa:
        name, by = f"getelementptr{' inbounds' if inside else ''}", self.value(offset)
        return self.compute(POINTER, f"{name} {spell(element)}, ptr {base.name}, {spell(by.type)} {by.name}")

    # What loop strength reduction need not look at (codegen/README.md, "Compile time")

    def share_pointers(self) -> None:
        """In the block that is a whole loop: one induction variable for all addresses that differ by a constant.

        LLVM does not look through `freeze`, and the distances become part of the loads and stores.
        """
        for first in self.pointers.values():
            if first.count >= SHARED_FROM:
                name, variable = first.value.name, f"{first.value.name}v"
                line = first.line.replace(name, variable, 1)
                self.replaced[first.line] = f"{line}\n  {name} = freeze ptr {variable}"

    def hidden(self, index: Ssa, counter: Ssa) -> list[str]:
        """Lines that make `index` of the counter of a loop around others, so that nothing is derived from the counter.

        (A `freeze` of the counter itself would be moved out of the loop.)
        """
        type = spell(index.type)
        return [f"  {counter}v = add {type} {counter}, 0", f"  {index} = freeze {type} {counter}v"]
