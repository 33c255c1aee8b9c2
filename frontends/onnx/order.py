"""Which nodes of a graph its outputs need, in an order in which each stands behind those whose results it reads.

The standard asks for sorted nodes, but not all exporters write them so, and other engines sort them. What no output
needs is left out before anybody looks at what it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ...errors import ModelError
from .messages import listed, short

Producers = Mapping[int, Sequence[int]]
"""For the number of each needed node those of the nodes whose results it reads."""


@dataclass(frozen=True)
class Wiring:
    """What a node is called, reads (as `inside` also in graphs inside it) and makes."""

    shown: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    inside: tuple[str, ...] = ()

    @property
    def reads(self) -> tuple[str, ...]:
        return self.inputs + self.inside


def needed(nodes: Sequence[Wiring], outputs: Iterable[str]) -> list[int]:
    """The numbers of the nodes that `outputs` need, sorted; as they stand where they are sorted already.

    All makers of a name that is made twice are among them. Raises ModelError for a cycle.
    """
    makers: dict[str, list[int]] = {}
    for number, node in enumerate(nodes):
        for name in filter(None, node.outputs):
            makers.setdefault(name, []).append(number)

    producers: dict[int, list[int]] = {}
    todo = [maker for name in outputs for maker in makers.get(name, ())]
    while todo:
        if (number := todo.pop()) not in producers:
            producers[number] = [maker for name in nodes[number].reads for maker in makers.get(name, ())]
            todo += producers[number]
    return _sorted(producers, nodes)


def _sorted(producers: Producers, nodes: Sequence[Wiring]) -> list[int]:
    """As they stand, if they are sorted; else depth first, each node behind its producers."""
    order = sorted(producers)
    if all(producer < number for number in order for producer in producers[number]):
        return order
    import networkx as nx  # not for files that are sorted, as most are: it takes 0.1 s

    graph = nx.DiGraph()
    graph.add_nodes_from(order)
    graph.add_edges_from((number, producer) for number in order for producer in producers[number])
    if not nx.is_directed_acyclic_graph(graph):
        raise _cycle([nodes[number] for number, _ in nx.find_cycle(graph)])
    return list(nx.dfs_postorder_nodes(graph))


def _cycle(nodes: Sequence[Wiring]) -> ModelError:
    """Each of `nodes` reads what the next one makes, the last one what the first one makes."""
    links = [_link(reader, maker) for reader, maker in zip(nodes, (*nodes[1:], nodes[0]), strict=True)]
    return ModelError(f"nodes wait for each other in a cycle: {listed(links)}")


def _link(reader: Wiring, maker: Wiring) -> str:
    name = next(name for name in reader.reads if name in maker.outputs)
    return f"'{short(reader.shown)}' reads '{short(name)}' of '{short(maker.shown)}'"
