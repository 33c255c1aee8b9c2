"""Reading ELF files: the defined and undefined symbols of an object, and the loaded parts of a library."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ..errors import NativeError
from .format import Section, Symbol

_SYMBOL_TABLE, _ZEROS = 2, 8  # section types
_UNDEFINED = 0  # section index of an undefined symbol
_LOCAL = 0  # binding
_SHARED = 3  # file type
_LOAD, _NOTE = 1, 4  # segment types


@dataclass(frozen=True)
class _Layout:
    """The positions of the fields that are read, for one word size."""

    head_bytes: int
    offsets: str  # e_phoff, e_shoff
    offsets_at: int
    counts_at: int  # e_phentsize, e_phnum, e_shentsize, e_shnum, e_shstrndx
    section: str  # name, type, flags, address, offset, size, link
    symbol: str
    symbol_fields: tuple[int, int, int]  # places of name, info, section index in `symbol`
    segment: str
    segment_fields: tuple[int, int, int]  # places of type, offset, size in the file in `segment`


_LAYOUTS = {
    1: _Layout(52, "<II", 0x1C, 0x2A, "<IIIIIII", "<IIIBBH", (0, 3, 5), "<IIIII", (0, 1, 4)),
    2: _Layout(64, "<QQ", 0x20, 0x36, "<IIQQQQI", "<IBBHQQ", (0, 1, 3), "<IIQQQQ", (0, 2, 5)),
}


@dataclass(frozen=True)
class Library:
    """The parts of a shared library that the system's loader reads, each as (offset, size).

    `unread` lies in the header and is read by linkers and debuggers only: the position of the section table.
    """

    machine: int
    size: int  # of the file, as far as it is loaded
    tables: tuple[tuple[int, int], ...]  # the head and the table of segments
    loaded: tuple[tuple[int, int], ...]
    notes: tuple[tuple[int, int], ...]
    unread: tuple[tuple[int, int], ...]


def library(head: bytes, size: int) -> Library:
    """The loaded parts of a file of `size` bytes that begins with `head` (4 KiB are enough).

    Raises NativeError unless it is a complete shared library. It is called before loading, since a truncated library
    would end the process when it is mapped.
    """
    layout = _layout(head)
    kind, machine = struct.unpack_from("<HH", head, 16)
    if kind != _SHARED:
        raise NativeError("not a shared library")
    at, sections_at = struct.unpack_from(layout.offsets, head, layout.offsets_at)
    stride, count, section_stride, sections = struct.unpack_from("<4H", head, layout.counts_at)
    segments = _segments(head, layout, at, stride, count)
    parts = [(offset, length) for _, offset, length in segments]
    if any(offset + length > size for offset, length in (*parts, (sections_at, section_stride * sections))):
        raise NativeError("the file is cut short")
    loaded = tuple((offset, length) for kind, offset, length in segments if kind == _LOAD and length)
    if not loaded:
        raise NativeError("no part of it is loaded")
    word = struct.calcsize(layout.offsets) // 2
    return Library(
        machine=machine,
        size=max(offset + length for offset, length in loaded),
        tables=((0, layout.head_bytes), (at, stride * count)),
        loaded=loaded,
        notes=tuple((offset, length) for kind, offset, length in segments if kind == _NOTE),
        unread=((layout.offsets_at + word, word), (layout.counts_at + 4, 6)),
    )


def global_symbols(code: bytes) -> tuple[Symbol, ...]:
    """All global and weak symbols, in the table's order. Raises NativeError for anything but little-endian ELF."""
    return _symbols(code)


def sections(code: bytes) -> tuple[Section, ...]:
    """All sections but the null one. Raises NativeError as `global_symbols` does."""
    layout = _layout(code)
    try:
        found = _sections(code, layout)
        names = found[_index_of_names(code, layout)][4]
        return tuple(
            Section(_string(code, names + name), b"" if kind == _ZEROS else code[offset : offset + size])
            for name, kind, _, _, offset, size, _ in found[1:]
        )
    except (struct.error, IndexError, ValueError) as error:
        raise NativeError(f"damaged ELF file: {error}") from error


def _layout(code: bytes) -> _Layout:
    layout = _LAYOUTS.get(code[4]) if code[:4] == b"\x7fELF" and len(code) > 64 else None
    if layout is None or code[5] != 1:
        raise NativeError("not a little-endian ELF file")
    return layout


def _symbols(code: bytes) -> tuple[Symbol, ...]:
    layout = _layout(code)
    try:
        sections = _sections(code, layout)
        return tuple(
            symbol
            for _, kind, _, _, offset, size, link in sections
            if kind == _SYMBOL_TABLE
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


def _index_of_names(code: bytes, layout: _Layout) -> int:
    """The section that holds the names of sections."""
    return int(struct.unpack_from("<5H", code, layout.counts_at)[4])


def _segments(head: bytes, layout: _Layout, start: int, stride: int, count: int) -> list[tuple[int, int, int]]:
    """Kind, offset and size in the file of every segment."""
    try:
        found = [struct.unpack_from(layout.segment, head, start + place * stride) for place in range(count)]
    except struct.error as error:
        raise NativeError("the file is cut short") from error
    kind, offset, size = layout.segment_fields
    return [(fields[kind], fields[offset], fields[size]) for fields in found]


def _string(code: bytes, start: int) -> str:
    return code[start : code.index(b"\0", start)].decode()
