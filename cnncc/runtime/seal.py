"""The seal of a shared library: a digest of what the system's loader reads of it, in a note inside of it.

It covers the head of the file, its table of segments and the segments that are loaded, with code, weights and manifest;
so `strip`, which changes only what linkers and debuggers read, keeps it. The digest's own bytes count as zeros.
"""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

from ..cache.digest import digest
from ..errors import NativeError
from ..objects import format_of
from ..objects.elf import Library, library
from ..target import Target

HEAD_BYTES = 4096  # of a file, in which its table of segments stands
_OWNER, _KIND, _BYTES = b"cnncc", 1, 32
_NOTE = struct.pack("<III", len(_OWNER) + 1, _BYTES, _KIND) + _OWNER.ljust(8, b"\0")  # what stands before the digest


def seal_object(target: Target) -> bytes:
    """The object with room for the digest, to be linked into the library."""
    return format_of(target).note_object(_OWNER, _KIND, bytes(_BYTES), target)


def seal(path: Path) -> None:
    """Write the digest into a library that was just linked. Raises NativeError if the linker left no room for it."""
    data = bytearray(path.read_bytes())
    parts = library(bytes(data[:HEAD_BYTES]), len(data))
    place = _place(memoryview(data), parts)
    if place is None:
        raise NativeError("it has no note for the digest")
    with path.open("r+b") as file:
        file.seek(place)
        file.write(_computed(memoryview(data), parts, place))


def stated(code: memoryview, parts: Library) -> bytes | None:
    """The digest that a library states; None if it has none."""
    place = _place(code, parts)
    return None if place is None else bytes(code[place : place + _BYTES])


def is_whole(code: memoryview, parts: Library) -> bool:
    """Whether a library holds what its digest was made of. `code` can be written to, and is changed where it stands."""
    place, told = _place(code, parts), stated(code, parts)
    return place is not None and _computed(code, parts, place) == told


def _computed(code: memoryview, parts: Library, place: int) -> bytes:
    """The digest of what is loaded, after zeros were put where nobody reads and where the digest stands."""
    for start, size in (*parts.unread, (place, _BYTES)):
        code[start : start + size] = bytes(size)
    state = hashlib.sha256()
    for start, size in (*parts.tables, *parts.loaded):
        state.update(digest(code[start : start + size]))
    return state.digest()


def _place(code: memoryview, parts: Library) -> int | None:
    """Where our note's content begins."""
    for start, size in parts.notes:
        found = bytes(code[start : start + size]).find(_NOTE)
        if 0 <= found <= size - len(_NOTE) - _BYTES:
            return start + found + len(_NOTE)
    return None
