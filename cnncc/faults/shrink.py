"""Smaller graphs that may still fail: fewer layers, smaller shapes, data that a seed gives.

Each function yields cases that are smaller than the one that it is given, the smallest first where that is likely to
fail. What a part reads from layers that are left out becomes an input with the array that the interpreter has for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from itertools import combinations
from typing import Any
from zlib import crc32

import numpy as np

from ..cut import with_needed
from ..elements import FLOAT32, element_of
from ..errors import CnnccError
from ..interpreter import evaluate
from ..ir import Builder, Graph, Node, Value
from ..op import Constant, Op
from ..types import Array, TensorType
from .excerpt import Case, excerpt

Axis = tuple[str, int]
FEW = (1, 2, 3, 4)
"""Sizes that are tried for an axis, besides half of it and one less."""
MOST_PAIRS = 200


def computed(graph: Graph) -> list[Node]:
    return [node for node in graph if node.op.source is None]


def values(case: Case) -> dict[Value, Array]:
    """What the interpreter gives each value; noise, where it cannot."""
    with np.errstate(all="ignore"):
        try:
            return evaluate(case.graph, case.feeds)
        except Exception:  # of a definition that is broken, whatever it is
            return {value: noise(case.graph.type(value), str(value)) for n in case.graph for value in n.values}


def noise(type: TensorType, name: str) -> Array:
    """Random numbers that depend on the name."""
    return type.random(np.random.default_rng(seed(name)))


def seed(name: str) -> int:
    return crc32(name.encode()) % 1000


def part(case: Case, nodes: Sequence[Node], known: Mapping[Value, Array]) -> Case:
    """These layers alone; what others read of them, or nobody does, are the outputs."""
    kept = {node.name for node in nodes}
    outputs = [
        value
        for node in nodes
        for value in node.values
        if value in case.graph.leaving or any(reader.name not in kept for reader in case.graph.consumers[value])
    ]
    outputs = outputs or [nodes[-1].values[0]]
    return excerpt(case, kept, {f"y{number}": value for number, value in enumerate(outputs)}, known)


def around(case: Case, layer: str) -> Iterator[Case]:
    """A layer alone, then with its neighbours in the order of the graph."""
    nodes = computed(case.graph)
    at = next((number for number, node in enumerate(nodes) if node.name == layer), None)
    if at is None:
        return
    known = values(case)
    for before, after in ((0, 1), (0, 2), (1, 1), (0, 3), (1, 2), (2, 4)):
        chosen = nodes[max(0, at - before) : at + after]
        if len(chosen) < len(nodes):
            yield part(case, chosen, known)


def halves(case: Case) -> Iterator[Case]:
    """The beginning or the end of the graph: half of the layers, then more of them, down to one layer less."""
    nodes, known = computed(case.graph), values(case)
    left = len(nodes) // 2
    while left:
        yield part(case, nodes[: len(nodes) - left], known)
        yield part(case, nodes[left:], known)
        left //= 2


def single_outputs(case: Case) -> Iterator[Case]:
    """Each output alone."""
    outputs = case.graph.outputs
    for name, value in outputs.items() if len(outputs) > 1 else ():
        yield pruned(case, replace(case.graph, outputs={name: value}))


def without_one(case: Case) -> Iterator[Case]:
    """Each layer left out: what it makes arrives, or is what it reads."""
    known = values(case)
    for node in reversed(computed(case.graph)):
        others = [other for other in computed(case.graph) if other is not node]
        if others:
            yield part(case, others, known)
        for value in node.inputs:
            if len(node.types) == 1 and case.graph.type(value) == node.types[0]:
                yield pruned(case, bypassed(case.graph, node, value))
                break


def bypassed(graph: Graph, node: Node, value: Value) -> Graph:
    """The graph in which the result of a layer is this value."""
    (gone,) = node.values
    nodes = {
        other.name: replace(other, inputs=tuple(value if x == gone else x for x in other.inputs))
        for other in graph
        if other is not node
    }
    return replace(graph, nodes=nodes, outputs={n: value if x == gone else x for n, x in graph.outputs.items()})


def pruned(case: Case, graph: Graph) -> Case:
    """Without what the outputs do not need."""
    graph = with_needed(graph, graph.outputs)
    return Case(graph, {name: case.feeds[name] for name in graph.inputs})


def seeded(case: Case) -> Iterator[Case]:
    """Random numbers in place of all floats that are known or arrive, then of one array after the other."""
    sources = [node for node in case.graph if node.op.source and node.types[0].dtype is FLOAT32]
    unlike = [node for node in sources if (data_of(case, node) != noise(node.types[0], node.name)).any()]
    if len(unlike) > 1:
        yield with_data(case, {node.name: noise(node.types[0], node.name) for node in unlike})
    for node in sorted(unlike, key=lambda node: -node.types[0].size):
        yield with_data(case, {node.name: noise(node.types[0], node.name)})


def data_of(case: Case, node: Node) -> Array:
    return node.op.data if isinstance(node.op, Constant) else np.asarray(case.feeds[node.name])


def with_data(case: Case, arrays: Mapping[str, Array], size: int = 0, less: int = 0) -> Case:
    """The graph with these arrays in constants and inputs, which have their shapes. Raises what type rules raise.

    Attributes of layers that are `size` become `less`.
    """
    builder, feeds = Builder(case.graph.name), dict(case.feeds)
    for node in case.graph:
        given = arrays.get(node.name)
        if given is None or node.op.source is None:
            builder.add(_changed(node.op, size, less), node.inputs, node.name)
        elif isinstance(node.op, Constant):
            builder.add(Constant.of(given, element_of(given), rounded=node.op.rounded), (), node.name)
        else:
            builder.input(node.name, TensorType.of(given))
            feeds[node.name] = given
    return Case(builder.graph(case.graph.outputs), feeds)


def _changed(op: Op, size: int, less: int) -> Op:
    """The op with `less` in attributes that are `size`, such as groups, or in tuples of them, such as shapes."""
    if not size or op.source:
        return op
    found = {each.name: getattr(op, each.name) for each in fields(op)}
    changed = {name: _smaller(value, size, less) for name, value in found.items()}
    return replace(op, **{name: value for name, value in changed.items() if value != found[name]})


def _smaller(value: Any, size: int, less: int) -> Any:
    if isinstance(value, tuple):
        return tuple(_smaller(each, size, less) for each in value)
    return less if type(value) is int and value == size else value


def smaller_shapes(case: Case) -> Iterator[Case]:
    """Axes of inputs and constants that are cut: all of one size, with its multiples and powers, one alone, two."""
    sources = {node.name: data_of(case, node) for node in case.graph if node.op.source}
    sizes = {(name, axis): size for name, data in sources.items() for axis, size in enumerate(data.shape) if size > 1}
    for size in sorted(set(sizes.values()), reverse=True):
        alike = [axis for axis, each in sizes.items() if each == size]
        multiples = [axis for axis, each in sizes.items() if each % size == 0]
        groups = list(dict.fromkeys(map(tuple, (alike, multiples, *([axis] for axis in alike), *_pairs(alike)))))
        for less in sorted({n for n in (*FEW, size // 2, size - 1) if 0 < n < size}):
            for group in groups:
                yield from _cut(case, sources, {axis: sizes[axis] // size * less for axis in group})
            powers = {axis: _in_powers(sizes[axis], size, less) for axis in multiples}
            for changed in (0, size):
                yield from _cut(case, sources, powers, changed, less)


def _in_powers(whole: int, size: int, less: int) -> int:
    """`whole` with `less` for each factor `size`, as two flattened axes have it."""
    return _in_powers(whole // size, size, less) * less if whole % size == 0 else whole


def _pairs(axes: Iterable[Axis]) -> Sequence[Sequence[Axis]]:
    return list(combinations(axes, 2))[:MOST_PAIRS]


def _cut(
    case: Case, sources: Mapping[str, Array], sizes: Mapping[Axis, int], size: int = 0, less: int = 0
) -> Iterator[Case]:
    """The graph on the first elements along these axes, if its type rules take that."""
    arrays: dict[str, Array] = {}
    for (name, axis), count in sizes.items():
        data = arrays.get(name, sources[name])
        arrays[name] = np.ascontiguousarray(data[(slice(None),) * axis + (slice(count),)])
    try:
        smaller = with_data(case, arrays, size, less)
    except (CnnccError, ValueError, IndexError, TypeError, ArithmeticError):
        return
    yield smaller
