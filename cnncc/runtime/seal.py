"""The seal of a shared library: a digest of the parts that the system's loader reads, in an ELF note of the library.

It covers the header of the file, its segment table and the loaded segments, with code, weights and manifest. So it
stays valid after `strip`, which changes only what linkers and debuggers read. The digest's own bytes count as zeros.
"""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

from ..cache.digest import digest
from ..errors import NativeError
from ..machine.target import Target
from ..objects.elf import Library, library
from ..objects.elf_data import note_object

HEAD_BYTES = 4096  # of a file, which contain its segment table
_OWNER, _KIND, _BYTES = b"cnncc", 1, 32
_NOTE = struct.pack("<III", len(_OWNER) + 1, _BYTES, _KIND) + _OWNER.ljust(8, b"\0")  # the bytes before the digest


def seal_object(target: Target) -> bytes:
    """The object with room for the digest, to be linked into the library."""
    return note_object(_OWNER, _KIND, bytes(_BYTES), target)


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
    """The digest that is stored in a library; None if it has none."""
    place = _place(code, parts)
    return None if place is None else bytes(code[place : place + _BYTES])


def is_whole(code: memoryview, parts: Library) -> bool:
    """Whether the content of a library agrees with its digest. `code` must be writable and is changed in place."""
    place, told = _place(code, parts), stated(code, parts)
    return place is not None and _computed(code, parts, place) == told


def _computed(code: memoryview, parts: Library, place: int) -> bytes:
    """The digest of the loaded parts, after the unread bytes and the digest itself are set to zero."""
    for start, size in (*parts.unread, (place, _BYTES)):
        code[start : start + size] = bytes(size)
    state = hashlib.sha256()
    for start, size in (*parts.tables, *parts.loaded):
        state.update(digest(code[start : start + size]))
    return state.digest()


def _place(code: memoryview, parts: Library) -> int | None:
    """The offset of the content of the note with the digest."""
    for start, size in parts.notes:
        found = bytes(code[start : start + size]).find(_NOTE)
        if 0 <= found <= size - len(_NOTE) - _BYTES:
            return start + found + len(_NOTE)
    return None
