"""The interface of an object format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from ..machine.target import Target


@dataclass(frozen=True)
class Symbol:
    """A global symbol of an object, by its name in C; `defined` in it, or needed from another object."""

    name: str
    defined: bool


@dataclass(frozen=True)
class Section:
    """A section of an object and its bytes; none for one that takes memory only."""

    name: str
    data: bytes


class DataObject(Protocol):
    """How `ObjectFormat.data_object` is called."""

    def __call__(self, symbol: str, data: bytes | memoryview, target: Target, section: str = "") -> bytes: ...


@dataclass(frozen=True)
class ObjectFormat:
    """The functions of one format. All raise NativeError for bytes of another format.

    `global_symbols` reads the global and weak symbols of an object, in the table's order, and `sections` its sections.
    `data_object` writes an object that defines a symbol as these bytes, read-only and aligned, in the format's section
    for constants or in one of a name. `archive` makes a static
    library of objects by file name. `without_unwinding` takes out what describes the stack to an unwinder.
    """

    global_symbols: Callable[[bytes], tuple[Symbol, ...]]
    sections: Callable[[bytes], tuple[Section, ...]]
    data_object: DataObject
    archive: Callable[[Mapping[str, bytes]], bytes]
    without_unwinding: Callable[[bytes], bytes] = bytes

    def code_bytes(self, code: bytes, section: str = "") -> int:
        """Bytes of machine code and constants in an object: what it takes of a read-only memory.

        Code may stand in a `section` of another name.
        """
        kept = (section or ".text", ".text", ".rodata", ".rdata", "__text", "__const", "__literal", "code", "data")
        return sum(len(section.data) for section in self.sections(code) if section.name.startswith(kept))

    def undefined_symbols(self, code: bytes) -> tuple[str, ...]:
        """The undefined symbols of an object, sorted."""
        return tuple(sorted(symbol.name for symbol in self.global_symbols(code) if not symbol.defined))
