"""Taking Arm's unwind tables out of an object: LLVM writes them even for functions that never unwind (8 bytes each)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection

from .elf import sections

_TABLES = (".ARM.exidx", ".rel.ARM.exidx")
_SECTION = struct.Struct("<10I")  # name, type, flags, address, offset, size, link, info, alignment, size of an entry
_SYMBOL = struct.Struct("<IIIBBH")  # …, section
_SYMBOLS, _RELOCATIONS = 2, (4, 9)  # types of sections; of the latter, "info" is a section
_WORDS_OF_32, _TABLE_AT, _COUNTS_AT = 1, 0x20, 0x30  # places in the head: of the table; of number of sections and names
_RESERVED = 0xFF00  # from here on, numbers of sections are none


def without_unwinding(code: bytes) -> bytes:
    """The object without its unwind tables, which nothing else refers to. Raises NativeError unless it is ELF."""
    removed = [number for number, section in enumerate(sections(code), 1) if section.name.startswith(_TABLES)]
    if not removed:
        return code
    assert code[4] == _WORDS_OF_32
    (start,), (count, names) = struct.unpack_from("<I", code, _TABLE_AT), struct.unpack_from("<2H", code, _COUNTS_AT)
    new, made, kept = _numbering(count, removed), bytearray(code), []
    for number, fields in enumerate(_SECTION.iter_unpack(code[start : start + count * _SECTION.size])):
        name, kind, flags, address, offset, size, link, info, *more = fields
        if number in removed:
            made[offset : offset + size] = bytes(size)
            continue
        if kind == _SYMBOLS:
            _renumber(made, offset, size, new)
        info = new(info) if kind in _RELOCATIONS else info
        kept.append(_SECTION.pack(name, kind, flags, address, offset, size, new(link), info, *more))
    struct.pack_into("<2H", made, _COUNTS_AT, len(kept), new(names))
    made[start : start + count * _SECTION.size] = b"".join(kept)
    return bytes(made)


def _numbering(count: int, removed: Collection[int]) -> Callable[[int], int]:
    """The new number of a section."""
    kept = [number for number in range(count) if number not in removed]
    places = {number: place for place, number in enumerate(kept)}
    return lambda number: places[number] if number < _RESERVED else number


def _renumber(made: bytearray, start: int, size: int, new: Callable[[int], int]) -> None:
    """The sections of symbols under their new numbers."""
    for at in range(start, start + size, _SYMBOL.size):
        *fields, section = _SYMBOL.unpack_from(made, at)
        _SYMBOL.pack_into(made, at, *fields, new(section))
