"""Static libraries of macOS: the `ar` format of BSD, in which everything begins at a multiple of 8 bytes."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping

from ..alignment import rounded_up
from .archive import HEADER_BYTES, MAGIC, defined, header
from .format import Symbol

_INDEX = "__.SYMDEF"
_ALIGNMENT = 8


def archive_bsd(objects: Mapping[str, bytes], global_symbols: Callable[[bytes], tuple[Symbol, ...]]) -> bytes:
    """The bytes of a static library of `objects`, given by file name. Raises what `global_symbols` raises.

    The index has the linker's names: with a "_" in front.
    """
    symbols = [(place, b"_" + name) for place, name in defined(objects, global_symbols)]
    members = [_member(name, code) for name, code in objects.items()]
    start = len(MAGIC) + len(_member(_INDEX, _index(symbols, [0] * len(members))))
    offsets = []
    for member in members:
        offsets.append(start)
        start += len(member)
    return MAGIC + _member(_INDEX, _index(symbols, offsets)) + b"".join(members)


def _index(symbols: list[tuple[int, bytes]], offsets: list[int]) -> bytes:
    """The places of names, each with that of its member; then the names."""
    names, rows = b"", []
    for place, name in symbols:
        rows.append(struct.pack("<II", len(names), offsets[place]))
        names += name + b"\0"
    names = names.ljust(rounded_up(len(names), _ALIGNMENT), b"\0")
    return struct.pack("<I", 8 * len(rows)) + b"".join(rows) + struct.pack("<I", len(names)) + names


def _member(name: str, data: bytes) -> bytes:
    """A member, whose name stands between header and data, which begin at multiples of 8 bytes, as they should."""
    text = name.encode()
    text = text.ljust(rounded_up(HEADER_BYTES + len(text), _ALIGNMENT) - HEADER_BYTES, b"\0")
    data = data.ljust(rounded_up(len(data), _ALIGNMENT), b"\n")
    return header(f"#1/{len(text)}", len(text) + len(data)) + text + data
