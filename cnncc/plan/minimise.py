"""Which links take the least memory.

A ring saves the memory of a tensor and takes that of a few rows as long as its chain runs; a long chain has many rings at
once, and short ones store what lies between them. So a chain is cut where that pays, by trying: beginning with no
link and with all, one link after the other is set or cut as long as the workspace becomes smaller, or stays as
small and takes fewer cycles. Each try plans the memory of the whole network.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from .plan import Plan
from .tensors import Tensor

TRIES = 400
"""The most plans that are made: some seconds for a network of thirty layers."""


def least_memory_plan(possible: Collection[Tensor], plan_with: Callable[[frozenset[Tensor]], Plan]) -> Plan:
    """The plan of least memory that was found; `plan_with` makes the one with the given links of those `possible`."""
    order = sorted(possible, key=str)
    known: dict[frozenset[Tensor], Plan] = {}

    def plan(links: frozenset[Tensor]) -> Plan:
        if links not in known:
            known[links] = plan_with(links)
        return known[links]

    best = min((frozenset(order), frozenset[Tensor]()), key=lambda links: costs(plan(links)))
    improved = True
    while improved:
        improved = False
        for link in order:
            other = best ^ {link}
            if len(known) < TRIES and costs(plan(other)) < costs(plan(best)):
                best, improved = other, True
    return plan(best)


def costs(plan: Plan) -> tuple[int, float]:
    """Bytes of a workspace for one shard, then cycles."""
    return plan.workspace_base + plan.shard_bytes, sum(step.cycles(plan.target) for step in plan.steps)
