"""Bounds of all kernels besides the multiply-add peak: the bandwidth of each level of memory, and the time of a call.

They are measured with kernels of this project's emitter, in the same run as the compared models (see `peak`).
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable

import numpy as np

from .. import native
from ..alignment import aligned
from ..codegen import ticks
from ..codegen.llvm.emitter import LlvmEmitter
from ..codegen.registers import FLOAT, INT64, POINTER
from ..machine.target import Target
from ..plan.traffic import LEVELS, level_of

CHAINS = 8  # independent sums: latency of an addition (up to 4 cycles) times two loads a cycle
SAMPLE_SECONDS = 1e-3
CALLS = 1000  # empty calls in one sample
DRAM_BYTES = 64 << 20  # assumed to exceed all caches if the system does not tell their sizes
READ, CALL, CLOCK = "cnncc_read", "cnncc_calls", "cnncc_clock"


def emit_read(target: Target) -> str:
    """`void cnncc_read(float *data, intptr blocks, intptr rounds)`: sum up blocks of CHAINS vectors, `rounds` times.

    `data` needs the alignment of an element only.
    """
    e = LlvmEmitter(target)
    lanes = target.lanes
    parameters = [(POINTER, "data"), (e.index_type, "blocks"), (e.index_type, "rounds")]
    with e.function(READ, parameters) as (data, blocks, rounds):
        sums = [e.number(0.0, lanes)] * CHAINS
        with e.loop(0, rounds, carry=sums) as outer:
            with e.loop(0, blocks, carry=outer.values) as inner:
                begin = e.address(data, e.mul(inner.index, CHAINS * lanes))
                places = [e.address(begin, chain * lanes) for chain in range(CHAINS)]
                loads = [e.load(FLOAT.wide(lanes), place) for place in places]
                inner.next([e.binary("add", a, b) for a, b in zip(inner.values, loads, strict=True)])
            outer.next(inner.results)
        total = outer.results[0]
        for value in outer.results[1:]:
            total = e.binary("add", total, value)
        e.store(total, data)
        e.ret()
    return e.module()


def emit_clock(target: Target) -> str:
    """`i64 cnncc_clock()` reads the counter; `void cnncc_calls(i64 *ticks, intptr count)` times empty calls."""
    e = LlvmEmitter(target)
    with e.function("nothing", [(e.index_type, "rows")], internal=True):
        e.ret()
    with e.function(CLOCK, [], INT64):
        e.ret(e.ticks())
    with e.function(CALL, [(POINTER, "ticks"), (e.index_type, "count")]) as (total, count):
        with e.loop(0, count) as loop, ticks.timed(e, total):
            e.call("nothing", [e.value(loop.index)])
        e.ret()
    return e.module()


class Bandwidth:
    """Bytes a second that one core reads from each level of memory; each level is measured at its first use."""

    def __init__(self, target: Target):
        third = native.cache_bytes(3) or 0
        self.sizes = (target.l1, target.l2, third)
        beyond = 4 * third or DRAM_BYTES
        self._bytes = dict(zip(LEVELS, (target.l1 // 2, target.l2 // 2, third // 4, beyond), strict=True))
        self._block = 4 * CHAINS * target.lanes
        self._code = native.load_object(native.emit_object(emit_read(target), target))
        kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_ssize_t)
        self._run = kind(self._code.address(READ))
        self._known: dict[str, float] = {}

    def level(self, distance: int) -> str:
        """The level that holds memory whose last access was `distance` bytes of traffic ago."""
        return level_of(self.sizes, distance)

    def of(self, level: str) -> float:
        if level not in self._known:
            self._known[level] = self.fresh(level)
        return self._known[level]

    def fresh(self, level: str) -> float:
        """As `of`, measured again."""
        return self._measure(max(self._bytes[level], self._block))

    def unaligned(self) -> float:
        """Bytes a second from the first cache, with vectors that begin one element after a multiple of their size."""
        return self._measure(self._bytes["L1"], 4)

    def _measure(self, size: int, shift: int = 0) -> float:
        """The median of some samples over `size` bytes of memory, from `shift` bytes on."""
        data = aligned(size + shift, np.ones)
        blocks, rounds = size // self._block, 1

        def run() -> None:
            self._run(data.ctypes.data + shift, blocks, rounds)

        run()
        while _seconds(run) < SAMPLE_SECONDS:
            rounds *= 2
        return float(np.median([rounds * blocks * self._block / _seconds(run) for _ in range(5)]))


class Clock:
    """The counter of a profiled program: its ticks a second, and the ticks of an empty step."""

    def __init__(self, target: Target):
        self._code = code = native.load_object(native.emit_object(emit_clock(target), target))
        self._now = ctypes.CFUNCTYPE(ctypes.c_uint64)(code.address(CLOCK))
        self._calls = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_ssize_t)(code.address(CALL))

    def ticks_per_second(self) -> float:
        begin, first = time.perf_counter(), self._now()
        while time.perf_counter() - begin < 20 * SAMPLE_SECONDS:
            pass
        end, last = time.perf_counter(), self._now()
        return float((last - first) / (end - begin))

    def empty_call(self) -> float:
        """Ticks of a step that does nothing."""
        samples = []
        for _ in range(9):
            total = np.zeros(1, np.uint64)
            self._calls(total.ctypes.data, CALLS)
            samples.append(int(total[0]) / CALLS)
        return float(np.median(samples))


def _seconds(run: Callable[[], None]) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin
