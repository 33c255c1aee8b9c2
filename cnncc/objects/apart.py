"""Taking an object of any format apart, for the linker."""

from __future__ import annotations

from ..errors import TargetError
from ..machine.target import Target
from .coff_pieces import coff_pieces
from .elf_pieces import elf_pieces
from .macho_pieces import macho_pieces
from .pieces import Pieces

_READERS = {"ELF": elf_pieces, "COFF": coff_pieces, "Mach-O": macho_pieces}


def pieces(code: bytes, target: Target) -> Pieces:
    """Take an object for a target apart. Raises TargetError for a format that is not linked here, NativeError else."""
    reader = _READERS.get(target.object_format)
    if reader is None:
        raise TargetError(f"objects of {target.object_format}, of target '{target.name}', are not linked here")
    return reader(code)
