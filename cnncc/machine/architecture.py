"""What differs between instruction sets besides vectors, as data: a row for each, which a `Target` names.

LLVM knows how to compile for them; here stands what our own code would have to ask "which one is it?" for.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class ProcessorCheck(Enum):
    """What `NAME_check` does to find out whether the processor has the instructions of a target."""

    CPUID = "cpuid"
    """It asks the processor."""
    BASELINE = "baseline"
    """Nothing: each processor of the architecture has them."""
    LOADER = "loader"
    """Nothing: who loads the code finds out whether it can run it, and refuses."""
    NONE = "none"
    """Nothing, though there are processors without them: who calls has to know."""


@dataclass(frozen=True)
class Hint:
    """An instruction without a result: LLVM's intrinsic for it, and the 32-bit number that it takes, if any."""

    intrinsic: str
    argument: int | None = None


@dataclass(frozen=True)
class Architecture:
    """An instruction set.

    `check` is what `NAME_check` may vouch for. `pause` tells the core that it waits in a loop. `counter` is the LLVM
    intrinsic that reads a clock of even pace, which programs may read, as profiles need. `elf_machine` and `elf_flags`
    stand in the head of ELF files, with `elf_float_flags` where calls pass floats in registers of their own.
    `integer_bits` are those of the widest integers that it divides, and converts to
    floats and back: for wider ones LLVM would call a library. A call pushes `return_bytes` on the stack and, but on
    Windows, the arguments after the first `argument_registers`, if there is a `red_zone`: bytes beyond its frame that a
    function may use which calls none. `saturates` says that one instruction converts a vector
    of floats to the nearest integers that there are; elsewhere LLVM converts lane by lane. `hosts` are the first words
    of the LLVM triples of machines on which models of this architecture run in Python.
    """

    name: str
    elf_machine: int
    check: ProcessorCheck
    elf_flags: int = 0
    elf_float_flags: int = 0
    pause: Hint | None = None
    counter: str = "llvm.readcyclecounter"
    integer_bits: int = 64
    return_bytes: int = 0
    red_zone: int = 0
    argument_registers: int = 0
    saturates: bool = True
    hosts: tuple[str, ...] = ()


ARCHITECTURES = {
    row.name: row
    for row in (
        Architecture(
            "x86-64",
            elf_machine=62,
            check=ProcessorCheck.CPUID,
            return_bytes=8,
            red_zone=128,
            argument_registers=6,
            saturates=False,
            pause=Hint("llvm.x86.sse2.pause"),
            hosts=("x86_64",),
        ),
        Architecture(
            "aarch64",
            elf_machine=183,
            check=ProcessorCheck.BASELINE,
            pause=Hint("llvm.aarch64.hint", 1),
            hosts=("aarch64", "arm64"),
        ),
        Architecture(
            "riscv64",
            elf_machine=243,
            elf_flags=5,  # compressed instructions, doubles in registers of calls (RVC, lp64d)
            check=ProcessorCheck.NONE,
            pause=Hint("llvm.riscv.pause"),
            counter="llvm.readsteadycounter",  # rdtime; Linux lets no program read the cycles
        ),
        Architecture(
            "riscv32",
            elf_machine=243,
            elf_flags=1,  # compressed instructions (RVC)
            elf_float_flags=2,  # floats in registers of calls (ilp32f)
            check=ProcessorCheck.NONE,
            pause=Hint("llvm.riscv.pause"),
            counter="llvm.readsteadycounter",
            integer_bits=32,
        ),
        Architecture(
            "arm",
            elf_machine=40,
            elf_flags=0x0500_0000,
            check=ProcessorCheck.NONE,
            pause=Hint("llvm.arm.hint", 1),
            counter="llvm.readsteadycounter",  # Linux lets no program read the cycles
            integer_bits=32,
        ),
        Architecture(
            "thumb",
            elf_machine=40,
            elf_flags=0x0500_0000,  # EABI 5
            check=ProcessorCheck.NONE,
            integer_bits=32,
        ),
        Architecture("wasm32", elf_machine=0, check=ProcessorCheck.LOADER, counter="llvm.readsteadycounter"),
    )
}


def of_host(triple: str) -> Architecture | None:
    """The architecture of a machine that models can run on in Python, by its LLVM triple; None for others."""
    word = triple.partition("-")[0]
    return next((row for row in ARCHITECTURES.values() if word in row.hosts), None)
