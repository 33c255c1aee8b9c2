"""WebAssembly's objects (WebAssembly tool conventions, Linking.md): reading symbols and sections, writing bytes.

An object is a module whose section "linking" names its symbols. Functions and globals that are imported stand in the
section of imports; the name of an undefined symbol is that of its import, unless the symbol has one of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..machine.target import Target
from .format import Section, Symbol
from .wasm_pieces import CUSTOM, DATA, IMPORTS, MAGIC, NAMES, Reader, constant, leb, part, parts, text, told

_SEGMENTS, _SYMBOLS = 5, 8  # parts of "linking"
_OF_DATA, _OF_SECTION = 1, 3  # kinds of symbols; a symbol of another kind has an index
_LOCAL, _UNDEFINED, _NAMED = 0x02, 0x10, 0x40  # flags of symbols
_IMPORTED_AS = {0: 0, 2: 3, 4: 4, 5: 1}  # kind of an import by that of a symbol: function, global, tag, table
_MEMORY = b"\3env\x0f__linear_memory\2\0\0"  # the import of a memory of any size
_VERSION = 2  # of "linking"


def global_symbols(code: bytes) -> tuple[Symbol, ...]:
    """All global and weak symbols, in the table's order. Raises NativeError for anything but WebAssembly."""
    return told(lambda: tuple(_symbols(code)))


def sections(code: bytes) -> tuple[Section, ...]:
    """All sections, custom ones by their own names. Raises NativeError as `global_symbols` does."""
    return told(lambda: tuple(Section(name, data) for _, name, data in _sections(code)))


def data_object(symbol: str, data: bytes | memoryview, target: Target, section: str = "") -> bytes:
    """A relocatable object that defines `symbol` as these bytes, aligned. It has no sections that linkers place."""
    assert not section, "regions are refused for WebAssembly"
    name, size = text(symbol), leb(len(data))
    at_zero = b"\0" + constant(0)  # of memory 0
    alignment = target.alignment.bit_length() - 1
    segment = b"\1" + text(f".rodata.{symbol}") + bytes([alignment, 0])
    table = b"\1" + bytes([_OF_DATA, 0]) + name + b"\0\0" + size
    linking = text("linking") + leb(_VERSION) + part(_SEGMENTS, segment) + part(_SYMBOLS, table)
    data_head = b"\1" + at_zero + size
    return b"".join(
        (
            MAGIC,
            part(IMPORTS, b"\1" + _MEMORY),
            bytes([DATA]) + leb(len(data_head) + len(data)) + data_head,
            data,
            part(CUSTOM, linking),
        )
    )


def _sections(code: bytes) -> Iterator[tuple[int, str, bytes]]:
    for kind, content in parts(code):
        reader = Reader(content)
        name = reader.name() if kind == CUSTOM else NAMES[kind]
        yield kind, name, content[reader.at :]


def _symbols(code: bytes) -> Iterator[Symbol]:
    imports: dict[int, list[str]] = {}
    for kind, name, content in _sections(code):
        if kind == IMPORTS:
            imports = _imports(Reader(content))
        elif kind == CUSTOM and name == "linking":
            reader = Reader(content)
            if reader.number() != _VERSION:
                raise ValueError(f"its symbols are not of version {_VERSION}")
            for number, table in reader.parts():
                if number == _SYMBOLS:
                    yield from _table(Reader(table), imports)


def _imports(reader: Reader) -> dict[int, list[str]]:
    """The names of imports by kind, in order: of functions, tables, memories, globals, tags."""
    found: dict[int, list[str]] = {}
    for _ in range(reader.number()):
        reader.name()
        name, kind = reader.name(), reader.number()
        found.setdefault(kind, []).append(name)
        if kind in (1, 2):  # a table has a type, and both have limits
            *_, limits = reader.numbers(2 if kind == 1 else 1)
            reader.numbers(1 + (limits & 1))  # the least size, and the greatest one if there is one
        else:
            reader.numbers(1 if kind == 0 else 2)
    return found


def _table(reader: Reader, imports: dict[int, list[str]]) -> Iterator[Symbol]:
    for _ in range(reader.number()):
        kind, flags = reader.numbers(2)
        defined = not flags & _UNDEFINED
        if kind == _OF_SECTION:
            reader.number()
            continue
        if kind == _OF_DATA:
            name = reader.name()
            reader.numbers(3 if defined else 0)  # segment, offset, size
        else:
            index = reader.number()
            name = reader.name() if defined or flags & _NAMED else imports[_IMPORTED_AS[kind]][index]
        if not flags & _LOCAL:
            yield Symbol(name, defined)
