"""The nodes that the outputs of a graph need, in topological order.

The standard requires sorted nodes, but not all exporters sort them, and other engines do. Nodes that no output
needs are left out before their operators are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ...errors import ModelError
from .messages import listed, short

Producers = Mapping[int, Sequence[int]]
"""For each needed node, by number, the numbers of the nodes whose results it reads."""


@dataclass(frozen=True)
class Wiring:
    """The name of a node, its inputs (`inside` those of graphs inside it) and its outputs."""

    shown: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    inside: tuple[str, ...] = ()

    @property
    def reads(self) -> tuple[str, ...]:
        return self.inputs + self.inside


def makers(nodes: Sequence[Wiring]) -> dict[str, list[int]]:
    """The numbers of the nodes that make each name; of a right model, one."""
    found: dict[str, list[int]] = {}
    for number, node in enumerate(nodes):
        for name in filter(None, node.outputs):
            found.setdefault(name, []).append(number)
    return found


def needed(
    nodes: Sequence[Wiring], outputs: Iterable[str], made: Mapping[str, Sequence[int]] | None = None
) -> list[int]:
    """The numbers of the nodes that `outputs` need, in topological order; in file order if that is one.

    `made` are the `makers` of `nodes`. If several nodes make one name, all of them are included. Raises ModelError for
    a cycle.
    """
    made = makers(nodes) if made is None else made
    producers: dict[int, list[int]] = {}
    todo = [maker for name in outputs for maker in made.get(name, ())]
    while todo:
        if (number := todo.pop()) not in producers:
            producers[number] = [maker for name in nodes[number].reads for maker in made.get(name, ())]
            todo += producers[number]
    return _sorted(producers, nodes)


def _sorted(producers: Producers, nodes: Sequence[Wiring]) -> list[int]:
    """The nodes in file order if that is topological; else depth first, each node after its producers."""
    order = sorted(producers)
    if all(producer < number for number in order for producer in producers[number]):
        return order
    import networkx as nx  # only for unsorted files, since its import takes 0.1 s

    graph = nx.DiGraph()
    graph.add_nodes_from(order)
    graph.add_edges_from((number, producer) for number in order for producer in producers[number])
    if not nx.is_directed_acyclic_graph(graph):
        raise _cycle([nodes[number] for number, _ in nx.find_cycle(graph)])
    return list(nx.dfs_postorder_nodes(graph))


def _cycle(nodes: Sequence[Wiring]) -> ModelError:
    """The error for a cycle: each of `nodes` reads a result of the next one, the last one a result of the first."""
    links = [_link(reader, maker) for reader, maker in zip(nodes, (*nodes[1:], nodes[0]), strict=True)]
    return ModelError(f"nodes wait for each other in a cycle: {listed(links)}")


def _link(reader: Wiring, maker: Wiring) -> str:
    name = next(name for name in reader.reads if name in maker.outputs)
    return f"'{short(reader.shown)}' reads '{short(name)}' of '{short(maker.shown)}'"
