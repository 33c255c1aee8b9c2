"""The error codes of ABI version 1, for Python, C and the manifest alike."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ErrorCode:
    """What `NAME_run` may return beside 0."""

    code: int
    name: str
    reason: str


FAULT = 6  # only in checked builds
FAULT_STEP = 16  # offset in the workspace of the faulting step's index + 1, a 32-bit word
ERROR_CODES = (
    ErrorCode(1, "CNNCC_WRONG_ABI", "the code has another ABI version than the call"),
    ErrorCode(2, "CNNCC_NULL_POINTER", "a pointer is null"),
    ErrorCode(3, "CNNCC_MISALIGNED", "workspace or weights are not aligned to 64 bytes"),
    ErrorCode(4, "CNNCC_WRONG_IMAGES", "this number of images is not possible"),
    ErrorCode(5, "CNNCC_WRONG_SHARDS", "shard or number of shards out of range"),
    ErrorCode(FAULT, "CNNCC_OUT_OF_BOUNDS", "an access left its bounds"),
)
REASONS = {error.code: error.reason for error in ERROR_CODES}
