"""Removes identities: arrangements that change nothing, alone or together, and operations with neutral constants."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..computation import Pointwise
from ..elements import Element, bits
from ..expr import Apply, Arg, Expr, Number, convert
from ..ir import Graph, Node, Rewriter, Value
from .match import fused, sole_computation
from .moves import Origins
from .report import Notes, Optimised, Rule

Neutral = Mapping[str, tuple[float | None, float | None]]

NEUTRAL: Neutral = {
    "add": (-0.0, -0.0),
    "subtract": (None, 0.0),
    "multiply": (1.0, 1.0),
    "divide": (None, 1.0),
    "power": (None, 1.0),
    "maximum": (-np.inf, -np.inf),
    "minimum": (np.inf, np.inf),
}
"""For each function of floats the constant that as (first, second) argument leaves the other one alone, bit for bit.

It is −0 for a sum: −0 + 0 is 0.
"""


def neutral(element: Element) -> Neutral:
    """The same for other elements, whose only 0 is 0, and whose ends are finite."""
    if element.is_float:
        return NEUTRAL
    least, most = element.least, element.most
    ends: Neutral = {"maximum": (least, least), "minimum": (most, most)}
    bitwise: Neutral = {"and": (most if least == 0 else -1,) * 2, "or": (0, 0), "xor": (0, 0)}
    return {**NEUTRAL, "add": (0, 0), **ends, **bitwise}


def remove_identities(graph: Graph) -> Optimised:
    """The graph without identities, except where an output would become an input, a constant or another output."""
    notes, rewriter, origins = Notes("identities"), Rewriter(graph), Origins(graph)

    def visit(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        found = _source(graph, node, origins)
        if found is None and _clamped_already(rewriter, node, inputs):
            found = node.inputs[0], Rule(f"{node.op.name.lower()}(clamp(x)) => clamp(x)", "exact")
        if found is None:
            return None
        source, rule = found
        why = _must_stay(rewriter, node, rewriter.mapping[source])
        if why:
            notes.refused(node.name, why)
            return None
        origins.same(node.values[0], source)
        notes.fired(rule, node.name, f"is '{source}'", same=source.node)
        return (rewriter.mapping[source],)

    return notes.on(rewriter.rewrite(visit))


def _source(graph: Graph, node: Node, origins: Origins) -> tuple[Value, Rule] | None:
    """The value that the only output of `node` is equal to, and the rule that proves it."""
    moved = origins.of(node)
    if len(node.types) != 1:
        return None
    (result,) = node.values
    if moved is not None:
        root = moved[0].root
        if not moved[0].is_whole(graph, result):
            return None
        inner = "x" if root in node.inputs else "arrange(x)"
        return root, Rule(f"{node.op.name.lower()}({inner}) => x", "exact")
    position = _neutral(graph, node)
    if position is None or graph.type(node.inputs[position]) != node.types[0]:
        return None
    return node.inputs[position], Rule(f"{node.op.name.lower()}(x, neutral) => x", "exact")


def _neutral(graph: Graph, node: Node) -> int | None:
    """The input that a point-wise `node` returns unchanged: it has no other, or the others are neutral."""
    computation = sole_computation(graph, node)
    if not isinstance(computation, Pointwise):
        return None
    expr, straight = computation.expr, tuple(range(node.types[0].rank))
    position = None
    element = node.types[0].dtype
    if isinstance(expr, Arg):
        position = expr.index
    elif expr == convert(Arg(0), element):
        position = 0
    elif isinstance(expr, Apply) and len(expr.arguments) == 2 and (known := neutral(element).get(expr.function)):
        for kept, other in ((0, 1), (1, 0)):
            argument = expr.arguments[kept]
            if isinstance(argument, Arg) and _is(graph, node, expr.arguments[other], known[other]):
                position = argument.index
    return position if position is not None and computation.dims[position] == straight else None


def _clamped_already(rewriter: Rewriter, node: Node, inputs: tuple[Value, ...]) -> bool:
    """Whether `node` (relu, clip) clamps to a range that its input cannot leave."""
    outer = _range(rewriter, node, inputs)
    if outer is None:
        return False
    before = rewriter.producer(inputs[0])
    inner = _range(rewriter, before, before.inputs)
    return inner is not None and outer[0] <= inner[0] and inner[1] <= outer[1]


def _range(rewriter: Rewriter, node: Node, inputs: tuple[Value, ...]) -> tuple[float, float] | None:
    """The range of a layer made of maxima and minima with numbers; None for other layers."""
    if len(inputs) != 1 or node.op.source is not None or fused(node):
        return None
    pieces = node.op.lower(rewriter.type(inputs[0])).pieces
    computation = pieces[0].computation if len(pieces) == 1 else None
    if not isinstance(computation, Pointwise):
        return None
    expr, cuts = _cuts(computation.expr)
    low, high = -np.inf, np.inf
    for function, number in reversed(cuts):
        cut = max if function == "maximum" else min
        low, high = cut(low, number), cut(high, number)
    return (low, high) if cuts and isinstance(expr, Arg) else None


def _cuts(expr: Expr) -> tuple[Expr, list[tuple[str, float]]]:
    """What an expression takes maxima and minima of, and the functions with their numbers, the last one first."""
    cuts: list[tuple[str, float]] = []
    while isinstance(expr, Apply) and expr.function in ("maximum", "minimum"):
        numbers = [part.value for part in expr.arguments if isinstance(part, Number)]
        others = [part for part in expr.arguments if not isinstance(part, Number)]
        if len(numbers) != 1 or len(others) != 1:
            break
        cuts.append((expr.function, numbers[0]))
        expr = others[0]
    return expr, cuts


def _is(graph: Graph, node: Node, argument: object, number: float | None) -> bool:
    """Whether an argument is a constant that holds `number`, bit for bit, everywhere."""
    data = graph.constant(node.inputs[argument.index]) if isinstance(argument, Arg) else None
    if data is None or number is None:
        return False
    return bool((bits(data) == bits(data.dtype.type(number))).all())


def _must_stay(rewriter: Rewriter, node: Node, source: Value) -> str:
    """Why `node` is still needed as the copy that fills an output of its own; empty if it is not."""
    outputs = rewriter.old.leaving
    if node.values[0] not in outputs:
        return ""
    kind = rewriter.producer(source).op.source
    if kind is not None:
        return f"an output would be the {kind} '{source.node}' itself"
    taken = {rewriter.mapping[value] for value in outputs if value in rewriter.mapping}
    return f"'{source.node}' already is another output" if source in taken else ""
