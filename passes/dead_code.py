"""Removes layers and constants that no output needs."""

from __future__ import annotations

from dataclasses import replace

from ..ir import Graph
from .report import Notes, Optimised, Rule

RULE = Rule("y = f(x), y unread => nothing", "exact")


def live(graph: Graph) -> set[str]:
    """The nodes that an output or an update depends on; without networkx, since every compilation asks (see `ir`)."""
    found: set[str] = set()
    pending = [value.node for value in graph.leaving]
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += [value.node for value in graph[name].inputs]
    return found


def remove_dead_code(graph: Graph) -> Optimised:
    """The graph without unread layers and constants. Inputs and states stay: they are the caller's interface."""
    notes = Notes("dead_code")
    needed = live(graph)
    dead = [node for node in graph if node.name not in needed and node.op.source not in ("input", "state")]
    for node in dead:
        notes.fired(RULE, node.name, f"no output needs this {node.op.name}")
    if not dead:
        return notes.on(graph)
    gone = {node.name for node in dead}
    return notes.on(replace(graph, nodes={node.name: node for node in graph if node.name not in gone}))
