"""How many bytes may be allocated for the constants of a model before it runs.

A file of a hundred bytes can describe a constant of terabytes. So code that makes an array from a model's description
charges its size first. One number, `CNNCC_CONSTANT_BYTES` in the environment and 1 GiB without it, limits three sums
each: what a model takes from weights files beside it, what is computed of its constants when it is read, and what
compiling makes beyond the constants that it has. An array counts until the end, also if nothing needs it any more.
The bytes of an ONNX file itself do not count, nor what a model script does: that is a program.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from .errors import ModelError, UsageError

VARIABLE = "CNNCC_CONSTANT_BYTES"
DEFAULT = 1 << 30

Failure = type[ModelError]


def limit() -> int:
    """What the environment allows. Raises UsageError if it says no number."""
    text = os.environ.get(VARIABLE, "")
    if text and not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise UsageError(f"{VARIABLE}={text}: expected a whole number of bytes")
    return int(text) if text else DEFAULT


class Allowance:
    """What is left of the limit as it was when this began."""

    def __init__(self) -> None:
        self.limit, self.taken = limit(), 0

    def charge(self, size: int, what: str, error: Failure) -> None:
        if self.taken + size > self.limit:
            before = f" beside the {self.taken} bytes made so far" if self.taken else ""
            raise error(
                f"{what} would take {size} bytes{before}, and constants may take {self.limit} "
                f"(the environment variable {VARIABLE} sets that limit)"
            )
        self.taken += size


_current: ContextVar[Allowance | None] = ContextVar("allowance", default=None)


@contextmanager
def allowance(of: Allowance | None = None) -> Iterator[None]:
    """What is charged inside counts together, as part of `of` if it is given; without, of a block around this one."""
    token = _current.set(of or _current.get() or Allowance())
    try:
        yield
    finally:
        _current.reset(token)


def charge(size: int, what: str, error: Failure = ModelError) -> None:
    """Count `size` bytes that are about to be made. Raises `error` if they are too many, with all before or alone."""
    (_current.get() or Allowance()).charge(size, what, error)


def check(size: int, what: str, error: Failure = ModelError) -> None:
    """Raise `error` if so many bytes, which do not stay, are too many alone."""
    Allowance().charge(size, what, error)
