"""Takes factors out of sums, and leaves out sums that are 0.

    Σ c · e = c · Σ e     for a c that is the same for all elements of a sum
    Σ (x − m) = 0         for the mean m of the same x

What is left of a product is often summed elsewhere as well: then one sum serves both, and the product is never made.
So the gradient of a standardization f · (x − m), with f = 1 / √(v + ε), takes two sums, Σ g and Σ g · (x − m), where
its rules write four: those of −f · g and of k · (x − m) go (Ioffe and Szegedy, *Batch Normalization*, 2015, keep the
last one in their gradients).

A sum of n terms is computed to γ(n) Σ|c · e|, wherever the factor is. A sum that is left out is 0 in exact arithmetic;
as it was computed it was off by its roundings, and by n · c times what the computed mean was off.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..batching import images_of
from ..computation import Broadcast, Computation, Pointwise, Reduction
from ..elements import FLOAT32
from ..expr import Apply, Arg, Expr, Number, arguments_of, calls, substitute
from ..ir import Graph, Node, Rewriter, Value
from ..ops import Computed
from ..types import TensorType
from .match import fresh, sole_computation
from .report import Notes, Optimised, Rule
from .terms import ONE, RULES, Term, Terms, combined

FACTOR = Rule("sum(c * x) => c * sum(x)", "rounding")
CENTRED = Rule("sum(c * (x - mean(x))) => 0", "rounding")
DEEPEST = 6  # layers that are looked through


def simplify_sums(graph: Graph) -> Optimised:
    """The graph with sums of one term in the place of sums of products, and 0 in the place of sums that are 0."""
    notes, rewriter = Notes("sums"), Rewriter(graph)

    def visit(node: Node, inputs: tuple[Value, ...]) -> tuple[Value, ...] | None:
        c = sole_computation(graph, node)
        if not isinstance(c, Reduction) or c.combine != "add" or node.types[0].dtype is not FLOAT32:
            return None
        for deepest in range(DEEPEST, 0, -1):
            summed = Summed(graph, node, c, deepest)
            terms = summed.terms()
            left = [term for term in terms if not summed.is_centred(term.rest)]
            if not left and images_of(graph).batched is None:
                notes.fired(CENTRED, node.name, bound=f"(γ({summed.count}) |x − m| + |m̂ − m|) summed times |c|")
                return (rewriter.constant(np.zeros(node.types[0].shape), node.name, node.where),)
            if len(left) == 1 and (left != terms or left[0].factor != ONE) and summed.pays(left[0]):
                notes.fired(FACTOR, node.name, bound=f"γ({summed.count + calls(left[0].factor) + 1}) Σ|c x|")
                return (summed.written(rewriter, left[0]),)
        return None

    return notes.on(rewriter.rewrite(visit))


@dataclass(frozen=True)
class Leaf:
    """A value that an expression reads, along these axes of what is summed."""

    value: Value
    dims: tuple[int, ...]


@dataclass
class Summed:
    """What the sum of a node adds up, as an expression of values of the graph, which are its `leaves`.

    So many layers, one behind the other, are looked through: one deeper may be a sum of several terms.
    """

    graph: Graph
    node: Node
    reduction: Reduction
    deepest: int
    leaves: list[Leaf] = field(default_factory=list)

    @property
    def type(self) -> TensorType:
        return self.graph.type(self.node.inputs[0])

    @property
    def count(self) -> int:
        """The elements of a sum."""
        return math.prod(self.type.shape[axis] for axis in self.reduction.axes)

    @property
    def every(self) -> tuple[int, ...]:
        return tuple(range(self.type.rank))

    def maker(self, value: Value) -> tuple[Computation | None, Node]:
        node = self.graph[value.node]
        return None if node.op.source else sole_computation(self.graph, node), node

    # Terms

    def terms(self) -> Terms:
        return self.of_value(Leaf(self.node.inputs[0], self.every), 0)

    def of_value(self, leaf: Leaf, depth: int) -> Terms:
        """The terms that a value is the sum of; itself, if it is no product and no sum."""
        c, node = self.maker(leaf.value)
        if isinstance(c, Broadcast):
            return self.of_value(Leaf(node.inputs[0], leaf.dims), depth)
        if self.is_factor(leaf):
            return [Term(self.argument(leaf), None)]
        if isinstance(c, Pointwise) and depth < self.deepest and self.is_whole(leaf) and not self.centred(leaf.value):
            leaves = [Leaf(value, dims) for value, dims in zip(node.inputs, c.dims, strict=True)]
            found = self.of_expr(c.expr, leaves, depth + 1)
            if len(found) > 1 or found[0].factor != ONE:
                return found
        return [Term(ONE, self.argument(leaf))]

    def of_expr(self, expr: Expr, leaves: Sequence[Leaf], depth: int) -> Terms:
        """The terms of an expression of leaves."""
        if isinstance(expr, Arg):
            return self.of_value(leaves[expr.index], depth)
        used = arguments_of(expr)
        whole = substitute(expr, {k: self.argument(leaves[k]) for k in used})
        if all(self.is_factor(leaves[k]) for k in used):
            return [Term(whole, None)]
        if isinstance(expr, Apply) and expr.function in RULES:
            found = combined(expr.function, [self.of_expr(part, leaves, depth) for part in expr.arguments])
            if found is not None:
                return found
        return [Term(ONE, whole)]

    def argument(self, leaf: Leaf) -> Arg:
        if leaf not in self.leaves:
            self.leaves.append(leaf)
        return Arg(self.leaves.index(leaf))

    def is_factor(self, leaf: Leaf) -> bool:
        """Whether it is the same for all elements of a sum."""
        sizes = zip(leaf.dims, self.graph.type(leaf.value).shape, strict=True)
        return all(size == 1 or dim not in self.reduction.axes for dim, size in sizes)

    def is_whole(self, leaf: Leaf) -> bool:
        return leaf.dims == self.every and self.graph.type(leaf.value) == self.type

    # Sums that are 0

    def is_centred(self, rest: Expr | None) -> bool:
        return isinstance(rest, Arg) and self.is_whole(leaf := self.leaves[rest.index]) and self.centred(leaf.value)

    def centred(self, value: Value) -> bool:
        """Whether a value is x − m, with the mean m of x over the axes of the sum, or x − Σx / n."""
        c, node = self.maker(value)
        match c:
            case Pointwise(Apply("subtract", (Arg(x), Arg(m)))) if c.dims[x] == c.dims[m] == self.every:
                mean, made = self.maker(node.inputs[m])
                match mean:
                    case Pointwise(Apply("divide", (Arg(0), Number(count)))) if mean.dims == (self.every,):
                        return self.is_total(made.inputs[0], node.inputs[x], count)
            case Pointwise(Apply("subtract", (Arg(x), Apply("divide", (Arg(total), Number(count)))))):
                aligned = c.dims[x] == c.dims[total] == self.every
                return aligned and self.is_total(node.inputs[total], node.inputs[x], count)
        return False

    def is_total(self, value: Value, x: Value, count: float) -> bool:
        c, node = self.maker(value)
        return isinstance(c, Reduction) and c == self.reduction and node.inputs == (x,) and count == self.count

    # The sum that is left

    def pays(self, term: Term) -> bool:
        """Whether it sums a value that is there, or another product in the place of one that is not made any more."""
        if isinstance(term.rest, Arg):
            return self.is_whole(self.leaves[term.rest.index])
        value = self.node.inputs[0]
        return term.rest is not None and value not in self.graph.leaving and len(self.graph.consumers[value]) == 1

    def written(self, rewriter: Rewriter, term: Term) -> Value:
        """The factor times the sum of the rest."""
        assert term.rest is not None
        if isinstance(term.rest, Arg):
            rest = rewriter.mapping[self.leaves[term.rest.index].value]
        else:
            rest = self.expression(rewriter, term.rest, self.type, fresh(rewriter, f"{self.node.name}.part"))
        name = self.node.name if term.factor == ONE else fresh(rewriter, f"{self.node.name}.sum")
        whole = self.node.types[0]
        (total,) = rewriter.add(Computed(self.reduction, (self.type,), whole), (rest,), name, self.node.where)
        if term.factor == ONE:
            return total
        return self.expression(rewriter, term.factor, whole, self.node.name, total)

    def expression(
        self, rewriter: Rewriter, expr: Expr, type: TensorType, name: str, total: Value | None = None
    ) -> Value:
        """An expression of leaves, times a total, as a node."""
        used = sorted(arguments_of(expr))
        expr = substitute(expr, {k: Arg(place) for place, k in enumerate(used)})
        leaves = [self.leaves[k] for k in used]
        values, dims = [rewriter.mapping[leaf.value] for leaf in leaves], [leaf.dims for leaf in leaves]
        if total is not None:
            expr, values, dims = expr * Arg(len(used)), [*values, total], [*dims, self.every]
        op = Computed(Pointwise(expr, tuple(dims)), tuple(map(rewriter.type, values)), type)
        return rewriter.add(op, values, name, self.node.where)[0]
