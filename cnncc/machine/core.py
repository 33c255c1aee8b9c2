"""What the models of cost know of a processor core: data, each number with its unit and where it comes from.

`cores.py` is the table of them. Bandwidths are of the kind that `limits.Bandwidth` reads from each level, and
`peak.Peak` measures the pipes; the others were fitted to measured layers, as the field says. A cycle is one of the
clock at which the pipes run.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from ..elements import FLOAT32
from .mac import Mac


@dataclass(frozen=True)
class Core:
    """The speed of one core. What a number counts stands beside it; `cnncc/plan/cost/` computes with them."""

    name: str
    cpus: tuple[str, ...]
    """Processors that have it, or one like it, as LLVM calls them."""
    lanes: int
    """Float32 elements of its widest vector."""
    l1: int
    """Bytes of its first cache, 0 if it has none; these three say how near a machine is (`cores.nearest`).

    What a plan may put into a cache is a matter of the `Target`, whose caches may be others.
    """
    l2: int
    l3: int

    fma_pipes: float
    """Multiply-adds of vectors a cycle; `peak` measures their product with lanes and clock."""
    vector_pipes: float
    """Operations of vectors a cycle, shuffles included: one pipe shuffles while the others multiply."""
    load_ports: float
    """Loads of vectors a cycle, of which none crosses a cache line; `limits` reads the first cache at this rate."""
    crossing_loads: float
    """Loads that one counts for which crosses a cache line: it takes both ports."""
    fma_latency: float
    """Cycles until a sum can be added to again: each accumulator is one chain. 0 if the pipe is busy as long anyway."""
    window: int
    """Instructions that the core looks ahead: what ends a tile overlaps what begins the next."""
    overlap_norm: float
    """The norm that adds up what bounds a step: 1 where one instruction follows the other, large where all overlap.

    Measured with two pipes: 8 chains take 4.6 cycles and not 4, 14 take 7.1, which is a norm of 5.
    """

    tile_cycles: float
    """Cycles to start and to end a tile, fitted to tiles of few steps."""
    hidden_sums: int
    """Sums whose start, activation and store hide behind multiply-adds of other tiles."""
    exposed_sum_cycles: float
    """Cycles of a tile for each sum beyond these."""
    spilled_sum_cycles: float
    """Cycles of a depthwise tile for each sum that has no register, and is stored and loaded once more."""
    store_cycles: float
    """Cycles to store a vector, where a tile of products does little else, and to load or store a transform's point."""
    filter_store_cycles: float
    """Cycles to store a vector at the end of a filter's tile. Disagrees with `store_cycles`: half of it overlaps."""
    transcendental_cycles: float
    """Cycles for exp of a vector, and for others that are computed by a series of its length."""

    l2_rate: float
    """Bytes a cycle from the second cache, while the pipes are busy."""
    l2_stream_rate: float
    """Bytes a cycle from the second cache, while the pipes wait, as in a dense layer of one image."""
    l2_line_cycles: float
    """Cycles a line to read from the second cache in order, or to write, at best.

    Disagrees with `l2_stream_rate`, which is the same figure, rounded: 64 / 1.2 is 53.3 bytes a cycle.
    """
    l3_rate: float
    """Bytes a cycle of tensors that go out from the second cache to the third, or come back."""
    l3_weights_rate: float
    """Bytes a cycle of a Winograd convolution's weights from the third cache. Disagrees with `l3_rate`: half of it."""
    dram_rate: float
    """Bytes a cycle of such weights from memory."""
    prefetch_bytes: int
    """Weights that are asked for in advance, in bytes: some 400 cycles at the two rates above."""
    far_rows: float
    """Times that Winograd's transforms take longer where the rows that they read and write exceed the first cache."""
    line_bytes: int
    """Bytes of a cache line."""
    l1_sets: int
    """Sets of the first cache, 0 if there is none: those of a page of 4 KiB.

    Its ways are what `Target.l1` holds beyond: 8 of 32 KiB.
    """

    reorder_cycles: float
    """Cycles for each element that a copy brings into another order."""
    copy_cycles: float
    """Cycles for each vector that a copy moves without a change of order."""
    moved_vectors: float
    """Vectors that a step without multiply-adds moves in a cycle: a rough figure for steps of all kinds.

    Disagrees with `copy_cycles`, which is for a copy of an input and its border alone.
    """
    divide_cycles: float
    """Cycles for which a division of vectors, or a root, keeps its unit busy."""
    sustained: float
    """Part of the peak that a layer of usual size reaches."""

    call_cycles: float
    """Cycles of a call of a kernel, besides its work."""
    round_cycles: float
    """Cycles of a call for one more round of a chain: its start, and its first and last tiles.

    Disagrees with `call_cycles`, where tiles are part of the work.
    """
    barrier_cycles: float
    """Cycles to meet and to fetch what others wrote: 200 between near cores, 8000 between far ones."""
    wake_cycles: float
    """Cycles to wake the other shards, and to wait for them at the end."""
    foreign_line_cycles: float
    """Cycles for a line that another shard wrote last: between near cores 3, far ones 25."""

    @cached_property
    def mac(self) -> Mac:
        """Its multiply-accumulate; there is one so far, of floats."""
        return Mac("float32", FLOAT32, FLOAT32, FLOAT32, 1, self.fma_pipes, self.fma_latency, exact=False)

    @property
    def busy_chains(self) -> float:
        """Multiply-adds that have to be on their way, so that the pipes never wait for a sum."""
        return self.mac.latency * self.mac.rate
