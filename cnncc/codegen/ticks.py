"""Counting the time of a piece of code in ticks of the processor's own counter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from .emitter import Emitter
from .registers import INT64, Ssa


@contextmanager
def timed(e: Emitter, ticks: Ssa) -> Iterator[None]:
    """Add the ticks that the body takes to a 64-bit number in memory."""
    before = e.ticks()
    yield
    spent = e.binary("subtract", e.ticks(), before)
    e.store(e.binary("add", e.load(INT64, ticks), spent), ticks)
