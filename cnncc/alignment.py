"""Memory at addresses that vectors, cache lines and the ABI ask for."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np

from .abi import ALIGNMENT
from .types import Array


def rounded_up(size: int, multiple: int = ALIGNMENT) -> int:
    """The least multiple of `multiple` that is not below `size`."""
    return -(-size // multiple) * multiple


def aligned(size: int, make: Callable[..., Array] = np.zeros) -> Array:
    """`size` bytes (at least one cache line) at an address that is a multiple of `ALIGNMENT`; zeroed if `make` does."""
    raw = make(max(size, ALIGNMENT) + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + max(size, ALIGNMENT)]


def aligned_bytes(data: bytes | memoryview) -> Array:
    """`data`, read-only: itself if it is aligned (as the cache reads it), else a copy (of at least one cache line)."""
    given = np.frombuffer(data, np.uint8)
    if not given.flags.writeable and given.size and given.ctypes.data % ALIGNMENT == 0:
        return given
    copy = aligned(len(data), np.empty)
    copy[: len(data)] = given
    copy.flags.writeable = False
    return copy


def read_aligned(descriptor: int) -> memoryview:
    """What an open file holds, read once, to where it is used: memory for large files is taken in huge pages."""
    size = os.fstat(descriptor).st_size
    content, place = aligned(size, np.empty).data[:size], 0
    with open(descriptor, "rb", buffering=0, closefd=False) as stream:
        while place < size and (count := stream.readinto(content[place:])):
            place += count
    return content[:place].toreadonly()
