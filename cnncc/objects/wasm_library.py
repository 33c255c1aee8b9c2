"""A module of WebAssembly that imports nothing, made of one object and of data, without a linker.

What an object imports from "env" becomes part of the module: a memory, and perhaps a variable for the stack's pointer.
They keep their numbers, since each kind is counted by itself and an object defines none of them. The memory begins
with the object's own data; then come the stack, the data that is added, and free memory. Our code has no data of its
own, so a stack that is too small goes on below the address 0: an access outside of the memory, which ends the call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..abi import ALIGNMENT
from ..errors import NativeError
from .wasm_module import OF_FUNCTION, OF_GLOBAL, OF_MEMORY, chosen, exports, written
from .wasm_pieces import (
    CODE,
    COUNT,
    CUSTOM,
    DATA,
    FUNCTIONS,
    GLOBALS,
    IMPORTS,
    MEMORIES,
    NAMES,
    TYPES,
    Reader,
    constant,
    leb,
    parts,
    told,
    vector,
)

STACK_BYTES = 1 << 17
"""Of a module whose code takes a stack, as of the programs that emulators run."""
PAGE = 1 << 16
"""Bytes by which a memory grows."""
FREE = "__heap_base"
"""The export that tells where free memory begins; linkers call it so."""

_KNOWN = (TYPES, IMPORTS, FUNCTIONS, CODE, DATA)  # sections of an object
_LEFT_OUT = (
    CUSTOM,
    COUNT,
)  # what linkers and debuggers read, and the number of segments ahead of code that copies them
_NOTHING = b"\0"  # a section without rows
_ADDRESS, _VARIABLE = b"\x7f\0", b"\x7f\1"  # types of globals: 32 bits, constant or not


def standalone(code: bytes, names: Sequence[str], data: Mapping[str, bytes | memoryview]) -> bytes:
    """The object as a module with a memory of its own, in which `data` lie by their symbols, aligned to 64 bytes.

    It exports these functions, "memory", and as constants the address of each of `data` and `FREE`. Raises
    NativeError as `wasm_module.module` does, and for an object that holds or imports anything else.
    """
    pieces = told(lambda: list(parts(code)))
    sections = {kind: content for kind, content in pieces if kind not in _LEFT_OUT}
    for kind in sections:
        if kind not in _KNOWN:
            raise NativeError(f"the object has a section '{NAMES[kind]}', and a module is made of others")
    takes_stack = told(lambda: _takes_stack(Reader(sections.pop(IMPORTS, _NOTHING))))
    memory = told(lambda: _Memory(Reader(sections.get(DATA, _NOTHING)), takes_stack))
    for symbol, content in data.items():
        memory.place(symbol, content)
    rows = [(name, OF_FUNCTION, index) for name, index in chosen(pieces, names)]
    made = [*memory.sections(), exports([*rows, *memory.exports()])]
    return written(sorted((sections | dict(made)).items()))


class _Memory:
    """What lies in the memory: segments of data, from `end` on nothing."""

    def __init__(self, own: Reader, takes_stack: bool):
        self._segments = []
        end = ALIGNMENT  # nothing of ours lies at the null pointer
        for _ in range(own.number()):
            start = own.at
            end = max(end, _end_of_segment(own))
            self._segments.append(own.code[start : own.at])
        self.end = _aligned(end) + STACK_BYTES * takes_stack
        self._stack = [_VARIABLE + constant(self.end)] if takes_stack else []
        self._addresses: dict[str, int] = {}

    def place(self, symbol: str, data: bytes | memoryview) -> None:
        self._addresses[symbol] = self.end
        self._segments.append(b"\0" + constant(self.end) + leb(len(data)) + bytes(data))
        self.end = _aligned(self.end + len(data))

    def sections(self) -> list[tuple[int, bytes]]:
        """The memory without a greatest size, the variable of the stack, the addresses, and the data."""
        addresses = [_ADDRESS + constant(address) for address in (*self._addresses.values(), self.end)]
        return [
            (MEMORIES, b"\1\0" + leb(-(-self.end // PAGE))),
            (GLOBALS, vector([*self._stack, *addresses])),
            (DATA, vector(self._segments)),
        ]

    def exports(self) -> list[tuple[str, int, int]]:
        globals = enumerate((*self._addresses, FREE), len(self._stack))
        return [("memory", OF_MEMORY, 0), *((symbol, OF_GLOBAL, index) for index, symbol in globals)]


def _aligned(address: int) -> int:
    return -(-address // ALIGNMENT) * ALIGNMENT


def _takes_stack(imports: Reader) -> bool:
    """Whether the stack's pointer is imported. Raises NativeError for another import but the memory."""
    found = False
    for _ in range(imports.number()):
        _, name, kind = imports.name(), imports.name(), imports.number()
        if kind == OF_MEMORY:
            imports.numbers(1 + (imports.number() & 1))  # the least size, and the greatest one if there is one
        elif kind == OF_GLOBAL and name == "__stack_pointer":
            imports.numbers(2)
            found = True
        else:
            raise NativeError(f"the object imports '{name}', which a module by itself does not have")
    return found


def _end_of_segment(reader: Reader) -> int:
    """Where a segment of data ends in memory; it is read."""
    if reader.take(2) != b"\0\x41":  # of memory 0, from a constant on
        raise NativeError("the object has data at no fixed address")
    address, _, size = reader.number(), reader.take(1), reader.number()
    reader.take(size)
    return address + size
