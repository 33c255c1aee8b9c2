"""WebAssembly's objects (WebAssembly tool conventions, Linking.md): reading symbols and sections, writing bytes.

An object is a module whose section "linking" names its symbols. Functions and globals that are imported stand in the
section of imports; the name of an undefined symbol is that of its import, unless the symbol has one of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from ..abi import ALIGNMENT
from ..errors import NativeError
from ..machine.target import Target
from .format import Section, Symbol

T = TypeVar("T")

_MAGIC = b"\0asm\1\0\0\0"
_NAMES = dict(
    enumerate("custom type import function table memory global export start element code data count tag".split())
)
_CUSTOM, _IMPORTS, _DATA = 0, 2, 11  # sections
_SEGMENTS, _SYMBOLS = 5, 8  # parts of "linking"
_OF_DATA, _OF_SECTION = 1, 3  # kinds of symbols; a symbol of another kind has an index
_LOCAL, _UNDEFINED, _NAMED = 0x02, 0x10, 0x40  # flags of symbols
_IMPORTED_AS = {0: 0, 2: 3, 4: 4, 5: 1}  # kind of an import by that of a symbol: function, global, tag, table
_MEMORY = b"\3env\x0f__linear_memory\2\0\0"  # the import of a memory of any size
_VERSION = 2  # of "linking"


@dataclass
class _Reader:
    """Numbers and names from `at` on."""

    code: bytes
    at: int = 0

    def number(self) -> int:
        """An unsigned LEB128 number."""
        result, shift, byte = 0, 0, 0x80
        while byte & 0x80:
            byte = self.code[self.at]
            result |= (byte & 0x7F) << shift
            self.at, shift = self.at + 1, shift + 7
        return result

    def numbers(self, count: int) -> list[int]:
        return [self.number() for _ in range(count)]

    def take(self, size: int) -> bytes:
        self.at += size
        if self.at > len(self.code):
            raise IndexError("it is cut short")
        return self.code[self.at - size : self.at]

    def name(self) -> str:
        return self.take(self.number()).decode()

    def parts(self) -> Iterator[tuple[int, bytes]]:
        """Kind and content of what follows, each with its size in front."""
        while self.at < len(self.code):
            kind = self.number()
            yield kind, self.take(self.number())


def global_symbols(code: bytes) -> tuple[Symbol, ...]:
    """All global and weak symbols, in the table's order. Raises NativeError for anything but WebAssembly."""
    return _told(lambda: tuple(_symbols(code)))


def sections(code: bytes) -> tuple[Section, ...]:
    """All sections, custom ones by their own names. Raises NativeError as `global_symbols` does."""
    return _told(lambda: tuple(Section(name, data) for _, name, data in _sections(code)))


def data_object(symbol: str, data: bytes | memoryview, target: Target) -> bytes:
    """A relocatable object that defines `symbol` as these bytes, aligned to 64."""
    name, size = _text(symbol), _leb(len(data))
    at_zero = b"\0\x41\0\x0b"  # memory 0, from the constant 0 on
    alignment = ALIGNMENT.bit_length() - 1
    segment = b"\1" + _text(f".rodata.{symbol}") + bytes([alignment, 0])
    table = b"\1" + bytes([_OF_DATA, 0]) + name + b"\0\0" + size
    linking = _text("linking") + _leb(_VERSION) + _part(_SEGMENTS, segment) + _part(_SYMBOLS, table)
    data_head = b"\1" + at_zero + size
    return b"".join(
        (
            _MAGIC,
            _part(_IMPORTS, b"\1" + _MEMORY),
            bytes([_DATA]) + _leb(len(data_head) + len(data)) + data_head,
            data,
            _part(_CUSTOM, linking),
        )
    )


def _told(read: Callable[[], T]) -> T:
    try:
        return read()
    except (IndexError, KeyError, ValueError) as error:
        raise NativeError(f"damaged WebAssembly file: {error}") from error


def _sections(code: bytes) -> Iterator[tuple[int, str, bytes]]:
    if code[: len(_MAGIC)] != _MAGIC:
        raise NativeError("not a WebAssembly module")
    for kind, content in _Reader(code, len(_MAGIC)).parts():
        reader = _Reader(content)
        name = reader.name() if kind == _CUSTOM else _NAMES[kind]
        yield kind, name, content[reader.at :]


def _symbols(code: bytes) -> Iterator[Symbol]:
    imports: dict[int, list[str]] = {}
    for kind, name, content in _sections(code):
        if kind == _IMPORTS:
            imports = _imports(_Reader(content))
        elif kind == _CUSTOM and name == "linking":
            reader = _Reader(content)
            if reader.number() != _VERSION:
                raise ValueError(f"its symbols are not of version {_VERSION}")
            for part, table in reader.parts():
                if part == _SYMBOLS:
                    yield from _table(_Reader(table), imports)


def _imports(reader: _Reader) -> dict[int, list[str]]:
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


def _table(reader: _Reader, imports: dict[int, list[str]]) -> Iterator[Symbol]:
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


def _leb(value: int) -> bytes:
    digits = []
    while True:
        value, digit = value >> 7, value & 0x7F
        digits.append(digit | (0x80 if value else 0))
        if not value:
            return bytes(digits)


def _text(name: str) -> bytes:
    return _leb(len(name.encode())) + name.encode()


def _part(kind: int, content: bytes) -> bytes:
    return bytes([kind]) + _leb(len(content)) + content
