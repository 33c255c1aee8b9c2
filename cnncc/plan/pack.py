"""The read-only block of all packed weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..abi import ALIGNMENT, WEIGHTS_HEADER_BYTES
from ..elements import INT32, Element
from ..types import Array
from .plan import Plan
from .views import Buffer


class WeightsBlock:
    """Collects packed arrays into one aligned block, behind room for its header.

    Equal arrays are stored once, if the block may be `shared` so; tables always are.
    """

    def __init__(self, alignment: int = ALIGNMENT, *, shared: bool = True) -> None:
        self.alignment, self.shared = alignment, shared
        self.parts: list[bytes] = [bytes(WEIGHTS_HEADER_BYTES)]
        self.size = WEIGHTS_HEADER_BYTES
        self.known: dict[bytes, int] = {}

    def add(self, name: str, array: Array, element: Element) -> Buffer:
        """A buffer in the block that holds `array`, floats rounded to `element`."""
        with np.errstate(over="ignore"):
            return self._store(name, np.ascontiguousarray(array, element.numpy).tobytes(), element)

    def add_table(self, name: str, indices: Sequence[int]) -> Buffer:
        """A buffer in the block that holds indices as 32-bit integers."""
        return self._store(name, np.asarray(indices, INT32.numpy).tobytes(), INT32)

    def _store(self, name: str, data: bytes, element: Element) -> Buffer:
        place = self.known.get(data)
        if place is None or not (self.shared or element is INT32):
            self._append(bytes(-self.size % self.alignment))
            place = self.known[data] = self.size
            self._append(data)
        return Buffer(name, "weights", len(data) // element.bytes, place, dtype=element)

    def _append(self, data: bytes) -> None:
        self.parts.append(data)
        self.size += len(data)

    def bytes(self) -> bytes:
        """The block; nothing if there are no weights."""
        return b"".join([*self.parts, bytes(-self.size % self.alignment)]) if len(self.parts) > 1 else b""


def block_after(earlier: Sequence[Plan], alignment: int, *, shared: bool = True) -> WeightsBlock:
    """A block that goes on with that of the last of some plans, each of which went on with the one before.

    So all of them can read the last block, and what several have is stored once.
    """
    block = WeightsBlock(alignment, shared=shared)
    if not earlier:
        return block
    whole = earlier[-1].weights
    if whole:
        block.parts, block.size = [whole[:WEIGHTS_HEADER_BYTES], whole[WEIGHTS_HEADER_BYTES:]], len(whole)
    for buffer in (buffer for plan in earlier for buffer in plan.buffers.values() if buffer.space == "weights"):
        block.known.setdefault(whole[buffer.place : buffer.place + buffer.nbytes], buffer.place)
    return block
