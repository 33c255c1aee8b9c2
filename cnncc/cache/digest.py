"""A digest that finds damage in files that will be executed."""

from __future__ import annotations

import hashlib
import zlib

_BLOCK = 1 << 20  # bytes


def digest(data: bytes | memoryview) -> bytes:
    """SHA-256 of the first block, which contains the code, and of the CRC-32 of each further block.

    The digest detects damage, not attacks; the permissions of the cache's folder keep other users out. For weights a
    CRC is enough: it is three times as fast as SHA-256 if the processor has instructions for that, else twelve times.
    """
    state = hashlib.sha256(data[:_BLOCK])
    for start in range(_BLOCK, len(data), _BLOCK):
        state.update(zlib.crc32(data[start : start + _BLOCK]).to_bytes(4, "little"))
    return state.digest()
