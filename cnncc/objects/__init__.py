"""Object formats: what is needed of one beside LLVM, which writes the code itself, and which of them there are.

ELF is the only one today. COFF, Mach-O or wasm are each a module that reads and writes them, and a row of `FORMATS`.
(Shared libraries are the system's affair: `runtime/image.py` loads those of Linux.)
"""

from __future__ import annotations

from functools import partial

from ..errors import TargetError
from ..target import Target
from . import elf, elf_data
from .archive import archive
from .format import ObjectFormat

ELF = ObjectFormat(
    global_symbols=elf.global_symbols,
    data_object=elf_data.data_object,
    note_object=elf_data.note_object,
    archive=partial(archive, global_symbols=elf.global_symbols),
)
FORMATS = {"ELF": ELF}
"""By the names that `Target.object_format` gives."""


def format_of(target: Target) -> ObjectFormat:
    """The format of a target's objects. Raises TargetError for one that we do not write."""
    found = FORMATS.get(target.object_format)
    if found is None:
        raise TargetError(
            f"target '{target.name}' ({target.triple}) takes {target.object_format} objects, "
            f"and cnncc writes {', '.join(FORMATS)} only"
        )
    return found
