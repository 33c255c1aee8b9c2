"""Layers of exactly one op, made from the registry: every op with a module in `ops` is in the DSL too.

Each takes the op's attributes, by position or by name, then a name, and as many tensors as the op has inputs.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, fields
from functools import cache
from typing import Any, ClassVar

import numpy as np

from ..elements import FLOAT32
from ..errors import CnnccError, ModelError, caller_location
from ..op import REGISTRY, Op
from ..ops.elementwise import Binary, Unary
from ..types import TensorType
from .arguments import located, paddings, sizes, spread, whole
from .counts import Count
from .symbols import Layer, Tensor

SPELLINGS = {
    "Relu": "ReLU",
    "LeakyRelu": "LeakyReLU",
    "PRelu": "PReLU",
    "Elu": "ELU",
    "Selu": "SELU",
    "Gelu": "GELU",
    "Celu": "CELU",
    "Silu": "SiLU",
}
"""Ops whose layers are spelled differently from ONNX."""


CHECKS: Mapping[str, Callable[[Any, str], object]] = {
    "kernel": sizes,
    "stride": sizes,
    "dilation": sizes,
    "padding": paddings,
}
"""The validation of attributes with these names, in all ops."""


class OpLayer(Layer):
    """A layer of one op that owns no parameters. A number as `kernel` applies to every spatial axis."""

    op_type: ClassVar[type[Op]]
    presets: ClassVar[Mapping[str, Any]] = {}
    """Attributes that the layer's name implies."""
    takes = None

    def __init__(self, *attributes: Any, name: str | None = None, **named: Any):
        free = [field.name for field in fields(self.op_type) if field.name not in self.presets]
        if name is None and len(attributes) == len(free) + 1:
            attributes, name = attributes[:-1], attributes[-1]
        super().__init__(name)
        self.attributes = self._attributes(free, attributes, named)

    def _attributes(self, free: Sequence[str], given: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
        """Attributes by name. Raises ModelError for too many, too few or unknown ones, and for wrong types."""
        found = dict(zip(free, given, strict=False)) | dict(named)
        wrong = [key for key in named if key not in free or key in free[: len(given)]]
        if wrong or len(given) > len(free):
            told = repr(wrong[0]) if wrong else f"{len(given)} of them"
            message = f"takes the attributes {', '.join(free) or '(none)'}, got {told}"
            raise ModelError(message, node=self.shown, where=self.where)
        missing = [f.name for f in fields(self.op_type) if f.name in free and f.default is MISSING]
        missing = [key for key in missing if key not in found]
        if missing:
            raise ModelError(f"needs the attribute {missing[0]}", node=self.shown, where=self.where)
        with located(self.shown, self.where):
            judged = {f.name: _judged(f, found[f.name]) for f in fields(self.op_type) if f.name in found}
        return {**self.presets, **judged}

    def __call__(self, *tensors: Tensor, **given: Tensor) -> Any:
        """One tensor, or a tuple of them for an op with several results."""
        results = self.apply(tensors, given, caller_location())
        return results[0] if len(results) == 1 else results

    def operation(self, *types: TensorType) -> Op:
        attributes = dict(self.attributes)
        if isinstance(attributes.get("kernel"), int) and types:
            attributes["kernel"] = spread(attributes["kernel"], types[0], "kernel")
        try:
            op = self.op_type(**attributes)
            hash(op)
            if types:
                op.infer(*types)
            return op
        except CnnccError:
            raise
        except (TypeError, ValueError, AttributeError) as error:
            shown = ", ".join(f"{key}={value!r}" for key, value in attributes.items())
            raise ModelError(f"{self.op_type.__name__}({shown}) is not possible: {error}") from None


def _judged(field: Field[Any], value: Any) -> Any:
    """An attribute as an op stores it. Raises ShapeError or ModelError if its name or annotation forbids the value."""
    value = _plain(value)
    if value is field.default:
        return value
    if field.name in CHECKS:
        CHECKS[field.name](value, field.name)
    kinds = str(field.type).split(" | ")
    if kinds[0] == "int" and len(kinds) == 1:
        return whole(value, field.name, least=None)
    if kinds[0] == "bool" and not isinstance(value, bool):
        raise ModelError(f"{field.name} {value!r}: expected True or False")
    if kinds[0] == "float" and not (value is None and "None" in kinds):
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ModelError(f"{field.name} {value!r}: expected a finite number")
        return float(value) if float(value) == value else value  # no float holds every whole number
    return value


def _plain(value: Any) -> Any:
    """Attributes of an op are hashable: sequences and arrays as tuples, NumPy's numbers as Python's."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Count):
        return operator.index(value)
    return tuple(map(_plain, value)) if isinstance(value, list | tuple) else value


def op_layer(name: str, op: type[Op], **presets: Any) -> type[OpLayer]:
    """A layer called `name` for an op, with some attributes set."""
    takes = 1 if issubclass(op, Unary) else 2 if issubclass(op, Binary) else None
    body = {
        "kind": name.lower(),
        "takes": takes,
        "op_type": op,
        "presets": presets,
        "__doc__": op.__doc__,
        "__module__": "cnncc.nn",
    }
    return type(name, (OpLayer,), body)


@cache
def op_layers() -> Mapping[str, type[OpLayer]]:
    """A layer for each op of the registry, by its name in `nn`."""
    names = {SPELLINGS.get(name, name): op for name, op in REGISTRY.items()}
    six = op_layer("ReLU6", REGISTRY["Clip"], minimum=0.0, maximum=6.0)
    return {"ReLU6": six} | {name: op_layer(name, op) for name, op in names.items()}


@cache
def activations() -> Mapping[str, Op]:
    """The values of `activation="…"`: every element-wise op of one tensor without required attributes, and softmax."""
    return {
        name.lower(): layer.op_type(**layer.presets)
        for name, layer in op_layers().items()
        if _complete(layer.op_type, layer.presets)
        and FLOAT32 in layer.op_type.takes
        and (issubclass(layer.op_type, Unary) or name.endswith("Softmax"))
    }


def _complete(op: type[Op], presets: Mapping[str, Any]) -> bool:
    """Whether `op` can be made without further attributes."""
    return all(field.default is not MISSING or field.name in presets for field in fields(op))


def checked_activation(activation: Any) -> tuple[str, Op] | None:
    """Name and op of an activation, given by a name (any '_' is ignored) or a layer; raises ModelError if unknown."""
    if activation is None:
        return None
    if isinstance(activation, OpLayer):
        return activation.kind, activation.operation()
    name = activation.replace("_", "").lower() if isinstance(activation, str) else ""
    if name not in activations():
        known = ", ".join(map(repr, sorted(activations())))
        raise ModelError(f"activation {activation!r} is unknown: expected {known} or None")
    return name, activations()[name]
