"""Names of a user: layers, nodes that were given, and what an ONNX file calls them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..cache.sources import OnnxFile
from ..compiler import Compilation
from ..cut import unknown
from .reasons import Explanation, Origin


def aliases(compilation: Compilation) -> dict[str, tuple[str, ...]]:
    """The names of nodes and tensors of an ONNX file that its graph does not have, with the nodes of the graph.

    A node that becomes several has theirs; one that was computed on reading the file has none.
    """
    source, graph = compilation.source, compilation.graph
    if not isinstance(source, OnnxFile):
        return {}
    found: dict[str, tuple[str, ...]] = {}
    for name, tensors in source.nodes:
        made = tuple(each for each in graph.nodes if each == name or each.startswith(f"{name}."))
        for known in (name, *tensors):
            if known and known not in graph.nodes:
                found.setdefault(known, made)
    return found


@dataclass(frozen=True)
class Names:
    """All names that a user may know: of `left` layers, of nodes that were given, and of an ONNX file."""

    left: tuple[str, ...]
    origins: Mapping[str, Origin]
    aliases: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, explanation: Explanation) -> Names:
        return cls(tuple(layer.name for layer in explanation.layers), explanation.origins, explanation.aliases)

    def layers(self, name: str) -> tuple[str, ...]:
        """The layers that a name leads to, which may be none. Raises UsageError for a name that nothing has."""
        if name in self.left:
            return (name,)
        if name in self.origins:
            return self.origins[name].layers
        if name in self.aliases:
            return tuple(dict.fromkeys(layer for node in self.aliases[name] for layer in self.origins[node].layers))
        raise unknown(name, dict.fromkeys((*self.left, *self.origins, *self.aliases)))

    def became(self, name: str) -> str:
        """What became of the node of a name, as a sentence or several; nothing where a layer has that name now."""
        if name in self.left:
            return ""
        if name in self.origins:
            return self.origins[name].told
        made = [self.origins[node] for node in self.aliases[name]]
        if not made:
            return f"'{name}' was computed on reading the file, since what it reads is known."
        nodes = ", ".join(f"'{origin.name}'" for origin in made)
        return " ".join([f"'{name}' is {nodes} of the graph.", *(origin.told for origin in made)])
