"""Taking a relocatable ELF object apart, for the linker (System V ABI, chapter 4, and each processor's supplement)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import NativeError
from .pieces import Fix, Label, Pieces, Section

_SYMBOLS, _RELA, _EMPTY, _REL = 2, 4, 8, 9  # section types
_ALLOCATED = 2  # section flag
_LOCAL, _WEAK = 0, 2  # bindings
_ARM, _X86_64, _AARCH64, _RISCV = 40, 62, 183, 243


@dataclass(frozen=True)
class _Words:
    """The records of one word size, and the places of the fields that are read."""

    sections_at: tuple[str, int]
    counts_at: int
    section: str  # name, type, flags, address, offset, size, link, info, alignment, size of an entry
    symbol: str
    symbol_fields: tuple[int, int, int, int]  # name, info, section, value
    with_addend: str
    without: str
    symbol_shift: int  # of the symbol's number in a relocation's `info`


_WORDS = {
    1: _Words(("<I", 0x20), 0x2E, "<10I", "<IIIBBH", (0, 3, 5, 1), "<IIi", "<II", 8),
    2: _Words(("<Q", 0x28), 0x3A, "<IIQQQQIIQQ", "<IBBHQQ", (0, 1, 3, 4), "<QQq", "<QQ", 32),
}

KINDS: dict[int, dict[int, str]] = {
    _X86_64: {1: "word64", 2: "from32", 4: "from32", 10: "word32", 11: "word32", 24: "from64"},
    _AARCH64: {
        257: "word64",
        258: "word32",
        260: "from64",
        261: "from32",
        275: "a64_page",
        277: "a64_low1",
        278: "a64_low1",
        284: "a64_low2",
        285: "a64_low4",
        286: "a64_low8",
        299: "a64_low16",
        282: "a64_jump",
        283: "a64_jump",
    },
    _ARM: {
        0: "none",
        2: "word32",
        3: "from32",
        10: "thumb_call",
        28: "arm_jump",
        29: "arm_jump",
        30: "thumb_call",
        40: "none",  # V4BX: of ARM before version 4T
        42: "from31",
        43: "arm_low16",
        44: "arm_high16",
        45: "arm_from_low16",
        46: "arm_from_high16",
        47: "thumb_low16",
        48: "thumb_high16",
        49: "thumb_from_low16",
        50: "thumb_from_high16",
        102: "thumb_jump11",
    },
    _RISCV: {
        0: "none",
        1: "word32",
        2: "word64",
        16: "riscv_branch",
        17: "riscv_jump",
        18: "riscv_call",
        19: "riscv_call",
        23: "riscv_from_high20",
        24: "riscv_from_low12",
        25: "riscv_from_low12_store",
        26: "riscv_high20",
        27: "riscv_low12",
        28: "riscv_low12_store",
        33: "add8",
        34: "add16",
        35: "add32",
        36: "add64",
        37: "sub8",
        38: "sub16",
        39: "sub32",
        40: "sub64",
        43: "none",  # ALIGN: padding that a linker may shorten
        44: "riscv_short_branch",
        45: "riscv_short_jump",
        51: "none",  # RELAX: a linker may find a shorter instruction
        57: "from32",
    },
}
"""The relocations of each machine, by their numbers in its supplement, as kinds of `fixes.FIXES`."""


def elf_pieces(code: bytes) -> Pieces:
    """Take an object apart. Raises NativeError for anything else, or a relocation that is not in `KINDS`."""
    words = _WORDS.get(code[4]) if code[:4] == b"\x7fELF" and len(code) > 64 else None
    if words is None or code[5] != 1:
        raise NativeError("not a little-endian ELF file")
    try:
        return _Reader(code, words).pieces()
    except (struct.error, IndexError, ValueError) as error:
        raise NativeError(f"damaged ELF file: {error}") from error


class _Reader:
    def __init__(self, code: bytes, words: _Words):
        self.code, self.words = code, words
        (self.machine,) = struct.unpack_from("<H", code, 18)
        (start,) = struct.unpack_from(words.sections_at[0], code, words.sections_at[1])
        stride, count, names = struct.unpack_from("<3H", code, words.counts_at)
        self.headers = [struct.unpack_from(words.section, code, start + i * stride) for i in range(count)]
        self.names = self.headers[names][4]

    def pieces(self) -> Pieces:
        loaded = [number for number, header in enumerate(self.headers) if header[2] & _ALLOCATED]
        place = {number: index for index, number in enumerate(loaded)}
        tables = [header for header in self.headers if header[1] == _SYMBOLS]
        labels = tuple(self.labels(tables[0], place)) if tables else ()
        fixes = tuple(fix for header in self.headers for fix in self.fixes(header, place))
        return Pieces(tuple(self.section(self.headers[number]) for number in loaded), labels, fixes)

    def section(self, header: tuple[int, ...]) -> Section:
        name, kind, _, _, offset, size, *_, alignment, _ = header
        data = bytes(size) if kind == _EMPTY else self.code[offset : offset + size]
        if len(data) != size:
            raise ValueError("it is cut short")
        return Section(self.string(self.names + name), data, max(alignment, 1))

    def labels(self, header: tuple[int, ...], place: dict[int, int]) -> Iterator[Label]:
        _, _, _, _, offset, size, link, *_ = header
        strings = self.headers[link][4]
        for fields in struct.iter_unpack(self.words.symbol, self.code[offset : offset + size]):
            name, info, section, value = (fields[at] for at in self.words.symbol_fields)
            exported, weak = info >> 4 != _LOCAL and section != 0, info >> 4 == _WEAK
            yield Label(self.string(strings + name), place.get(section), value, exported, weak)

    def fixes(self, header: tuple[int, ...], place: dict[int, int]) -> Iterator[Fix]:
        _, kind, _, _, offset, size, _, section, *_ = header
        if kind not in (_RELA, _REL) or section not in place:
            return
        record = self.words.with_addend if kind == _RELA else self.words.without
        for at, info, *addend in struct.iter_unpack(record, self.code[offset : offset + size]):
            number = info & ((1 << self.words.symbol_shift) - 1)
            known = KINDS.get(self.machine, {}).get(number)
            if known is None:
                raise NativeError(f"an object of machine {self.machine} has relocation {number}, which is not known")
            yield Fix(place[section], at, known, info >> self.words.symbol_shift, addend[0] if kind == _RELA else None)

    def string(self, start: int) -> str:
        return self.code[start : self.code.index(b"\0", start)].decode()
