"""Writing ELF objects that hold only bytes: notes, and megabytes of weights, for which LLVM would need text."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ..abi import ALIGNMENT
from ..alignment import rounded_up
from ..machine.target import Target

_RELOCATABLE, _OBJECT_OF_ALL = 1, 0x11  # kind of file; symbol info: global, an object
_BITS, _SYMBOLS, _STRINGS, _NOTE = 1, 2, 3, 7  # section types
_ALLOCATED = 2  # section flag: read-only memory


@dataclass(frozen=True)
class _Records:
    """The records of one word size."""

    word_class: int
    head: str  # type, machine, version, entry, offsets of segments and sections, flags, six counts
    section: str  # name, type, flags, address, offset, size, link, info, alignment, size of an entry
    symbol: str

    def symbol_record(self, name: int, section: int, size: int, info: int) -> bytes:
        values = (name, 0, size, info, 0, section) if self.word_class == 1 else (name, info, 0, section, 0, size)
        return struct.pack(self.symbol, *values)


_RECORDS = {
    32: _Records(1, "<HHIIIIIHHHHHH", "<IIIIIIIIII", "<IIIBBH"),
    64: _Records(2, "<HHIQQQIHHHHHH", "<IIQQQQIIQQ", "<IBBHQQ"),
}


def data_object(symbol: str, data: bytes | memoryview, target: Target, section: str = "") -> bytes:
    """A relocatable object that defines `symbol` as these bytes, read-only and aligned. No executable stack."""
    return _object(section or ".rodata", _BITS, target.alignment, data, symbol, target)


def note_object(owner: bytes, kind: int, data: bytes, target: Target) -> bytes:
    """A relocatable object with one note, which a linker copies to a note segment."""
    head = struct.pack("<III", len(owner) + 1, len(data), kind) + owner + b"\0"
    note = head.ljust(rounded_up(len(head), 4), b"\0") + data
    return _object(f".note.{owner.decode()}", _NOTE, 4, note, None, target)


def _object(
    section: str, kind: int, alignment: int, data: bytes | memoryview, symbol: str | None, target: Target
) -> bytes:
    """header | bytes | table of symbols | names | table of sections"""
    records, row = _RECORDS[target.pointer_bits], target.isa
    head_bytes = 16 + struct.calcsize(records.head)
    strings = _Strings()
    symbols = records.symbol_record(0, 0, 0, 0)
    if symbol is not None:
        symbols += records.symbol_record(strings.add(symbol), 1, len(data), _OBJECT_OF_ALL)
    names = [strings.add(name) for name in (section, ".note.GNU-stack", ".symtab", ".strtab")]
    data_at = rounded_up(head_bytes, ALIGNMENT)
    symbols_at = rounded_up(data_at + len(data), 8)
    strings_at = symbols_at + len(symbols)
    sections_at = rounded_up(strings_at + len(strings.data), 8)
    entry = struct.calcsize(records.symbol)
    sections = [
        (0,) * 10,
        (names[0], kind, _ALLOCATED, 0, data_at, len(data), 0, 0, alignment, 0),
        (names[1], _BITS, 0, 0, symbols_at, 0, 0, 0, 1, 0),
        (names[2], _SYMBOLS, 0, 0, symbols_at, len(symbols), 4, 1, 8, entry),  # names in section 4, one local symbol
        (names[3], _STRINGS, 0, 0, strings_at, len(strings.data), 0, 0, 1, 0),
    ]
    counts = (head_bytes, 0, 0, struct.calcsize(records.section), len(sections), 4)
    head = b"\x7fELF" + bytes([records.word_class, 1, 1]).ljust(12, b"\0")
    head += struct.pack(records.head, _RELOCATABLE, row.elf_machine, 1, 0, 0, sections_at, target.elf_flags, *counts)
    table = b"".join(struct.pack(records.section, *section) for section in sections)
    return b"".join(
        (
            head.ljust(data_at, b"\0"),
            data,
            bytes(symbols_at - data_at - len(data)),
            symbols,
            strings.data.ljust(sections_at - strings_at, b"\0"),
            table,
        )
    )


class _Strings:
    """A string table; each name is identified by its offset."""

    def __init__(self) -> None:
        self.data = b"\0"

    def add(self, name: str) -> int:
        place = len(self.data)
        self.data += name.encode() + b"\0"
        return place
