"""The interface of an object format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..machine.target import Target


@dataclass(frozen=True)
class Symbol:
    """A global symbol of an object; `defined` in it, or needed from another object."""

    name: str
    defined: bool


@dataclass(frozen=True)
class ObjectFormat:
    """The functions of one format. All raise NativeError for bytes of another format.

    `global_symbols` reads the global and weak symbols of an object, in the table's order. `data_object` writes an
    object that defines a symbol as these bytes, read-only and aligned. `note_object` writes one with a note of an owner
    and a kind, which linkers keep. `archive` makes a static library of objects by file name.
    """

    global_symbols: Callable[[bytes], tuple[Symbol, ...]]
    data_object: Callable[[str, bytes | memoryview, Target], bytes]
    note_object: Callable[[bytes, int, bytes, Target], bytes]
    archive: Callable[[Mapping[str, bytes]], bytes]

    def undefined_symbols(self, code: bytes) -> tuple[str, ...]:
        """The undefined symbols of an object, sorted."""
        return tuple(sorted(symbol.name for symbol in self.global_symbols(code) if not symbol.defined))
