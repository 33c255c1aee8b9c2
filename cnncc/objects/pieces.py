"""What a linker needs of an object, whatever its format: sections, the places that have names, the bytes to fill in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Section:
    """Bytes that lie together in memory."""

    name: str
    data: bytes
    alignment: int


@dataclass(frozen=True)
class Label:
    """A place: `value` bytes into a section of the same object, or, without one, the label of that name elsewhere.

    The lowest bit of a function of ARM's Thumb is set, as in a pointer to it. A `weak` one gives way to another.
    """

    name: str
    section: int | None
    value: int
    exported: bool = False
    weak: bool = False


@dataclass(frozen=True)
class Fix:
    """Bytes of a section that depend on where a label comes to lie: a row `kind` of `fixes.FIXES`.

    Without an addend, the bytes hold it.
    """

    section: int
    offset: int
    kind: str
    label: int
    addend: int | None


@dataclass(frozen=True)
class Pieces:
    """An object taken apart. Sections that are not loaded are not in it; `fixes` are those of the others."""

    sections: tuple[Section, ...]
    labels: tuple[Label, ...]
    fixes: tuple[Fix, ...]
