"""Numbers, names and sections of WebAssembly's files, read and written (WebAssembly Core 1.0, section 5)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from ..errors import NativeError

T = TypeVar("T")

MAGIC = b"\0asm\1\0\0\0"
NAMES = "custom type import function table memory global export start element code data count tag".split()
"""The kinds of sections by their numbers; those from 1 to 11 stand in this order in a file."""
CUSTOM, TYPES, IMPORTS, FUNCTIONS, _TABLES, MEMORIES, GLOBALS, EXPORTS, _START, _ELEMENTS, CODE, DATA, COUNT = range(13)


@dataclass
class Reader:
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


def told(read: Callable[[], T]) -> T:
    """What `read` returns. Raises NativeError for what it stumbles over."""
    try:
        return read()
    except (IndexError, KeyError, ValueError) as error:
        raise NativeError(f"damaged WebAssembly file: {error}") from error


def parts(code: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and content of each section. Raises NativeError for a file of another format."""
    if code[: len(MAGIC)] != MAGIC:
        raise NativeError("not a WebAssembly module")
    yield from Reader(code, len(MAGIC)).parts()


def leb(value: int) -> bytes:
    """An unsigned number."""
    digits = []
    while True:
        value, digit = value >> 7, value & 0x7F
        digits.append(digit | (0x80 if value else 0))
        if not value:
            return bytes(digits)


def constant(address: int) -> bytes:
    """The expression that is this address: a constant of 32 bits, written as a signed number."""
    value, digits = (address ^ 1 << 31) - (1 << 31), []
    while not -64 <= value < 64:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([0x41, *digits, value & 0x7F, 0x0B])


def text(name: str) -> bytes:
    return leb(len(name.encode())) + name.encode()


def part(kind: int, content: bytes) -> bytes:
    """A section, or a part of one: its kind, its size, and what it contains."""
    return bytes([kind]) + leb(len(content)) + content


def vector(rows: list[bytes]) -> bytes:
    """Rows with their number in front."""
    return leb(len(rows)) + b"".join(rows)
