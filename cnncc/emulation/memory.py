"""The memory of a program: blocks one after the other, each ending where a page does, with an empty page behind it."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from ..alignment import rounded_up
from ..objects.elf_program import Block
from ..objects.linker import PAGE, Placed, place_at_end


@dataclass(frozen=True)
class Region:
    """Bytes of memory."""

    address: int
    size: int

    @property
    def end(self) -> int:
        return self.address + self.size


class Memory:
    """Blocks by their addresses. The next one comes to lie at `end` or behind it; words are of `pointer_bits`."""

    def __init__(self, end: int, pointer_bits: int):
        self.end, self._word = end, "<I" if pointer_bits == 32 else "<Q"
        self._parts: list[tuple[int, bytearray, bool, bool]] = []

    @property
    def blocks(self) -> list[Block]:
        return [Block(at, bytes(data), writable, executable) for at, data, writable, executable in self._parts]

    def place(self, data: bytes, alignment: int = 8, *, executable: bool = False) -> int:
        """Take the next place for bytes that are only read; their address."""
        return self._take(place_at_end(len(data), alignment, self.end), data, False, executable)

    def writable(self, data: bytes, alignment: int = 8) -> Region:
        """Take the next place for bytes that may be written."""
        return Region(self._take(place_at_end(len(data), alignment, self.end), data, True, False), len(data))

    def words(self, values: Iterable[int]) -> int:
        """The address of these words, which are only read."""
        return self.place(self.packed(values))

    def linked(self, placed: Placed, *, executable: bool) -> None:
        """Take what was linked to an address of its own."""
        self._take(placed.address, placed.data, False, executable)

    def at(self, address: int, data: bytes) -> None:
        """Take the place at an address that is free; the next place stays what it is."""
        self._parts.append((address, bytearray(data), False, False))

    def packed(self, values: Iterable[int]) -> bytes:
        return b"".join(struct.pack(self._word, value) for value in values)

    def fill(self, address: int, data: bytes) -> None:
        """Write into a block."""
        for at, held, _, _ in self._parts:
            if at <= address < at + len(held):
                held[address - at : address - at + len(data)] = data

    def _take(self, at: int, data: bytes, writable: bool, executable: bool) -> int:
        self._parts.append((at, bytearray(data), writable, executable))
        self.end = rounded_up(at + len(data), PAGE) + PAGE
        return at
