"""What an object format has to offer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..target import Target


@dataclass(frozen=True)
class Symbol:
    """A global symbol of an object; `defined` here, or wanted from elsewhere."""

    name: str
    defined: bool


@dataclass(frozen=True)
class ObjectFormat:
    """The functions of one format. All raise NativeError for bytes that are not of it.

    `global_symbols` reads the global and weak symbols of an object, in the table's order. `data_object` writes an
    object that defines a symbol as these bytes, read-only and aligned; `note_object` one with a note, by its owner and
    kind, which stays in what is linked. `archive` makes a static library of objects by file name.
    """

    global_symbols: Callable[[bytes], tuple[Symbol, ...]]
    data_object: Callable[[str, bytes | memoryview, Target], bytes]
    note_object: Callable[[bytes, int, bytes, Target], bytes]
    archive: Callable[[Mapping[str, bytes]], bytes]

    def undefined_symbols(self, code: bytes) -> tuple[str, ...]:
        """Names that an object needs from others, sorted."""
        return tuple(sorted(symbol.name for symbol in self.global_symbols(code) if not symbol.defined))
