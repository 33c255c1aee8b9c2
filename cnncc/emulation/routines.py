"""The routines of a compiler's runtime, for objects of processors without hardware for floats: GCC's own library."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import TargetError
from ..machine.target import Target
from ..objects.members import needed
from ..objects.pieces import Label, Pieces, Section

_SECONDS = 60


@dataclass(frozen=True)
class Compiler:
    """A compiler whose runtime is taken, with the package that brings it and the options that name a target."""

    command: str
    package: str
    options: Callable[[Target], list[str]]


def _of_arm(target: Target) -> list[str]:
    return [f"-mcpu={target.cpu}", "-mthumb", "-mfloat-abi=soft"]


def _of_riscv(target: Target) -> list[str]:
    letters = re.findall(r"\+([a-z])(?![a-z0-9])", target.features)
    return [f"-march=rv32i{''.join(letter for letter in 'mafdc' if letter in letters)}", "-mabi=ilp32"]


COMPILERS = {
    (40, 32): Compiler("arm-none-eabi-gcc", "gcc-arm-none-eabi", _of_arm),
    (243, 32): Compiler("riscv64-unknown-elf-gcc", "gcc-riscv64-unknown-elf", _of_riscv),
}
"""By ELF's number of the machine and the bits of a pointer."""


def _returns(name: str, code: str) -> Pieces:
    return Pieces((Section(".text", bytes.fromhex(code), 4),), (Label(name, 0, 0, True),), ())


_PROBES = {
    ("COFF", "x86-64"): _returns("___chkstk_ms", "c3"),
    ("COFF", "aarch64"): _returns("__chkstk", "c0035fd6"),
}
"""What touches each page of a large frame, as Windows asks for: here the whole stack is there from the beginning."""


def routines(objects: Sequence[Pieces], names: Sequence[str], target: Target) -> list[Pieces]:
    """The objects that define these names, and what they need themselves.

    Raises TargetError where no library is known, or its compiler is not installed.
    """
    if not names:
        return []
    probe = _PROBES.get((target.object_format, target.architecture))
    if probe and list(names) == [probe.labels[0].name]:
        return [probe]
    compiler = COMPILERS.get((target.isa.elf_machine, target.pointer_bits))
    if compiler is None:
        raise TargetError(f"no library is known that has '{names[0]}' for target '{target.name}'")
    if shutil.which(compiler.command) is None:
        raise TargetError(
            f"code for target '{target.name}' needs '{names[0]}' of the runtime of {compiler.command}, which is not "
            f"found: install it (Debian: apt-get install {compiler.package})"
        )
    command = [compiler.command, *compiler.options(target), "-print-libgcc-file-name"]
    done = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False)
    try:
        return needed(objects, Path(done.stdout.decode().strip()).read_bytes())
    except OSError as error:
        raise TargetError(f"{compiler.command} has no runtime for target '{target.name}': {error.strerror}") from error
