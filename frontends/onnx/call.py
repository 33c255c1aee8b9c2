"""The access of a row of the operator table to a node: its inputs, its attributes, and methods that add layers."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np

from ...allowance import charge
from ...elements import FLOAT32
from ...errors import CnnccError, ModelError, ShapeError
from ...ir import Builder, Value
from ...op import Op
from ...types import Array, TensorType
from ..counts import Count
from .bodies import Closure, OnnxNode
from .floats import held
from .messages import Unsupported as Unsupported  # for the rows
from .read import OnnxModel

T = TypeVar("T")

NUMBER_BYTES = 40  # of a whole number in a tuple, with its reference

SIMPLIFY = (
    "What follows from shapes alone becomes known when the model is exported with fixed sizes (shapes=, --shape, or no "
    "dynamic axes), or simplified (onnxsim)"
)

Tensor = Value | Array
"""A value of the graph, or an array that is known at compile time."""


class Items(tuple[Tensor, ...]):
    """A sequence; which tensors it has is known at import."""


ABSENT = Items()
"""An optional value that is not there."""

Anything = Tensor | Items
"""What a name of the model can stand for."""

Result = Anything | Sequence[Anything | None]
"""The result of a row: one output, or several in order (None after a problem that is reported)."""


def whole(array: Array, shown: str) -> Array:
    """Counts and indices as integers; old opsets have some of them as floats. Raises ModelError for fractions."""
    if array.dtype.kind not in "iuf" or (array.dtype.kind == "f" and np.any(array != np.rint(array))):
        raise ModelError(f"{shown} of type {array.dtype}: expected whole numbers")
    return array.astype(np.int64)


class Importing(Protocol):
    """The methods of `Importer` that a call uses (a protocol, since `importer` imports the rows)."""

    model: OnnxModel
    builder: Builder
    tensors: dict[str, Anything | None]
    floats: dict[Value, str]
    steps: dict[tuple[str, ...], int]
    read: set[str]

    def fresh(self, hint: str) -> str: ...

    def constant(self, tensor: str, data: Array) -> Value: ...

    def inline(self, graph: Closure, inputs: Sequence[Anything], prefix: str = "") -> list[Anything | None]: ...

    def stated(self, tensor: Tensor) -> str: ...


class NodeContext:
    """One node during its import.

    The attributes that a row reads are recorded, so that an unread one can be refused, and so are the layers that it
    `made`. Rows access a node only through this class: `independence` relies on that.
    """

    def __init__(self, importer: Importing, node: OnnxNode, name: str):
        self.importer, self.node, self.name = importer, node, name
        self.version, self.operator = node.version, node.operator
        self.unread = set(node.attributes)
        self.made: list[tuple[Value, ...]] = []
        self.inlined: list[list[Anything | None]] = []
        """What each use of a graph inside the node returned."""
        self.read = frozenset(k for k, name in enumerate(node.outputs) if name and name in importer.read)
        """The outputs that somebody reads, by number: a row need not make the others beyond the first."""
        self.constants: dict[int, Value] = {}
        """The constant nodes of known inputs, by the inputs' numbers."""
        if node.version < 6:
            self.ignore("consumed_inputs")  # which inputs may be overwritten

    # Inputs

    @property
    def count(self) -> int:
        return len(self.node.inputs)

    def has(self, index: int) -> bool:
        """Whether an optional input is present."""
        return index < self.count and self.node.inputs[index] != ""

    def anything(self, index: int) -> Anything:
        """An input, be it a tensor or a sequence."""
        if not self.has(index):
            raise ModelError(f"input {index} of {self.operator} is missing")
        found = self.importer.tensors[self.node.inputs[index]]
        assert found is not None, "a node is looked at only if all its inputs could be imported"
        return found

    def tensor(self, index: int) -> Tensor:
        found = self.anything(index)
        if isinstance(found, Items):
            raise ModelError(f"input {index} of {self.operator} is a sequence, expected a tensor")
        return found

    def items(self, index: int) -> Items:
        found = self.anything(index)
        if not isinstance(found, Items) or found is ABSENT:
            raise ModelError(f"input {index} of {self.operator} is no sequence")
        return found

    def known(self, index: int) -> Array | None:
        """The input's array, if it is known at compile time."""
        tensor = self.tensor(index)
        return None if isinstance(tensor, Value) else tensor

    def array(self, index: int, what: str) -> Array:
        """The input's array; Unsupported if it only exists at run time."""
        array = self.known(index)
        if array is None:
            raise Unsupported(f"{self.operator} with {what} computed at run time is not supported", advice=SIMPLIFY)
        return array

    def deciding(self, array: Array) -> Array:
        """A known array on which it depends which layers are made: it must be the same for every number of images."""
        return array

    def value(self, index: int) -> Value:
        """The input as a value of the graph; a known array becomes a constant."""
        tensor = self.tensor(index)
        if isinstance(tensor, Value):
            return tensor
        if not tensor.size:
            raise ShapeError(f"{self.operator} on a tensor without elements, of shape {tensor.shape}, is not supported")
        self.constants[index] = self.importer.constant(self.node.inputs[index], tensor)
        return self.constants[index]

    def layer(self, tensor: Tensor, name: str) -> Value:
        """A tensor that may be part of an input as a value of the graph; `name` is that of a constant."""
        return tensor if isinstance(tensor, Value) else self.importer.constant(name, tensor)

    def values(self) -> list[Value]:
        """All inputs, without missing optional ones at the end; raises ModelError for a missing one before others."""
        last = max((index for index in range(self.count) if self.has(index)), default=-1)
        return [self.value(index) for index in range(last + 1)]

    def reads(self, index: int) -> bool:
        """Whether an output of the node is read."""
        return index in self.read

    def inline(self, graph: Closure, inputs: Sequence[Anything] = (), prefix: str = "") -> list[Anything | None]:
        """The outputs of a graph inside this node; its nodes become layers, with names that begin with `prefix`."""
        self.inlined.append(self.importer.inline(graph, inputs, prefix))
        return self.inlined[-1]

    def shape(self, index: int) -> tuple[int, ...]:
        tensor = self.tensor(index)
        return self.type(tensor).shape if isinstance(tensor, Value) else tuple(tensor.shape)

    def type(self, value: Value) -> TensorType:
        return self.importer.builder.nodes[value.node].types[value.index]

    def stated(self, index: int) -> str:
        """The element type that the file has for an input; the graph has float32 for all types of floats."""
        return self.importer.stated(self.tensor(index))

    def state(self, value: Value, dtype: str) -> Value:
        """`value`, for which the file has another type of floats."""
        self.importer.floats[value] = dtype
        return value

    def arrives(self, value: Value) -> bool:
        """Whether a value is an input of the graph."""
        return self.importer.builder.nodes[value.node].op.source == "input"

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

    def required(self, name: str, kind: Callable[[], T]) -> T:
        """An attribute that has no default. Raises ModelError if it is missing or of another type."""
        if name not in self.node.attributes:
            raise ModelError(f"{self.operator} without {name}")
        return self.attribute(name, kind())

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
        return tuple(map(int, self.sizes(index, name)))

    def sizes(self, index: int, what: str) -> tuple[int, ...]:
        """Whole numbers from an input; the number of images may be among them as a `Count`.

        Raises ModelError for too many, since Python's numbers take more memory than an array's.
        """
        numbers = self.array(index, what)
        charge(NUMBER_BYTES * numbers.size, f"{what} of {self.operator}, {numbers.size} numbers,")
        if numbers.dtype != object:
            numbers = whole(numbers, what)
        return tuple(n if isinstance(n, Count) else int(n) for n in numbers.reshape(-1))  # type: ignore[misc]

    def numbers(self, name: str, index: int) -> tuple[int, ...]:
        """A setting that must be present. Raises ModelError otherwise."""
        given = self.setting(name, index)
        if given is None:
            raise ModelError(f"{self.operator} without {name}")
        return given

    def only(self, name: str, *allowed: Any) -> None:
        """The attribute must be absent or one of `allowed`; Unsupported otherwise."""
        value = self.optional(name)
        if value is not None and value not in allowed:
            raise Unsupported(f"{self.operator} with {name}={value!r} is not supported")

    def ignore(self, *names: str) -> None:
        """Mark attributes as read that have no effect on inference."""
        self.unread.difference_update(names)

    def finish(self) -> None:
        """Refuse the attributes that the row did not read."""
        for name in sorted(self.unread):
            raise Unsupported(f"{self.operator} with attribute {name} is not supported")

    # Layers

    def add(self, op: Op, *inputs: Value, role: str = "") -> Value:
        """Add a layer under the node's name, or an intermediate one under 'name.role'."""
        return self.add_all(op, *inputs, role=role)[0]

    def add_all(self, op: Op, *inputs: Value, role: str = "") -> tuple[Value, ...]:
        """Add a layer; returns all its outputs."""
        name = self.importer.fresh(f"{self.name}.{role}") if role else self.name
        try:
            self.made.append(self.importer.builder.add(op, inputs, name))
        except CnnccError as error:
            raise self._told(error, op.name) from None
        return self.made[-1]

    def _told(self, error: CnnccError, op: str) -> CnnccError:
        """The error of a type rule about `op`, with the file's names for its node and operator."""
        error.node = self.node.shown
        error.message = re.sub(rf"\b{op}\b", self.operator, error.message)
        if op != self.operator and self.operator not in error.message:
            error.message = f"{self.operator}: {error.message}"
        return error

    def constant(self, data: Array, role: str, *, rounded: bool = False) -> Value:
        """Add weights that are not a tensor of the file; `rounded` if they were computed in float64."""
        data, element = (data, FLOAT32) if rounded else held(data, role, self.importer.model.convert)
        charge(element.bytes * data.size, f"{role} of {self.operator}")
        name = self.importer.fresh(f"{self.name}.{role}")
        with np.errstate(over="ignore"):
            value = self.importer.builder.constant(data, name, element=element, rounded=rounded)
        self.made.append((value,))
        return value
