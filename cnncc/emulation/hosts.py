"""How a program gives its results to the world: rows of its table of calls (see `starts.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from .memory import Memory, Region
from .starts import Linux, Semihosting, Start

ANSWER = "answer"
"""The file that a program on a board writes; one of Linux writes to its standard output."""
Row = tuple[int, ...]


class Host(Protocol):
    """`opening` are the rows before the first `write`, `exit` is the last one."""

    @property
    def opening(self) -> Sequence[Row]: ...

    def write(self, region: Region) -> Row: ...

    @property
    def exit(self) -> Row: ...


@dataclass(frozen=True)
class _LinuxHost:
    calls: Linux
    system: int  # a pointer to the function
    opening: Sequence[Row] = ()

    def write(self, region: Region) -> Row:
        return self.system, self.calls.write, 1, region.address, region.size

    @property
    def exit(self) -> Row:
        return self.system, self.calls.exit, 0, 0, 0


@dataclass(frozen=True)
class _Emulator:
    """Arguments stand in memory, one block for each call."""

    calls: Semihosting
    system: int
    memory: Memory

    @property
    def opening(self) -> Sequence[Row]:
        name = self.memory.place(ANSWER.encode() + b"\0")
        return (self._row(self.calls.open, self.memory.words([name, self.calls.binary, len(ANSWER)])),)

    def write(self, region: Region) -> Row:
        block = self.memory.words([self.calls.first_file, region.address, region.size])
        return self._row(self.calls.write, block)

    @property
    def exit(self) -> Row:
        return self._row(self.calls.exit, self.calls.finished)

    def _row(self, number: int, argument: int) -> Row:
        return self.system, number, argument, 0, 0


def host(start: Start, system: int, memory: Memory) -> Host:
    """The host of a machine; `system` points to the function that calls it."""
    if isinstance(start.host, Linux):
        return _LinuxHost(start.host, system)
    return _Emulator(start.host, system, memory)
