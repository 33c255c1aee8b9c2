"""What tells one compiled program from others."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from .plan import Plan

_MOST = (1 << 31) - 1  # a positive number of 32 bits, with or without a sign


@dataclass(frozen=True)
class Identity:
    """What tells a program from others: the prefix of its functions' names, and its fingerprint.

    A call gives the fingerprint of the header that it was written with, and a block of weights begins with those of the
    programs of its library, in their order: this one has the given `number` there.
    """

    symbol: str
    fingerprint: int
    number: int = 0


def fingerprint(plan: Plan, more: str, *, weights: bool = True) -> int:
    """A number from 1 to 2³¹ − 1 from a digest of all that code depends on: the plan, `more`, and the weights.

    Without `weights`, which others replace, only the tables in their block count.
    It is the same in every process, folder and machine. It is never 0, which a caller has who gives none; two programs
    have the same one by a chance of 1 in 2³¹.
    """
    decided = (plan.target, plan.inputs, plan.outputs, plan.images, plan.batchable, plan.steps, plan.stages, plan.block)
    memory = (sorted(plan.buffers.items()), plan.arena_bytes, plan.shard_bytes, plan.states, plan.state_bytes)
    digest = hashlib.sha256(f"{more}\n{decided}\n{memory}".encode())
    tables = sorted({table for step in plan.steps for table in step.tables})
    digest.update(plan.weights if weights else repr([plan.entries(table) for table in tables]).encode())
    return int.from_bytes(digest.digest()[:8], "little") % _MOST + 1
