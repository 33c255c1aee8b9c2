"""The cores that are known, and which of them is nearest to a machine.

A row says where its numbers are from. What nobody has measured for a core is derived from its maker's guide, and what
no guide tells is taken from the row before: a wrong number costs time, never a result.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from .core import Core

KIB, MIB = 1 << 10, 1 << 20

AVX512_SERVER = Core(
    name="avx512-server",
    cpus=("znver4", "znver5", "skylake-avx512", "cascadelake", "icelake-server", "sapphirerapids", "graniterapids"),
    lanes=16,
    l1=48 * KIB,
    l2=1 * MIB,
    l3=32 * MIB,
    fma_pipes=2.0,
    vector_pipes=3.0,
    load_ports=2.0,
    crossing_loads=2.0,
    fma_latency=4.0,
    window=400,
    overlap_norm=5.0,
    tile_cycles=6.0,
    hidden_sums=14,
    exposed_sum_cycles=4.0,
    spilled_sum_cycles=4.0,
    store_cycles=1.0,
    filter_store_cycles=0.5,
    transcendental_cycles=8.0,
    l2_rate=30.0,
    l2_stream_rate=53.0,
    l2_line_cycles=1.2,
    l3_rate=30.0,
    l3_weights_rate=15.0,
    dram_rate=8.0,
    prefetch_bytes=8192,
    far_rows=1.3,
    line_bytes=64,
    l1_sets=64,
    reorder_cycles=0.6,
    copy_cycles=4.0,
    moved_vectors=0.6,
    divide_cycles=5.0,
    sustained=0.9,
    call_cycles=100.0,
    round_cycles=200.0,
    barrier_cycles=4000.0,
    wake_cycles=10000.0,
    foreign_line_cycles=8.0,
)
"""A core of a server with AVX-512, on which all of these numbers were measured or fitted."""

AVX2_SERVER = replace(
    AVX512_SERVER,
    name="avx2-server",
    cpus=("znver1", "znver2", "znver3", "haswell", "broadwell", "skylake"),
    lanes=8,
    l1=32 * KIB,
    l2=512 * KIB,
    window=256,
    l2_rate=17.0,
    l2_stream_rate=27.0,
    l2_line_cycles=2.4,
    l3_rate=15.0,
    l3_weights_rate=4.2,
    dram_rate=3.0,
    prefetch_bytes=4096,
)
"""A core of a server with AVX2: Zen 3 (AMD, Software Optimization Guide for the Family 19h, 56665, section 2).

Two pipes multiply and add 8 lanes with a latency of 4, two loads of 32 bytes start in a cycle, 256 instructions are in
flight. The second cache gives 32 bytes a cycle, half of what the first row's gives, and its rates are halved alike.
Measured at about 3.5 GHz: the third cache gives 54 GB/s to a loop of loads (15 bytes a cycle) and the weights of deep
Winograd layers, which are read in turns with their tiles, 13 to 16 GB/s (4.2).
"""

NEOVERSE = replace(
    AVX512_SERVER,
    name="neoverse",
    cpus=("neoverse-n1", "neoverse-n2", "neoverse-v1", "neoverse-v2", "cortex-a76", "cortex-a78", "apple-m1"),
    lanes=4,
    l1=64 * KIB,
    l2=1 * MIB,
    vector_pipes=2.0,
    fma_latency=2.0,
    window=128,
    l2_rate=16.0,
    l2_stream_rate=28.0,
    l2_line_cycles=2.3,
    l3_rate=12.0,
    l3_weights_rate=8.0,
    dram_rate=4.0,
    prefetch_bytes=4096,
)
"""A core of an Arm server: Neoverse N1 (Arm, Neoverse N1 Software Optimization Guide, 3.0, and its reference manual).

Two pipes for all vectors; a multiply-add takes 4 cycles, and 2 from sum to sum, which are forwarded late; two loads of
16 bytes a cycle; 128 instructions in flight; 32 bytes a cycle
from the second cache at most. Rates of a busy core are the first row's share of its peak.
"""

CORTEX_A53 = replace(
    NEOVERSE,
    name="cortex-a53",
    cpus=("cortex-a53", "cortex-a55", "cortex-a35", "cortex-a510"),
    l1=32 * KIB,
    l2=512 * KIB,
    l3=0,
    fma_pipes=0.5,
    vector_pipes=0.5,
    load_ports=0.5,
    fma_latency=8.0,
    window=0,
    overlap_norm=2.0,
    hidden_sums=0,
    exposed_sum_cycles=5.0,
    spilled_sum_cycles=8.0,
    store_cycles=2.0,
    filter_store_cycles=2.0,
    transcendental_cycles=60.0,
    l2_rate=6.0,
    l2_stream_rate=8.0,
    l2_line_cycles=8.0,
    l3_rate=2.0,
    l3_weights_rate=2.0,
    dram_rate=2.0,
    prefetch_bytes=1024,
    divide_cycles=29.0,
    sustained=0.7,
)
"""An Arm core that issues in order, two instructions a cycle: Cortex-A53 (LLVM's scheduling model of it).

Its vector unit and its way to memory are 64 bits wide, so a vector of 128 bits takes two cycles on either; a sum can be
added to after 8. It waits wherever a value is not there yet, so nothing hides behind the next tile, and multiply-adds
and loads overlap in part: a norm of 2 stands between both.
"""

CORTEX_M4 = replace(
    CORTEX_A53,
    name="cortex-m4",
    cpus=("cortex-m4", "cortex-m33"),
    lanes=1,
    l1=0,
    l2=0,
    fma_pipes=1 / 3,
    vector_pipes=1.0,
    load_ports=1 / 2,
    fma_latency=0.0,
    overlap_norm=1.0,
    tile_cycles=20.0,
    exposed_sum_cycles=6.0,
    spilled_sum_cycles=7.0,
    transcendental_cycles=40.0,
    l2_rate=math.inf,
    l2_stream_rate=math.inf,
    l2_line_cycles=0.0,
    l3_rate=math.inf,
    l3_weights_rate=math.inf,
    dram_rate=math.inf,
    prefetch_bytes=0,
    l1_sets=0,
    far_rows=1.0,
    reorder_cycles=6.0,
    moved_vectors=0.2,
    divide_cycles=14.0,
    sustained=0.6,
    call_cycles=30.0,
    round_cycles=60.0,
)
"""A microcontroller's core without caches: Cortex-M4 (Arm, Cortex-M4 Technical Reference Manual, tables 3-1 and 7-1).

One instruction after the other, so all cycles add up: 3 for vfma.f32, 2 for a load or a store, 2 to begin a sum, 2 to
end it and 2 to store it. All memory is equally near (flash with wait states would be slower). Arm states no cycles of
Cortex-M33, whose unit for floats is of the same size.
"""

CORTEX_A7 = replace(
    CORTEX_A53,
    name="cortex-a7",
    cpus=("cortex-a7", "cortex-a5", "cortex-a15", "cortex-a17"),
    lanes=1,
    fma_pipes=1.0,
    vector_pipes=1.0,
    load_ports=1.0,
    transcendental_cycles=40.0,
    divide_cycles=18.0,
)
"""An Arm core of 32 bits that takes one float at a time: Cortex-A7, whose pipe is as long as that of Cortex-A53.

Its vectors would be faster, but they flush subnormal numbers to 0.
"""

CORTEX_M7 = replace(
    CORTEX_M4,
    name="cortex-m7",
    cpus=("cortex-m7",),
    fma_pipes=1.0,
    load_ports=1.0,
    fma_latency=6.0,
    overlap_norm=2.0,
    tile_cycles=10.0,
    exposed_sum_cycles=3.0,
    spilled_sum_cycles=4.0,
    store_cycles=1.0,
    filter_store_cycles=1.0,
    transcendental_cycles=25.0,
    reorder_cycles=3.0,
    moved_vectors=0.5,
    divide_cycles=16.0,
)
"""A microcontroller's core that issues two instructions a cycle, in order: Cortex-M7 (LLVM's scheduling model of it).

A multiply-add starts each cycle and takes 6 until its sum can be added to; a load or a store goes beside it.
"""

CORTEX_M55 = replace(CORTEX_M7, name="cortex-m55", cpus=("cortex-m55",), fma_latency=4.0, overlap_norm=1.0)
"""Cortex-M55 without its vectors (Arm, Cortex-M55 Processor Datasheet): one instruction a cycle, hardly ever two."""

CORTEX_M3 = replace(
    CORTEX_M4,
    name="cortex-m3",
    cpus=("cortex-m3",),
    fma_pipes=1 / 115,
    vector_pipes=1 / 60,
    transcendental_cycles=1200.0,
    divide_cycles=200.0,
    sustained=0.9,
)
"""A core without floats, which calls a routine for each operation: Cortex-M3 with libgcc.

Of GCC 12's, a multiplication takes 34 instructions, an addition 54, a division 150 (counted by qemu, random operands in
[−1, 1]); a third more in cycles, for calls, branches and loads. Nothing else counts beside them.
"""

CORTEX_M0PLUS = replace(
    CORTEX_M3,
    name="cortex-m0plus",
    cpus=("cortex-m0plus", "cortex-m0"),
    fma_pipes=1 / 250,
    vector_pipes=1 / 90,
    transcendental_cycles=2500.0,
    divide_cycles=500.0,
)
"""The same on Cortex-M0+, whose libgcc has no long product: 121 instructions, 68 and 380."""

SIFIVE_7 = replace(
    CORTEX_A7,
    name="sifive-7",
    cpus=("sifive-7-rv32", "sifive-7-rv64", "sifive-e76", "sifive-u74"),
    fma_latency=5.0,
    divide_cycles=27.0,
)
"""A RISC-V core that issues two instructions a cycle, in order, with one pipe for floats and one for memory: SiFive's
7 series (LLVM's scheduling model of it)."""

RISCV_WITHOUT_FLOATS = replace(
    CORTEX_M3, name="riscv-without-floats", cpus=("generic-rv32",), fma_pipes=1 / 240, vector_pipes=1 / 95
)
"""A RISC-V core without floats, by libgcc's routines: 108 instructions, 71 and 102."""

CORES = {
    core.name: core
    for core in (
        *(AVX512_SERVER, AVX2_SERVER, NEOVERSE, CORTEX_A53, CORTEX_A7, SIFIVE_7),
        *(CORTEX_M7, CORTEX_M55, CORTEX_M4, CORTEX_M3, CORTEX_M0PLUS, RISCV_WITHOUT_FLOATS),
    )
}


def nearest(cpu: str, lanes: int, caches: tuple[int, int, int], among: Sequence[Core]) -> Core:
    """The core for a machine: the one that names its CPU, else the one whose lanes and caches differ least, in octaves.

    `cpu` is LLVM's name for it, which comes from CPUID or its like; nothing is timed, so that the same machine makes
    the same bytes.
    """
    named = [core for core in among if cpu in core.cpus]
    sizes = (lanes, *caches)
    return min(named or among, key=lambda core: _octaves(sizes, (core.lanes, core.l1, core.l2, core.l3)))


def _octaves(some: tuple[int, ...], others: tuple[int, ...]) -> float:
    return sum(abs(math.log2(a or KIB) - math.log2(b or KIB)) for a, b in zip(some, others, strict=True))
