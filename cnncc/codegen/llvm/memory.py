"""Memory, atomics between shards, and the processor itself."""

from __future__ import annotations

from typing import Literal

from ..instructions import Order
from ..registers import INT32, INT64, POINTER, RegisterType, Ssa
from .arithmetic import Arithmetic
from .text import ORDERS, spell, suffix

REGISTERS = ("EAX", "EBX", "ECX", "EDX")


class Memory(Arithmetic):
    """Instructions that touch memory or ask the processor."""

    def null(self) -> Ssa:
        return Ssa(POINTER, "null")

    def load(self, type: RegisterType, pointer: Ssa, align: int | None = None) -> Ssa:
        return self.assign(type, f"load {spell(type)}, ptr {pointer.name}, align {align or self._bytes(type)}")

    def masked_load(self, pointer: Ssa, mask: Ssa, otherwise: Ssa) -> Ssa:
        type, truth = spell(otherwise.type), spell(mask.type)
        name = f"@llvm.masked.load.{suffix(otherwise.type)}.p0"
        self.declare(name, type, ["ptr", "i32 immarg", truth, type])
        place = f"ptr {pointer.name}, i32 {self._bytes(otherwise.type)}"
        operands = f"{place}, {truth} {mask.name}, {type} {otherwise.name}"
        return self.assign(otherwise.type, f"call {type} {name}({operands})")

    def store(self, value: Ssa, pointer: Ssa, align: int | None = None) -> None:
        bytes = align or self._bytes(value.type)
        self.emit(f"store {spell(value.type)} {value.name}, ptr {pointer.name}, align {bytes}")

    def _bytes(self, type: RegisterType) -> int:
        """Bytes of an element."""
        return (type.bits or self.target.pointer_bits) // 8

    def prefetch(self, pointer: Ssa) -> None:
        self.declare("@llvm.prefetch.p0", "void", ["ptr", "i32", "i32", "i32"])
        self.emit(f"call void @llvm.prefetch.p0(ptr {pointer.name}, i32 0, i32 3, i32 1)")

    # Between shards

    def atomic_load(self, pointer: Ssa, order: Order) -> Ssa:
        return self.assign(INT32, f"load atomic i32, ptr {pointer.name} {ORDERS[order]}, align 4")

    def atomic_store(self, value: Ssa, pointer: Ssa, order: Order) -> None:
        self.emit(f"store atomic i32 {value.name}, ptr {pointer.name} {ORDERS[order]}, align 4")

    def atomic_add(self, pointer: Ssa, value: int, order: Order) -> Ssa:
        return self.assign(INT32, f"atomicrmw add ptr {pointer.name}, i32 {value} {ORDERS[order]}, align 4")

    # The processor

    def pause(self) -> None:
        if hint := self.target.isa.pause:
            takes = hint.argument is not None
            self.declare(f"@{hint.intrinsic}", "void", ["i32"] if takes else [])
            self.emit(f"call void @{hint.intrinsic}({f'i32 {hint.argument}' if takes else ''})")

    def ticks(self) -> Ssa:
        counter = self.target.isa.counter
        self.declare(f"@{counter}", "i64", [])
        return self.assign(INT64, f"call i64 @{counter}()")

    def cpuid(self, leaf: int, register: Literal["EAX", "EBX", "ECX", "EDX"]) -> Ssa:
        operands = f'"={{ax}},={{bx}},={{cx}},={{dx}},{{ax}},{{cx}}"(i32 {leaf}, i32 0)'
        return self._part("{ i32, i32, i32, i32 }", f'asm "cpuid", {operands}', REGISTERS.index(register))

    def saved_state(self) -> Ssa:
        return self._part("{ i32, i32 }", 'asm "xgetbv", "={ax},={dx},{cx}"(i32 0)', 0)

    def _part(self, type: str, assembly: str, number: int) -> Ssa:
        """One of the 32-bit results of an assembly instruction."""
        results = self.assign(INT32, f"call {type} {assembly}")
        return self.assign(INT32, f"extractvalue {type} {results.name}, {number}")
