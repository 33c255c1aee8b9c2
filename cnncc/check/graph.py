"""The invariants of a graph, as named checks, and what a pass has to leave as it is. They run after each pass.

A failing check is a mistake of ours (or of whoever built the graph by hand), never of the user's data.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from ..elements import VALUES
from ..errors import CnnccError, PassError, VerifyError
from ..ir import Graph, Node, Value
from ..op import Constant, State, either
from ..types import TensorType

Check = Callable[[Graph], None]


def verify(graph: Graph, after: str | None = None) -> None:
    """Run every check; raises VerifyError naming the check and the layer, PassError if the pass `after` broke it."""
    for check in CHECKS:
        try:
            check(graph)
        except VerifyError as error:
            error.message = f"{check.__name__}: {error.message}"
            raise (blamed(error, after) if after else error) from None


def verify_pass(before: Graph, after: Graph, name: str, renamed: Collection[str] = ()) -> None:
    """Raises PassError if the pass `name` broke the graph, or changed what the graph is for others.

    These are the inputs, outputs, states and their updates (names, order, types), and the type of each layer that keeps
    its name; `renamed` are layers whose name the pass gave to another value.
    """
    if after is before:
        return
    verify(after, after=name)
    _same(before.inputs, after.inputs, "input", name)
    _same(_types(before, before.outputs), _types(after, after.outputs), "output", name)
    _same(before.states, after.states, "state", name)
    _same(_types(before, before.updates), _types(after, after.updates), "update", name)
    for node in after:
        old = before.nodes.get(node.name)
        if old is not None and old.types != node.types and node.name not in renamed:
            raise blamed(_broken(node, f"has {_shown(node.types)}, had {_shown(old.types)} before"), name)


def blamed(error: CnnccError, name: str) -> PassError:
    """`error` as a mistake of the pass `name`."""
    return PassError(f"internal error in pass '{name}': {error.message}", node=error.node, where=error.where)


def _same(before: dict[str, TensorType], after: dict[str, TensorType], what: str, name: str) -> None:
    if list(before) != list(after):
        raise blamed(VerifyError(f"has {what}s {_names(after)}, had {_names(before)} before"), name)
    for port, type in before.items():
        if after[port] != type:
            raise blamed(VerifyError(f"{what} '{port}' is {after[port]}, was {type} before"), name)


def _types(graph: Graph, values: Mapping[str, Value]) -> dict[str, TensorType]:
    return {name: graph.type(value) for name, value in values.items()}


def _names(ports: Collection[str]) -> str:
    return ", ".join(f"'{port}'" for port in ports) or "none"


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
            inferred = node.inferred(graph.types(node.inputs))
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


def check_updates(graph: Graph) -> None:
    """Updates are of states, exist, and are of the type of their state."""
    for name, value in graph.updates.items():
        if name not in graph.states:
            raise VerifyError(f"'{name}' is updated, but is no state")
        if not _exists(graph, value):
            raise VerifyError(f"state '{name}' becomes {value}, which does not exist")
        if graph.type(value) != graph.states[name]:
            raise VerifyError(f"state '{name}' is {graph.states[name]}, and becomes {value}, {graph.type(value)}")


def check_constants(graph: Graph) -> None:
    """Constants and first values are read-only arrays of an element type, in row-major order, with their digest."""
    for node in graph:
        if not isinstance(node.op, Constant | State):
            continue
        data = node.op.data if isinstance(node.op, Constant) else node.op.initial
        if all(data.dtype != element.numpy for element in VALUES):
            raise _broken(node, f"holds {data.dtype}, expected {either(VALUES)}")
        if data.flags.writeable:
            raise _broken(node, "holds a writeable array, expected a read-only one")
        if not data.flags.c_contiguous:
            raise _broken(node, "holds an array that is not in row-major order")
        if not node.op.digest:
            raise _broken(node, f"has no digest (make it with {node.op.name}.of)")


CHECKS: tuple[Check, ...] = (
    check_names,
    check_inputs,
    check_order,
    check_types,
    check_outputs,
    check_updates,
    check_constants,
)


def _broken(node: Node, message: str) -> VerifyError:
    return VerifyError(message, node=node.name, where=node.where)


def _exists(graph: Graph, value: Value) -> bool:
    node = graph.nodes.get(value.node)
    return node is not None and 0 <= value.index < len(node.types)


def _cycle(graph: Graph, node: Node, value: Value) -> str:
    """Words for an input that depends on its own reader: the shortest way round, or its ends."""
    import networkx as nx

    try:
        names = [*nx.shortest_path(graph.index, node.name, value.node), node.name]
    except nx.NetworkXNoPath:
        return ""
    if len(names) > 6:
        names[3:-2] = ["…"]
    return f" (the graph has a cycle: {' → '.join(names)})"


def _shown(types: tuple[object, ...]) -> str:
    return ", ".join(map(str, types)) or "nothing"
