"""Changes of models: inputs in place of weights, other attributes, other element types."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from cnncc.errors import CnnccError
from cnncc.frontends.onnx.importer import graph_of

NUMBERS = {name.lower(): number for name, number in TensorProto.DataType.items()}
"""The numbers of element types, by ONNX's names."""

COMMON, SIGNED = range(1, 14), (1, 3, 5, 6, 7, 10, 11, 16)
"""The numbers of types that hold 100, and of those that hold −1."""


def refusal(proto: onnx.ModelProto) -> str:
    """Why a model is not imported; '' if it is."""
    try:
        graph_of(Path("model.onnx"), proto, given=True)
    except CnnccError as error:
        return str(error)
    return ""


def with_inputs(proto: onnx.ModelProto, weights: Sequence[TensorProto]) -> onnx.ModelProto:
    """The model with inputs in place of some weights."""
    made = copy(proto)
    kept = [tensor for tensor in made.graph.initializer if tensor not in weights]
    del made.graph.initializer[:]
    made.graph.initializer.extend(kept)
    made.graph.input.extend(helper.make_tensor_value_info(each.name, each.data_type, each.dims) for each in weights)
    return made


def with_attribute(proto: onnx.ModelProto, operator: str, name: str, value: Any) -> onnx.ModelProto:
    """The model with another value of an attribute of its node."""
    made = copy(proto)
    changed = node(made, operator)
    kept = [attribute for attribute in changed.attribute if attribute.name != name]
    del changed.attribute[:]
    changed.attribute.extend([*kept, helper.make_attribute(name, value)])
    return made


def retyped(proto: onnx.ModelProto, names: set[str], number: int) -> onnx.ModelProto:
    """The model with inputs, weights and outputs of these names in another element type."""
    made = copy(proto)
    for port in (*made.graph.input, *made.graph.output):
        if port.name in names:
            port.type.tensor_type.elem_type = number
    for tensor in made.graph.initializer:
        if tensor.name in names:
            tensor.CopyFrom(converted(tensor, number))
    return made


def converted(tensor: TensorProto, number: int) -> TensorProto:
    """The weight in another element type; the same numbers, where it has them."""
    array = numpy_helper.to_array(tensor).astype(np.float64).reshape(-1)
    if number == TensorProto.STRING:
        words: Any = [b"text"] * array.size
        return helper.make_tensor(tensor.name, number, tensor.dims, words)
    most = 100 if number in COMMON else 1
    held = np.clip(array, -most * (number in SIGNED), most)
    return helper.make_tensor(tensor.name, number, tensor.dims, held.tolist())


def node(proto: onnx.ModelProto, operator: str) -> onnx.NodeProto:
    """The node that a model is about."""
    found: onnx.NodeProto = next(node for node in proto.graph.node if node.op_type == operator)
    return found


def copy(proto: onnx.ModelProto) -> onnx.ModelProto:
    made = onnx.ModelProto()
    made.CopyFrom(proto)
    return made
