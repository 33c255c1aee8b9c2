"""`NAME_check`: whether this CPU has the instructions that the object uses. Never asked inside `run`.

On x86-64 the CPUID leaves 1 and 7 name the instruction sets, and XGETBV whether the operating system saves
the registers (Intel SDM, volume 1, sections 13.3, 14.3 and 15.2).
"""

from __future__ import annotations

from dataclasses import dataclass

from ..architecture import ProcessorCheck
from .emitter import Emitter, Ssa


@dataclass(frozen=True)
class Level:
    """Bits that must be set: leaf 1 ECX, leaf 7 EBX and XCR0."""

    leaf1_ecx: int
    leaf7_ebx: int
    xcr0: int


def _bits(*numbers: int) -> int:
    return sum(1 << number for number in numbers)


# SSE3, SSSE3, CMPXCHG16B, SSE4.1, SSE4.2, POPCNT
_V2 = Level(_bits(0, 9, 13, 19, 20, 23), 0, 0)
# and FMA, MOVBE, XSAVE's use by the system, AVX, F16C; BMI1, AVX2, BMI2; XMM and YMM state
_V3 = Level(_V2.leaf1_ecx | _bits(12, 22, 27, 28, 29), _bits(3, 5, 8), _bits(1, 2))
# and AVX-512 F, DQ, CD, BW, VL; mask and ZMM state
_V4 = Level(_V3.leaf1_ecx, _V3.leaf7_ebx | _bits(16, 17, 28, 30, 31), _V3.xcr0 | _bits(5, 6, 7))
LEVELS = {4: _V2, 8: _V3, 16: _V4}  # by lanes


def emit_check(e: Emitter, name: str) -> None:
    """`int NAME_check(void)`: 0 if this CPU will do, 1 if not. What it can ask is data: `Architecture.check`."""
    with e.function("i32", name, []):
        if e.target.isa.check is not ProcessorCheck.CPUID:
            e.ret(Ssa("i32", "0"))
            return
        level = LEVELS[e.target.lanes]
        missing = e.fresh_label("missing")
        _require(e, _cpuid(e, 1, 2), level.leaf1_ecx, missing)
        if level.leaf7_ebx:
            _require(e, _cpuid(e, 7, 1), level.leaf7_ebx, missing)
            pair = e.assign("{ i32, i32 }", 'call { i32, i32 } asm "xgetbv", "={ax},={dx},{cx}"(i32 0)')
            _require(e, e.assign("i32", f"extractvalue {{ i32, i32 }} {pair}, 0"), level.xcr0, missing)
        e.ret(Ssa("i32", "0"))
        e.label(missing)
        e.ret(Ssa("i32", "1"))


def _cpuid(e: Emitter, leaf: int, register: int) -> Ssa:
    """One of the four registers (EAX, EBX, ECX, EDX) of a CPUID leaf."""
    four = "{ i32, i32, i32, i32 }"
    text = f'call {four} asm "cpuid", "={{ax}},={{bx}},={{cx}},={{dx}},{{ax}},{{cx}}"(i32 {leaf}, i32 0)'
    values = e.assign(four, text)
    return e.assign("i32", f"extractvalue {four} {values}, {register}")


def _require(e: Emitter, value: Ssa, bits: int, missing: str) -> None:
    """Go to `missing` unless all `bits` are set."""
    if not bits:
        return
    found = e.assign("i32", f"and i32 {value}, {bits}")
    there = e.fresh_label("there")
    e.branch_if(e.compare("eq", found, bits), there, missing)
    e.label(there)
