"""A row for the table of cores (`cnncc.machine.cores`), measured on this machine.

Each number of pipes or ports, the latency and each bandwidth of memory is measured with a loop of its own, in cycles of
the clock. The clock is measured in the same run. All other fields are copied from the nearest row of the table.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from typing import Any

import numpy as np

from .. import native
from ..codegen.llvm.emitter import LlvmEmitter
from ..codegen.registers import POINTER
from ..machine.core import Core
from ..machine.target import Target
from ..plan.traffic import LEVELS
from .limits import Bandwidth
from .peak import Peak

SYMBOL = "cnncc_steps"
STEPS = 64  # operations of the chain in one iteration
ROUNDS = 9  # samples of each kind, taken in turns
SECONDS = 2e-3  # of a sample of the clock


def emit_steps(target: Target) -> str:
    """`void cnncc_steps(intptr *data, intptr count)`: a chain of integer operations of one cycle each.

    `data` holds a start, a summand and a mask, so that LLVM cannot compute the chain at compile time.
    """
    e = LlvmEmitter(target)
    with e.function(SYMBOL, [(POINTER, "data"), (e.index_type, "count")]) as (data, count):
        size = target.pointer_bits // 32
        start, summand, mask = (e.load(e.index_type, e.address(data, place * size)) for place in range(3))
        with e.loop(0, count, carry=[start]) as loop:
            (value,) = loop.values
            for _ in range(STEPS // 2):
                value = e.binary("and", e.binary("add", value, summand), mask)
            loop.next([value])
        e.store(loop.results[0], data)
        e.ret()
    return e.module()


class Cycles:
    """The current clock of the pipes, in cycles a second; it may change at any time."""

    def __init__(self, target: Target):
        self._code = native.load_object(native.emit_object(emit_steps(target), target))
        self._run = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_ssize_t)(self._code.address(SYMBOL))
        self._data = np.array([1, 3, -1], np.intp)
        self._count = 1000
        while self._seconds() < SECONDS:
            self._count *= 2

    def measure(self) -> float:
        return STEPS * self._count / self._seconds()

    def _seconds(self) -> float:
        begin = time.perf_counter()
        self._run(self._data.ctypes.data, self._count)
        return time.perf_counter() - begin


def measured(target: Target, name: str) -> tuple[Core, set[str]]:
    """The core of this machine, and the names of the fields that were measured; takes about a second.

    Samples of all kinds are taken in turns, and the fastest of each kind counts, since the others were disturbed.
    Raises NativeError on a machine that cannot run the target's code.
    """
    near = target.core
    clock, pipes, chain, memory = Cycles(target), Peak(target), Peak(target, chains=1), Bandwidth(target)
    kinds: dict[str, Callable[[], float]] = {
        "clock": clock.measure,
        "pipes": pipes.measure,
        "chain": chain.measure,
        "unaligned": memory.unaligned,
        **{level: partial(memory.fresh, level) for level in LEVELS},
    }
    best = dict.fromkeys(kinds, 0.0)
    for _ in range(ROUNDS):
        best = {kind: max(best[kind], sample()) for kind, sample in kinds.items()}
    rate = {kind: value / best["clock"] for kind, value in best.items()}
    vector, flops = 4 * target.lanes, 2 * target.lanes
    crossing = min(1.0, (target.lanes - 1) / (near.line_bytes // 4 - 1))  # fraction of the unaligned vectors
    found = {
        "fma_pipes": rate["pipes"] / flops,
        "fma_latency": flops / rate["chain"],
        "load_ports": rate["L1"] / vector,
        "crossing_loads": 1 + (rate["L1"] / rate["unaligned"] - 1) / crossing if crossing else near.crossing_loads,
        "l2_rate": rate["L2"] * near.l2_rate / near.l2_stream_rate,
        "l2_stream_rate": rate["L2"],
        "l2_line_cycles": near.line_bytes / rate["L2"],
        "l3_rate": rate["L3"],
        "l3_weights_rate": rate["L3"] * near.l3_weights_rate / near.l3_rate,
        "dram_rate": rate["DRAM"],
    }
    facts: dict[str, Any] = {"lanes": target.lanes, "l1": target.l1, "l2": target.l2, "l3": target.l3}
    rounded = {field: float(f"{value:.2g}") for field, value in found.items()}
    core = replace(near, name=name, cpus=(target.tune,) if target.tune else (), **facts | rounded)
    return core, {*facts, *rounded}


def row(core: Core, known: set[str]) -> str:
    """The core as text for `cores.py`, with a comment at fields that were not measured."""
    lines = [
        f"    {field.name}={getattr(core, field.name)!r}," + ("" if field.name in known else "  # not measured")
        for field in fields(core)
        if field.name not in ("name", "cpus")
    ]
    return "\n".join(["Core(", f"    name={core.name!r},", f"    cpus={core.cpus!r},", *lines, ")"])
