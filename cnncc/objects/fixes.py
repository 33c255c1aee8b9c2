"""How an instruction, or a word of data, holds an address: one row for each kind of relocation.

The bytes are a little-endian number of 2, 4 or 8 bytes (of Thumb's long instructions the first half is the lower one).
`value` is the address, or the distance to it, with the addend; `put` writes it into the number, `get` reads the addend
that is there. Encodings are those of the processors' manuals.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from ..errors import NativeError


class Base(Enum):
    """What an address is counted from."""

    ZERO = "zero"
    HERE = "here"
    PAGE = "page"  # from the page of this place to the page of the address
    PAIRED = "paired"  # the distance that the label's own instruction holds the high part of
    HELD = "held"  # zero; and the bytes' own number is part of the result


@dataclass(frozen=True)
class Fix:
    """`bits` are those of the value as a signed number, 0 for any; it is a multiple of `step`."""

    size: int
    put: Callable[[int, int], int]
    base: Base = Base.ZERO
    bits: int = 0
    step: int = 1
    get: Callable[[int], int] | None = None


def field(number: int, value: int, *parts: tuple[int, int, int]) -> int:
    """`number` with bits of `value` in it; each part is (first bit of the value, bits, first bit in the number)."""
    for low, bits, at in parts:
        mask = (1 << bits) - 1
        number = number & ~(mask << at) | (value >> low & mask) << at
    return number


def gathered(number: int, *parts: tuple[int, int, int]) -> int:
    """The inverse of `field`: the value whose bits are in these parts, not negative."""
    return sum((number >> at & (1 << bits) - 1) << low for low, bits, at in parts)


def signed(value: int, bits: int) -> int:
    return (value & (1 << bits) - 1) - ((value & 1 << bits - 1) << 1)


def checked(kind: str, value: int) -> int:
    """The value, if it fits. Raises NativeError if it does not."""
    fix = FIXES[kind]
    fits = not fix.bits or -1 << fix.bits - 1 <= value < 1 << (fix.bits - 1)
    if not fits or value % fix.step:
        raise NativeError(f"a relocation ({kind}) cannot hold {value}")
    return value


def _parts(size: int, *parts: tuple[int, int, int], base: Base = Base.ZERO, bits: int = 0, step: int = 1) -> Fix:
    """A fix whose bits stand as they are; the addend in place is as wide as the value."""
    width = bits or max(low + count for low, count, _ in parts)

    def get(number: int) -> int:
        return signed(gathered(number, *parts), width)

    return Fix(size, lambda number, value: field(number, value, *parts), base, bits, step, get)


def _data(bits: int, base: Base = Base.ZERO) -> Fix:
    return _parts(bits // 8, (0, bits, 0), base=base)


def _low(scale: int) -> Fix:
    """The low 12 bits of an address in an instruction of aarch64 that counts in units of `scale` bytes."""
    shift = scale.bit_length() - 1
    return Fix(4, lambda number, value: field(number, value & 0xFFF, (shift, 12 - shift, 10)), step=scale)


def a64_scale(number: int) -> int:
    """The bytes in which an instruction of aarch64 counts its low 12 bits: 1 of ADD, or what it loads or stores."""
    if number & 0x3B00_0000 != 0x3900_0000:
        return 1
    return 16 if number & 0x0480_0000 == 0x0480_0000 else 1 << (number >> 30)


def _thumb_branch(number: int, value: int) -> int:
    """BL and B.W: two of the bits are stored as their exclusive or with the sign."""
    sign, i1, i2 = value >> 24 & 1, value >> 23 & 1, value >> 22 & 1
    number = field(number, value, (12, 10, 0), (1, 11, 16))
    return field(number, sign | (1 ^ i1 ^ sign) << 1 | (1 ^ i2 ^ sign) << 2, (0, 1, 10), (1, 1, 29), (2, 1, 27))


def _thumb_addend(number: int) -> int:
    sign, j1, j2 = number >> 10 & 1, number >> 29 & 1, number >> 27 & 1
    value = gathered(number, (12, 10, 0), (1, 11, 16)) | (1 ^ j1 ^ sign) << 23 | (1 ^ j2 ^ sign) << 22
    return signed(value | sign << 24, 25)


def _half(parts: tuple[tuple[int, int, int], ...], high: bool, base: Base) -> Fix:
    """MOVW and MOVT: one half of an address; the addend in place is the 16 bits, signed."""
    return Fix(
        4,
        lambda number, value: field(number, value >> 16 if high else value, *parts),
        base,
        get=lambda number: signed(gathered(number, *parts), 16),
    )


def _riscv_high(number: int, value: int) -> int:
    """The high 20 bits, one more where the low 12 are negative."""
    return field(number, value + 0x800, (12, 20, 12))


def _riscv_call(number: int, value: int) -> int:
    """AUIPC and JALR."""
    return field(_riscv_high(number, value), value, (0, 12, 52))


def _sum(bits: int, sign: int) -> Fix:
    return Fix(bits // 8, lambda number, value: number + sign * value & (1 << bits) - 1, Base.HELD)


_ARM_HALF = ((0, 12, 0), (12, 4, 16))
_THUMB_HALF = ((0, 8, 16), (8, 3, 28), (11, 1, 10), (12, 4, 0))
_STORE = ((0, 5, 7), (5, 7, 25))  # the immediate of a store of RISC-V
_LOAD = ((0, 12, 20),)
HERE, PAGE, PAIRED = Base.HERE, Base.PAGE, Base.PAIRED

FIXES: dict[str, Fix] = {
    "none": Fix(0, lambda number, value: number, get=lambda number: 0),
    "word32": _data(32),
    "word64": _data(64),
    "from31": _parts(4, (0, 31, 0), base=HERE, bits=31),
    "from32": _parts(4, (0, 32, 0), base=HERE, bits=32),
    "from64": _data(64, HERE),
    "a64_page": Fix(4, lambda number, value: field(number, value, (12, 2, 29), (14, 19, 5)), PAGE, bits=33),
    "a64_low1": _low(1),
    "a64_low2": _low(2),
    "a64_low4": _low(4),
    "a64_low8": _low(8),
    "a64_low16": _low(16),
    "a64_jump": _parts(4, (2, 26, 0), base=HERE, bits=28, step=4),
    "arm_jump": _parts(4, (2, 24, 0), base=HERE, bits=26, step=4),
    "arm_low16": _half(_ARM_HALF, False, Base.ZERO),
    "arm_high16": _half(_ARM_HALF, True, Base.ZERO),
    "arm_from_low16": _half(_ARM_HALF, False, HERE),
    "arm_from_high16": _half(_ARM_HALF, True, HERE),
    "thumb_call": Fix(4, _thumb_branch, HERE, bits=25, get=_thumb_addend),
    "thumb_jump11": _parts(2, (1, 11, 0), base=HERE, bits=12),
    "thumb_low16": _half(_THUMB_HALF, False, Base.ZERO),
    "thumb_high16": _half(_THUMB_HALF, True, Base.ZERO),
    "thumb_from_low16": _half(_THUMB_HALF, False, HERE),
    "thumb_from_high16": _half(_THUMB_HALF, True, HERE),
    "riscv_branch": _parts(4, (1, 4, 8), (5, 6, 25), (11, 1, 7), (12, 1, 31), base=HERE, bits=13, step=2),
    "riscv_jump": _parts(4, (1, 10, 21), (11, 1, 20), (12, 8, 12), (20, 1, 31), base=HERE, bits=21, step=2),
    "riscv_call": Fix(8, _riscv_call, HERE, bits=32),
    "riscv_from_high20": Fix(4, _riscv_high, HERE, bits=32),
    "riscv_from_low12": _parts(4, *_LOAD, base=PAIRED),
    "riscv_from_low12_store": _parts(4, *_STORE, base=PAIRED),
    "riscv_high20": Fix(4, _riscv_high),
    "riscv_low12": _parts(4, *_LOAD),
    "riscv_low12_store": _parts(4, *_STORE),
    "riscv_short_branch": _parts(2, (1, 2, 3), (3, 2, 10), (5, 1, 2), (6, 2, 5), (8, 1, 12), base=HERE, bits=9, step=2),
    "riscv_short_jump": _parts(
        2,
        (1, 3, 3),
        (4, 1, 11),
        (5, 1, 2),
        (6, 1, 7),
        (7, 1, 6),
        (8, 2, 9),
        (10, 1, 8),
        (11, 1, 12),
        base=HERE,
        bits=12,
        step=2,
    ),
    **{f"add{bits}": _sum(bits, 1) for bits in (8, 16, 32, 64)},
    **{f"sub{bits}": _sum(bits, -1) for bits in (8, 16, 32, 64)},
}
