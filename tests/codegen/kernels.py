"""Running small pieces of emitted code: an expression over an array, a function of the emitter."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np

from cnncc import native
from cnncc.codegen.emitter import Emitter
from cnncc.codegen.expression import OF_FLOATS
from cnncc.codegen.llvm.emitter import LlvmEmitter
from cnncc.codegen.registers import FLOAT, POINTER, Ssa
from cnncc.compiler import resolve_target
from cnncc.types import Array


def run_function(build: Callable[[Emitter, list[Ssa]], None], *arrays: Array, target: str = "host") -> None:
    """Emit `void f(ptr, …)` by `build`, and call it on the arrays."""
    machine = resolve_target(target)
    e = LlvmEmitter(machine)
    with e.function("f", [(POINTER, f"p{number}") for number in range(len(arrays))]) as parameters:
        build(e, parameters)
        e.ret()
    code = native.load_object(native.emit_object(e.module(), machine))
    ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(arrays))(code.address("f"))(*(a.ctypes.data for a in arrays))


def run_expression(name: str, *arguments: Array, target: str = "host", lanes: int = 4) -> Array:
    """A function of the expressions' vocabulary on whole arrays, a vector at a time."""
    count = -(-arguments[0].size // lanes) * lanes
    padded = [np.resize(np.ascontiguousarray(a, np.float32), count) for a in arguments]
    result = np.empty(count, np.float32)

    def build(e: Emitter, pointers: list[Ssa]) -> None:
        with e.loop(0, count, lanes) as loop:
            values = [e.load(FLOAT.wide(lanes), e.address(pointer, loop.index)) for pointer in pointers[:-1]]
            e.store(OF_FLOATS[name](e, *values), e.address(pointers[-1], loop.index))

    run_function(build, *padded, result, target=target)
    return result[: arguments[0].size]
