"""Small ONNX models, and other evaluators to compare with: ONNX's reference, and ONNX Runtime where it is installed."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import cnncc
from cnncc.elements import INTEGERS, Element
from cnncc.ir import Graph
from cnncc.types import Array, TensorType

NEWEST = 21
Shape = Sequence[int | str | None]
Port = Shape | TensorType


def node(operator: str, inputs: str, outputs: str, name: str = "", **attributes: Any) -> onnx.NodeProto:
    """A node; inputs and outputs are separated by blanks, `_` is a missing one."""
    read, written = (["" if word == "_" else word for word in text.split()] for text in (inputs, outputs))
    return helper.make_node(operator, read, written, name, **attributes)


def model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Port],
    outputs: Sequence[str] = ("y",),
    weights: Mapping[str, Array] | None = None,
    opset: int = NEWEST,
    listed: bool = False,
) -> onnx.ModelProto:
    """A model; inputs with only a shape are of float32. `listed` repeats weights among the inputs, as old files do."""
    tensors = [numpy_helper.from_array(np.asarray(data), name) for name, data in (weights or {}).items()]
    ports = [port(name, given) for name, given in inputs.items()]
    if listed:
        ports += [helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in tensors]
    results = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    graph = helper.make_graph(list(nodes), "graph", ports, results, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=3 if listed else 10)


def port(name: str, given: Port) -> onnx.ValueInfoProto:
    if isinstance(given, TensorType):
        return helper.make_tensor_value_info(name, number(given.dtype), given.shape)
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, given)


def number(element: Element) -> int:
    """ONNX's number of an element type."""
    return int(helper.np_dtype_to_tensor_dtype(element.numpy))


def imported(proto: onnx.ModelProto, folder: Path, **options: Any) -> Graph:
    """Through a file, as users do."""
    file = folder / "small.onnx"
    onnx.save(proto, file)
    return cnncc.load_graph(file, **options)


@dataclass(frozen=True)
class Case:
    """One node: its inputs are shapes or types (at run time), arrays (known) or None (missing)."""

    operator: str
    inputs: tuple[Any, ...]
    attributes: dict[str, Any]
    opset: int = NEWEST
    outputs: int = 1
    unread: int = 0
    """Outputs behind those, which the node makes and nobody reads."""
    low: float = -3.0
    """Floats that arrive lie between this and `high`."""
    expected: Callable[..., Array] | None = None
    """The result from the arrays of all inputs, where ONNX's reference implementation is wrong or has nothing."""
    high: float = 3.0
    below: int = 0
    """Whole numbers that arrive are from −below on, and less than it, if they are indices."""

    @property
    def model(self) -> onnx.ModelProto:
        names = ["_" if given is None else f"i{k}" for k, given in enumerate(self.inputs)]
        results = [f"y{k}" for k in range(self.outputs)]
        made = [*results, *(f"unread{k}" for k in range(self.unread))]
        return model(
            [node(self.operator, " ".join(names), " ".join(made), "op", **self.attributes)],
            {f"i{k}": given for k, given in enumerate(self.inputs) if isinstance(given, tuple | TensorType)},
            results,
            {f"i{k}": given for k, given in enumerate(self.inputs) if isinstance(given, np.ndarray)},
            self.opset,
        )

    def feeds(self, rng: np.random.Generator) -> dict[str, Array]:
        def values(given: tuple[int, ...] | TensorType) -> Array:
            if isinstance(given, TensorType):
                drawn = given.random(rng)
                return drawn % (2 * self.below) - self.below if self.below and given.dtype in INTEGERS else drawn
            return rng.uniform(self.low, self.high, given).astype(np.float32)

        ports = {f"i{k}": given for k, given in enumerate(self.inputs) if isinstance(given, tuple | TensorType)}
        return {name: values(given) for name, given in ports.items()}

    def wanted(self, feeds: Mapping[str, Array]) -> list[list[Array]]:
        """The outputs, by everyone who can tell."""
        if self.expected is None:
            return [reference(self.model, feeds), *runtime(self.model, feeds)]
        arrays = [feeds.get(f"i{k}", given) for k, given in enumerate(self.inputs)]
        return [[self.expected(*arrays)], *runtime(self.model, feeds)]

    def __str__(self) -> str:
        told = ",".join(f"{name}={value}" for name, value in self.attributes.items())
        shapes = "x".join(str(getattr(given, "shape", given)).replace(" ", "") for given in self.inputs)
        return f"{self.operator}-{self.opset}({told}){shapes}"


WRONG = {"AveragePool", "CumSum", "ReduceMean", "Resize", "ScatterElements", "ScatterND", "TopK", "Upsample"}
"""Operators of which the reference of older `onnx` packages is wrong, or knows not all attributes."""


def skip_where_the_reference_is_wrong(proto: onnx.ModelProto) -> None:
    """The importer does not use it: what is compared here with a newer reference holds with every version of `onnx`."""
    old = tuple(map(int, onnx.__version__.split(".")[:2])) < (1, 21)
    found = sorted(WRONG & {node.op_type for node in proto.graph.node})
    if old and found:
        pytest.skip(f"the reference of onnx {onnx.__version__} is wrong about {', '.join(found)}")


def reference(proto: onnx.ModelProto, feeds: Mapping[str, Array]) -> list[Array]:
    """The outputs by ONNX's reference implementation."""
    skip_where_the_reference_is_wrong(proto)
    from onnx.reference import ReferenceEvaluator

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(ReferenceEvaluator(proto).run(None, dict(feeds)))


def runtime(proto: onnx.ModelProto, feeds: Mapping[str, Array]) -> list[list[Array]]:
    """The outputs by ONNX Runtime, if it is installed and has the operator: each node as it stands, not optimised."""
    try:
        import onnxruntime
    except ImportError:
        return []
    onnxruntime.set_default_logger_severity(4)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return [list(session.run(None, dict(feeds)))]
    except Exception:
        return []
