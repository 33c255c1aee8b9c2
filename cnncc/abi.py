"""The interface of compiled code, stated once: its version, the call, error codes and the header of a workspace.

The C header (`runtime/header.py`), Python's structures (`runtime/layout.py`), the manifest and the code that is
generated derive from what stands here. A change of any of it is another `VERSION`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

VERSION = 2
ALIGNMENT = 64
"""Bytes at whose multiples buffers, weights and the words that shards share begin, on machines with a cache.

`Target.alignment` is that of each machine, and `NAME_ALIGNMENT` that of a header.
"""
WORD_BYTES = 4
"""Bytes of a number in the call and in the header of a workspace."""
MOST_IMAGES = (1 << 8 * WORD_BYTES) - 1
"""Of one call."""
WEIGHTS_HEADER_BYTES = ALIGNMENT
"""What a block of weights begins with: one word for each program of a library, its fingerprint."""


@dataclass(frozen=True)
class Field:
    """A field of `cnncc_call`: its C declaration with {} for the name, and what it holds."""

    name: str
    declaration: str
    meaning: str

    @property
    def is_pointer(self) -> bool:
        """Whether it is an address; else it is a 32-bit number."""
        return "*" in self.declaration


CALL = (
    Field("abi", "uint32_t {}", "CNNCC_ABI"),
    Field("fingerprint", "uint32_t {}", "NAME_FINGERPRINT: header, code and weights belong together"),
    Field("apart", "uint32_t {}", "0: shards end together; 1: they return one by one, and the caller waits for all"),
    Field("images", "uint32_t {}", "N of this call"),
    Field("shard", "uint32_t {}", "0 without threads; else see NAME_run"),
    Field("shards", "uint32_t {}", "1 without threads"),
    Field("inputs", "const void *const *{}", "one pointer an input, in order"),
    Field(
        "outputs",
        "void *const *{}",
        "one pointer an output, in order, then one to the states, if any, which programs may share; must not overlap",
    ),
    Field(
        "workspace",
        "void *{}",
        "aligned to NAME_ALIGNMENT bytes, zeroed once before its first call, one call at a time",
    ),
    Field("weights", "const void *{}", "aligned to NAME_ALIGNMENT bytes"),
    Field("wait", "void (*{})(void *)", "what a shard calls while it waits for another; null spins"),
    Field("wait_argument", "void *{}", "what it is given"),
)
"""The fields of `cnncc_call`, the structure that `NAME_run` takes the address of."""
CALL_FIELDS = {field.name: field for field in CALL}


def offsets(pointer_bytes: int) -> dict[str, int]:
    """Where each field of a call begins, in bytes, by C's rule: at the next multiple of its own size."""
    found, end = {}, 0
    for field in CALL:
        size = pointer_bytes if field.is_pointer else WORD_BYTES
        found[field.name] = -(-end // size) * size
        end = found[field.name] + size
    return found


def call_bytes(pointer_bytes: int) -> int:
    """The size of a call: its last field is a pointer, so nothing pads it."""
    return offsets(pointer_bytes)[CALL[-1].name] + pointer_bytes


class ErrorCode(IntEnum):
    """What `NAME_run` returns: 0, or an error, which every shard of the call returns. C's names begin with CNNCC_."""

    OK = 0
    WRONG_ABI = 1
    NULL_POINTER = 2
    MISALIGNED = 3
    WRONG_IMAGES = 4
    WRONG_SHARDS = 5
    OUT_OF_BOUNDS = 6
    WRONG_FINGERPRINT = 7

    @property
    def c_name(self) -> str:
        return f"CNNCC_{self.name}"


REASONS: dict[int, str] = {
    ErrorCode.WRONG_ABI: "the code has another ABI version than the call",
    ErrorCode.NULL_POINTER: "a pointer is null",
    ErrorCode.MISALIGNED: "workspace, weights or states are not aligned to NAME_ALIGNMENT bytes",
    ErrorCode.WRONG_IMAGES: "this number of images is not possible",
    ErrorCode.WRONG_SHARDS: "shard or number of shards out of range",
    ErrorCode.OUT_OF_BOUNDS: "an access left its bounds",  # only in checked builds
    ErrorCode.WRONG_FINGERPRINT: "header, code and weights are not of one compilation",
}
"""What each error says, everywhere."""

# The header of a workspace: 32-bit words by their offsets in bytes. What two shards write stands in lines of its own.
ARRIVED = 0
"""How many of three or more shards have arrived at the barrier."""
GENERATION = 8
"""How many barriers of three or more shards are over."""
FAULT_STEP = 16
"""In checked builds, the number of the step whose access left its bounds, plus one; 0 if none has."""
PAIR = ALIGNMENT, 2 * ALIGNMENT
"""How many barriers of two shards the first has come to, and the second."""
HEADER_BYTES = 3 * ALIGNMENT
"""Its bytes where shards can meet."""
HEADER_BYTES_OF_ONE = ALIGNMENT
"""Its bytes where there is only one shard: without the pair's words."""
