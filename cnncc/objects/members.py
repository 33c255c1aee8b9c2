"""Taking from a static library what objects ask for, as linkers do: the members that define it, and theirs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..errors import NativeError
from .elf import global_symbols
from .elf_pieces import elf_pieces
from .linker import undefined
from .pieces import Pieces

_MAGIC = b"!<arch>\n"
_HEADER_BYTES = 60


def members(library: bytes) -> Iterator[bytes]:
    """The members of an `ar` file that are ELF objects. Raises NativeError for another file."""
    if library[: len(_MAGIC)] != _MAGIC:
        raise NativeError("not a static library")
    place = len(_MAGIC)
    while place + _HEADER_BYTES <= len(library):
        size = library[place + 48 : place + 58].strip()
        if not size.isdigit():
            raise NativeError("damaged static library")
        start = place + _HEADER_BYTES
        data = library[start : start + int(size)]
        if data[:4] == b"\x7fELF":
            yield data
        place = start + int(size) + int(size) % 2


def needed(objects: Sequence[Pieces], library: bytes) -> list[Pieces]:
    """The members that define what these objects, and those members, leave undefined; without what it does not have."""
    definers: dict[str, bytes] = {}
    for member in members(library):
        for symbol in global_symbols(member):
            if symbol.defined:
                definers.setdefault(symbol.name, member)
    taken: list[bytes] = []
    found: list[Pieces] = []
    while wanted := [
        definers[name] for name in undefined([*objects, *found]) if name in definers and definers[name] not in taken
    ]:
        taken.append(wanted[0])
        found.append(elf_pieces(wanted[0]))
    return found
