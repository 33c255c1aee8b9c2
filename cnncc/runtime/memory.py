"""Allocation with a test for enough memory: an error that names the size, in place of a killed process at first use."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ..errors import NoMemoryError

T = TypeVar("T")
_LOOK = 1 << 30  # bytes from which free memory is tested; the test takes tens of microseconds


def allocated(size: int, make: Callable[[], T], what: Callable[[], str]) -> T:
    """The result of `make`, which takes `size` bytes. Raises NoMemoryError, which names `what()`, if there is no room.

    Linux grants more memory than it has and kills processes that use it, so a large size is compared with the memory
    that is available.
    """
    room = available() if size >= _LOOK else None
    if room is not None and size > room:
        raise NoMemoryError(f"not enough memory for {what()}: {size:,} bytes wanted, {room:,} available")
    try:
        return make()
    except (MemoryError, ValueError, OverflowError) as error:  # the others for more bytes than addresses
        raise NoMemoryError(f"not enough memory for {what()}: {size:,} bytes wanted") from error


def most_unseen(size: int, rest: int) -> int:
    """How many times `size` bytes, beside `rest` bytes, are allocated without a look; negative if not even 0 times."""
    return (_LOOK - 1 - rest) // max(size, 1)


def available() -> int | None:
    """Free bytes of memory and swap, at most a container's limit; None where the system does not tell."""
    found = [size for size in (_of_machine(), _of_group()) if size is not None]
    return min(found, default=None)


def _of_machine() -> int | None:
    with contextlib.suppress(OSError, ValueError, IndexError, KeyError):
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        return sum(int(lines[name].split()[0]) << 10 for name in ("MemAvailable", "SwapFree"))
    return None


def _of_group() -> int | None:
    """The limit of a container."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):  # "max"
            return int((Path("/sys/fs/cgroup") / name).read_text())
    return None
