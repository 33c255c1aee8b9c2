"""Static libraries: the `ar` format with the symbol index that linkers need, and without times, so reproducible."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence

from .format import Symbol

MAGIC = b"!<arch>\n"
HEADER_BYTES = 60


def archive(
    objects: Mapping[str, bytes],
    global_symbols: Callable[[bytes], tuple[Symbol, ...]],
    *,
    microsoft: bool = False,
) -> bytes:
    """The bytes of a static library of `objects`, given by file name. Raises what `global_symbols` raises.

    With `microsoft`, it has the second index that Microsoft's linker reads, in which names are sorted, and names of
    members end as there; GNU's linker reads both kinds.
    """
    ending = b"\0" if microsoft else b"/\n"
    indices = [_index, _sorted_index] if microsoft else [_index]
    names, members = b"", []
    for name, code in objects.items():
        members.append(_member(f"/{len(names)}", code))  # its name's place in the table allows any length
        names += name.encode() + ending
    names = _member("//", names)
    symbols = defined(objects, global_symbols)
    start = len(MAGIC) + sum(len(index(symbols, [0] * len(members))) for index in indices) + len(names)
    offsets = []
    for member in members:
        offsets.append(start)
        start += len(member)
    return MAGIC + b"".join(index(symbols, offsets) for index in indices) + names + b"".join(members)


def defined(
    objects: Mapping[str, bytes], global_symbols: Callable[[bytes], tuple[Symbol, ...]]
) -> list[tuple[int, bytes]]:
    """The names that objects define, each with the number of its object."""
    return [
        (place, symbol.name.encode())
        for place, code in enumerate(objects.values())
        for symbol in global_symbols(code)
        if symbol.defined
    ]


def header(name: str, size: int) -> bytes:
    """What stands before a member of `size` bytes."""
    made = f"{name:<16}{0:<12}{0:<6}{0:<6}{'644':<8}{size:<10}`\n".encode()
    assert len(made) == HEADER_BYTES
    return made


def _index(symbols: Sequence[tuple[int, bytes]], offsets: Sequence[int]) -> bytes:
    places = struct.pack(f">{len(symbols) + 1}I", len(symbols), *(offsets[place] for place, _ in symbols))
    return _member("/", places + b"".join(name + b"\0" for _, name in symbols))


def _sorted_index(symbols: Sequence[tuple[int, bytes]], offsets: Sequence[int]) -> bytes:
    """The places of the members, then for each name in order the number of its member, from 1 on; then the names."""
    ordered = sorted(symbols, key=lambda symbol: symbol[1])
    head = struct.pack(f"<{len(offsets) + 2}I", len(offsets), *offsets, len(ordered))
    members = struct.pack(f"<{len(ordered)}H", *(place + 1 for place, _ in ordered))
    return _member("/", head + members + b"".join(name + b"\0" for _, name in ordered))


def _member(name: str, data: bytes) -> bytes:
    return header(name, len(data)) + data + b"\n" * (len(data) % 2)
