"""Static libraries: the `ar` format with the symbol index that linkers need, and without times, so reproducible."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence

from .format import Symbol

_MAGIC = b"!<arch>\n"
_HEADER_BYTES = 60


def archive(objects: Mapping[str, bytes], global_symbols: Callable[[bytes], tuple[Symbol, ...]]) -> bytes:
    """The bytes of a static library of `objects`, given by file name. Raises what `global_symbols` raises."""
    table = b"".join(f"{name}/\n".encode() for name in objects)
    members = [_member(name, code) for name, code in zip(_references(list(objects)), objects.values(), strict=True)]
    symbols = [
        (place, symbol.name.encode())
        for place, code in enumerate(objects.values())
        for symbol in global_symbols(code)
        if symbol.defined
    ]
    names = _member("//", table)
    index_size = len(_index(symbols, [0] * len(members)))
    offsets, start = [], len(_MAGIC) + index_size + len(names)
    for member in members:
        offsets.append(start)
        start += len(member)
    return _MAGIC + _index(symbols, offsets) + names + b"".join(members)


def _references(names: Sequence[str]) -> list[str]:
    """The names of members: offsets in the table of names, which allows any length."""
    references, place = [], 0
    for name in names:
        references.append(f"/{place}")
        place += len(name.encode()) + 2
    return references


def _index(symbols: Sequence[tuple[int, bytes]], offsets: Sequence[int]) -> bytes:
    places = struct.pack(f">{len(symbols) + 1}I", len(symbols), *(offsets[place] for place, _ in symbols))
    return _member("/", places + b"".join(name + b"\0" for _, name in symbols))


def _member(name: str, data: bytes) -> bytes:
    header = f"{name:<16}{0:<12}{0:<6}{0:<6}{'644':<8}{len(data):<10}`\n".encode()
    assert len(header) == _HEADER_BYTES
    return header + data + b"\n" * (len(data) % 2)
