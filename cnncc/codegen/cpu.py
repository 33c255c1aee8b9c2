"""`NAME_check`: whether this CPU has the instructions that the object uses. `NAME_run` does not call it.

On x86-64 the CPUID leaves 1 and 7 list the instruction sets, and XGETBV tells whether the operating system saves
the registers (Intel SDM, volume 1, sections 13.3, 14.3 and 15.2).
"""

from __future__ import annotations

from dataclasses import dataclass

from ..machine.architecture import ProcessorCheck
from .emitter import Emitter
from .registers import INT32, Ssa


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
    """`int NAME_check(void)`: 0 if this CPU can run the object, 1 if not. `Architecture.check` says what it tests."""
    with e.function(name, [], INT32):
        if e.target.isa.check is not ProcessorCheck.CPUID:
            e.ret(e.constant(0, INT32))
            return
        level = LEVELS[e.target.lanes]
        missing = e.fresh_label("missing")
        _require(e, e.cpuid(1, "ECX"), level.leaf1_ecx, missing)
        if level.leaf7_ebx:
            _require(e, e.cpuid(7, "EBX"), level.leaf7_ebx, missing)
            _require(e, e.saved_state(), level.xcr0, missing)
        e.ret(e.constant(0, INT32))
        e.label(missing)
        e.ret(e.constant(1, INT32))


def _require(e: Emitter, value: Ssa, bits: int, missing: str) -> None:
    """Branch to `missing` unless all `bits` are set."""
    if not bits:
        return
    found = e.binary("and", value, e.constant(bits, INT32))
    there = e.fresh_label("there")
    e.branch_if(e.compare("==", found, bits), there, missing)
    e.label(there)
