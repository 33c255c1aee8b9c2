"""Graphs in float64 by the meaning of their computations, and derivatives by central differences."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cnncc.gradient import differentiated
from cnncc.ir import Builder, Graph, Value
from cnncc.meaning import meaning
from cnncc.op import Constant, Op
from cnncc.ops.elementwise import widened
from cnncc.types import Array, TensorType

STEP = 1e-6
"""Of central differences in float64: STEP² times the third derivative is lost, and 1e-16 / STEP by rounding."""
CLOSE = 1e-6
"""How far, relative to the sum of sizes, a derivative may lie from the difference."""


def precisely(graph: Graph, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs of a graph in float64, with nothing rounded between its computations."""
    values: dict[Value, Array] = {}
    for node in graph:
        if node.op.source == "input":
            results = [widened(feeds[node.name])]
        elif isinstance(node.op, Constant):
            results = [widened(node.op.data)]
        else:
            lowering = graph.lowering(node)
            known = [values[value] for value in node.inputs]
            for piece in lowering.pieces:
                known.append(meaning(piece.computation, [known[k] for k in piece.operands], piece.type.shape))
            results = [known[k] for k in lowering.results]
        values.update(zip(node.values, results, strict=True))
    return {name: values[value] for name, value in graph.outputs.items()}


def of_op(op: Op, *types: TensorType | Array) -> Graph:
    """A graph of one op, whose inputs are x0, x1… and whose outputs are y, y1…"""
    b = Builder("one")
    known = (type if isinstance(type, TensorType) else TensorType(type.shape) for type in types)
    outputs = b.add(op, [b.input(f"x{k}", type) for k, type in enumerate(known)], "layer")
    return b.graph({f"y{k or ''}": value for k, value in enumerate(outputs)})


def fed(*arrays: Array) -> dict[str, Array]:
    return {f"x{k}": np.asarray(array) for k, array in enumerate(arrays)}


def off(graph: Graph, of: str, by: str, feeds: Mapping[str, Array], seed: int = 0) -> float:
    """How far the gradient lies from central differences in three random directions, relative to its sizes."""
    rng = np.random.default_rng(seed)
    slopes = differentiated(graph, of, (by,))
    counts = rng.standard_normal(graph.type(graph.outputs[of]).shape) if f"d_{of}" in slopes.inputs else np.ones(())
    x = widened(feeds[by])
    _, found = precisely(slopes, {**feeds, f"d_{of}": counts}).values()
    assert found.shape == x.shape and np.isfinite(found).all()
    worst = 0.0
    for _ in range(3):
        direction = rng.standard_normal(x.shape) * np.minimum(1, np.abs(x))
        ends = ((precisely(graph, {**feeds, by: x + h * direction})[of] * counts).sum() for h in (STEP, -STEP))
        difference = float(np.subtract(*ends)) / (2 * STEP)
        size = np.abs(found * direction).sum() + abs(difference) + 1e-3
        worst = max(worst, abs(difference - (found * direction).sum()) / size)
    return float(worst)


def gradients(op: Op, arrays: list[Array], counts: Array) -> list[Array]:
    """The gradients of an op by all its inputs in float64, for an output whose elements count so much."""
    graph = of_op(op, *arrays)
    slopes = differentiated(graph, "y", tuple(graph.inputs))
    found = precisely(slopes, {**fed(*arrays), "d_y": counts})
    return [found[f"d_{name}"] for name in graph.inputs]
