"""The definition of what a graph means: each node's reference, one after the other.

Never clever and never fast. Every float is rounded to float32 where it leaves its node.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from .batching import images_of
from .errors import CnnccError, InputError
from .ir import Graph, Value
from .op import Input, State
from .types import Array


def evaluate(graph: Graph, feeds: Mapping[str, Array], states: Mapping[str, Array] | None = None) -> dict[Value, Array]:
    """Every value of the graph for these inputs (by name), and these values of its states (default: the first ones).

    Another N than the graph's is fine where the graph is batchable (see `batching`) and all inputs that
    carry images agree. Raises InputError if names, shapes or element types do not fit.
    """
    check_feeds(graph, feeds)
    held = states if states is not None else {name: graph.initial(name) for name in graph.states}
    _check_states(graph, held)
    values: dict[Value, Array] = {}
    for node in graph:
        if isinstance(node.op, Input):
            results: tuple[Array, ...] = (feeds[node.name],)
        elif isinstance(node.op, State):
            results = (held[node.name],)
        else:
            try:
                results = node.op.reference(*(values[value] for value in node.inputs))
            except CnnccError as error:
                raise error.at(node.name, node.where) from None
        # NumPy sums in the order of memory, and how a value came about must not decide that.
        contiguous = (np.asarray(result, order="C") for result in results)
        values.update(zip(node.values, contiguous, strict=True))
    return values


def run(graph: Graph, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs of the graph by name; raises InputError like `evaluate`."""
    values = evaluate(graph, feeds)
    return {name: values[value] for name, value in graph.outputs.items()}


def step(
    graph: Graph, feeds: Mapping[str, Array], states: Mapping[str, Array]
) -> tuple[dict[str, Array], dict[str, Array]]:
    """One call with states: the outputs by name, and all states as they are after it. Raises InputError."""
    values = evaluate(graph, feeds, states)
    outputs = {name: values[value] for name, value in graph.outputs.items()}
    return outputs, {**states, **{name: values[value] for name, value in graph.updates.items()}}


def _check_states(graph: Graph, states: Mapping[str, Array]) -> None:
    """Raise InputError unless `states` has exactly the graph's states in their shapes and elements."""
    if states.keys() != graph.states.keys():
        wanted, came = (", ".join(map(repr, names)) or "none" for names in (graph.states, states))
        raise InputError(f"model '{graph.name}' has the states {wanted}, got {came}")
    for name, type in graph.states.items():
        array = np.asarray(states[name])
        if array.shape != type.shape or array.dtype != type.dtype.numpy:
            raise InputError(f"state '{name}' must be {type}, got {array.dtype}{list(array.shape)}")


def check_feeds(graph: Graph, feeds: Mapping[str, Array]) -> None:
    """Raise InputError unless `feeds` has exactly the graph's inputs in fitting shapes and elements."""
    missing = [name for name in graph.inputs if name not in feeds]
    unknown = [name for name in feeds if name not in graph.inputs]
    if missing or unknown:
        wanted = ", ".join(repr(name) for name in graph.inputs) or "none"
        came = ", ".join(repr(name) for name in feeds) or "none"
        raise InputError(f"model '{graph.name}' takes the inputs {wanted}, got {came}")
    for name, type in graph.inputs.items():
        if np.asarray(feeds[name]).dtype != type.dtype.numpy:
            raise InputError(f"input '{name}' must be {type.dtype}, got {np.asarray(feeds[name]).dtype}")
    if any(np.shape(feeds[name]) != type.shape for name, type in graph.inputs.items()):
        _check_another_n(graph, feeds)


def _check_another_n(graph: Graph, feeds: Mapping[str, Array]) -> None:
    """Accept shapes that differ from the graph's only in N, the same for every input that carries images."""
    images = images_of(graph)
    batched, counts = images.batched, dict[str, int]()
    for name, type in graph.inputs.items():
        shape = np.shape(feeds[name])
        if shape == type.shape and not (batched and batched[name]):
            continue
        if not batched or not batched[name] or shape[1:] != type.shape[1:] or len(shape) != type.rank or shape[0] < 1:
            free = " (the number of images may differ)" if batched and batched[name] else ""
            why = images.why(type, shape)
            raise InputError(f"input '{name}' must have shape {type.shape}{free}, got {shape}{why}")
        counts[name] = shape[0]
    if len(set(counts.values())) > 1:
        told = ", ".join(f"'{name}' has {count}" for name, count in counts.items())
        raise InputError(f"inputs must have the same number of images, but {told}")
