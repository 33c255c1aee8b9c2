"""A part of a graph as a graph of its own, with what it reads from the rest as inputs, and the data that they had."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from ..ir import Builder, Graph, Node, Value
from ..types import Array


@dataclass(frozen=True)
class Case:
    """A graph and an array for each of its inputs."""

    graph: Graph
    feeds: Mapping[str, Array] = field(repr=False)


def excerpt(case: Case, kept: Collection[str], outputs: Mapping[str, Value], known: Mapping[Value, Array]) -> Case:
    """The layers `kept` that these outputs need; what they read from others becomes inputs with the arrays in `known`.

    Constants stay constants, inputs stay inputs. An input in place of a layer's result is named as that.
    """
    cutting = _Cutting(case, _needed(case.graph, kept, outputs), known)
    made = {name: cutting.value(value) for name, value in outputs.items()}
    return Case(cutting.builder.graph(made), cutting.feeds)


def alone(graph: Graph, layer: str, known: Mapping[Value, Array]) -> Case:
    """One layer with its results as outputs."""
    node = graph[layer]
    outputs = {f"y{number}" if number else "y": value for number, value in enumerate(node.values)}
    return excerpt(Case(graph, {}), {layer}, outputs, known)


def _needed(graph: Graph, kept: Collection[str], outputs: Mapping[str, Value]) -> set[str]:
    needed = {value.node for value in outputs.values()} & set(kept)
    for node in reversed(list(graph)):
        if node.name in needed:
            needed |= {value.node for value in node.inputs} & set(kept)
    return needed


class _Cutting:
    """The new graph, which grows as its values are asked for."""

    def __init__(self, case: Case, needed: Collection[str], known: Mapping[Value, Array]):
        self.case, self.known = case, known
        self.builder = Builder(case.graph.name)
        self.feeds: dict[str, Array] = {}
        self._made: dict[Value, Value] = {}
        for node in case.graph:
            if node.name in needed:
                self._keep(node)

    def _keep(self, node: Node) -> None:
        inputs = [self.value(value) for value in node.inputs]
        self._made |= dict(zip(node.values, self.builder.add(node.op, inputs, node.name), strict=True))

    def value(self, value: Value) -> Value:
        """The value in the new graph, made a source there if its layer is not kept."""
        if value not in self._made:
            self._made[value] = self._source(value)
        return self._made[value]

    def _source(self, value: Value) -> Value:
        node = self.case.graph[value.node]
        if node.op.source == "constant":
            return self.builder.add(node.op, (), node.name)[0]
        name = self.builder.unique(f"{value.node}:{value.index}" if value.index else value.node)
        given = node.name in self.case.feeds and node.op.source is not None
        self.feeds[name] = self.case.feeds[node.name] if given else self.known[value]
        return self.builder.input(name, self.case.graph.type(value))
