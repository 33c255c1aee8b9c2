"""Graphs cut at some of their values: these become the outputs, and what they do not need is left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from .errors import UsageError

if TYPE_CHECKING:
    from .ir import Graph, Value

MOST_NAMES, LONGEST = 10_000, 100
"""Names among which the nearest ones are looked for, and characters of each."""


def checked_names(outputs: object) -> tuple[str, ...]:
    """Names of values, each once; a single one may be a text. Raises UsageError for anything else."""
    names = (outputs,) if isinstance(outputs, str) else outputs
    if not isinstance(names, Sequence) or not names or not all(isinstance(name, str) and name for name in names):
        raise UsageError(f"outputs={outputs!r}: expected names of layers or tensors, such as ('conv1',)")
    return tuple(dict.fromkeys(names))


def cut(graph: Graph, names: Sequence[str]) -> Graph:
    """The graph up to these values: outputs, or layers by name. 'layer:1' is the second result of a layer.

    Each value is an output under the given name. Raises UsageError for an unknown name.
    """
    return with_needed(graph, named(graph, names))


def named(graph: Graph, names: Sequence[str]) -> dict[str, Value]:
    """The values with these names. Raises UsageError for an unknown one."""
    results = {str(value).removeprefix("%"): value for node in graph for value in node.values}
    known = {**results, **graph.outputs}
    for name in names:
        if name not in known:
            raise unknown(name, known)
    return {name: known[name] for name in names}


def with_needed(graph: Graph, outputs: Mapping[str, Value]) -> Graph:
    """The graph with these outputs, without what they do not need: inputs, layers, and all updates of states."""
    needed = {value.node for value in outputs.values()}
    for node in reversed(list(graph)):
        if node.name in needed:
            needed.update(value.node for value in node.inputs)
    same = next(iter(graph.outputs.values())) == next(iter(outputs.values()))
    return replace(
        graph,
        nodes={name: node for name, node in graph.nodes.items() if name in needed},
        outputs=dict(outputs),
        labels=graph.labels if same else (),
        kept=tuple(name for name in graph.kept if name in needed),
        updates={},
    )


def unknown(name: str, known: Iterable[str]) -> UsageError:
    """The error for a name that the model does not have."""
    from difflib import get_close_matches

    names = [text[:LONGEST] for text in islice(known, MOST_NAMES) if text]
    near = get_close_matches(name[:LONGEST], names, 3, 0.5)
    told = f": the nearest names are {', '.join(map(repr, near))}" if near else ", nor one with a name like it"
    return UsageError(f"the model has no layer or tensor '{name[:LONGEST]}'{told}")
