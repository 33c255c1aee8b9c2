"""The invariants of a graph, as named checks. They run after each pass and each front end.

A failing check is a mistake of ours (or of whoever built the graph by hand), never of the user's data.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .errors import CnnccError, VerifyError
from .ir import Graph, Node, Value
from .op import Constant

Check = Callable[[Graph], None]


def verify(graph: Graph, after: str | None = None) -> None:
    """Run every check; raises VerifyError naming the check, the layer and the pass (`after`) that broke it."""
    for check in CHECKS:
        try:
            check(graph)
        except VerifyError as error:
            stage = f"after pass '{after}': " if after else ""
            raise VerifyError(f"{stage}{check.__name__}: {error.message}", node=error.node, where=error.where) from None


def check_names(graph: Graph) -> None:
    """Every node stands under its own name, and no name is empty."""
    for key, node in graph.nodes.items():
        if not isinstance(key, str) or not key:
            raise VerifyError(f"a node of op {node.op.name} has the name {key!r}, expected a non-empty text")
        if node.name != key:
            raise _broken(node, f"stands in the graph under another name, '{key}'")


def check_inputs(graph: Graph) -> None:
    """Every input of a node is an output of some node."""
    for node in graph:
        for value in node.inputs:
            if not _exists(graph, value):
                raise _broken(node, f"reads {value}, which does not exist")


def check_order(graph: Graph) -> None:
    """Producers come before consumers, so there is no cycle."""
    seen: set[str] = set()
    for node in graph:
        for value in node.inputs:
            if value.node not in seen:
                raise _broken(node, f"reads {value} before it is computed{_cycle(graph, node, value)}")
        seen.add(node.name)


def check_types(graph: Graph) -> None:
    """The recorded types are those of the type rule."""
    for node in graph:
        try:
            inferred = node.op.infer(*graph.types(node.inputs))
        except CnnccError as error:
            raise _broken(node, error.message) from None
        if inferred != node.types:
            raise _broken(node, f"has {_shown(node.types)} on record, its type rule says {_shown(inferred)}")


def check_outputs(graph: Graph) -> None:
    """There are outputs, they have names and exist."""
    if not graph.outputs:
        raise VerifyError(f"graph '{graph.name}' has no outputs")
    for name, value in graph.outputs.items():
        if not isinstance(name, str) or not name:
            raise VerifyError(f"output {value} has the name {name!r}, expected a non-empty text")
        if not _exists(graph, value):
            raise VerifyError(f"output '{name}' is {value}, which does not exist")


def check_constants(graph: Graph) -> None:
    """Constants are read-only float32 arrays in row-major order that know their digest."""
    for node in graph:
        if not isinstance(node.op, Constant):
            continue
        data = node.op.data
        if data.dtype != np.float32:
            raise _broken(node, f"holds {data.dtype}, expected float32")
        if data.flags.writeable:
            raise _broken(node, "holds a writeable array, expected a read-only one")
        if not data.flags.c_contiguous:
            raise _broken(node, "holds an array that is not in row-major order")
        if not node.op.digest:
            raise _broken(node, "has no digest (make it with Constant.of)")


CHECKS: tuple[Check, ...] = (check_names, check_inputs, check_order, check_types, check_outputs, check_constants)


def _broken(node: Node, message: str) -> VerifyError:
    return VerifyError(message, node=node.name, where=node.where)


def _exists(graph: Graph, value: Value) -> bool:
    node = graph.nodes.get(value.node)
    return node is not None and 0 <= value.index < len(node.types)


def _cycle(graph: Graph, node: Node, value: Value) -> str:
    """Words for an input that depends on its own reader."""
    import networkx as nx

    return " (the graph has a cycle)" if nx.has_path(graph.index, node.name, value.node) else ""


def _shown(types: tuple[object, ...]) -> str:
    return ", ".join(map(str, types)) or "nothing"
