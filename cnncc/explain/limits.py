"""What bounds a kernel, by the model of the core: resource by resource, and without measuring.

The cost models add up many bounds in norms, so no term of theirs is *the* limit. But each figure of a core can be
changed: with load ports that are 64 times as fast, the same candidate costs less by what its loads account for. The
resource that accounts for most is what limits it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..machine.target import Target
from ..plan.cost import step
from ..plan.kernels import Candidate
from ..plan.traffic import LEVELS, level_of

FASTER = 64.0  # times: the rest, less than two hundredths, is below what the models are right to
MEMORY = "memory"  # of a core without caches

RESOURCES: Mapping[str, tuple[str, ...]] = {
    "multiply-adds": ("fma_pipes", "vector_pipes"),
    "loads": ("load_ports",),
    "latency of sums": ("fma_latency",),
    "ends of tiles": (
        "tile_cycles",
        "exposed_sum_cycles",
        "spilled_sum_cycles",
        "store_cycles",
        "filter_store_cycles",
    ),
    "functions": ("transcendental_cycles", "divide_cycles"),
    "L2": ("l2_rate", "l2_stream_rate", "l2_line_cycles"),
    "L3": ("l3_rate", "l3_weights_rate"),
    "DRAM": ("dram_rate",),
    "changes of order": ("reorder_cycles", "copy_cycles"),
    "calls": ("call_cycles", "round_cycles"),
}
"""What a core spends cycles on, and the fields of `Core` that say how fast it is at it."""
RATES = {
    "fma_pipes",
    "vector_pipes",
    "load_ports",
    "l2_rate",
    "l2_stream_rate",
    "l3_rate",
    "l3_weights_rate",
    "dram_rate",
}
"""Those of them that count things a cycle; all others are cycles of a thing."""


def relieved(target: Target, resource: str) -> Target:
    """The same machine with one resource that is much faster."""
    core = target.core
    changed = {
        name: getattr(core, name) * FASTER if name in RATES else getattr(core, name) / FASTER
        for name in RESOURCES[resource]
    }
    return replace(target, core=replace(core, **changed))


def accounts(offered: Mapping[str, Sequence[Candidate]], taken: Sequence[Candidate]) -> dict[str, dict[str, float]]:
    """For each candidate by its label the cycles that each resource accounts for, the most first.

    `offered` has for each resource the candidates of the machine that has more of it. A candidate that is not offered
    there, since others became cheaper, has no figure for that resource.
    """
    found: dict[str, dict[str, float]] = {}
    cycles = {resource: {one.label: one.cycles for one in reversed(among)} for resource, among in offered.items()}
    for one in taken:
        saved = {resource: one.cycles - known[one.label] for resource, known in cycles.items() if one.label in known}
        most = sorted(saved.items(), key=lambda item: -item[1])
        found[one.label] = {resource: cost for resource, cost in most if cost > 1e-6 * one.cycles}
    return found


def rates(target: Target) -> dict[str, float]:
    """Bytes a cycle at which each level of memory can be read at best, the nearest first.

    None gives more than the load ports take. A core without caches has its memory alone.
    """
    core = target.core
    ports = core.load_ports * target.lanes * core.mac.pixel.bytes
    if not target.l1:
        return {MEMORY: min(ports, core.dram_rate)}
    streams = core.line_bytes / core.l2_line_cycles if core.l2_line_cycles else ports
    known = dict(zip(LEVELS, (ports, streams, core.l3_rate, core.dram_rate), strict=True))
    return {level: min(ports, rate) for level, rate in known.items()}


def level(target: Target, distance: int) -> str:
    """The level of memory that holds what was touched so many bytes of traffic ago."""
    return level_of((target.l1, target.l2, target.l3), distance) if target.l1 else MEMORY


def bounds(target: Target, multiplied: int, traffic: Mapping[str, int]) -> dict[str, float]:
    """The least cycles that each limit allows a step: a roof for multiply-adds, for each level of memory, and a call.

    Bytes from farther levels pass through the nearer ones (the roofline of Williams, Waterman and Patterson, 2009).
    """
    found = {"multiply-adds": multiplied / step.peak(target), "call": target.core.call_cycles}
    known = rates(target)
    for far, name in enumerate(known):
        if name in traffic:
            passing = sum(traffic.get(beyond, 0) for beyond in list(known)[far:])
            found[name] = passing / known[name]
    return found
