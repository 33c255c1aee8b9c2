"""Taking a COFF object apart, for the linker (Microsoft, PE Format). What a relocation adds stands in its bytes."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from ..errors import NativeError
from .coff import name_of
from .fixes import FIXES, a64_scale, gathered, signed
from .pieces import Fix, Label, Pieces, Section

_HEAD = struct.Struct("<HHIIIHH")  # machine, sections, time, place and number of symbols, size of a second head, flags
_SECTION = struct.Struct(
    "<8sIIIIIIHHI"
)  # name, two sizes, bytes and their place, relocations' and lines', counts, flags
_SYMBOL = struct.Struct("<8sIhHBB")  # name, value, section, type, class, records that follow
_RELOCATION = struct.Struct("<IIH")  # place, symbol, kind
_X86_64, _AARCH64 = 0x8664, 0xAA64
_READABLE, _REMOVED, _EMPTY, _MANY = 0x4000_0000, 0x0200_0800, 0x80, 0x0100_0000  # flags of sections
_UNWINDING = (".pdata", ".xdata")
_EXTERNAL = (2, 105)  # classes of symbols
_PAGE_PARTS = ((0, 2, 29), (2, 19, 5))  # of ADRP: here the distance in bytes


class _Header(NamedTuple):
    """That of a section."""

    name: bytes
    memory_size: int
    address: int
    size: int
    place: int
    relocations: int
    lines: int
    relocation_count: int
    line_count: int
    flags: int


def coff_pieces(code: bytes) -> Pieces:
    """Take an object apart. Raises NativeError for anything else, or a relocation that is not known."""
    if len(code) < _HEAD.size or int.from_bytes(code[:2], "little") not in (_X86_64, _AARCH64):
        raise NativeError("not a COFF object")
    try:
        return _pieces(code)
    except (struct.error, IndexError, ValueError) as error:
        raise NativeError(f"damaged COFF file: {error}") from error


def _pieces(code: bytes) -> Pieces:
    machine, count, _, symbols, symbol_count, second, _ = _HEAD.unpack_from(code)
    strings = symbols + symbol_count * _SYMBOL.size
    start = _HEAD.size + second
    headers = [_Header(*_SECTION.unpack_from(code, start + number * _SECTION.size)) for number in range(count)]
    names = [name_of(code, header.name, strings) for header in headers]
    loaded = [
        number
        for number, header in enumerate(headers)
        if header.flags & _READABLE and not header.flags & _REMOVED and names[number] not in _UNWINDING
    ]
    sections = tuple(_section(code, headers[number], names[number]) for number in loaded)
    places = {number: index for index, number in enumerate(loaded)}
    labels = tuple(_labels(code, symbols, symbol_count, strings, places))
    fixes = tuple(
        fix
        for number, index in places.items()
        for fix in _fixes(code, headers[number], index, sections[index].data, machine)
    )
    return Pieces(sections, labels, fixes)


def _section(code: bytes, header: _Header, name: str) -> Section:
    size, place = header.size, header.place
    data = bytes(size) if header.flags & _EMPTY else code[place : place + size]
    if len(data) != size:
        raise ValueError("it is cut short")
    return Section(name, data, 1 << max((header.flags >> 20 & 0xF) - 1, 0))


def _labels(code: bytes, at: int, count: int, strings: int, places: dict[int, int]) -> Iterator[Label]:
    """A label for each record, so that numbers stay what they are."""
    place = 0
    while place < count:
        field, value, section, _, kind, more = _SYMBOL.unpack_from(code, at + place * _SYMBOL.size)
        name = name_of(code, field, strings)
        yield Label(name, places.get(section - 1), value, kind in _EXTERNAL and section > 0, kind == _EXTERNAL[1])
        yield from [Label("", None, 0)] * more
        place += 1 + more


def _fixes(code: bytes, header: _Header, section: int, data: bytes, machine: int) -> Iterator[Fix]:
    start, count = header.relocations, header.relocation_count
    if header.flags & _MANY and count == 0xFFFF:
        count, start = _RELOCATION.unpack_from(code, start)[0] - 1, start + _RELOCATION.size
    read = _of_x86 if machine == _X86_64 else _of_aarch64
    for number in range(count):
        at, label, kind = _RELOCATION.unpack_from(code, start + number * _RELOCATION.size)
        fix, addend = read(kind, data, at)
        yield Fix(section, at, fix, label, addend)


def _of_x86(kind: int, data: bytes, at: int) -> tuple[str, int]:
    """A distance counts from the end of the instruction, which ends up to 5 bytes behind the field."""
    if kind == 1:
        return "word64", _held(data, at, 8)
    if 4 <= kind <= 9:
        return "from32", signed(_held(data, at, 4), 32) - kind
    raise NativeError(f"a COFF object has relocation {kind} of x86-64, which is not known")


def _of_aarch64(kind: int, data: bytes, at: int) -> tuple[str, int]:
    word = _held(data, at, 4)
    if kind == 3:
        get = FIXES["a64_jump"].get
        assert get is not None
        return "a64_jump", get(word)
    if kind == 4:
        return "a64_page", signed(gathered(word, *_PAGE_PARTS), 21)
    if kind in (6, 7):
        scale = a64_scale(word) if kind == 7 else 1
        return f"a64_low{scale}", gathered(word, (0, 12, 10)) * scale
    if kind == 14:
        return "word64", _held(data, at, 8)
    raise NativeError(f"a COFF object has relocation {kind} of aarch64, which is not known")


def _held(data: bytes, at: int, size: int) -> int:
    if at + size > len(data):
        raise ValueError("a relocation lies behind its section")
    return int.from_bytes(data[at : at + size], "little")
