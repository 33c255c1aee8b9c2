"""Reading ELF files: what an object defines and still needs, and whether a library is whole enough to be loaded."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ..errors import NativeError

_SYMBOL_TABLE, _DYNAMIC_SYMBOLS = 2, 11  # section types
_NO_BITS = 8  # section type without bytes in the file
_UNDEFINED = 0  # section index of a symbol that is wanted
_LOCAL = 0  # binding
_SHARED = 3  # file type
_LOAD = 1  # segment type


@dataclass(frozen=True)
class _Layout:
    """Where the fields that we read stand, for one word size."""

    offsets: str  # e_phoff, e_shoff
    offsets_at: int
    counts_at: int  # e_phentsize, e_phnum, e_shentsize, e_shnum
    section: str  # name, type, flags, address, offset, size, link
    symbol: str
    symbol_fields: tuple[int, int, int]  # places of name, info, section index in `symbol`
    segment: str
    segment_fields: tuple[int, int, int]  # places of type, offset, size in the file in `segment`


_LAYOUTS = {
    1: _Layout("<II", 0x1C, 0x2A, "<IIIIIII", "<IIIBBH", (0, 3, 5), "<IIIII", (0, 1, 4)),
    2: _Layout("<QQ", 0x20, 0x36, "<IIQQQQI", "<IBBHQQ", (0, 1, 3), "<IIQQQQ", (0, 2, 5)),
}


@dataclass(frozen=True)
class Symbol:
    """A global symbol of an object; `defined` here, or wanted from elsewhere."""

    name: str
    defined: bool


def global_symbols(code: bytes) -> tuple[Symbol, ...]:
    """All global and weak symbols, in the table's order. Raises NativeError for anything but little-endian ELF."""
    return _symbols(code, _SYMBOL_TABLE)


def undefined_symbols(code: bytes) -> tuple[str, ...]:
    """Names that an object needs from others, sorted. Raises NativeError for anything but little-endian ELF."""
    return tuple(sorted(symbol.name for symbol in global_symbols(code) if not symbol.defined))


def check_loadable(code: bytes, symbol: str) -> None:
    """Raise NativeError unless this is a whole shared library that defines `symbol`.

    A library that was cut short would end the process when it is mapped, so this comes before loading.
    """
    layout = _layout(code)
    if struct.unpack_from("<H", code, 16) != (_SHARED,):
        raise NativeError("not a shared library")
    try:
        extents = [*_segments(code, layout), *(s[4:6] for s in _sections(code, layout) if s[1] != _NO_BITS)]
    except struct.error as error:
        raise NativeError("the file is cut short") from error
    if any(start + size > len(code) for start, size in extents):
        raise NativeError("the file is cut short")
    if Symbol(symbol, True) not in _symbols(code, _DYNAMIC_SYMBOLS):
        raise NativeError(f"it has no symbol '{symbol}'")


def _layout(code: bytes) -> _Layout:
    layout = _LAYOUTS.get(code[4]) if code[:4] == b"\x7fELF" and len(code) > 64 else None
    if layout is None or code[5] != 1:
        raise NativeError("not a little-endian ELF file")
    return layout


def _symbols(code: bytes, table: int) -> tuple[Symbol, ...]:
    layout = _layout(code)
    try:
        sections = _sections(code, layout)
        return tuple(
            symbol
            for _, kind, _, _, offset, size, link in sections
            if kind == table
            for symbol in _table(code, layout, offset, size, sections[link][4])
        )
    except (struct.error, IndexError, ValueError) as error:
        raise NativeError(f"damaged ELF file: {error}") from error


def _table(code: bytes, layout: _Layout, start: int, size: int, names: int) -> list[Symbol]:
    name_at, info_at, index_at = layout.symbol_fields
    return [
        Symbol(_string(code, names + fields[name_at]), fields[index_at] != _UNDEFINED)
        for fields in struct.iter_unpack(layout.symbol, code[start : start + size])
        if fields[info_at] >> 4 != _LOCAL
    ]


def _sections(code: bytes, layout: _Layout) -> list[tuple[int, ...]]:
    _, start = struct.unpack_from(layout.offsets, code, layout.offsets_at)
    stride, count = struct.unpack_from("<4H", code, layout.counts_at)[2:]
    return [struct.unpack_from(layout.section, code, start + place * stride) for place in range(count)]


def _segments(code: bytes, layout: _Layout) -> list[tuple[int, int]]:
    """Offset and size in the file of every part that the loader maps."""
    start, _ = struct.unpack_from(layout.offsets, code, layout.offsets_at)
    stride, count = struct.unpack_from("<4H", code, layout.counts_at)[:2]
    found = [struct.unpack_from(layout.segment, code, start + place * stride) for place in range(count)]
    kind, offset, size = layout.segment_fields
    return [(fields[offset], fields[size]) for fields in found if fields[kind] == _LOAD]


def _string(code: bytes, start: int) -> str:
    return code[start : code.index(b"\0", start)].decode()
