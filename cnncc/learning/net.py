"""A network in training, node by node: ops say their training forms to it, losses and optimisers are written in it."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Any

import numpy as np

from ..computation import Pointwise
from ..elements import FLOAT32, Element
from ..errors import Location
from ..expr import Expr
from ..ir import Builder, Value
from ..op import Op
from ..ops import Computed
from ..types import Array, TensorType

NOISE = "noise"


class Net:
    """Appends nodes to a graph, called after `layer` and made at its `where`.

    `learned` are the states that are trained; `noises` the inputs of numbers in [0, 1), which differ from step to step.
    """

    def __init__(self, builder: Builder, learned: Set[str] = frozenset()):
        self.builder, self.learned = builder, learned
        self.layer = ""
        self.where: Location | None = None
        self.op: Op | None = None
        self.noises: dict[str, TensorType] = {}

    def at(self, layer: str, where: Location | None = None, op: Op | None = None) -> Net:
        """Nodes from here on belong to this layer, of whose op the node has its name."""
        self.layer, self.where, self.op = layer, where, op
        return self

    def type(self, value: Value) -> TensorType:
        return self.builder.nodes[value.node].types[value.index]

    def shape(self, value: Value) -> tuple[int, ...]:
        return self.type(value).shape

    def add(self, op: Op, *inputs: Value) -> tuple[Value, ...]:
        name = self.layer if op is self.op else f"{self.layer}.{op.name.lower()}"
        return self.builder.add(op, inputs, self.builder.unique(name), self.where)

    def one(self, op: Op, *inputs: Value) -> Value:
        """The only result of an op."""
        (result,) = self.add(op, *inputs)
        return result

    def expression(self, expr: Expr, *inputs: Value, like: Value) -> Value:
        """An expression of values of the shape of `like`, or of single numbers."""
        shape = self.shape(like)
        dims = tuple(tuple(range(len(own))) if (own := self.shape(value)) == shape else () for value in inputs)
        types = tuple(self.type(value) for value in inputs)
        return self.one(Computed(Pointwise(expr, dims), types, TensorType(shape)), *inputs)

    def number(self, number: float) -> Value:
        return self.known(np.asarray(number))

    def known(self, data: Array, element: Element = FLOAT32) -> Value:
        return self.builder.constant(data, self.builder.unique(f"{self.layer}.known"), self.where, element=element)

    def noise(self, like: Value) -> Value:
        name = self.builder.unique(f"{self.layer}.{NOISE}")
        self.noises[name] = self.type(like)
        return self.builder.input(name, self.type(like), self.where)

    def state(self, name: str, shape: Sequence[int] = ()) -> Value:
        """A state that begins as 0."""
        return self.builder.state(np.zeros(shape, FLOAT32.numpy), self.builder.unique(name))

    def learns(self, value: Any) -> bool:
        return value.node in self.learned

    def update(self, state: Any, value: Any) -> None:
        if self.builder.nodes[state.node].op.source == "state":
            self.builder.updates[state.node] = value
