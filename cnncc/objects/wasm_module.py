"""Making a module of a WebAssembly object: a section of exports is added (WebAssembly Core 1.0, section 5.5).

An object is a module already, in which each number is right as long as nothing is linked to it: its data begins at the
address 0, and it imports the memory, the stack's pointer and the table of functions from "env". Who starts this module
gives it these; `wasm_library` makes one that imports nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..errors import NativeError
from .wasm_pieces import CUSTOM, EXPORTS, MAGIC, Reader, leb, part, parts, text, told, vector

_SYMBOLS, _FUNCTION, _DATA, _SECTION = 8, 0, 1, 3  # the table of symbols in "linking", and kinds of them
_UNDEFINED, _NAMED = 0x10, 0x40  # flags of symbols
OF_FUNCTION, _OF_TABLE, OF_MEMORY, OF_GLOBAL = range(4)
"""Kinds of imports and exports."""


def module(code: bytes, names: Sequence[str]) -> bytes:
    """The object with these functions exported. Raises NativeError for another file, or if it does not define them."""
    pieces = told(lambda: list(parts(code)))
    rows = [(name, OF_FUNCTION, index) for name, index in chosen(pieces, names)]
    before = [piece for piece in pieces if CUSTOM < piece[0] < EXPORTS]
    return written([*before, exports(rows), *(piece for piece in pieces if piece not in before)])


def written(pieces: Sequence[tuple[int, bytes]]) -> bytes:
    """A file of these sections."""
    return MAGIC + b"".join(part(kind, content) for kind, content in pieces)


def exports(rows: Sequence[tuple[str, int, int]]) -> tuple[int, bytes]:
    """The section of exports: the name, kind and number of each."""
    return EXPORTS, vector([text(name) + bytes([kind]) + leb(index) for name, kind, index in rows])


def chosen(pieces: Sequence[tuple[int, bytes]], names: Sequence[str]) -> list[tuple[str, int]]:
    """The functions of these names, with their numbers. Raises NativeError if one is not defined."""
    functions = told(lambda: {name: index for table in _symbols(pieces) for name, index in _functions(Reader(table))})
    missing = [name for name in names if name not in functions]
    if missing:
        raise NativeError(f"the object does not define '{missing[0]}'")
    return [(name, functions[name]) for name in names]


def _symbols(pieces: Sequence[tuple[int, bytes]]) -> Iterator[bytes]:
    """The tables of symbols."""
    for kind, content in pieces:
        reader = Reader(content)
        if kind == CUSTOM and reader.name() == "linking":
            reader.number()  # the version
            yield from (table for number, table in reader.parts() if number == _SYMBOLS)


def _functions(reader: Reader) -> Iterator[tuple[str, int]]:
    """Names and numbers of the functions that are defined."""
    for _ in range(reader.number()):
        kind, flags = reader.numbers(2)
        defined = not flags & _UNDEFINED
        if kind == _DATA:
            reader.name()
            reader.numbers(3 if defined else 0)  # segment, offset, size
            continue
        index = reader.number()
        if kind != _SECTION and (defined or flags & _NAMED):
            name = reader.name()
            if kind == _FUNCTION and defined:
                yield name, index
