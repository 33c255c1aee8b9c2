"""Where NaN and infinities begin in a model whose outputs hold them: then the model is wrong, not its code."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..interpreter import evaluate
from ..ir import Graph, Node, Value
from ..types import Array

KINDS = {"infinities begin": np.isinf, "NaN begins": np.isnan}


def beginnings(graph: Graph, feeds: Mapping[str, Array]) -> str:
    """The first layers at which the interpreter finds infinities and NaN, in words; empty if no output holds any."""
    values = evaluate(graph, feeds)
    if all(np.isfinite(values[value]).all() for value in graph.outputs.values()):
        return ""
    found = [f"{kind} at {_told(node)}" for kind in KINDS if (node := _first(graph, values, kind))]
    return f"its outputs hold NaN or infinities by the model's own definition: {', '.join(found)}"


def _first(graph: Graph, values: Mapping[Value, Array], kind: str) -> Node | None:
    """The first layer, input or constant that has numbers of this kind."""
    return next((node for node in graph if any(KINDS[kind](values[value]).any() for value in node.values)), None)


def _told(node: Node) -> str:
    return f"'{node.name}' ({node.op})" + (f" (at {node.where})" if node.where else "")
