"""A program around an object: its inputs are in its memory, and what it writes is the results.

Nothing is compiled for it. The object and that of its weights are the bytes that `cnncc compile` writes. They are
linked here, beside some ten instructions (`starts.py`) that go through a table of calls: check(), workspace_bytes(),
run(), and what writes the results.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from .. import abi
from ..errors import NativeError, TargetError
from ..objects import format_of
from ..objects.apart import pieces
from ..objects.elf_program import program
from ..objects.linker import PAGE, link
from ..runtime.arrays import fresh_outputs
from ..runtime.executable import Executable
from ..types import Array
from .emulators import Emulator
from .hosts import Row, host
from .memory import Memory, Region
from .routines import routines
from .starts import COLUMNS, Semihosting

_STACK_BYTES = 1 << 17
_UNTOUCHED = b"\xa5"  # what the stack is full of
_UNWRITTEN = b"\xff"  # what outputs and workspace are full of: NaN
_FENCE = b"\x5a" * PAGE
_VECTORS = 16  # of a core of ARM's profile M: the stack, the start, and faults


@dataclass(frozen=True)
class Answer:
    """What a program wrote under an emulator: the outputs of each run, and how many bytes of stack were touched.

    `states` are those after each run, in the order of the executable's.
    """

    outputs: tuple[tuple[Array, ...], ...]
    stack_bytes: int
    emulator: str
    states: tuple[tuple[Array, ...], ...] = ()


class Program:
    """An ELF program (`file`) for an emulator that runs an executable on these inputs, `runs` times.

    `inputs` are the arrays of its ports, with `images` images. `labels` says where the functions of the object lie,
    `code` from which address to which it does itself, and `bytes` how much memory all takes. Raises NativeError for an
    object that cannot be linked.
    """

    def __init__(self, executable: Executable, emulator: Emulator, inputs: Sequence[Array], images: int, runs: int = 1):
        self._executable, self.emulator, self._runs = executable, emulator, runs
        self._word = executable.target.pointer_bits // 8
        self._results = fresh_outputs(executable, images)
        self._memory = memory = Memory(emulator.first, executable.target.pointer_bits)
        start_at = self._code()
        self._stack = memory.writable(_UNTOUCHED * _STACK_BYTES, abi.ALIGNMENT)
        self._written: list[Region] = []  # by a run: the outputs, and the block of states
        self._fences: list[Region] = []
        call = self._call(inputs, images, self._weights())
        self._table = self._calls(call, start_at + emulator.start.system | self._odd)
        self.bytes = memory.end - emulator.first
        self.file = self._file(start_at)

    @property
    def _odd(self) -> int:
        """What a pointer to our own code has more than its address."""
        return int(self.emulator.start.thumb)

    def _code(self) -> int:
        """Link the object and place it, and what the program starts with behind it; the address of that."""
        memory, emulator = self._memory, self.emulator
        data = memory.end
        memory.end = data if emulator.code is None else emulator.code
        own, executable = pieces(self._executable.object, self._executable.target), self._executable
        linked = link([own, *routines([own], executable.undefined, executable.target)], memory.end)
        for placed in linked:
            memory.linked(placed, executable=True)
        self.labels = {name: at for placed in reversed(linked) for name, at in placed.labels}
        self.code = linked[0].address, memory.end
        at = memory.place(emulator.start.code + memory.packed([0, 0]), executable=True)
        memory.end = memory.end if emulator.code is None else data
        return at

    def _weights(self) -> int:
        """Link the object of the weights, if there are any, and place it; their address."""
        symbol, data, target = self._executable.weights_symbol, self._executable.weights, self._executable.target
        if not data:
            return self._memory.place(b"\0", self._executable.target.alignment)
        (linked,) = link([pieces(format_of(target).data_object(symbol, data, target), target)], self._memory.end)
        self._memory.linked(linked, executable=False)
        return dict(linked.labels)[symbol]

    def _file(self, start_at: int) -> bytes:
        memory, emulator = self._memory, self.emulator
        memory.fill(start_at + len(emulator.start.code), memory.packed([self._stack.end, self._table.address]))
        if emulator.vectors is not None:
            self._place_vectors(emulator.vectors, start_at)
        return program(memory.blocks, start_at | self._odd, self._executable.target)

    def _place_vectors(self, at: int, start_at: int) -> None:
        start = self.emulator.start
        assert isinstance(start.host, Semihosting)
        faults = [start_at + start.host.fault | self._odd] * (_VECTORS - 2)
        table = self._memory.packed([self._stack.end, start_at | self._odd, *faults])
        self._memory.at(at, table)

    def _call(self, inputs: Sequence[Array], images: int, weights: int) -> int:
        """The address of a `cnncc_call`, with everything that it points to."""
        executable, memory = self._executable, self._memory
        read = [memory.place(array.tobytes(), array.itemsize) for array in inputs]
        outputs = [self._fenced(_UNWRITTEN * array.nbytes, array.itemsize) for array in self._results]
        self._written = [*outputs, self._fenced(bytes(executable.initial_state), executable.target.alignment)]
        size = executable.workspace_bytes(1)
        header = min(size, abi.HEADER_BYTES)
        workspace = self._fenced(bytes(header) + _UNWRITTEN * (size - header), executable.target.alignment)
        fields = {
            "abi": abi.VERSION,
            "fingerprint": executable.fingerprint,
            "images": images,
            "shards": 1,
            "inputs": memory.words(read),
            "outputs": memory.words(region.address for region in self._written),
            "workspace": workspace.address,
            "weights": weights,
        }
        call = bytearray(abi.call_bytes(self._word))
        for field, at in zip(abi.CALL, abi.offsets(self._word).values(), strict=True):
            value = fields.get(field.name, 0).to_bytes(self._word if field.is_pointer else abi.WORD_BYTES, "little")
            call[at : at + len(value)] = value
        return memory.place(bytes(call))

    def _fenced(self, data: bytes, alignment: int) -> Region:
        """A place for what the object writes, with a fence behind it where the emulator does not guard memory."""
        region = self._memory.writable(data, alignment)
        if not self.emulator.guarded:
            self._memory.at(region.end, _FENCE)
            self._fences.append(Region(region.end, len(_FENCE)))
        return region

    def _calls(self, call: int, system: int) -> Region:
        """The table of all calls, which is written out after the first two of them, and at the end."""
        symbol, world = self._executable.symbol, host(self.emulator.start, system, self._memory)
        first = [(self.labels[f"{symbol}_check"], 0, 0, 0, 0), (self.labels[f"{symbol}_workspace_bytes"], 1, 0, 0, 0)]
        run = [(self.labels[f"{symbol}_run"], call, 0, 0, 0), *map(world.write, self._written)]
        last = [*map(world.write, self._fences), world.write(self._stack), world.exit]
        before = [*first, *world.opening]
        count = len(before) + self._runs * len(run) + len(last) + 2
        table = self._memory.writable(bytes(count * COLUMNS * self._word))
        told = world.write(table)
        rows: list[Row] = [*before, told, *run * self._runs, told, *last]
        self._first_run = len(before) + 1
        self._memory.fill(table.address, self._memory.packed(value for row in rows for value in row))
        return table

    def answer(self, written: bytes) -> Answer:
        """What the program wrote, taken apart.

        Raises TargetError where the processor is not the target's, NativeError for an error that run() returned, and
        for a program that did not come to its end.
        """
        executable, place = self._executable, self._table.size
        if len(written) >= place and self._result(written, 0) != 0:
            raise TargetError(f"the emulated processor cannot run code for target '{executable.target.name}'")
        runs, states = [], []
        for _ in range(self._runs):
            outputs = []
            for like in self._results:
                outputs.append(_array(written[place : place + like.nbytes], like))
                place += like.nbytes
            runs.append(tuple(outputs))
            states.append(tuple(_held(executable, written[place : place + self._written[-1].size])))
            place += self._written[-1].size
        table, place = written[place : place + self._table.size], place + self._table.size
        fences, stack = written[place : len(written) - self._stack.size], written[place:][-self._stack.size :]
        if len(written) != place + sum(fence.size for fence in self._fences) + self._stack.size:
            raise NativeError(f"model '{executable.name}': the emulated program did not come to its end")
        self._expect_success(table)
        if fences != _FENCE * len(self._fences):
            raise NativeError(f"model '{executable.name}': it wrote behind its outputs, states or workspace")
        return Answer(tuple(runs), len(stack.lstrip(_UNTOUCHED)), self.emulator.told, tuple(states))

    def _expect_success(self, table: bytes) -> None:
        executable, size = self._executable, self._executable.workspace_bytes(1)
        told = self._result(table, 1)
        if told != size:
            raise NativeError(f"model '{executable.name}': workspace_bytes(1) is {told:,}, described as {size:,}")
        for number in range(self._runs):
            code = self._result(table, self._first_run + number * (1 + len(self._written)))
            if code:
                reason = abi.REASONS.get(code, "unknown error")
                raise NativeError(f"model '{executable.name}': native code returned error {code}: {reason}")

    def _result(self, table: bytes, row: int) -> int:
        """What a call returned, as 32 bits."""
        at = row * COLUMNS * self._word
        return int.from_bytes(table[at : at + 4], "little")


def _held(executable: Executable, block: bytes) -> Iterator[Array]:
    """The states in their block."""
    for port in executable.states:
        like = np.empty(port.shape, port.type.dtype.numpy)
        yield _array(block[port.offset : port.offset + like.nbytes], like)


def _array(data: bytes, like: Array) -> Array:
    """An array as `like` of bytes; of too few of them, an empty one."""
    return np.frombuffer(data, like.dtype).reshape(like.shape) if len(data) == like.nbytes else like.reshape(-1)[:0]
