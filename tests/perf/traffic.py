"""The least time of memory traffic: a loop that reads so many bytes, and writes so many, and computes nothing."""

from __future__ import annotations

import ctypes

import numpy as np

from cnncc import native
from cnncc.alignment import aligned
from cnncc.codegen.llvm.emitter import LlvmEmitter
from cnncc.codegen.registers import FLOAT, POINTER, Index, Ssa
from cnncc.machine.target import Target
from cnncc.measure.benchmark import calls_in, seconds_of

BLOCK = 8  # vectors of a turn: enough independent additions to read two vectors a cycle
TURN_SECONDS = 1e-3


def emit_traffic(target: Target) -> str:
    """`void traffic(float *from, intptr reads, float *to, intptr writes, intptr both, intptr rounds)`, in blocks.

    The first `both` blocks are copied, the rest is only read, or only written.
    """
    e = LlvmEmitter(target)
    lanes = target.lanes

    def loads(base: Ssa, block: Index) -> list[Ssa]:
        begin = e.address(base, e.mul(block, BLOCK * lanes))
        return [e.load(FLOAT.wide(lanes), e.address(begin, place * lanes)) for place in range(BLOCK)]

    def stores(base: Ssa, block: Index, values: list[Ssa]) -> None:
        begin = e.address(base, e.mul(block, BLOCK * lanes))
        for place, value in enumerate(values):
            e.store(value, e.address(begin, place * lanes))

    counts = [(e.index_type, name) for name in ("reads", "writes", "both", "rounds")]
    parameters = [(POINTER, "from"), (POINTER, "to"), *counts]
    with e.function("traffic", parameters) as (source, sink, reads, writes, both, rounds):
        with e.loop(0, rounds, carry=[e.number(0.0, lanes)] * BLOCK) as turn:
            with e.loop(0, both) as copied:
                stores(sink, copied.index, loads(source, copied.index))
            with e.loop(both, reads, carry=turn.values) as read:
                pairs = zip(read.values, loads(source, read.index), strict=True)
                read.next([e.binary("add", a, b) for a, b in pairs])
            with e.loop(both, writes) as written:
                stores(sink, written.index, [e.number(1.0, lanes)] * BLOCK)
            turn.next(read.results)
        total = turn.results[0]
        for value in turn.results[1:]:
            total = e.binary("add", total, value)
        e.store(total, sink)
        e.ret()
    return e.module()


class Traffic:
    """Times loops of loads and stores on this machine."""

    def __init__(self, target: Target):
        self._block = 4 * BLOCK * target.lanes
        self._code = native.load_object(native.emit_object(emit_traffic(target), target))
        kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_ssize_t] * 4)
        self._run = kind(self._code.address("traffic"))

    def seconds(self, reads: int, writes: int) -> float:
        """The median time to read and to write so many bytes, again and again, rounded up to blocks."""
        blocks = [-(-size // self._block) for size in (reads, writes)]
        source, sink = (aligned(max(count, 1) * self._block, np.ones) for count in blocks)

        def turn(rounds: int) -> None:
            self._run(source.ctypes.data, sink.ctypes.data, *blocks, min(blocks), rounds)

        rounds = calls_in(TURN_SECONDS, lambda: turn(1))
        return float(np.median([seconds_of(lambda: turn(rounds), 1) / rounds for _ in range(5)]))
