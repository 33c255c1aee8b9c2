"""Runs networks with every buffer directly against memory that nobody may touch.

`python -m tests.embed.guarded TARGET plain|checked [EACH]`: one process for all of them, which an access outside ends;
the last line that it printed is the network that did it. Inputs and weights are write-protected too. States stand
between guards as outputs do, and are judged as what they are after one call.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import threading
from collections.abc import Iterator, Sequence

import numpy as np

from cnncc import abi
from cnncc.compiler import Compilation
from cnncc.ir import without_states
from cnncc.native import LoadedCode, load_object
from cnncc.runtime.executable import Executable, Port
from cnncc.types import Array, TensorType
from tests.graphs import compilation, expected, worst_ratio

from .nasty import cases
from .stepping import steps

PAGE = mmap.PAGESIZE
NOTHING, READ = 0, 1
NAN_BYTE = 0xFF  # four of them are a NaN

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


class Call(ctypes.Structure):
    """`cnncc_call` of the C header."""

    _fields_ = (
        ("abi", ctypes.c_uint32),
        ("fingerprint", ctypes.c_uint32),
        ("apart", ctypes.c_uint32),
        ("images", ctypes.c_uint32),
        ("shard", ctypes.c_uint32),
        ("shards", ctypes.c_uint32),
        ("inputs", ctypes.c_void_p),
        ("outputs", ctypes.c_void_p),
        ("workspace", ctypes.c_void_p),
        ("weights", ctypes.c_void_p),
        ("wait", ctypes.c_void_p),
        ("wait_argument", ctypes.c_void_p),
    )


class Buffer:
    """Memory between two inaccessible pages: its beginning after the first, or its end before the second.

    An end stands off by as much as the alignment of the beginning asks for.
    """

    def __init__(self, size: int, at_end: bool, alignment: int = 4, fill: int = 0):
        pages = -(-size // PAGE)
        self.map = mmap.mmap(-1, (pages + 2) * PAGE)
        base = ctypes.addressof(ctypes.c_char.from_buffer(self.map))
        self.inner, self.size, self.inner_bytes = base + PAGE, size, pages * PAGE
        offset = (self.inner_bytes - size) // alignment * alignment if at_end else 0
        self.address = self.inner + offset
        ctypes.memset(self.inner, fill, self.inner_bytes)
        _protect(base, PAGE, NOTHING)
        _protect(self.inner + self.inner_bytes, PAGE, NOTHING)

    def hold(self, data: bytes | memoryview) -> Buffer:
        """Fill it for ever."""
        ctypes.memmove(self.address, bytes(data), len(data))
        _protect(self.inner, self.inner_bytes, READ)
        return self

    def array(self, type: TensorType, offset: int = 0) -> Array:
        data = np.frombuffer(ctypes.string_at(self.address + offset, type.nbytes), type.dtype.numpy)
        return data.reshape(type.shape).copy()


def _protect(address: int, size: int, allowed: int) -> None:
    if size and _libc.mprotect(address, size, allowed):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def run(executable: Executable, feeds: dict[str, Array], at_end: bool, shards: int) -> dict[str, Array]:
    """The outputs and states of one call in which every buffer is guarded. Outputs that nobody stores stay NaN."""
    code = load_object(executable.object)
    inputs = [
        Buffer(port.type.nbytes, at_end).hold(np.ascontiguousarray(feeds[port.name]).tobytes())
        for port in executable.inputs
    ]
    outputs = [Buffer(port.type.nbytes, at_end, fill=NAN_BYTE) for port in executable.outputs]
    workspace = Buffer(executable.workspace_bytes(shards), at_end, alignment=64)
    weights = Buffer(len(executable.weights), at_end, alignment=64).hold(executable.weights)
    states = [Buffer(executable.state_bytes, at_end, alignment=64)] if executable.states else []
    call = Call(
        abi=abi.VERSION,
        fingerprint=executable.fingerprint,
        images=executable.images,
        shards=shards,
        inputs=_pointers(inputs),
        outputs=_pointers([*outputs, *states]),
        workspace=workspace.address,
        weights=weights.address,
    )
    for repeat in range(2):  # the second call finds the workspace as the first has left it
        for block in states:
            ctypes.memmove(block.address, bytes(executable.initial_state), executable.state_bytes)
        codes = _all_shards(code, executable, call)
        assert codes == [0] * shards, f"call {repeat}: error codes {codes}"
    found = {port.name: buffer.array(port.type) for port, buffer in _with_ports(executable.outputs, outputs)}
    return found | {f"{state.name} (after)": states[0].array(state.type, state.offset) for state in executable.states}


def _with_ports(ports: Sequence[Port], buffers: Sequence[Buffer]) -> Iterator[tuple[Port, Buffer]]:
    return zip(ports, buffers, strict=True)


def _pointers(buffers: Sequence[Buffer]) -> int:
    """The address of an array of the buffers' addresses, which stands against a guard page too."""
    table = (ctypes.c_void_p * len(buffers))(*(buffer.address for buffer in buffers))
    holder = Buffer(ctypes.sizeof(table), at_end=True, alignment=8).hold(bytes(table))
    _kept.append(holder)
    return holder.address


_kept: list[Buffer] = []


def _all_shards(code: LoadedCode, executable: Executable, call: Call) -> list[int]:
    entry = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(Call))(code.address(f"{executable.symbol}_run"))
    codes = [-1] * call.shards

    def work(shard: int) -> None:
        own = Call.from_buffer_copy(call)
        own.shard = shard
        codes[shard] = entry(own)

    threads = [threading.Thread(target=work, args=(shard,)) for shard in range(1, call.shards)]
    for thread in threads:
        thread.start()
    work(0)
    for thread in threads:
        thread.join()
    return codes


def check(compiled: Compilation, feeds: dict[str, Array]) -> None:
    """Run with one shard and with two, every buffer's beginning and then its end at the guard."""
    apart = Compilation(without_states(compiled.graph), compiled.options) if compiled.graph.states else compiled
    executable, wanted = compiled.build(), expected(apart, feeds)
    for at_end in (False, True):
        print(f"  its {'ends' if at_end else 'beginnings'} guarded", flush=True)
        for shards in (1, 2) if executable.max_shards > 1 else (1,):
            worst_ratio(run(executable, feeds, at_end, shards), wanted)


def main(target: str, kind: str, each: str = "1") -> None:
    """Check each different program once: a schedule may change nothing. Of all cases every second, third, …"""
    checked = {"plain": False, "checked": True}[kind]
    known: set[str] = set()
    for case in [*cases(), *steps()][:: int(each)]:
        compiled = compilation(case.graph, target, checked=checked, **case.options)
        if compiled.llvm not in known:
            known.add(compiled.llvm)
            print(case.name, flush=True)
            for feeds in (case.feeds, *case.more):
                check(compiled, feeds)
    print(f"{len(known)} networks")


if __name__ == "__main__":
    main(*sys.argv[1:])
