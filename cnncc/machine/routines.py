"""What an object may need from outside: routines of the compiler's runtime (libgcc, compiler-rt), which each one has.

Where a processor has no instruction for a float, or no division, LLVM calls one of them. Functions of the C library
(`sqrtf`, `fmaf`, `memcpy`) are never among them. The manifest lists those that an object does need.
"""

from __future__ import annotations

from .definition import Target

_ARM = """
    __aeabi_fadd __aeabi_fsub __aeabi_frsub __aeabi_fmul __aeabi_fdiv
    __aeabi_fcmpeq __aeabi_fcmplt __aeabi_fcmple __aeabi_fcmpge __aeabi_fcmpgt __aeabi_fcmpun
    __aeabi_f2iz __aeabi_f2uiz __aeabi_i2f __aeabi_ui2f
    __aeabi_idiv __aeabi_uidiv __aeabi_idivmod __aeabi_uidivmod __aeabi_lmul __aeabi_llsl __aeabi_llsr __aeabi_lasr
"""
_GCC = """
    __addsf3 __subsf3 __mulsf3 __divsf3 __eqsf2 __nesf2 __ltsf2 __lesf2 __gtsf2 __gesf2 __unordsf2
    __fixsfsi __fixunssfsi __floatsisf __floatunsisf
"""
_OF_FLOATS = {"thumb": frozenset(_ARM.split()), "riscv32": frozenset(_GCC.split())}
"""By architecture: Arm, Run-time ABI (IHI 0043), and what GCC calls them elsewhere."""
_OF_STACKS = {
    ("COFF", "x86-64"): frozenset({"___chkstk_ms"}),
    ("COFF", "aarch64"): frozenset({"__chkstk"}),
    ("wasm", "wasm32"): frozenset({"__stack_pointer"}),
}
"""By format and architecture: Windows grows a stack page by page, and a linker of WebAssembly makes the pointer."""


def allowed(target: Target) -> frozenset[str]:
    """The symbols that an object for a target may leave undefined."""
    of_stack = _OF_STACKS.get((target.object_format, target.architecture), frozenset())
    return of_stack if target.float_unit else of_stack | _OF_FLOATS[target.architecture]
