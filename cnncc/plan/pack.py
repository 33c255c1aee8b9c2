"""The read-only block of all packed weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..abi import ALIGNMENT
from ..types import Array
from .views import Buffer


class WeightsBlock:
    """Collects packed arrays into one aligned block; equal arrays are stored once."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.known: dict[bytes, int] = {}

    def add(self, name: str, array: Array) -> Buffer:
        """A buffer in the block that holds `array`, rounded to float32."""
        with np.errstate(over="ignore"):
            return self._store(name, np.ascontiguousarray(array, np.float32).tobytes())

    def add_table(self, name: str, indices: Sequence[int]) -> Buffer:
        """A buffer in the block that holds indices as 32-bit integers."""
        return self._store(name, np.asarray(indices, np.int32).tobytes())

    def _store(self, name: str, data: bytes) -> Buffer:
        place = self.known.get(data)
        if place is None:
            self.data += bytes(-len(self.data) % ALIGNMENT)
            place = self.known[data] = len(self.data)
            self.data += data
        return Buffer(name, "weights", len(data) // 4, place)

    def bytes(self) -> bytes:
        return bytes(self.data) + bytes(-len(self.data) % ALIGNMENT)
