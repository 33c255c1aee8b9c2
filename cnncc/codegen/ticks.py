"""Counting the time of a call in ticks of the processor's own counter."""

from __future__ import annotations

from .emitter import Emitter, Ssa


def read(e: Emitter) -> Ssa:
    """The counter now: x86's time stamp, AArch64's virtual count; it runs at one pace, whatever the clock's is."""
    counter = e.target.isa.counter
    e.declare(f"@{counter}", f"declare i64 @{counter}()")
    return e.assign("i64", f"call i64 @{counter}()")


def timed(e: Emitter, call: str, ticks: Ssa) -> None:
    """Emit a call and add the ticks that it takes to a 64-bit number in memory."""
    before = read(e)
    e.emit(call)
    spent = e.assign("i64", f"sub i64 {read(e)}, {before}")
    e.store_value(e.assign("i64", f"add i64 {e.load_type('i64', ticks, 8)}, {spent}"), ticks, 8)
