"""Branches and loops whose course is known at import: the nodes inside become layers."""

from __future__ import annotations

from ...errors import ModelError
from .bodies import Closure
from .call import NodeContext, Result


def conditional(call: NodeContext) -> Result:
    """The branch that a known condition takes; its nodes become layers."""
    condition = call.deciding(call.array(0, "a condition"))
    if condition.size != 1:
        raise ModelError(f"If with a condition of shape {condition.shape}, expected one truth value")
    call.ignore("then_branch", "else_branch")
    return call.inline(graph(call, "then_branch" if condition.any() else "else_branch"))


def graph(call: NodeContext, name: str) -> Closure:
    """An attribute that is a graph. Raises ModelError without."""
    if not isinstance(found := call.optional(name), Closure):
        raise ModelError(f"{call.operator} without {name}")
    return found
