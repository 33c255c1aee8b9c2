"""Bytes of stack for vectors that functions of RISC-V spill, read from their code (RISC-V Unprivileged ISA, 20240411).

A vector register has as many bytes as the processor says (`csrr …, vlenb`), so LLVM tells no figure for them. A
function reads that number before anything else of the kind, multiplies it by constants, and takes the product off the
stack's pointer: the few instructions of such sums are followed here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from .elf_pieces import elf_pieces

_POINTER = 2  # the register x2, sp
_READS_VLENB, _BUT_REGISTER = 0xC220_2073, 0xFFFF_F07F

Step = tuple[str, int, int | None, int | None]
"""An operation, where its result goes, and two registers; in place of the second a number for the names with "i"."""


def spilled(code: bytes, functions: Collection[str], vector_bytes: int) -> dict[str, int] | None:
    """Bytes that each function takes off the stack for vectors of so many bytes; None if its code is not understood.

    A function without such vectors is not among them. Raises NativeError for another object than one of ELF.
    """
    pieces = elf_pieces(code)
    places = sorted((each.section or 0, each.value, each.name) for each in pieces.labels if each.name in functions)
    found = {}
    for (section, start, name), (following, end, _) in zip(places, [*places[1:], (-1, 0, "")], strict=True):
        text = pieces.sections[section].data[start : end if following == section else None]
        taken = _taken(text, vector_bytes)
        if taken is None:
            return None
        found[name] = taken
    return {name: taken for name, taken in found.items() if taken}


def _taken(text: bytes, vector_bytes: int) -> int | None:
    """What the first subtraction of a known number from the stack's pointer takes off, once the code asked for one."""
    known, asked = {0: 0}, False
    for operation, to, a, b in _steps(text):
        asked |= operation == "vlenb"
        if operation == "sub" and (to, a) == (_POINTER, _POINTER):
            return known.get(-1 if b is None else b)
        value = vector_bytes if operation == "vlenb" else _value(operation, a, b, known)
        if value is None:
            known.pop(to, None)
        elif to:
            known[to] = value
    return None if asked else 0


def _value(operation: str, a: int | None, b: int | None, known: dict[int, int]) -> int | None:
    first = 0 if a is None else known.get(a)
    second = b if operation.endswith("i") else known.get(-1 if b is None else b)
    if first is None or second is None:
        return None
    if operation == "slli":
        return first << second
    if operation == "srli":
        return first >> second
    if operation == "mul":
        return first * second
    return first - second if operation == "sub" else first + second


def _steps(text: bytes) -> Iterator[Step]:
    """The instructions that such sums are made of; others are left out."""
    at = 0
    while at + 2 <= len(text):
        low = int.from_bytes(text[at : at + 2], "little")
        wide = low & 3 == 3
        found = _step(int.from_bytes(text[at : at + 4], "little")) if wide else _compressed(low)
        if found:
            yield found
        at += 4 if wide else 2


def _step(word: int) -> Step | None:
    opcode, to, kind, a, b = word & 0x7F, word >> 7 & 31, word >> 12 & 7, word >> 15 & 31, word >> 20 & 31
    if word & _BUT_REGISTER == _READS_VLENB:
        return "vlenb", to, None, None
    if opcode == 0x33 and (name := {0x000: "add", 0x100: "sub", 0x008: "mul"}.get(word >> 25 << 3 | kind)):
        return name, to, a, b
    if opcode in (0x13, 0x1B) and kind == 0:
        return "addi", to, a, _signed(word >> 20, 12)
    if opcode == 0x13 and kind in (1, 5) and word >> 26 == 0:
        return "slli" if kind == 1 else "srli", to, a, word >> 20 & 63
    if opcode == 0x37:
        return "addi", to, None, _signed(word >> 12, 20) << 12
    return None


def _compressed(half: int) -> Step | None:
    kind, to, b, number = half >> 13 << 2 | half & 3, half >> 7 & 31, half >> 2 & 31, half >> 7 & 32 | half >> 2 & 31
    if kind in (0b000_01, 0b001_01):
        return "addi", to, to, _signed(number, 6)
    if kind == 0b010_01:
        return "addi", to, None, _signed(number, 6)
    if kind == 0b011_01 and to != _POINTER:
        return "addi", to, None, _signed(number, 6) << 12
    if kind == 0b000_10:
        return "slli", to, to, number
    if kind == 0b100_10 and b:
        return "add", to, to if half >> 12 & 1 else 0, b
    if half & 0xFC63 == 0x8C01:
        return "sub", 8 + (to & 7), 8 + (to & 7), 8 + (b & 7)
    return None


def _signed(value: int, bits: int) -> int:
    return (value ^ 1 << bits - 1) - (1 << bits - 1)
