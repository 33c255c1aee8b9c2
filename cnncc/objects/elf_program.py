"""Writing an ELF program: blocks of memory, each at its address, and where it starts. Emulators and Linux load it."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from ..machine.target import Target
from .linker import PAGE

_EXECUTABLE, _LOAD = 2, 1
_HEADS = {32: (1, "<HHIIIIIHHHHHH"), 64: (2, "<HHIQQQIHHHHHH")}  # as in `elf_data`


@dataclass(frozen=True)
class Block:
    """Bytes at an address; the pages that they lie on are theirs alone."""

    address: int
    data: bytes
    writable: bool = False
    executable: bool = False


def program(blocks: Sequence[Block], entry: int, target: Target) -> bytes:
    """The file: the head, the table of segments, and each block at a place that is congruent to its address."""
    word_class, head = _HEADS[target.pointer_bits]
    head_bytes = 16 + struct.calcsize(head)
    stride = len(_segment(blocks[0], 0, target.pointer_bits))
    place, segments, content = head_bytes + stride * len(blocks), [], []
    for block in blocks:
        start = place + (block.address - place) % PAGE
        segments.append(_segment(block, start, target.pointer_bits))
        content += [bytes(start - place), block.data]
        place = start + len(block.data)
    row = target.isa
    counts = (head_bytes, stride, len(blocks), 0, 0, 0)
    first = b"\x7fELF" + bytes([word_class, 1, 1]).ljust(12, b"\0")
    first += struct.pack(head, _EXECUTABLE, row.elf_machine, 1, entry, head_bytes, 0, row.elf_flags, *counts)
    return b"".join([first, *segments, *content])


def _segment(block: Block, offset: int, bits: int) -> bytes:
    flags = 4 | 2 * block.writable | block.executable
    at, size = block.address, len(block.data)
    if bits == 32:
        return struct.pack("<8I", _LOAD, offset, at, at, size, size, flags, PAGE)
    return struct.pack("<IIQQQQQQ", _LOAD, flags, offset, at, at, size, size, PAGE)
