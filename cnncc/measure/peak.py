"""The multiply-add peak of this machine, measured with a kernel of this project's emitter.

It consists of independent chains of multiply-adds on registers, so no kernel can be faster. It is measured in the same
unit and the same run as the models that are compared with it.
"""

from __future__ import annotations

import ctypes
import time

import numpy as np

from .. import native
from ..codegen.llvm.emitter import LlvmEmitter
from ..codegen.registers import FLOAT, POINTER
from ..machine.target import Target

CHAINS = 12  # latency (4 cycles, 8 without fma) times two pipes, and still within 16 registers
ROUNDS = 8  # multiply-adds of each chain in one iteration of the loop
SYMBOL = "cnncc_peak"


def emit_peak(target: Target, chains: int = CHAINS) -> str:
    """`void cnncc_peak(float *data, intptr count)`: `count` iterations; `data` holds a start, a factor and a summand.

    Each chain computes a := a·factor + summand, which stays bounded for |factor| < 1 and cannot be hoisted.
    """
    e = LlvmEmitter(target)
    with e.function(SYMBOL, [(POINTER, "data"), (e.index_type, "count")]) as (data, count):
        start, factor, summand = (e.splat(e.load(FLOAT, e.address(data, place)), target.lanes) for place in range(3))
        values = [e.binary("add", start, e.number(float(number), target.lanes)) for number in range(chains)]
        with e.loop(0, count, carry=values) as loop:
            values = loop.values
            for _ in range(ROUNDS):
                values = [e.multiply_add(value, factor, summand) for value in values]
            loop.next(values)
        total = loop.results[0]
        for value in loop.results[1:]:
            total = e.binary("add", total, value)
        e.store(total, data)  # so that LLVM removes no chain
        e.ret()
    return e.module()


class Peak:
    """The kernel loaded for this machine; `measure` may be called between other measurements.

    With a single chain, the latency bounds it.
    """

    def __init__(self, target: Target, chains: int = CHAINS):
        self._code = native.load_object(native.emit_object(emit_peak(target, chains), target))
        self._data = np.zeros(3 + target.lanes, np.float32)
        kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_ssize_t)
        self._run = kind(self._code.address(SYMBOL))
        self._flops = 2 * chains * ROUNDS * target.lanes
        self._iterations = 1000
        while self._seconds() < 1e-3:
            self._iterations *= 2

    def measure(self) -> float:
        """Floating-point operations per second of one core, over about a millisecond."""
        return self._flops * self._iterations / self._seconds()

    def _seconds(self) -> float:
        self._data[:3] = 1.0, 0.5, 1.0
        begin = time.perf_counter()
        self._run(self._data.ctypes.data, self._iterations)
        return time.perf_counter() - begin
