"""Names of a user: layers, nodes that were given, and what an ONNX file calls them."""

from __future__ import annotations

from collections.abc import Iterable

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


def named(explanation: Explanation, name: str) -> tuple[str, ...]:
    """The layers that a name leads to, which may be none. Raises UsageError for a name that nothing has."""
    if any(layer.name == name for layer in explanation.layers):
        return (name,)
    if name in explanation.origins:
        return explanation.origins[name].layers
    if name in explanation.aliases:
        made = explanation.aliases[name]
        return tuple(dict.fromkeys(layer for node in made for layer in explanation.origins[node].layers))
    known = (*explanation.origins, *(layer.name for layer in explanation.layers), *explanation.aliases)
    raise unknown(name, dict.fromkeys(known))


def became(explanation: Explanation, name: str) -> str:
    """What became of the node of a name, as a sentence; nothing for a layer that has the name now."""
    if name in explanation.origins:
        return explanation.origins[name].told
    if name not in explanation.aliases:
        return ""
    made = [explanation.origins[node] for node in explanation.aliases[name]]
    if not made:
        return f"'{name}' was computed on reading the file, since what it reads is known."
    return " ".join(
        [f"'{name}' became {_listed(made)} of the graph.", *(origin.told for origin in made if not origin.layers)]
    )


def _listed(origins: Iterable[Origin]) -> str:
    return ", ".join(f"'{origin.name}'" for origin in origins)
