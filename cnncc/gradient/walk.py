"""The walk back over a graph: from the gradient of its result to those of the values that are asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ..computation import Pointwise, WindowReduction
from ..elements import FLOAT32
from ..errors import ModelError
from ..expr import Expr
from ..ir import Node, Value
from ..ops import Add
from ..types import TensorType
from .pieces import NoGradient, Step
from .pointwise import by_result
from .rules import goes_through, gradients
from .unfold import Unfolded


class Walk:
    """Appends the nodes of gradients to an unfolded graph.

    Only what lies above the values that are asked for has a gradient: `slopes` has, for each node on the way, the
    operands through which it goes on.
    """

    def __init__(self, new: Unfolded, of: str, by: Mapping[str, Value]):
        self.new, self.of, self.by = new, of, by
        self.forward = list(new.builder.nodes.values())
        self.slopes: dict[str, tuple[bool, ...]] = {}
        self.shares: dict[Value, list[Value]] = {}
        self.found: dict[Value, Value] = {}
        self._reached(by.values(), self.slopes)
        self.readers = Counter(
            value
            for node in self.forward
            for value, through in zip(node.inputs, self.slopes.get(node.name, ()), strict=False)
            if through
        )

    def _reached(self, begin: Iterable[Value], slopes: dict[str, tuple[bool, ...]] | None = None) -> set[Value]:
        """The values that have a slope by those of `begin`; `slopes` gets through which operands."""
        needs, slopes = set(begin), {} if slopes is None else slopes
        for node in self.forward:
            if needs.isdisjoint(node.inputs) or not self.new.held.isdisjoint(node.values):
                continue
            above = [value in needs for value in node.inputs]
            slopes[node.name] = goes_through(self.new.computation(node), above)
            if any(slopes[node.name]) and node.types[0].dtype is FLOAT32:
                needs.update(node.values)
        return needs

    def back(self, top: Value, seed: Value) -> None:
        """Fill `found`: the gradient of each value on the way, of `top` it is `seed`."""
        self.shares[top] = [seed]
        for node in reversed(self.forward):
            for value in node.values:
                if value in self.shares:
                    self.found[value] = self._sum(self.shares[value], node)
            if any(self.slopes.get(node.name, ())) and node.values[0] in self.found:
                self._share(node)

    def _sum(self, shares: Sequence[Value], node: Node) -> Value:
        """The sum of the shares of all places where a value is read, in the order of the walk."""
        total, *others = shares
        for share in others:
            name = self.new.builder.unique(f"{node.name}.sum")
            (total,) = self.new.builder.add(Add(), (total, share), name, node.where)
        return total

    def _share(self, node: Node) -> None:
        """Hand the gradient of a node's result on to its operands."""
        new, layer = self.new, self.new.layers[node.name]
        (y,), types = node.values, [self.new.type(value) for value in node.inputs]
        inputs, slope = self._pooled(node) or (node.inputs, None)
        step = Step.of(types, node.types[0], self.slopes[node.name], slope)
        try:
            references = gradients(step, new.computation(node))
        except NoGradient as why:
            names = [name for name, value in self.by.items() if not self._reached({value}).isdisjoint(node.inputs)]
            way = f"on the way from '{self.of}' to {' and '.join(map(repr, names))}"
            raise ModelError(f"{layer.op.name} {why} ({way})", node=layer.name, where=layer.where) from None
        known = [*node.inputs, y, self.found[y]]
        for piece in step.pieces.pieces:
            known.append(new.add(piece, [known[k] for k in piece.operands], f"{layer.name}.gradient", layer))
        for value, reference in zip(inputs, references, strict=True):
            if reference is not None:
                self.shares.setdefault(value, []).append(known[reference])

    def _pooled(self, node: Node) -> tuple[Sequence[Value], Expr] | None:
        """What an expression reads whose results a maximum pools, and its slope, if its result tells that.

        Only where the gradient of these results comes from the pool alone, and nobody asks for it.
        """
        c = self.new.computation(node)
        if not (isinstance(c, WindowReduction) and c.combine == "maximum"):
            return None
        (x,) = node.inputs
        maker = self.new.builder.nodes[x.node]
        if maker.name not in self.slopes or self.readers[x] > 1 or x in self.by.values():
            return None
        inner = self.new.computation(maker)
        slope = by_result(inner) if isinstance(inner, Pointwise) else None
        same = slope is not None and self.new.type(maker.inputs[0]).shape == self.new.type(x).shape
        return (maker.inputs, slope) if same and slope is not None else None

    def flat(self, value: Value, top: Value) -> Node | None:
        """The first layer on the way from `value` to `top` whose result has no slope by it; None without a way.

        What is held has none, but cancels.
        """
        leading = {top}
        for node in reversed(self.forward):
            if not leading.isdisjoint(node.values):
                leading.update(node.inputs)
        reached = self._reached({value})
        for node in self.forward:
            on_the_way = not leading.isdisjoint(node.values) and not reached.isdisjoint(node.inputs)
            if on_the_way and reached.isdisjoint(node.values) and self.new.held.isdisjoint(node.values):
                return self.new.layers[node.name]
        return None


def ones(new: Unfolded, type: TensorType, name: str) -> Value:
    """The gradient of a value by itself."""
    return new.builder.constant(np.ones(type.shape), new.builder.unique(name))
