"""The library with which programs for Windows link a DLL (Microsoft, PE Format: Import Library Format).

An archive that holds no code: a short record for each name, from which linkers make the entry of a table that the
system fills when it loads the program; and three objects, which begin and end the tables of this DLL.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping, Sequence

from ..machine.target import Target
from .archive import archive
from .coff import HEAD, MACHINES, SECTION, SYMBOL, global_symbols
from .format import Symbol

_SHORT = struct.Struct("<HHHHIIHH")  # 0, 0xFFFF, version, machine, time, bytes behind, hint, what it is
_MARK = struct.pack("<HH", 0, 0xFFFF)
_BY_NAME, _DATA = 1 << 2, 1  # bits of what it is
_RELOCATION = struct.Struct("<IIH")  # place, symbol, kind
_ADDRESS = {"x86-64": 3, "aarch64": 2}  # kind of relocation: 32 bits, relative to where the program lies
_TABLE = 0xC030_0040  # a section that is written and read, aligned to 4, and has initial values
_EXTERNAL, _STATIC, _OF_SECTION = 2, 3, 104  # classes of symbols


def import_library(dll: str, symbols: Mapping[str, bool], target: Target) -> bytes:
    """The bytes of the library of a DLL with these names; whether each is one of data.

    GNU's linker puts the tables together in the order of the names of members, so those begin with a digest of the
    DLL's name, and then: h, s and a number, t.
    """
    stem, start = dll.rpartition(".")[0], f"d{hashlib.sha256(dll.encode()).hexdigest()[:12]}"
    members = {
        f"{start}h.o": _descriptor(dll, stem, target),
        f"{start}n.o": _zeros({".idata$3": 20}, _NO_DESCRIPTOR, target),
        f"{start}t.o": _zeros({".idata$5": 8, ".idata$4": 8}, _end_of(stem), target),
    }
    for number, (name, data) in enumerate(symbols.items()):
        members[f"{start}s{number:05}.o"] = _short(name, dll, data, target)
    return archive(members, global_symbols=_symbols, microsoft=True)


_NO_DESCRIPTOR = "__NULL_IMPORT_DESCRIPTOR"


def _end_of(stem: str) -> str:
    return f"\x7f{stem}_NULL_THUNK_DATA"


def _short(name: str, dll: str, data: bool, target: Target) -> bytes:
    text = name.encode() + b"\0" + dll.encode() + b"\0"
    machine, kind = MACHINES[target.architecture], _BY_NAME | (_DATA if data else 0)
    return _SHORT.pack(0, 0xFFFF, 0, machine, 0, len(text), 0, kind) + text


def _symbols(member: bytes) -> tuple[Symbol, ...]:
    """What a member defines: a pointer, and a function also a jump through it, under its own name."""
    if member[:4] != _MARK:
        return global_symbols(member)
    name = member[_SHORT.size : member.index(b"\0", _SHORT.size)].decode()
    data = _SHORT.unpack_from(member)[-1] & _DATA
    return tuple(Symbol(each, True) for each in (f"__imp_{name}", *(() if data else (name,))))


def _descriptor(dll: str, stem: str, target: Target) -> bytes:
    """The row of a DLL in the table of all: where its names, its own name and its pointers stand."""
    places = {12: 2, 0: 3, 16: 4}  # of the row, and the symbol whose address stands there
    kind = _ADDRESS[target.architecture]
    fixes = b"".join(_RELOCATION.pack(place, symbol, kind) for place, symbol in places.items())
    name = dll.encode() + b"\0"
    symbols = [
        (f"__IMPORT_DESCRIPTOR_{stem}", 1, _EXTERNAL),
        (".idata$2", 1, _OF_SECTION),
        (".idata$6", 2, _STATIC),
        (".idata$4", 0, _OF_SECTION),
        (".idata$5", 0, _OF_SECTION),
        (_NO_DESCRIPTOR, 0, _EXTERNAL),
        (_end_of(stem), 0, _EXTERNAL),
    ]
    return _object({".idata$2": bytes(20), ".idata$6": name + bytes(len(name) % 2)}, symbols, target, fixes)


def _zeros(sizes: Mapping[str, int], symbol: str, target: Target) -> bytes:
    """What ends tables: sections of zeros."""
    return _object({name: bytes(size) for name, size in sizes.items()}, [(symbol, 1, _EXTERNAL)], target)


def _object(
    sections: Mapping[str, bytes], symbols: Sequence[tuple[str, int, int]], target: Target, fixes: bytes = b""
) -> bytes:
    """An object of sections, whose first one has the relocations `fixes`, and symbols: name, section, class.

    header | table of sections | bytes | relocations | symbols | names
    """
    start = HEAD.size + len(sections) * SECTION.size
    relocations = start + sum(map(len, sections.values()))
    count = len(fixes) // _RELOCATION.size
    table = b""
    for name, data in sections.items():
        table += SECTION.pack(name.encode(), 0, 0, len(data), start, relocations * (count > 0), 0, count, 0, _TABLE)
        start, count = start + len(data), 0
    names, records = b"", b""
    for name, section, kind in symbols:
        field = name.encode() if len(name) <= 8 else struct.pack("<II", 0, 4 + len(names))
        names += name.encode() + b"\0" if len(name) > 8 else b""
        records += SYMBOL.pack(field, 0, section, 0, kind, 0)
    head = HEAD.pack(MACHINES[target.architecture], len(sections), 0, relocations + len(fixes), len(symbols), 0, 0)
    return b"".join((head, table, *sections.values(), fixes, records, struct.pack("<I", 4 + len(names)), names))
