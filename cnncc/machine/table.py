"""The targets: a row for each. `definition.Target` tells what the fields mean, `cores.py` has the cores."""

from __future__ import annotations

from dataclasses import replace

from .cores import (
    AVX2_SERVER,
    CORTEX_A7,
    CORTEX_A53,
    CORTEX_M0PLUS,
    CORTEX_M3,
    CORTEX_M4,
    CORTEX_M7,
    CORTEX_M55,
    NEOVERSE,
    RISCV_WITHOUT_FLOATS,
    SIFIVE_7,
)
from .definition import Target

_X86 = Target(
    "x86-64-v2",
    "x86_64-unknown-linux-gnu",
    "x86-64-v2",
    "x86-64",
    lanes=4,
    registers=16,
    fma=False,
    core=AVX2_SERVER,
    abi="System V",
    compiler="x86_64-linux-gnu-gcc",
    tested="here",
)
_X86_V3 = replace(_X86, name="x86-64-v3", cpu="x86-64-v3", lanes=8, fma=True, float16=True)
_X86_V4 = Target(
    "x86-64-v4",
    _X86.triple,
    "x86-64-v4",
    "x86-64",
    lanes=16,
    registers=32,
    fma=True,
    float16=True,
    scales=True,
    looks_up=True,
    abi="System V",
    compiler="x86_64-linux-gnu-gcc",
    tested="here",
)
_ARM64 = Target(
    "aarch64",
    "aarch64-unknown-linux-gnu",
    "generic",
    "aarch64",
    lanes=4,
    registers=32,
    fma=True,
    float16=True,
    core=NEOVERSE,
    abi="AAPCS64",
    compiler="aarch64-linux-gnu-gcc",
    tested="qemu-aarch64",
)
_ARMV7 = Target(
    "armv7",
    "armv7-unknown-linux-gnueabihf",
    "cortex-a7",
    "arm",
    lanes=1,
    registers=32,
    fma=True,
    features="-neon",  # whose floats are never subnormal
    pointer_bits=32,
    float16=True,  # VFPv4 converts, and computes not with it
    l3=0,
    core=CORTEX_A7,
    abi="AAPCS, hard float",
    compiler="arm-linux-gnueabihf-gcc",
    tested="qemu-arm",
)
_M4 = Target(
    "cortex-m4",
    "thumbv7em-none-unknown-eabihf",
    "cortex-m4",
    "thumb",
    lanes=1,
    registers=32,
    fma=True,
    pointer_bits=32,
    atomics=False,
    float16=True,
    l1=0,
    l2=0,
    l3=0,
    core=CORTEX_M4,
    abi="AAPCS, hard float",
    compiler="arm-none-eabi-gcc",
    tested="qemu-system-arm",
)
_M3 = replace(
    _M4,
    name="cortex-m3",
    triple="thumbv7m-none-unknown-eabi",
    cpu="cortex-m3",
    registers=16,
    fma=False,
    float16=False,
    float_unit=False,
    core=CORTEX_M3,
    abi="AAPCS, soft float",
)
_RISCV64 = Target(
    "riscv64gc",
    "riscv64-unknown-linux-gnu",
    "generic-rv64",
    "riscv64",
    lanes=1,
    registers=32,
    fma=True,
    features="+m,+a,+f,+d,+c,+zihintpause",  # the pause is a hint: others take it for a fence
    l3=0,
    core=SIFIVE_7,
    abi="lp64d",
    compiler="riscv64-linux-gnu-gcc",
    tested="qemu-riscv64",
)
_RISCV32 = Target(
    "riscv32imafc",
    "riscv32-unknown-none-elf",
    "generic-rv32",
    "riscv32",
    lanes=1,
    registers=32,
    fma=True,
    features="+m,+a,+f,+c,+zihintpause",
    pointer_bits=32,
    l1=0,
    l2=0,
    l3=0,
    core=SIFIVE_7,
    abi="ilp32f",
    compiler="riscv64-unknown-elf-gcc",
    tested="qemu-riscv32",
)
_WASM = Target(
    "wasm32",
    "wasm32-unknown-unknown",
    "mvp",
    "wasm32",
    lanes=1,
    registers=16,
    fma=False,
    features="+mutable-globals,+nontrapping-fptoint,+sign-ext",  # of 2017 to 2020: each engine has them
    pointer_bits=32,
    atomics=False,
    core=AVX2_SERVER,
    abi="basic C",
    compiler="clang",
    tested="node",
)


_ROWS = (
    _X86,
    _X86_V3,
    _X86_V4,
    _ARM64,
    replace(_ARM64, name="aarch64-none", triple="aarch64-unknown-none-elf", compiler="aarch64-none-elf-gcc"),
    replace(_ARM64, name="cortex-a53", cpu="cortex-a53", l3=0, core=CORTEX_A53),
    _ARMV7,
    replace(_M3, name="cortex-m0plus", triple="thumbv6m-none-unknown-eabi", cpu="cortex-m0plus", core=CORTEX_M0PLUS),
    _M3,
    _M4,
    replace(_M4, name="cortex-m4-softfp", triple="thumbv7em-none-unknown-eabi", abi="AAPCS, softfp"),
    replace(_M4, name="cortex-m7", cpu="cortex-m7", features="-fp64", core=CORTEX_M7),  # some have no doubles
    replace(
        _M4, name="cortex-m33", triple="thumbv8m.main-none-unknown-eabihf", cpu="cortex-m33", tested="qemu-system-arm"
    ),
    replace(
        _M4,
        name="cortex-m55",
        triple="thumbv8.1m.main-none-unknown-eabihf",
        cpu="cortex-m55",
        features="-mve,-fp64",  # floats in its vectors are never subnormal; and some have none
        core=CORTEX_M55,
    ),
    replace(
        _RISCV32,
        name="riscv32imc",
        features="+m,+c",
        registers=16,
        fma=False,
        atomics=False,
        float_unit=False,
        core=RISCV_WITHOUT_FLOATS,
        abi="ilp32",
    ),
    _RISCV32,
    _RISCV64,
    replace(
        _RISCV64,
        name="riscv64gcv",
        lanes=4,
        features="+m,+a,+f,+d,+c,+v,+zvl128b,+zihintpause",
        l3=8 << 20,
        core=CORTEX_A53,
    ),
    _WASM,
    replace(_WASM, name="wasm32-simd", lanes=4, features=f"{_WASM.features},+simd128"),
    replace(
        _X86_V3,
        name="windows-x86-64",
        triple="x86_64-pc-windows-gnu",
        abi="Microsoft x64",
        compiler="x86_64-w64-mingw32-gcc",
        tested="wine",
    ),
    replace(
        _ARM64,
        name="windows-arm64",
        triple="aarch64-pc-windows-gnu",
        abi="Microsoft arm64",
        compiler="aarch64-w64-mingw32-gcc",
        tested="",
    ),
    replace(_X86_V3, name="macos-x86-64", triple="x86_64-apple-macosx11.0.0", abi="System V", compiler="", tested=""),
    replace(
        _ARM64,
        name="macos-arm64",
        triple="arm64-apple-macosx11.0.0",
        tune="apple-m1",
        abi="Apple arm64",
        compiler="",
        tested="",
    ),
)
TARGETS: dict[str, Target] = {target.name: target for target in _ROWS}
ALIASES = {"riscv64": "riscv64gcv", "thumbv7em-none-eabihf": "cortex-m4"}
"""Names that stand for another one."""
