"""Sections of objects that a linker script places: which part of a program lies in which memory.

The names are the user's, as `section(…)` of GCC and Clang takes them. Weights and code are sections of our objects;
the memory of workspace and states is the caller's, so header and manifest tell their names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

from ..errors import TargetError, UsageError
from ..machine.target import Target

_NAME = re.compile(r"[A-Za-z_.][A-Za-z0-9_.$-]*")
_MOST = {"ELF": 64, "COFF": 8, "Mach-O": 16}
"""Characters of a name: images of Windows cut longer ones, and macOS has fields of that size."""
_OWN = (".bss", ".tbss", ".comment", ".debug", ".note", ".rel", ".symtab", ".strtab", ".shstrtab", ".ARM.", ".eh_frame")
"""Beginnings of names that have a meaning for linkers which our bytes do not have."""


@dataclass(frozen=True)
class Regions:
    """The section of each part by its name, as the user wrote it; nothing where that was left to us."""

    weights: str = ""
    code: str = ""
    workspace: str = ""
    states: str = ""

    def spelled(self, part: str, target: Target) -> str:
        """The section of a part as LLVM and compilers take it; on macOS with the segment that it belongs to."""
        name: str = getattr(self, part)
        segment = "__TEXT" if part in ("weights", "code") else "__DATA"
        return f"{segment},{name}" if name and target.object_format == "Mach-O" else name

    def given(self) -> dict[str, str]:
        """The parts that were placed."""
        return {field.name: name for field in fields(self) if (name := getattr(self, field.name))}


PARTS = tuple(field.name for field in fields(Regions))


def regions(text: str, target: Target) -> Regions:
    """The regions of words such as 'weights=flash,workspace=sram1'.

    Raises UsageError for an unknown part, a name that the format does not take, or a name for two parts of which only
    one is written; TargetError for a format without sections that linkers place.
    """
    if target.object_format not in _MOST:
        raise TargetError(f"--place: objects of target '{target.name}' have no sections that a linker places")
    found: dict[str, str] = {}
    for part, name in _words(text):
        if part in found:
            raise UsageError(f"--place names a section of {part} twice: '{found[part]}' and '{name}'")
        _expect_name(part, name, target)
        found[part] = name
    _expect_apart(found)
    return Regions(**found)


def _words(text: str) -> Iterator[tuple[str, str]]:
    for word in text.split(","):
        part, equals, name = word.partition("=")
        if part not in PARTS or not equals:
            raise UsageError(f"--place '{word}': expected PART=SECTION, where PART is one of {', '.join(PARTS)}")
        yield part, name


def _expect_name(part: str, name: str, target: Target) -> None:
    form = target.object_format
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"--place {part}={name}: expected the name of a section, of letters, digits and _ . $ -, not a digit first"
        )
    if len(name) > _MOST[form]:
        raise UsageError(f"--place {part}={name}: sections of {form} have names of at most {_MOST[form]} characters")
    if name.startswith(_OWN):
        raise UsageError(f"--place {part}={name}: sections of that name have a meaning for linkers: choose another")


def _expect_apart(found: dict[str, str]) -> None:
    """One section is either written or not, and either code or not; workspace and states are both written."""
    kinds: dict[str, str] = {}
    for part, name in found.items():
        kind = "memory" if part in ("workspace", "states") else part
        if kinds.setdefault(name, kind) != kind:
            others: Sequence[str] = [other for other in found if found[other] == name]
            raise UsageError(f"--place gives {' and '.join(others)} one section, '{name}': expected sections apart")
