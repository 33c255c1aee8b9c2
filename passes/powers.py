"""Writes powers with a known exponent as what is cheaper: products and quotients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..computation import Pointwise
from ..expr import Apply, Arg
from ..ir import Graph, Node, Rewriter, Value
from ..ops import Div, Mul
from .match import fresh, sole_computation
from .report import Notes, Optimised, Rule

X = "x"
"""The base, in a tree of an op and its operands, which are trees, numbers or `X`."""
Tree = tuple[Any, ...]
SQUARE: Tree = (Mul(), X, X)


@dataclass(frozen=True)
class Spelling:
    """A tree in the place of a power."""

    rule: Rule
    tree: Tree
    bound: str = ""


ONE_ROUNDING: Mapping[float, Spelling] = {
    # The power, rounded once, is the product or the quotient; the sign of a NaN may differ. There is no root:
    # pow(−inf, 0.5) is inf.
    2.0: Spelling(Rule("pow(x, 2) => x * x", "finite"), SQUARE),
    -1.0: Spelling(Rule("pow(x, -1) => 1 / x", "finite"), (Div(), 1.0, X)),
}
TWO_ROUNDINGS: Mapping[float, Spelling] = {
    # The square is infinite, or loses digits below the least normal number, only where the cube is infinite or 0.
    3.0: Spelling(Rule("pow(x, 3) => x * x * x", "rounding"), (Mul(), SQUARE, X), "2u |x³|, u = 2⁻²⁴"),
}


def lower_powers(graph: Graph) -> Optimised:
    """The graph with products and quotients in the place of powers whose exponent is 2 or −1."""
    return _lower(graph, ONE_ROUNDING, "powers")


def lower_rounded_powers(graph: Graph) -> Optimised:
    """As `lower_powers` for the exponent 3, which takes a second rounding."""
    return _lower(graph, TWO_ROUNDINGS, "rounded_powers")


def _lower(graph: Graph, spellings: Mapping[float, Spelling], name: str) -> Optimised:
    notes, rewriter = Notes(name), Rewriter(graph)

    def visit(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        found = _power(graph, node)
        if found is None or found[1] not in spellings:
            return None
        spelling = spellings[found[1]]
        notes.fired(spelling.rule, node.name, bound=spelling.bound)
        return (_grown(rewriter, node, spelling.tree, inputs[found[0]], node.name),)

    return notes.on(rewriter.rewrite(visit))


def _power(graph: Graph, node: Node) -> tuple[int, float] | None:
    """(the input that is the base, the exponent), if `node` is a power with one known exponent for all elements."""
    computation = sole_computation(graph, node)
    if not isinstance(computation, Pointwise):
        return None
    match computation.expr:
        case Apply("power", (Arg(base), Arg(exponent))):
            known = graph.constant(node.inputs[exponent])
            if known is None or not known.size or (known != known.flat[0]).any():
                return None
            same = graph.type(node.inputs[base]) == node.types[0]
            return (base, float(known.flat[0])) if same else None
    return None


def _grown(rewriter: Rewriter, node: Node, tree: Tree | float | str, x: Value, name: str = "") -> Value:
    """The value of a tree; without a `name` its node gets one of its own."""
    if tree == X:
        return x
    name = name or fresh(rewriter, f"{node.name}.part")
    if not isinstance(tree, tuple):
        element = node.types[0].dtype
        return rewriter.constant(np.array(tree, element.numpy), name, node.where, element=element)
    op, *operands = tree
    inputs = [_grown(rewriter, node, operand, x) for operand in operands]
    return rewriter.add(op, inputs, name, node.where)[0]
