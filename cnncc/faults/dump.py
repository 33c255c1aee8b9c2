"""The tensors inside a compiled model: those that its code stores between its layers.

The graph after the passes is compiled once more with these values as outputs, as `check` does it: the same layers by
the same kernels. A layer is named as the passes left it, so a fused one stands for the result of all that it absorbed;
a tensor of an ONNX file goes by its name there, as long as it still exists (see `follow`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np

from ..cache.sources import OnnxFile
from ..check.compiled import label, values_of, with_values
from ..compiler import Compilation
from ..cut import unknown
from ..errors import InputError, UsageError
from ..ir import Graph, Value, without_states
from ..op import Constant
from ..types import Array
from .follow import follow

_PATTERN = frozenset("*?[")


@dataclass(frozen=True)
class Dumped:
    """One tensor, under the name that it was asked for, and the layer whose result it is."""

    name: str
    layer: str
    op: str
    data: Array


def dump(
    compilation: Compilation, feeds: Mapping[str, Array], names: Sequence[str], threads: int = 1
) -> tuple[Dumped, ...]:
    """The tensors of these names, in which `*`, `?` and `[…]` stand for several, as one call on `feeds` makes them.

    States have their first values. Raises UsageError for a name that the model does not have, or whose value its passes
    took into a layer; InputError for feeds that do not fit.
    """
    graph = without_states(compilation.optimised.graph)
    chosen = _chosen(compilation, names)
    given = {**{name: compilation.graph.initial(name) for name in compilation.graph.states}, **feeds}
    known = _known(graph, given)
    wanted = list(dict.fromkeys(value for value in chosen.values() if value not in known))
    if wanted:
        known |= values_of(with_values(graph, wanted, compilation.options), given, threads)
    return tuple(Dumped(name, label(value), str(graph[value.node].op), known[value]) for name, value in chosen.items())


def _known(graph: Graph, feeds: Mapping[str, Array]) -> dict[Value, Array]:
    """The values that nothing computes: inputs and constants. Raises InputError for an input that is missing."""
    if missing := [name for name in graph.inputs if name not in feeds]:
        raise InputError(f"model '{graph.name}' needs an array for input '{missing[0]}'")
    found = {Value(name): np.asarray(feeds[name]) for name in graph.inputs}
    return found | {Value(node.name): node.op.data for node in graph if isinstance(node.op, Constant)}


def _chosen(compilation: Compilation, names: Sequence[str]) -> dict[str, Value]:
    """The values of the graph after the passes by the names that they are asked for, each name once."""
    tensors = compilation.source.tensors if isinstance(compilation.source, OnnxFile) else {}
    layers = {label(value): value for node in compilation.optimised.graph for value in node.values}
    found: dict[str, Value] = {}
    for name in names:
        if name in layers or name in tensors or not _PATTERN & set(name):
            found[name] = _named(compilation, name, layers, tensors)
        else:
            found |= dict(_matching(compilation, name, layers, tensors))
    return found


def _named(compilation: Compilation, name: str, layers: Mapping[str, Value], tensors: Mapping[str, Value]) -> Value:
    """A tensor of the file, a layer after the passes, or one before them. Raises UsageError if there is none."""
    if name not in tensors and name in layers:
        return layers[name]
    given = {label(value): value for node in compilation.graph for value in node.values}
    known = {**given, **compilation.graph.outputs, **tensors}
    if name not in known:
        raise unknown(name, {**layers, **known})
    place = follow(compilation, known[name])
    if place.value is None:
        raise UsageError(f"'{name}' is no value of the compiled model: {place.why}")
    return place.value


def _matching(
    compilation: Compilation, pattern: str, layers: Mapping[str, Value], tensors: Mapping[str, Value]
) -> Iterator[tuple[str, Value]]:
    """Layers that compute something, else tensors of the file. Raises UsageError if nothing of the name is there."""
    graph = compilation.optimised.graph
    named = [name for name, value in layers.items() if graph[value.node].op.source is None]
    if fitting := [name for name in named if fnmatchcase(name, pattern)]:
        yield from ((name, layers[name]) for name in fitting)
        return
    followed = {name: follow(compilation, tensors[name]) for name in tensors if fnmatchcase(name, pattern)}
    there = {name: place.value for name, place in followed.items() if place.value is not None}
    if not there:
        gone = next((f": '{name}' matches, but {place.why}" for name, place in followed.items()), "")
        raise UsageError(f"no value of the compiled model has a name like '{pattern}'{gone}")
    yield from there.items()
