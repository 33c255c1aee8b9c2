"""Making a module of a WebAssembly object: a section of exports is added (WebAssembly Core 1.0, section 5.5).

An object is a module already, in which each number is right as long as nothing is linked to it: its data begins at the
address 0, and it imports the memory, the stack's pointer and the table of functions from "env".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..errors import NativeError

_MAGIC = b"\0asm\1\0\0\0"
_CUSTOM, _EXPORTS = 0, 7
_BEHIND = (8, 9, 10, 11, 12)  # sections that follow the exports
_SYMBOLS, _FUNCTION, _DATA, _SECTION = 8, 0, 1, 3  # the table of symbols in "linking", and kinds of them
_UNDEFINED, _NAMED = 0x10, 0x40  # flags of symbols


def module(code: bytes, names: Sequence[str]) -> bytes:
    """The object with these functions exported. Raises NativeError for another file, or if it does not define them."""
    if code[: len(_MAGIC)] != _MAGIC:
        raise NativeError("not a WebAssembly module")
    try:
        sections = list(_sections(code))
        functions = {name: index for content in _linking(code, sections) for name, index in _functions(content)}
    except (IndexError, ValueError) as error:
        raise NativeError(f"damaged WebAssembly file: {error}") from error
    missing = [name for name in names if name not in functions]
    if missing:
        raise NativeError(f"the object does not define '{missing[0]}'")
    rows = b"".join(_text(name) + b"\0" + _leb(functions[name]) for name in names)
    content = _leb(len(names)) + rows
    exports = bytes([_EXPORTS]) + _leb(len(content)) + content
    at = next((start for kind, start, _, _ in sections if kind in _BEHIND), len(code))
    return code[:at] + exports + code[at:]


def _sections(code: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Kind, start, and where the content begins and ends, of each section."""
    start = len(_MAGIC)
    while start < len(code):
        size, content = _number(code, start + 1)
        if content + size > len(code):
            raise ValueError("it is cut short")
        yield code[start], start, content, content + size
        start = content + size


def _linking(code: bytes, sections: Sequence[tuple[int, int, int, int]]) -> Iterator[bytes]:
    """The tables of symbols."""
    for kind, _, at, end in sections:
        if kind == _CUSTOM and code[at:end].startswith(_text("linking")):
            _, at = _number(code, at + len(_text("linking")))  # the version
            while at < end:
                part, (size, content) = code[at], _number(code, at + 1)
                at = content + size
                if part == _SYMBOLS:
                    yield code[content:at]


def _functions(table: bytes) -> Iterator[tuple[str, int]]:
    """Names and numbers of the functions that are defined."""
    count, at = _number(table, 0)
    for _ in range(count):
        kind, (flags, at) = table[at], _number(table, at + 1)
        defined = not flags & _UNDEFINED
        if kind == _DATA:
            _, at = _name(table, at)
            for _ in range(3 if defined else 0):  # segment, offset, size
                _, at = _number(table, at)
            continue
        index, at = _number(table, at)
        if kind != _SECTION and (defined or flags & _NAMED):
            name, at = _name(table, at)
            if kind == _FUNCTION and defined:
                yield name, index


def _number(data: bytes, at: int) -> tuple[int, int]:
    """An unsigned LEB128 number, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value, shift, at = value | (byte & 0x7F) << shift, shift + 7, at + 1
        if byte < 0x80:
            return value, at


def _name(data: bytes, at: int) -> tuple[str, int]:
    size, at = _number(data, at)
    return data[at : at + size].decode(), at + size


def _leb(value: int) -> bytes:
    head = b""
    while value >= 0x80:
        head, value = head + bytes([value & 0x7F | 0x80]), value >> 7
    return head + bytes([value])


def _text(name: str) -> bytes:
    return _leb(len(name.encode())) + name.encode()
