"""Object formats, as far as LLVM, which writes the code, does not cover them, and the table of all formats.

(Loading shared libraries depends on the system: `runtime/image.py` does it on Linux.)
"""

from __future__ import annotations

from functools import partial

from ..machine.target import Target
from . import coff, elf, elf_data, macho, wasm
from .archive import archive
from .archive_bsd import archive_bsd
from .elf_unwind import without_unwinding
from .format import ObjectFormat

ELF = ObjectFormat(
    global_symbols=elf.global_symbols,
    sections=elf.sections,
    data_object=elf_data.data_object,
    archive=partial(archive, global_symbols=elf.global_symbols),
    without_unwinding=without_unwinding,
)
COFF = ObjectFormat(
    global_symbols=coff.global_symbols,
    sections=coff.sections,
    data_object=coff.data_object,
    archive=partial(archive, global_symbols=coff.global_symbols, microsoft=True),
)
MACHO = ObjectFormat(
    global_symbols=macho.global_symbols,
    sections=macho.sections,
    data_object=macho.data_object,
    archive=partial(archive_bsd, global_symbols=macho.global_symbols),
)
WASM = ObjectFormat(
    global_symbols=wasm.global_symbols,
    sections=wasm.sections,
    data_object=wasm.data_object,
    archive=partial(archive, global_symbols=wasm.global_symbols),
)
FORMATS = {"ELF": ELF, "COFF": COFF, "Mach-O": MACHO, "wasm": WASM}
"""The formats by the names in `Target.object_format`."""


def format_of(target: Target) -> ObjectFormat:
    """The format of a target's objects."""
    return FORMATS[target.object_format]
