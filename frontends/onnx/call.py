"""What a row of the operator table sees of a node: its inputs, its attributes, and a way to add layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ...allowance import charge
from ...errors import ModelError
from ...ir import Value
from ...op import Op
from ...types import Array, TensorType
from .read import OnnxNode

if TYPE_CHECKING:
    from .importer import Importer

T = TypeVar("T")

NUMBER_BYTES = 40  # of a whole number and its place in a tuple

Tensor = Value | Array
"""A value of the graph, or an array that is known at compile time."""

Result = Tensor | Sequence[Tensor]
"""What a row returns: one output, or several in order."""


class Unsupported(ModelError):
    """Something that ONNX has and cnncc has not; the message says what, the importer adds where."""


def check_float(array: Array, shown: str) -> None:
    """Raises Unsupported for an array that no layer can compute with."""
    if array.dtype != np.float32:
        raise Unsupported(f"computing with the {array.dtype} {shown} is not supported, only float32")


class Call:
    """One node on its way into the graph.

    The attributes that a row reads are noted, so that one which nobody looked at can be refused.
    """

    def __init__(self, importer: Importer, node: OnnxNode, name: str):
        self.importer, self.node, self.name = importer, node, name
        self.version, self.operator = node.version, node.operator
        self.unread = set(node.attributes)

    # Inputs

    @property
    def count(self) -> int:
        return len(self.node.inputs)

    def has(self, index: int) -> bool:
        """Whether an optional input is there."""
        return index < self.count and self.node.inputs[index] != ""

    def tensor(self, index: int) -> Tensor:
        if not self.has(index):
            raise ModelError(f"input {index} of {self.operator} is missing")
        tensor = self.importer.tensors[self.node.inputs[index]]
        assert tensor is not None, "a node is looked at only if all its inputs could be imported"
        return tensor

    def known(self, index: int) -> Array | None:
        """The input's array, if it is known at compile time."""
        tensor = self.tensor(index)
        return None if isinstance(tensor, Value) else tensor

    def array(self, index: int, what: str) -> Array:
        """The input's array; Unsupported if it only exists at run time."""
        array = self.known(index)
        if array is None:
            raise Unsupported(f"{self.operator} with {what} computed at run time is not supported")
        return array

    def value(self, index: int) -> Value:
        """The input as a value of the graph; a known array becomes a constant."""
        tensor = self.tensor(index)
        return tensor if isinstance(tensor, Value) else self.importer.constant(self.node.inputs[index], tensor)

    def values(self) -> list[Value]:
        """All inputs, without missing optional ones."""
        return [self.value(index) for index in range(self.count) if self.has(index)]

    def shape(self, index: int) -> tuple[int, ...]:
        tensor = self.tensor(index)
        return self.type(tensor).shape if isinstance(tensor, Value) else tuple(tensor.shape)

    def type(self, value: Value) -> TensorType:
        return self.importer.builder.nodes[value.node].types[value.index]

    # Attributes

    def attribute(self, name: str, default: T) -> T:
        """The attribute's value, of the default's type."""
        self.unread.discard(name)
        value = self.node.attributes.get(name, default)
        if isinstance(default, float) and isinstance(value, int):
            return float(value)  # type: ignore[return-value]
        if not isinstance(value, type(default)):
            raise ModelError(f"attribute {name}={value!r}: expected a value like {default!r}")
        return value

    def integers(self, name: str, default: Sequence[int]) -> tuple[int, ...]:
        """An attribute that is a list of whole numbers."""
        return self.attribute(name, tuple(default))

    def optional(self, name: str) -> Any:
        """The attribute's value, or None."""
        self.unread.discard(name)
        return self.node.attributes.get(name)

    def setting(self, name: str, index: int) -> tuple[int, ...] | None:
        """Whole numbers that older opsets give as an attribute and newer ones as an input; None if neither."""
        if name in self.node.attributes:
            return self.integers(name, ())
        if not self.has(index):
            return None
        return self.numbers(self.array(index, f"{name}"), name)

    def numbers(self, array: Array, what: str) -> tuple[int, ...]:
        """An array's elements in Python's own type, which takes more room. Raises ModelError for too many."""
        charge(NUMBER_BYTES * array.size, f"{what} of {self.operator}, {array.size} numbers,")
        return tuple(int(n) for n in np.atleast_1d(array))

    def only(self, name: str, *allowed: Any) -> None:
        """The attribute must be absent or one of `allowed`; Unsupported otherwise."""
        value = self.optional(name)
        if value is not None and value not in allowed:
            raise Unsupported(f"{self.operator} with {name}={value!r} is not supported")

    def ignore(self, *names: str) -> None:
        """Attributes that change nothing in inference."""
        self.unread.difference_update(names)

    def finish(self) -> None:
        """Refuse the attributes that the row never looked at."""
        for name in sorted(self.unread):
            raise Unsupported(f"{self.operator} with attribute {name} is not supported")

    # Layers

    def add(self, op: Op, *inputs: Value, role: str = "") -> Value:
        """A layer under the node's name, or for `role`, a step on the way, under 'name.role'."""
        return self.add_all(op, *inputs, role=role)[0]

    def add_all(self, op: Op, *inputs: Value, role: str = "") -> tuple[Value, ...]:
        """A layer and all its outputs."""
        name = self.importer.fresh(f"{self.name}.{role}") if role else self.name
        return self.importer.builder.add(op, inputs, name)

    def constant(self, data: Array, role: str, *, rounded: bool = False) -> Value:
        """Weights that no tensor of the file holds as they are; `rounded` if they were computed in float64."""
        if not rounded:
            check_float(data, role)
        charge(4 * data.size, f"{role} of {self.operator}")
        return self.importer.builder.constant(data, self.importer.fresh(f"{self.name}.{role}"), rounded=rounded)
