"""COFF, the objects of Windows (Microsoft, PE Format): reading symbols and sections, writing objects of bytes."""

from __future__ import annotations

import struct

from ..errors import NativeError
from ..machine.target import Target
from .format import Section, Symbol

MACHINES = {"x86-64": 0x8664, "aarch64": 0xAA64}
HEAD = struct.Struct(
    "<HHIIIHH"
)  # machine, sections, time, place and number of symbols, size of an optional head, flags
SECTION = struct.Struct("<8sIIIIIIHHI")  # name, two sizes, place; bytes, place; relocations and lines; what it is
SYMBOL = struct.Struct("<8sIhHBB")  # name, value, section, type, class, records that follow
_GLOBAL = (2, 105)  # classes: external, weak external
_CONSTANTS = 0x4070_0040  # a section that is readable, aligned to 64, and has initial values


def global_symbols(code: bytes) -> tuple[Symbol, ...]:
    """All global and weak symbols, in the table's order. Raises NativeError for anything but COFF objects."""
    _, _, at, count = _head(code)
    names, found, place = at + count * SYMBOL.size, [], 0
    try:
        while place < count:
            name, value, section, _, kind, more = SYMBOL.unpack_from(code, at + place * SYMBOL.size)
            if kind in _GLOBAL:
                found.append(Symbol(name_of(code, name, names), section != 0 or value != 0))
            place += 1 + more
    except (struct.error, ValueError) as error:
        raise NativeError(f"damaged COFF file: {error}") from error
    return tuple(found)


def sections(code: bytes) -> tuple[Section, ...]:
    """All sections. Raises NativeError as `global_symbols` does."""
    number, start, at, count = _head(code)
    found = []
    try:
        for place in range(number):
            name, _, _, size, data, *_ = SECTION.unpack_from(code, start + place * SECTION.size)
            text = name_of(code, name, at + count * SYMBOL.size)
            found.append(Section(text, code[data : data + size] if data else b""))
    except (struct.error, ValueError) as error:
        raise NativeError(f"damaged COFF file: {error}") from error
    return tuple(found)


def data_object(symbol: str, data: bytes | memoryview, target: Target, section: str = "") -> bytes:
    """A relocatable object that defines `symbol` as these bytes, read-only and aligned to 64."""
    start = HEAD.size + SECTION.size
    name = symbol.encode() + b"\0"
    head = HEAD.pack(MACHINES[target.architecture], 1, 0, start + len(data), 1, 0, 0)
    header = SECTION.pack(section.encode() or b".rdata", 0, 0, len(data), start, 0, 0, 0, 0, _CONSTANTS)
    record = SYMBOL.pack(struct.pack("<II", 0, 4), 0, 1, 0, _GLOBAL[0], 0)  # its name stands at 4 of the strings
    return b"".join((head, header, data, record, struct.pack("<I", 4 + len(name)), name))


def _head(code: bytes) -> tuple[int, int, int, int]:
    """The number of sections, where their table begins, where that of symbols does, and their number."""
    if len(code) < HEAD.size or code[:2] not in [struct.pack("<H", number) for number in MACHINES.values()]:
        raise NativeError("not a COFF object")
    _, number, _, at, count, optional, _ = HEAD.unpack_from(code)
    return number, HEAD.size + optional, at, count


def name_of(code: bytes, field: bytes, strings: int) -> str:
    """A name of up to 8 bytes, or one in the table of strings: of a symbol by number, of a section in digits."""
    if field[:4] == bytes(4):
        start = strings + int.from_bytes(field[4:], "little")
    elif field[:1] == b"/":
        start = strings + int(field[1:].rstrip(b"\0"))
    else:
        return field.rstrip(b"\0").decode()
    return code[start : code.index(b"\0", start)].decode()
