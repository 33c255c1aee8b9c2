"""What has become of each node of the given graph: followed through the entries of the passes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property

from ..ir import Graph, Node
from ..passes import Applied, Missed, Optimised
from .reasons import Origin

SOURCES = {"input": "an input", "state": "a state", "constant": "a constant"}


class Trace:
    """The way of each name, of the given graph or made by a pass, to the layers that are left."""

    def __init__(self, given: Graph, optimised: Optimised):
        self.given, self.left, self.made = given, optimised.graph, optimised.made
        self.log = optimised.log
        self.taken: dict[str, tuple[str, str, Applied]] = {}
        """For a node that is gone: the node in which it goes on, how, and the entry that says so."""
        self.fired: dict[str, list[Applied]] = {}
        for entry in optimised.fired:
            self.fired.setdefault(entry.layer, []).append(entry)
            for name in entry.absorbed:
                self.taken.setdefault(name, (entry.layer, "absorbed", entry))
            if entry.same:
                self.taken.setdefault(entry.layer, (entry.same, "same", entry))

    @cached_property
    def standing(self) -> Mapping[str, tuple[str, ...]]:
        """For each node of the given graph the layers that are left and stand in its place."""
        found: dict[str, list[str]] = {}
        for node in self.left:
            if node.op.source is None:
                found.setdefault(self.given_name(node.name), []).append(node.name)
        return {name: tuple(layers) for name, layers in found.items()}

    def given_name(self, name: str) -> str:
        """The node of the given graph for which a node stands."""
        while name not in self.given.nodes and name in self.made:
            name, _ = self.made[name]
        return name

    def layers(self, name: str) -> tuple[str, ...]:
        """The layers that are left and compute the result of a node, given or made."""
        if name in self.standing:
            return self.standing[name]
        if name in self.left.nodes:
            return (name,) if self.left[name].op.source is None else ()
        if name in self.taken:
            into = self.taken[name][0]
            return (into,) if into in self.left.nodes and not self.left[into].op.source else self.layers(into)
        return () if name in self.given.nodes else self.layers(self.given_name(name))

    # The given graph

    @cached_property
    def origins(self) -> Mapping[str, Origin]:
        """What has become of each node that was given."""
        return {node.name: self.origin(node) for node in self.given}

    def origin(self, node: Node) -> Origin:
        """What has become of one of them."""
        layers = () if node.op.source else self.layers(node.name)
        how, by, told = self.way(node, layers)
        return Origin(node.name, str(node.op), node.where, layers, how, by, f"'{node.name}' ({node.op.name}) {told}.")

    def way(self, node: Node, layers: tuple[str, ...]) -> tuple[str, str, str]:
        """(how, which pass, the end of a sentence) for what became of a node."""
        if node.op.source:
            return ("source", *self._source(node))
        rewrites = [entry for entry in self.fired.get(node.name, []) if not entry.same]
        if any(entry.pass_name == "constants" for entry in rewrites):
            return "constant", "constants", "was computed when compiling, since all that it reads is known"
        if node.name in self.left.nodes or node.name in self.standing:
            return self._standing(node, layers, rewrites)
        if node.name in self.taken:
            into, how, entry = self.taken[node.name]
            return how, entry.pass_name, self._taken(node, into, how, entry, layers)
        if last := next((entry for entry in reversed(rewrites) if entry.pass_name != "dead_code"), None):
            return "rewritten", last.pass_name, f"was rewritten by the pass {last.pass_name} ({last.rule})"
        return "removed", "dead_code", "was removed by the pass dead_code: no output needs it"

    def _source(self, node: Node) -> tuple[str, str]:
        """The same for an input, a state or a constant."""
        kind, readers = (
            SOURCES[str(node.op.source)],
            _names(reader.name for reader in self.given.consumers[node.values[0]]),
        )
        read = f"{kind}, which {readers} read{'s' if readers.count(chr(39)) == 2 else ''}" if readers else f"{kind}"
        if node.name in self.left.nodes:
            return "", f"is {read}"
        if node.name in self.taken:
            into, _, entry = self.taken[node.name]
            return entry.pass_name, f"is {read}; it equals '{into}', which is stored in its place"
        return "dead_code", f"is {read}; after the passes no layer reads it any more, and it is not stored"

    def _standing(self, node: Node, layers: tuple[str, ...], rewrites: list[Applied]) -> tuple[str, str, str]:
        left = self.left.nodes.get(node.name)
        by = rewrites[-1].pass_name if rewrites else ""
        if layers == (node.name,):
            same = left is not None and left.op == node.op
            passes = _listed(dict.fromkeys(entry.pass_name for entry in rewrites))
            if same and not rewrites:
                return "kept", "", "is a layer as it was given"
            return "kept" if same else "rewritten", by, f"is a layer, rewritten by {passes or 'the passes'}"
        by = next((self.made[layer][1] for layer in layers if layer in self.made), by)
        return "split", by, f"is computed by the layers {_names(layers)}, into which the pass {by} split it"

    def _taken(self, node: Node, into: str, how: str, entry: Applied, layers: tuple[str, ...]) -> str:
        why = f" ({entry.rule})"
        if how == "same":
            told = f"is the same as '{into}', which stands in its place since the pass {entry.pass_name}{why}"
        else:
            fused = "fused into" if entry.pass_name in ("fuse", "diamonds") else "taken up by"
            told = f"was {fused} '{into}' by the pass {entry.pass_name}{why}"
        further = [layer for layer in layers if layer != into]
        return told + (f"; its result now comes from {_names(further)}" if further else "")

    # The layers that are left

    def entries(self, layer: str) -> tuple[Applied | Missed, ...]:
        """What the passes said about a layer, and about all that went into it, each once.

        A layer that a pass made shares what was said, up to then, about the node in whose place it stands.
        """
        shared, until = "", 0
        if layer in self.made and layer not in self.given.nodes:
            shared, by = self.made[layer]
            places = [at for at, entry in enumerate(self.log) if (entry.pass_name, entry.layer) == (by, shared)]
            until = max(places, default=-1) + 1
        about = {layer, *self.gone.get(layer, ())}
        found = (
            entry for at, entry in enumerate(self.log) if entry.layer in about or (entry.layer == shared and at < until)
        )
        return tuple(dict.fromkeys(found))

    @cached_property
    def gone(self) -> Mapping[str, list[str]]:
        """For each layer that is left the nodes, given or made, that it alone took up."""
        found: dict[str, list[str]] = {}
        for name in dict.fromkeys((*self.given.nodes, *self.made)):
            if name not in self.left.nodes and name in self.taken and len(layers := self.layers(name)) == 1:
                found.setdefault(layers[0], []).append(name)
        return found

    def into(self, layer: str) -> tuple[str, ...]:
        """The nodes of the given graph that a layer computes, in their order."""
        return tuple(self._into.get(layer, ()))

    @cached_property
    def _into(self) -> Mapping[str, list[str]]:
        found: dict[str, list[str]] = {}
        for name, origin in self.origins.items():
            for layer in origin.layers:
                found.setdefault(layer, []).append(name)
        return found


def _names(names: Iterable[str]) -> str:
    return _listed(f"'{name}'" for name in dict.fromkeys(names))


def _listed(words: Iterable[str]) -> str:
    """Words with commas, the last behind 'and'."""
    *first, last = list(words) or [""]
    return f"{', '.join(first)} and {last}" if first else last
