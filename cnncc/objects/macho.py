"""Mach-O, the objects of macOS (Apple, loader.h and nlist.h): reading symbols and sections, writing objects of bytes.

A linker's name for a symbol of C has a "_" in front; here symbols are called as in C.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from ..abi import ALIGNMENT
from ..alignment import rounded_up
from ..errors import NativeError
from ..machine.target import Target
from .format import Section, Symbol

_MAGIC = struct.pack("<I", 0xFEEDFACF)  # 64 bits
_CPUS = {"x86-64": (0x0100_0007, 3), "aarch64": (0x0100_000C, 0)}  # type and subtype: all of them
_HEAD = struct.Struct("<4sIIIIIII")  # magic, type, subtype, kind of file, number and bytes of commands, flags
_SEGMENT = struct.Struct("<II16sQQQQIIII")  # command, size; name, address, size, place, bytes; protection; sections
_SECTION = struct.Struct("<16s16sQQIIIIIIII")  # name, segment, address, size, place, log2 of alignment; …, flags
_SYMBOLS = struct.Struct("<IIIIII")  # command, size; place and number of symbols; place and bytes of strings
_VERSION = struct.Struct("<IIIIII")  # command, size, platform, least version of it, and of the SDK, tools
_SYMBOL = struct.Struct("<IBBHQ")  # name, what it is, section, more, value
_OBJECT, _A_SEGMENT, _A_SYMTAB, _A_VERSION = 1, 0x19, 0x2, 0x32
_EXTERNAL, _KIND, _DEBUGGING, _IN_SECTION = 0x01, 0x0E, 0xE0, 0x0E
_ZEROS = 1  # kind of section: it has no bytes in the file
_MACOS, _VERSION_11 = 1, 11 << 16


def global_symbols(code: bytes) -> tuple[Symbol, ...]:
    """All external symbols, in the table's order. Raises NativeError for anything but Mach-O of 64 bits."""
    found = []
    try:
        for at in _commands(code, _A_SYMTAB):
            _, _, start, count, strings, _ = _SYMBOLS.unpack_from(code, at)
            for name, kind, _, _, value in _SYMBOL.iter_unpack(code[start : start + count * _SYMBOL.size]):
                if kind & _EXTERNAL and not kind & _DEBUGGING:
                    text = _string(code, strings + name).removeprefix("_")
                    found.append(Symbol(text, kind & _KIND != 0 or value != 0))
    except (struct.error, ValueError) as error:
        raise NativeError(f"damaged Mach-O file: {error}") from error
    return tuple(found)


def sections(code: bytes) -> tuple[Section, ...]:
    """All sections. Raises NativeError as `global_symbols` does."""
    found = []
    try:
        for at in _commands(code, _A_SEGMENT):
            *_, count, _ = _SEGMENT.unpack_from(code, at)
            for place in range(count):
                name, _, _, size, start, _, _, _, flags, *_ = _SECTION.unpack_from(
                    code, at + _SEGMENT.size + place * _SECTION.size
                )
                there = flags & 0xFF != _ZEROS
                found.append(Section(name.rstrip(b"\0").decode(), code[start : start + size] if there else b""))
    except struct.error as error:
        raise NativeError(f"damaged Mach-O file: {error}") from error
    return tuple(found)


def data_object(symbol: str, data: bytes | memoryview, target: Target, section: str = "") -> bytes:
    """A relocatable object that defines `symbol` as these bytes, read-only and aligned to 64."""
    strings = b"\0_" + symbol.encode() + b"\0"
    segment_bytes = _SEGMENT.size + _SECTION.size
    commands_bytes = segment_bytes + _VERSION.size + _SYMBOLS.size
    start = rounded_up(_HEAD.size + commands_bytes)
    size = len(data)
    symbols = rounded_up(start + size, 8)
    alignment = ALIGNMENT.bit_length() - 1
    parts = [
        _HEAD.pack(_MAGIC, *_CPUS[target.architecture], _OBJECT, 3, commands_bytes, 0, 0),
        _SEGMENT.pack(_A_SEGMENT, segment_bytes, b"", 0, size, start, size, 7, 7, 1, 0),
        _SECTION.pack(section.encode() or b"__const", b"__TEXT", 0, size, start, alignment, 0, 0, 0, 0, 0, 0),
        _VERSION.pack(_A_VERSION, _VERSION.size, _MACOS, _VERSION_11, 0, 0),
        _SYMBOLS.pack(_A_SYMTAB, _SYMBOLS.size, symbols, 1, symbols + _SYMBOL.size, len(strings)),
    ]
    head = b"".join(parts).ljust(start, b"\0")
    record = _SYMBOL.pack(1, _IN_SECTION | _EXTERNAL, 1, 0, 0)
    return b"".join((head, data, bytes(symbols - start - size), record, strings))


def _commands(code: bytes, wanted: int) -> Iterator[int]:
    """Where the commands of a kind begin."""
    if code[:4] != _MAGIC or len(code) < _HEAD.size:
        raise NativeError("not a Mach-O file of 64 bits")
    at, count = _HEAD.size, _HEAD.unpack_from(code)[4]
    for _ in range(count):
        kind, size = struct.unpack_from("<II", code, at)
        if kind == wanted:
            yield at
        at += size


def _string(code: bytes, start: int) -> str:
    return code[start : code.index(b"\0", start)].decode()
