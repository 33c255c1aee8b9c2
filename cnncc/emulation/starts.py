"""The machine code with which a program starts, which only works off a table of calls: one row for each machine.

`start` sets the stack pointer and goes through the table. Each row is five words: a function and its four arguments;
the result replaces the function. One of the functions is `system`, which calls Linux, with a number and three
arguments, or the emulator; a program ends with it. Behind the code stand two words: the end of the stack, and the
table. So no compiler of the target is needed; beside each line stands the assembly that it was made of.
"""

from __future__ import annotations

from dataclasses import dataclass

COLUMNS = 5  # words of a row


@dataclass(frozen=True)
class Linux:
    """The numbers of its calls on one machine."""

    write: int
    exit: int


@dataclass(frozen=True)
class Semihosting:
    """Calls of the emulator itself, from a board without a system (Arm, Semihosting for AArch32 and AArch64, 2.0).

    `fault` is the offset of what a board does at a fault: it ends the emulator.
    """

    fault: int
    open: int = 0x01
    write: int = 0x05
    exit: int = 0x18
    binary: int = 5  # how a file is opened: "wb"
    finished: int = 0x20026  # why a program ends
    first_file: int = 1  # what the first file that is opened is called


@dataclass(frozen=True)
class Start:
    """The code of one machine; `system` is the offset of that function. `thumb` says that pointers to code are odd."""

    text: str
    system: int
    host: Linux | Semihosting
    thumb: bool = False

    @property
    def code(self) -> bytes:
        """The bytes; what stands behind them begins at a multiple of 8."""
        return b"".join(bytes.fromhex(line.partition(":")[0]) for line in self.text.strip().splitlines())


X86_64 = Start(
    """
48 8b 25 31 00 00 00 : start: mov rsp, [rip+49]
48 8b 1d 32 00 00 00 : mov rbx, [rip+50]
48 8b 7b 08          : next: mov rdi, [rbx+8]
48 8b 73 10          : mov rsi, [rbx+16]
48 8b 53 18          : mov rdx, [rbx+24]
48 8b 4b 20          : mov rcx, [rbx+32]
ff 13                : call [rbx]
48 89 03             : mov [rbx], rax
48 83 c3 28          : add rbx, 40
eb e5                : jmp next
89 f8                : system: mov eax, edi
48 89 f7             : mov rdi, rsi
48 89 d6             : mov rsi, rdx
48 89 ca             : mov rdx, rcx
0f 05                : syscall
c3                   : ret
cc                   : int3
""",
    system=0x29,
    host=Linux(write=1, exit=60),
)
WINDOWS_X86_64 = Start(
    """
48 8b 25 39 00 00 00 : start: mov rsp, [rip+57]
48 83 ec 20          : sub rsp, 32
48 8b 1d 36 00 00 00 : mov rbx, [rip+54]
48 8b 4b 08          : next: mov rcx, [rbx+8]
48 8b 53 10          : mov rdx, [rbx+16]
4c 8b 43 18          : mov r8, [rbx+24]
4c 8b 4b 20          : mov r9, [rbx+32]
ff 13                : call [rbx]
48 89 03             : mov [rbx], rax
48 83 c3 28          : add rbx, 40
eb e5                : jmp next
89 c8                : system: mov eax, ecx
57                   : push rdi
56                   : push rsi
48 89 d7             : mov rdi, rdx
4c 89 c6             : mov rsi, r8
4c 89 ca             : mov rdx, r9
0f 05                : syscall
5e                   : pop rsi
5f                   : pop rdi
c3                   : ret
cc                   : int3
""",
    system=0x2D,
    host=Linux(write=1, exit=60),
)
"""Functions of Windows' convention, in a program of Linux."""
AARCH64 = Start(
    """
09 02 00 58 : start: ldr x9, .+64
3f 01 00 91 : mov sp, x9
13 02 00 58 : ldr x19, .+64
69 02 40 a9 : next: ldp x9, x0, [x19]
61 0a 41 a9 : ldp x1, x2, [x19, #16]
63 12 40 f9 : ldr x3, [x19, #32]
20 01 3f d6 : blr x9
60 86 02 f8 : str x0, [x19], #40
fb ff ff 17 : b next
e8 03 00 aa : system: mov x8, x0
e0 03 01 aa : mov x0, x1
e1 03 02 aa : mov x1, x2
e2 03 03 aa : mov x2, x3
01 00 00 d4 : svc #0
c0 03 5f d6 : ret
1f 20 03 d5 : nop
""",
    system=0x24,
    host=Linux(write=64, exit=93),
)
THUMB = Start(
    """
09 48 : start: ldr r0, [pc, #36]
85 46 : mov sp, r0
09 4c : ldr r4, [pc, #36]
25 68 : next: ldr r5, [r4]
60 68 : ldr r0, [r4, #4]
a1 68 : ldr r1, [r4, #8]
e2 68 : ldr r2, [r4, #12]
23 69 : ldr r3, [r4, #16]
a8 47 : blx r5
20 60 : str r0, [r4]
14 34 : adds r4, #20
f6 e7 : b next
80 b5 : system: push {r7, lr}
07 46 : mov r7, r0
08 46 : mov r0, r1
11 46 : mov r1, r2
1a 46 : mov r2, r3
00 df : svc 0
80 bd : pop {r7, pc}
c0 46 : nop
""",
    system=0x18,
    host=Linux(write=4, exit=1),
    thumb=True,
)
"""Of Thumb's first version, which all of ARM's cores of 32 bits have."""
CORTEX_M = Start(
    """
0d 48       : start: ldr r0, [pc, #52]
01 68       : ldr r1, [r0]
0f 22       : movs r2, #15
12 05       : lsls r2, #20
11 43       : orrs r1, r2
01 60       : str r1, [r0]
bf f3 4f 8f : dsb
bf f3 6f 8f : isb
0a 48       : ldr r0, [pc, #40]
85 46       : mov sp, r0
0a 4c       : ldr r4, [pc, #40]
25 68       : next: ldr r5, [r4]
60 68       : ldr r0, [r4, #4]
a1 68       : ldr r1, [r4, #8]
e2 68       : ldr r2, [r4, #12]
23 69       : ldr r3, [r4, #16]
a8 47       : blx r5
20 60       : str r0, [r4]
14 34       : adds r4, #20
f6 e7       : b next
ab be       : system: bkpt 0xab
70 47       : bx lr
18 20       : fault: movs r0, #24
02 49       : ldr r1, [pc, #8]
ab be       : bkpt 0xab
fb e7       : b fault
88 ed 00 e0 : .word 0xe000ed88
23 00 02 00 : .word 0x20023
""",
    system=0x2C,
    host=Semihosting(fault=0x30),
    thumb=True,
)
"""On the bare machine: it switches the floating-point unit on first (CPACR), which cores without one ignore."""
RISCV64 = Start(
    """
97 02 00 00 : start: auipc t0, 0
03 b1 82 04 : ld sp, 72(t0)
03 b4 02 05 : ld s0, 80(t0)
83 32 04 00 : next: ld t0, 0(s0)
03 35 84 00 : ld a0, 8(s0)
83 35 04 01 : ld a1, 16(s0)
03 36 84 01 : ld a2, 24(s0)
83 36 04 02 : ld a3, 32(s0)
e7 80 02 00 : jalr t0
23 30 a4 00 : sd a0, 0(s0)
13 04 84 02 : addi s0, s0, 40
6f f0 1f fe : j next
93 08 05 00 : system: mv a7, a0
13 85 05 00 : mv a0, a1
93 05 06 00 : mv a1, a2
13 86 06 00 : mv a2, a3
73 00 00 00 : ecall
67 80 00 00 : ret
""",
    system=0x30,
    host=Linux(write=64, exit=93),
)
RISCV32 = Start(
    """
97 02 00 00 : start: auipc t0, 0
03 a1 82 04 : lw sp, 72(t0)
03 a4 c2 04 : lw s0, 76(t0)
83 22 04 00 : next: lw t0, 0(s0)
03 25 44 00 : lw a0, 4(s0)
83 25 84 00 : lw a1, 8(s0)
03 26 c4 00 : lw a2, 12(s0)
83 26 04 01 : lw a3, 16(s0)
e7 80 02 00 : jalr t0
23 20 a4 00 : sw a0, 0(s0)
13 04 44 01 : addi s0, s0, 20
6f f0 1f fe : j next
93 08 05 00 : system: mv a7, a0
13 85 05 00 : mv a0, a1
93 05 06 00 : mv a1, a2
13 86 06 00 : mv a2, a3
73 00 00 00 : ecall
67 80 00 00 : ret
""",
    system=0x30,
    host=Linux(write=64, exit=93),
)

NODE_CALLS = Linux(write=1, exit=0)
NODE = Start("", system=3, host=NODE_CALLS)
"""Of `module.py`, where functions are numbers."""
