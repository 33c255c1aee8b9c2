"""Which links take the least memory.

A ring saves the memory of a tensor and takes that of a few rows as long as its chain runs. A long chain has many rings
at once, and short ones store what lies between them. So a chain is cut where that pays, by trying: beginning with no
link, with those of one row or with all, one link after the other is set or cut as long as the workspace becomes
smaller. If it stays as it is, fewer bytes at the other stages count, and then cycles: several stages may have to shrink
before the workspace does. Each try plans the memory of the whole network.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from .memory import alive_bytes
from .plan import Plan
from .tensors import Tensor

TRIES = 400
"""The most plans that are made: some seconds for a network of thirty layers."""


def least_memory_plan(
    possible: Collection[Tensor], low: Collection[Tensor], plan_with: Callable[[frozenset[Tensor]], Plan]
) -> Plan:
    """The plan of least memory that was found; `plan_with` makes the one with the given links of those `possible`.

    Those that are `low` have rings of one row.
    """
    order = sorted(possible, key=str)
    known: dict[frozenset[Tensor], Plan] = {}

    def plan(links: frozenset[Tensor]) -> Plan:
        if links not in known:
            known[links] = plan_with(links)
        return known[links]

    best = min((frozenset(order), frozenset(low), frozenset[Tensor]()), key=lambda links: costs(plan(links)))
    improved = True
    while improved:
        improved = False
        for link in order:
            other = best ^ {link}
            if len(known) < TRIES and costs(plan(other)) < costs(plan(best)):
                best, improved = other, True
    return plan(best)


def costs(plan: Plan) -> tuple[int, list[int], float]:
    """Bytes of a workspace for one shard, then those alive at each stage, the most first, then cycles."""
    alive = sorted(alive_bytes(plan), reverse=True)
    return plan.workspace_bytes, alive, sum(step.cycles(plan.target) for step in plan.steps)
