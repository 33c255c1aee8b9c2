"""Object formats, as far as LLVM, which writes the code, does not cover them, and the table of all formats.

ELF is the only one today. Each of COFF, Mach-O or wasm would be a module that reads and writes it, and a row of
`FORMATS`. (Loading shared libraries depends on the system: `runtime/image.py` does it on Linux.)
"""

from __future__ import annotations

from functools import partial

from ..errors import TargetError
from ..machine.target import Target
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
"""The formats by the names in `Target.object_format`."""


def format_of(target: Target) -> ObjectFormat:
    """The format of a target's objects. Raises TargetError for a format that cnncc does not write."""
    found = FORMATS.get(target.object_format)
    if found is None:
        raise TargetError(
            f"target '{target.name}' ({target.triple}) takes {target.object_format} objects, "
            f"and cnncc writes {', '.join(FORMATS)} only"
        )
    return found
