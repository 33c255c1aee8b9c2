"""Linking objects into memory: each gets its addresses, and the bytes that hold addresses are filled in.

It is what a program needs that carries an object to an emulator: no shared libraries, no thread-local data, no
relaxation. A relocation that it does not know is an error, never a guess.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..alignment import rounded_up
from ..errors import NativeError
from .fixes import FIXES, Base, checked
from .pieces import Fix, Pieces

PAGE = 4096


@dataclass(frozen=True)
class Placed:
    """An object in memory: `data` from `address` on, and where each of its labels came to lie."""

    address: int
    data: bytes
    labels: tuple[tuple[str, int], ...]


def place_at_end(size: int, alignment: int, start: int) -> int:
    """The first address from `start` on of a block that ends where a page does, as nearly as its alignment allows.

    What lies behind it is another page, so that a program which reads or writes there ends.
    """
    return rounded_up(start + rounded_up(size, alignment), PAGE) - rounded_up(size, alignment)


def link(objects: Sequence[Pieces], start: int) -> tuple[Placed, ...]:
    """Place objects one after the other from `start` on, with a page that stays empty behind each.

    Raises NativeError for labels that nobody exports or two do, and for addresses that do not fit.
    """
    places, end = [], start
    for pieces in objects:
        offsets, size = _offsets(pieces)
        address = place_at_end(size, max((section.alignment for section in pieces.sections), default=1), end)
        places.append([address + offset for offset in offsets])
        end = rounded_up(address + size, PAGE) + PAGE
    exported = _exported(objects, places)
    return tuple(_linked(pieces, addresses, exported) for pieces, addresses in zip(objects, places, strict=True))


def _offsets(pieces: Pieces) -> tuple[list[int], int]:
    """Where each section begins in its object, and the size of all."""
    offsets, size = [], 0
    for section in pieces.sections:
        offsets.append(rounded_up(size, section.alignment))
        size = offsets[-1] + len(section.data)
    return offsets, size


def _exported(objects: Sequence[Pieces], places: Sequence[Sequence[int]]) -> dict[str, int]:
    """Where each exported name lies: of several that are weak the first one counts."""
    found: dict[str, int] = {}
    firm: set[str] = set()
    for pieces, addresses in zip(objects, places, strict=True):
        for label in pieces.labels:
            if not label.exported or label.section is None or (label.weak and label.name in found):
                continue
            if not label.weak and label.name in firm:
                raise NativeError(f"two objects define '{label.name}'")
            found[label.name] = addresses[label.section] + label.value
            firm |= set() if label.weak else {label.name}
    return found


def _linked(pieces: Pieces, addresses: Sequence[int], exported: Mapping[str, int]) -> Placed:
    start = addresses[0] if addresses else 0
    end = max((at + len(section.data) for at, section in zip(addresses, pieces.sections, strict=True)), default=0)
    data = bytearray(end - start)
    for at, section in zip(addresses, pieces.sections, strict=True):
        data[at - start : at - start + len(section.data)] = section.data
    labels = [
        (label.name, exported.get(label.name) if label.section is None else addresses[label.section] + label.value)
        for label in pieces.labels
    ]
    distances: dict[int, int] = {}  # of instructions that hold the high part of one, for those with the low part
    for fix in sorted(pieces.fixes, key=lambda fix: FIXES[fix.kind].base is Base.PAIRED):
        _fill(data, start, addresses[fix.section] + fix.offset, fix, labels[fix.label], distances)
    return Placed(start, bytes(data), tuple((name, at) for name, at in labels if at is not None))


def _fill(
    data: bytearray, start: int, here: int, fix: Fix, label: tuple[str, int | None], distances: dict[int, int]
) -> None:
    """Fill in the bytes at the address `here`, which is known by `start`, the address of the first one."""
    row, (name, target) = FIXES[fix.kind], label
    place = slice(here - start, here - start + row.size)
    number = int.from_bytes(data[place], "little")
    if not row.size:
        return
    if target is None and name:
        raise NativeError(f"nothing defines '{name}'")
    addend = fix.addend if fix.addend is not None else _in_place(fix.kind, number)
    value = (target or 0) + addend
    if row.base is Base.HERE:
        value = distances[here] = value - here
    elif row.base is Base.PAGE:
        value = value // PAGE * PAGE - here // PAGE * PAGE
    elif row.base is Base.PAIRED:
        value = distances[target or 0]
    data[place] = row.put(number, checked(fix.kind, value)).to_bytes(row.size, "little")


def _in_place(kind: str, number: int) -> int:
    get = FIXES[kind].get
    if get is None:
        raise NativeError(f"a relocation ({kind}) without an addend is not known")
    return get(number)


def undefined(objects: Sequence[Pieces]) -> Iterator[str]:
    """Names that fixes of these objects ask for, and that none of them exports."""
    defined = {label.name for pieces in objects for label in pieces.labels if label.section is not None}
    for pieces in objects:
        for fix in pieces.fixes:
            label = pieces.labels[fix.label]
            if FIXES[fix.kind].size and label.section is None and label.name and label.name not in defined:
                yield label.name
