"""Which board and which options of the compiler go with a target. Memory for data is that of the emulator's table."""

from __future__ import annotations

from dataclasses import dataclass

from ..emulation.emulators import BOARDS, Emulator
from ..errors import TargetError
from ..machine.target import Target

_KIB, _MIB = 1 << 10, 1 << 20
VECTORS_BYTES = _KIB
"""What board.ld leaves for the vectors."""


@dataclass(frozen=True)
class Region:
    """Bytes from an address on."""

    first: int
    bytes: int


@dataclass(frozen=True)
class Board:
    """An emulated board, and what firmware for it is compiled with; code and constants lie in `flash`.

    `inner` is a second memory that can be written, nearer to the core: for sections that are placed.
    """

    emulator: Emulator
    options: str
    flash: Region
    ram: Region
    inner: Region

    @property
    def machine(self) -> str:
        """What qemu calls the board."""
        return self.emulator.words[2]

    @property
    def vectors(self) -> int:
        return self.emulator.vectors or 0


_OPTIONS = {
    "cortex-m0plus": "-mfloat-abi=soft",
    "cortex-m3": "-mfloat-abi=soft",
    "cortex-m4": "-mfpu=fpv4-sp-d16 -mfloat-abi=hard",
    "cortex-m4-softfp": "-mfpu=fpv4-sp-d16 -mfloat-abi=softfp",
    "cortex-m7": "-mfpu=fpv5-sp-d16 -mfloat-abi=hard",
    "cortex-m33": "-mfpu=fpv5-sp-d16 -mfloat-abi=hard",
    "cortex-m55": "-mfloat-abi=hard",
}
_SSRAM = Region(VECTORS_BYTES, 4 * _MIB - VECTORS_BYTES)
"""Behind the vectors, at address 0."""
_FLASH = {
    "mps2-an385": _SSRAM,
    "mps2-an386": _SSRAM,
    "mps2-an500": _SSRAM,
    "mps2-an505": Region(0x1000_0000 + VECTORS_BYTES, 4 * _MIB - VECTORS_BYTES),
    "mps3-an547": Region(0x7000_0000, 64 * _MIB),  # the memory at address 0 has 512 kB
}

_SRAM = Region(0x2000_0000, 4 * _MIB)
_INNER = {
    "mps2-an385": _SRAM,
    "mps2-an386": _SRAM,
    "mps2-an500": _SRAM,
    "mps2-an505": Region(0x3800_0000, 2 * _MIB),
    "mps3-an547": Region(0x3000_0000, 512 * _KIB),  # tightly coupled
}


def board_for(target: Target) -> Board:
    """Raises TargetError, which lists the targets that have one."""
    options = _OPTIONS.get(target.name)
    if options is None:
        raise TargetError(f"there is no example of firmware for target '{target.name}': expected {', '.join(_OPTIONS)}")
    emulator = BOARDS[target.cpu]
    flash = _FLASH[emulator.words[2]]
    taken = flash.bytes if flash.first == emulator.first else 0
    ram = Region(emulator.first + taken, emulator.most - taken)
    return Board(emulator, f"-mcpu={target.cpu} -mthumb {options}", flash, ram, _INNER[emulator.words[2]])
