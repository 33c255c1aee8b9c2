"""Counting the time of a call in ticks of the processor's own counter."""

from __future__ import annotations

from .emitter import Emitter, Ssa


def read(e: Emitter) -> Ssa:
    """The counter now. On AArch64 the one that user code may read; elsewhere the one that costs least."""
    counter = "readsteadycounter" if e.target.architecture == "aarch64" else "readcyclecounter"
    e.declare(f"@llvm.{counter}", f"declare i64 @llvm.{counter}()")
    return e.assign("i64", f"call i64 @llvm.{counter}()")


def timed(e: Emitter, call: str, ticks: Ssa) -> None:
    """Emit a call and add the ticks that it takes to a 64-bit number in memory."""
    before = read(e)
    e.emit(call)
    spent = e.assign("i64", f"sub i64 {read(e)}, {before}")
    e.store_value(e.assign("i64", f"add i64 {e.load_type('i64', ticks, 8)}, {spent}"), ticks, 8)
