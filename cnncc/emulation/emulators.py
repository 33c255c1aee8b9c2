"""What runs programs of which target: rows with the start of a program, the command, and the package that brings it."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import TargetError
from ..machine.target import Target
from ..native import host_target
from . import starts
from .starts import Start


@dataclass(frozen=True)
class Emulator:
    """How programs of some target run.

    `words` are those of the command, before the program's file. Memory begins at `first` and has `most` bytes. A board
    without a system has its vectors at the address `vectors`, and, if code does not lie with the data, takes that
    from `code` on. `guarded` says that an access to a page which is not in the program ends it.
    """

    start: Start
    words: tuple[str, ...]
    package: str
    first: int = 0x40_0000
    most: int = (1 << 31) - 0x40_0000  # what signed words of 32 bits can hold
    vectors: int | None = None
    code: int | None = None
    guarded: bool = False

    @property
    def counts(self) -> bool:
        """Whether it takes plugins, which count instructions."""
        return "".join(self.words[:1]).startswith("qemu-")

    @property
    def told(self) -> str:
        """The command with the machine or processor."""
        return " ".join(self.words[:3]) or "Linux on this machine"


def _user(start: Start, name: str, processor: str) -> Emulator:
    """Linux programs, on a processor that is named so."""
    return Emulator(start, (name, "-cpu", processor), "qemu-user", guarded=True)


def _aarch64(target: Target) -> Emulator:
    """For generic code it is a Cortex-A53, which has the baseline and no more."""
    processor = "cortex-a53" if target.cpu in ("generic", "cortex-a53") else "max"
    return _user(starts.AARCH64, "qemu-aarch64", processor)


def _riscv(target: Target) -> Emulator:
    """A processor with the extensions of the target, and vectors of the length that it asks for, no more."""
    letters = set(re.findall(r"\+([a-z])(?![a-z0-9])", target.features))
    without = [f"{letter}=false" for letter in "mafdc" if letter not in letters]
    length = re.search(r"\+zvl(\d+)b", target.features)
    vectors = ["v=true", f"vlen={length[1] if length else 128}", "vext_spec=v1.0"] if "v" in letters else []
    start = starts.RISCV64 if target.pointer_bits == 64 else starts.RISCV32
    processor = ",".join([f"rv{target.pointer_bits}", *without, *vectors])
    return _user(start, f"qemu-riscv{target.pointer_bits}", processor)


def _x86(target: Target) -> Emulator:
    """This machine where it can; objects of Windows and macOS as well, which ask nothing of their system."""
    start = starts.WINDOWS_X86_64 if target.object_format == "COFF" else starts.X86_64
    if sys.platform == "linux" and host_target().architecture == target.architecture:
        return Emulator(start, (), "", guarded=True)
    return _user(start, "qemu-x86_64", "max")


_MIB = 1 << 20
_WORDS = ("-nographic", "-monitor", "none", "-serial", "none", "-semihosting", "-kernel")


def _board(machine: str, first: int, most: int, vectors: int = 0, code: int | None = None) -> Emulator:
    words = "qemu-system-arm", "-M", machine, *_WORDS
    return Emulator(starts.CORTEX_M, words, "qemu-system-arm", first, most, vectors, code)


_M3 = _board("mps2-an385", 0x2100_0000, 16 * _MIB)
_M4 = _board("mps2-an386", 0x2100_0000, 16 * _MIB)
BOARDS = {
    "cortex-m0plus": _M3,  # which has all of its instructions; the boards of a Cortex-M0 have too little memory
    "cortex-m0": _M3,
    "cortex-m3": _M3,
    "cortex-m4": _M4,
    "cortex-m7": _board("mps2-an500", 0x6000_0000, 16 * _MIB),
    "cortex-m33": _board("mps2-an505", 0x8000_0000, 16 * _MIB, 0x1000_0000, 0x1000_1000),
    "cortex-m55": _board("mps3-an547", 0x7000_0000, 256 * _MIB),
}
"""Boards by their core; the memory is the largest one that each has."""


LARGEST = BOARDS["cortex-m55"]
"""A board whose core has the instructions of all others, for what the memory of theirs does not hold."""


NODE = Emulator(starts.NODE, ("node",), "nodejs", first=16 * _MIB, most=1 << 30)
"""WebAssembly; below the first address lies the data of the object itself."""


def _arm(target: Target) -> list[Emulator]:
    if target.cpu.startswith("cortex-m"):
        return [BOARDS[target.cpu], LARGEST] if target.cpu in BOARDS else []
    known = [f"cortex-{name}" for name in ("a7", "a8", "a9", "a15")]
    return [_user(starts.THUMB, "qemu-arm", target.cpu if target.cpu in known else "max")]


_MACHINES: dict[int, Callable[[Target], list[Emulator]]] = {
    40: _arm,
    62: lambda target: [_x86(target)],
    183: lambda target: [_aarch64(target)],
    243: lambda target: [_riscv(target)],
}
"""By ELF's number of the machine."""


def emulators_for(target: Target) -> list[Emulator]:
    """What runs code for a target, the best one first.

    Raises TargetError for one that nothing here emulates, and where the emulator is not installed.
    """
    find = _MACHINES.get(target.isa.elf_machine)
    found = [NODE] if target.object_format == "wasm" else find(target) if find else []
    if not found:
        raise TargetError(f"no emulator is known that runs code for target '{target.name}'")
    command, package = "".join(found[0].words[:1]), found[0].package
    if command and shutil.which(command) is None:
        raise TargetError(
            f"code for target '{target.name}' runs under {command}, which is not found: install it "
            f"(Debian: apt-get install {package})"
        )
    return found
