"""One node under construction: its inputs at run time, its weights, its attributes.

A recipe gives them; the schemas of the `onnx` package say which attributes and elements a version of an operator has.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import defs, helper, numpy_helper

from cnncc.types import Array

ELEMENTS = {
    f"tensor({name})": np.dtype(kind)
    for name, kind in {
        "float": "float32",
        "float16": "float16",
        **{name: name for name in ("int8", "uint8", "int16", "int32", "int64", "bool")},
    }.items()
}
FLOAT, WHOLE = np.dtype(np.float32), np.dtype(np.int64)
Recipe = Callable[["Maker"], None]
Fill = Callable[[np.random.Generator, Sequence[int]], Array]


class Images(int):
    """A size that is the number of images."""


@dataclass(frozen=True)
class Arriving:
    """An input at run time."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fill: Fill

    def array(self, rng: np.random.Generator, images: int) -> Array:
        sizes = [images if isinstance(size, Images) else size for size in self.shape]
        return np.asarray(self.fill(rng, sizes)).astype(self.dtype)


class Maker:
    """One node of a version of an operator under construction; the same for the same seed."""

    def __init__(self, operator: str, version: int, seed: int, recipe: Recipe):
        self.schema: defs.OpSchema = defs.get_schema(operator, version)
        self.random = random.Random(f"{operator} {version} {seed}")
        self.rng = np.random.default_rng([version, seed, *operator.encode()])
        self.n = Images(2)
        self.version = version
        self.names: list[str] = []
        self.ports: dict[str, Arriving] = {}
        self.weights: dict[str, Array] = {}
        self.attributes: dict[str, Any] = {}
        self.outputs = 1
        recipe(self)

    # What recipes choose

    def chance(self, probability: float = 0.5) -> bool:
        return self.random.random() < probability

    def one_of(self, choices: Sequence[Any]) -> Any:
        return self.random.choice(choices)

    def shape(self, least: int = 1, most: int = 4) -> tuple[int, ...]:
        """Images and so many axes in all."""
        rank = self.random.randint(least, most)
        return (self.n, *(self.random.randint(1, 5) for _ in range(rank - 1)))

    def picture(self, channels: int = 0, axes: int = 0, size: int = 8) -> tuple[int, ...]:
        axes = axes or self.one_of((1, 2, 2, 2, 3))
        sizes = (self.random.randint(5, size) for _ in range(axes))
        return (self.n, channels or self.random.randint(1, 5), *sizes)

    def element(self, place: int = 0) -> np.dtype[Any]:
        """A type that the standard allows for an input; floats in two cases of three."""
        given = self.schema.inputs[place].type_str
        allowed = next(
            (c.allowed_type_strs for c in self.schema.type_constraints if c.type_param_str == given), [given]
        )
        able = [ELEMENTS[name] for name in ELEMENTS if name in allowed]
        return FLOAT if FLOAT in able and self.chance(0.65) else self.one_of(able)

    def has(self, attribute: str) -> bool:
        return attribute in self.schema.attributes

    def axis(self, rank: int, least: int = 0) -> int:
        axis = self.random.randrange(least, rank)
        return axis - rank if self.version >= 11 and self.chance(0.4) else axis

    def axes(self, rank: int) -> list[int]:
        return self.random.sample(range(rank), self.random.randint(1, rank))

    # What they give the node

    def set(self, **attributes: Any) -> None:
        """Attributes that this version has, each left out in one case of four."""
        self.attributes |= {name: v for name, v in attributes.items() if self.has(name) and self.chance(0.75)}

    def must(self, **attributes: Any) -> None:
        self.attributes |= {name: value for name, value in attributes.items() if self.has(name)}

    def skip(self) -> None:
        self.names.append("")

    def arrive(
        self,
        shape: Sequence[int],
        dtype: np.dtype[Any] = FLOAT,
        low: float = -3.0,
        high: float = 3.0,
        fill: Fill | None = None,
    ) -> None:
        name = f"x{len(self.names)}"
        self.ports[name] = Arriving(tuple(shape), dtype, fill or values(dtype, low, high))
        self.names.append(name)

    def known(self, data: Any, dtype: np.dtype[Any] | None = None) -> None:
        name = f"w{len(self.names)}"
        self.weights[name] = np.asarray(data, dtype)
        self.names.append(name)

    def either(self, shape: Sequence[int], dtype: np.dtype[Any] = FLOAT, low: float = -3.0, high: float = 3.0) -> None:
        """Known in two cases of three."""
        if self.chance(0.35):
            self.arrive(shape, dtype, low, high)
        else:
            sizes = [1 if isinstance(size, Images) else size for size in shape]
            self.known(values(dtype, low, high)(self.rng, sizes).astype(dtype))

    def setting(self, name: str, numbers: Any) -> None:
        """An attribute where this version has it, else the next input."""
        if self.has(name):
            self.attributes[name] = numbers
        else:
            self.known(numbers, WHOLE)

    @property
    def model(self) -> onnx.ModelProto:
        while self.names and not self.names[-1]:
            self.names.pop()
        made = [f"y{place}" for place in range(self.outputs)]
        node = helper.make_node(self.schema.name, self.names, made, "node", **self.attributes)
        number = helper.np_dtype_to_tensor_dtype
        ports = [
            helper.make_tensor_value_info(
                name, number(port.dtype), ["N" if isinstance(size, Images) else size for size in port.shape]
            )
            for name, port in self.ports.items()
        ]
        results = [onnx.ValueInfoProto(name=name) for name in made]
        tensors = [numpy_helper.from_array(data, name) for name, data in self.weights.items()]
        graph = helper.make_graph([node], "graph", ports, results, tensors)
        proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.version)], ir_version=8)
        return self.declared(onnx.shape_inference.infer_shapes(proto))

    def declared(self, proto: onnx.ModelProto) -> onnx.ModelProto:
        """With types of outputs of which inference knows nothing: mostly of opset 1, which are those of an input."""
        types = {port.name: port.type.tensor_type.elem_type for port in proto.graph.input}
        types |= {tensor.name: tensor.data_type for tensor in proto.graph.initializer}
        letters = {given.type_str: types.get(name) for given, name in zip(self.schema.inputs, self.names, strict=False)}
        for port, made in zip(proto.graph.output, self.schema.outputs, strict=False):
            if not port.type.tensor_type.elem_type and letters.get(made.type_str):
                port.type.tensor_type.elem_type = letters[made.type_str]
        return proto

    def feeds(self, images: int) -> dict[str, Array]:
        rng = np.random.default_rng([images, *self.schema.name.encode()])
        return {name: port.array(rng, images) for name, port in self.ports.items()}


def values(dtype: np.dtype[Any], low: float, high: float) -> Fill:
    def fill(rng: np.random.Generator, shape: Sequence[int]) -> Array:
        if dtype.kind == "f":
            return rng.uniform(low, high, shape)
        if dtype.kind == "b":
            return rng.random(shape) < 0.5
        least = 0 if dtype.kind == "u" else math.floor(2 * low)
        return rng.integers(max(least, 1 if low > 0 else least), math.ceil(2 * high) + 1, shape)

    return fill
