"""Taking a Mach-O object of 64 bits apart, for the linker (Apple, loader.h, nlist.h and reloc.h).

A relocation names a symbol, or a section, whose address in the object the bytes then count from. Names of C lose the
"_" that they have there.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..errors import NativeError
from .fixes import a64_scale, signed
from .pieces import Fix, Label, Pieces, Section

_MAGIC = struct.pack("<I", 0xFEEDFACF)
_HEAD_BYTES = 32
_SEGMENT = struct.Struct("<II16sQQQQIIII")
_SECTION = struct.Struct(
    "<16s16sQQIIIIIIII"
)  # name, segment, address, size, place, alignment, relocations, count, flags
_SYMTAB = struct.Struct("<IIIIII")  # command, size; place and number of symbols; place and bytes of strings
_SYMBOL = struct.Struct("<IBBHQ")  # name, what it is, section, more, value
_A_SEGMENT, _A_SYMTAB = 0x19, 0x2
_X86_64 = 0x0100_0007
_ZEROS = (1, 12)  # kinds of sections without bytes in the file
_UNLOADED = ("__compact_unwind", "__eh_frame")
_EXTERNAL, _KIND, _DEBUGGING, _IN_SECTION = 0x01, 0x0E, 0xE0, 0x0E


@dataclass(frozen=True)
class _Part:
    """A section as it stands in the object."""

    section: Section
    address: int
    relocations: int
    count: int


def macho_pieces(code: bytes) -> Pieces:
    """Take an object apart. Raises NativeError for anything else, or a relocation that is not known."""
    if code[:4] != _MAGIC or len(code) < _HEAD_BYTES:
        raise NativeError("not a Mach-O file of 64 bits")
    try:
        return _pieces(code)
    except (struct.error, IndexError, ValueError) as error:
        raise NativeError(f"damaged Mach-O file: {error}") from error


def _pieces(code: bytes) -> Pieces:
    parts = [part for at in _commands(code, _A_SEGMENT) for part in _parts(code, at)]
    loaded = [number for number, part in enumerate(parts) if part.section.name not in _UNLOADED]
    places = {number: index for index, number in enumerate(loaded)}
    labels = [label for at in _commands(code, _A_SYMTAB) for label in _labels(code, at, parts, places)]
    first = len(labels)  # behind them, one for each section
    labels += [Label("", places.get(number), 0) for number in range(len(parts))]
    x86 = struct.unpack_from("<I", code, 4)[0] == _X86_64
    fixes = [
        fix
        for number, index in places.items()
        for fix in (_of_x86 if x86 else _of_aarch64)(code, parts, number, index, first)
    ]
    return Pieces(tuple(parts[number].section for number in loaded), tuple(labels), tuple(fixes))


def _commands(code: bytes, wanted: int) -> Iterator[int]:
    at, (count,) = _HEAD_BYTES, struct.unpack_from("<I", code, 16)
    for _ in range(count):
        kind, size = struct.unpack_from("<II", code, at)
        if kind == wanted:
            yield at
        at += size


def _parts(code: bytes, at: int) -> Iterator[_Part]:
    count = _SEGMENT.unpack_from(code, at)[9]
    for number in range(count):
        fields = _SECTION.unpack_from(code, at + _SEGMENT.size + number * _SECTION.size)
        name, _, address, size, place, alignment, relocations, relocation_count, flags, *_ = fields
        data = bytes(size) if flags & 0xFF in _ZEROS else code[place : place + size]
        if len(data) != size:
            raise ValueError("it is cut short")
        section = Section(name.rstrip(b"\0").decode(), data, 1 << alignment)
        yield _Part(section, address, relocations, relocation_count)


def _labels(code: bytes, at: int, parts: Sequence[_Part], places: dict[int, int]) -> Iterator[Label]:
    _, _, start, count, strings, _ = _SYMTAB.unpack_from(code, at)
    for name_at, kind, number, _, value in _SYMBOL.iter_unpack(code[start : start + count * _SYMBOL.size]):
        name = code[strings + name_at : code.index(b"\0", strings + name_at)].decode().removeprefix("_")
        inside = kind & _KIND == _IN_SECTION and not kind & _DEBUGGING
        section = places.get(number - 1) if inside else None
        offset = value - parts[number - 1].address if inside else value
        yield Label(name, section, offset, inside and bool(kind & _EXTERNAL))


@dataclass(frozen=True)
class _Entry:
    at: int
    number: int  # of a symbol or section
    relative: bool
    size: int
    external: bool
    kind: int


def _entries(code: bytes, part: _Part) -> Iterator[_Entry]:
    for number in range(part.count):
        at, word = struct.unpack_from("<iI", code, part.relocations + 8 * number)
        yield _Entry(
            at, word & 0xFF_FFFF, bool(word >> 24 & 1), 1 << (word >> 25 & 3), bool(word >> 27 & 1), word >> 28
        )


def _of_x86(code: bytes, parts: Sequence[_Part], number: int, section: int, first: int) -> Iterator[Fix]:
    """Kinds 1, 2 and 6 to 8 are distances from the end of four bytes, 0 is an address."""
    part = parts[number]
    for entry in _entries(code, part):
        held = signed(_held(part, entry), 8 * entry.size)
        label = entry.number if entry.external else first + entry.number - 1
        base = 0 if entry.external else parts[entry.number - 1].address
        if entry.kind in (1, 2, 6, 7, 8) and entry.size == 4:
            here = 0 if entry.external else part.address + entry.at + 4
            yield Fix(section, entry.at, "from32", label, held + here - base - 4)
        elif entry.kind == 0 and not entry.relative and entry.size == 8:
            yield Fix(section, entry.at, "word64", label, held - base)
        else:
            raise NativeError(f"a Mach-O object has relocation {entry.kind} of x86-64, which is not known")


def _of_aarch64(code: bytes, parts: Sequence[_Part], number: int, section: int, first: int) -> Iterator[Fix]:
    """What is added to the address of an instruction stands in an entry of kind 10 before it."""
    part, added = parts[number], 0
    for entry in _entries(code, part):
        word = _held(part, entry)
        label = entry.number if entry.external else first + entry.number - 1
        base = 0 if entry.external else parts[entry.number - 1].address
        if entry.kind == 10:
            added = signed(entry.number, 24)
            continue
        if entry.kind == 0 and entry.size == 8:
            yield Fix(section, entry.at, "word64", label, word - base)
        elif entry.kind in (2, 3) and entry.external:
            yield Fix(section, entry.at, "a64_jump" if entry.kind == 2 else "a64_page", label, added)
        elif entry.kind == 4 and entry.external:
            yield Fix(section, entry.at, f"a64_low{a64_scale(word)}", label, added)
        else:
            raise NativeError(f"a Mach-O object has relocation {entry.kind} of aarch64, which is not known")
        added = 0


def _held(part: _Part, entry: _Entry) -> int:
    data = part.section.data
    if not 0 <= entry.at <= len(data) - entry.size:
        raise ValueError("a relocation lies behind its section")
    return int.from_bytes(data[entry.at : entry.at + entry.size], "little")
