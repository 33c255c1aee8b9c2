"""Reading the symbol table of an ELF object, to know what it defines and what it still needs."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ..errors import NativeError

_SYMBOL_TABLE = 2  # section type SHT_SYMTAB
_UNDEFINED = 0  # section index SHN_UNDEF
_LOCAL = 0  # binding STB_LOCAL


@dataclass(frozen=True)
class _Layout:
    """Where the fields that we read stand, for one word size."""

    offset_format: str  # e_shoff
    offset_at: int
    section_counts: int  # e_shentsize, e_shnum
    section: str  # name, type, flags, address, offset, size, link
    symbol: str
    symbol_fields: tuple[int, int, int]  # places of name, info, section index in `symbol`


_LAYOUTS = {
    1: _Layout("<I", 0x20, 0x2E, "<IIIIIII", "<IIIBBH", (0, 3, 5)),
    2: _Layout("<Q", 0x28, 0x3A, "<IIQQQQI", "<IBBHQQ", (0, 1, 3)),
}


@dataclass(frozen=True)
class Symbol:
    """A global symbol of an object; `defined` here, or wanted from elsewhere."""

    name: str
    defined: bool


def global_symbols(code: bytes) -> tuple[Symbol, ...]:
    """All global and weak symbols, in the table's order. Raises NativeError for anything but little-endian ELF."""
    layout = _LAYOUTS.get(code[4]) if code[:4] == b"\x7fELF" and len(code) > 64 else None
    if layout is None or code[5] != 1:
        raise NativeError("not a little-endian ELF object")
    try:
        return tuple(_symbols(code, layout))
    except (struct.error, IndexError, ValueError) as error:
        raise NativeError(f"damaged ELF object: {error}") from error


def undefined_symbols(code: bytes) -> tuple[str, ...]:
    """Names that an object needs from others, sorted. Raises NativeError for anything but little-endian ELF."""
    return tuple(sorted(symbol.name for symbol in global_symbols(code) if not symbol.defined))


def _symbols(code: bytes, layout: _Layout) -> list[Symbol]:
    sections = _sections(code, layout)
    found = []
    for _, kind, _, _, offset, size, link in sections:
        if kind != _SYMBOL_TABLE:
            continue
        names = sections[link][4]
        name_at, info_at, index_at = layout.symbol_fields
        for fields in struct.iter_unpack(layout.symbol, code[offset : offset + size]):
            if fields[info_at] >> 4 != _LOCAL:
                found.append(Symbol(_string(code, names + fields[name_at]), fields[index_at] != _UNDEFINED))
    return found


def _sections(code: bytes, layout: _Layout) -> list[tuple[int, ...]]:
    (start,) = struct.unpack_from(layout.offset_format, code, layout.offset_at)
    stride, count = struct.unpack_from("<HH", code, layout.section_counts)
    return [struct.unpack_from(layout.section, code, start + i * stride) for i in range(count)]


def _string(code: bytes, start: int) -> str:
    return code[start : code.index(b"\0", start)].decode()
