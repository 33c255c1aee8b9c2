"""Selections that are known at import: a branch."""

from __future__ import annotations

from ...errors import ModelError
from .call import NodeContext, Result
from .read import branch


def conditional(call: NodeContext) -> Result:
    """The branch that a known condition takes; its nodes become layers."""
    condition = call.array(0, "a condition")
    if condition.size != 1:
        raise ModelError(f"If with a condition of shape {condition.shape}, expected one truth value")
    call.ignore("then_branch", "else_branch")
    name = "then_branch" if condition.any() else "else_branch"
    if not hasattr(graph := call.optional(name), "node"):
        raise ModelError(f"If without {name}")
    return call.inline(branch(graph, call.version, call.importer.model.file))
