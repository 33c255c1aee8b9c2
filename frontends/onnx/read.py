"""ONNX files as plain data. No other module knows protobuf or imports the `onnx` package."""

from __future__ import annotations

import importlib
import io
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ...errors import CnnccError, ModelError, UsageError
from ...file_kinds import EMPTY, HEAD, ONNX, TEXT, UNKNOWN, explained, kind_of
from ...files import MOST_BYTES, opened
from ...types import Array, DType, TensorType, expect_rank
from . import external

STANDARD = ("", "ai.onnx")
"""The two names of the domain where ONNX's own operators live."""

_DTYPES = {"float": "float32", "double": "float64"}  # names that NumPy spells otherwise


@dataclass(frozen=True)
class Declared:
    """An input as the model declares it; an open dimension is its name, or '?'. `shape` None: of any rank."""

    name: str
    shape: tuple[int | str, ...] | None
    dtype: str


@dataclass(frozen=True)
class OnnxNode:
    """A node. Missing optional inputs are ''; `version` is the opset that gives the operator its meaning."""

    operator: str
    name: str
    version: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    @property
    def shown(self) -> str:
        """How messages call the node: many files name values only."""
        return self.name or next(filter(None, self.outputs), self.operator)


@dataclass(frozen=True)
class OnnxModel:
    """What a file holds. Inputs exclude those that are weights (older files list both)."""

    file: Path
    inputs: tuple[Declared, ...]
    outputs: tuple[str, ...]
    weights: Mapping[str, Array]
    nodes: tuple[OnnxNode, ...]
    proto: Any = field(repr=False, compare=False)

    def inferred(self, node: OnnxNode, inputs: Mapping[str, TensorType | Array]) -> dict[str, tuple[int, ...]]:
        """Shapes of a node's float outputs: what ONNX infers from the inputs that are known, else what the file says.

        ONNX looks at this one node, without graphs inside of it, and computes no values: what it does takes as little
        as the node, whatever the numbers in it are.
        """
        shapes = {name: self._stated[name] for name in node.outputs if name in self._stated}
        proto = self._makers.get(next(filter(None, node.outputs), ""))
        if proto is None or any(attribute.HasField("g") or attribute.graphs for attribute in proto.attribute):
            return shapes
        try:
            return shapes | _inferred(proto, self.proto.opset_import, inputs, _package(self.file))
        except Exception:  # whatever is wrong with the node is reported by those who read it
            return shapes

    @cached_property
    def _stated(self) -> dict[str, tuple[int, ...]]:
        """Shapes of float values that the file states without open dimensions."""
        onnx = _package(self.file)
        ports = [_declared(value, onnx) for value in (*self.proto.graph.value_info, *self.proto.graph.output)]
        return {port.name: shape for port in ports if (shape := _static(port)) is not None}

    @cached_property
    def _makers(self) -> dict[str, Any]:
        """The message of the node that makes each value."""
        return {_text(output): node for node in self.proto.graph.node for output in node.output}


SMALL = 64
"""Elements of a known input that ONNX is told the values of: shapes, axes, pads."""


def _inferred(
    proto: Any, opsets: Any, inputs: Mapping[str, TensorType | Array], onnx: Any
) -> dict[str, tuple[int, ...]]:
    """What ONNX infers for the float outputs of one node."""
    ports, weights = [], []
    for name in dict.fromkeys(proto.input):
        known = inputs.get(_text(name))
        if isinstance(known, TensorType):
            number = onnx.TensorProto.FLOAT if known.dtype is DType.float32 else onnx.TensorProto.UINT8
            ports.append(onnx.helper.make_tensor_value_info(name, number, known.shape))
        elif known is not None and known.size <= SMALL:
            weights.append(onnx.numpy_helper.from_array(known, name))
    results = [onnx.helper.make_empty_tensor_value_info(name) for name in filter(None, proto.output)]
    graph = onnx.helper.make_graph([proto], "node", ports, results, weights)
    model = onnx.helper.make_model(graph, opset_imports=opsets)
    found = [_declared(value, onnx) for value in onnx.shape_inference.infer_shapes(model).graph.output]
    return {port.name: shape for port in found if (shape := _static(port)) is not None}


def _static(port: Declared) -> tuple[int, ...] | None:
    """The shape of a float value without open dimensions."""
    if port.shape is None or port.dtype != "float32":
        return None
    sizes = tuple(size for size in port.shape if isinstance(size, int))
    return sizes if len(sizes) == len(port.shape) else None


def parse(file: Path, content: bytes | None = None) -> Any:
    """The message in `file`, whose bytes may be given; weights that it names in other files stay there.

    Raises UsageError without the `onnx` package, ModelError if there is no such file or no such message in it.
    """
    onnx = _package(file)
    if content is None:
        with opened(file, "ONNX model", ModelError, MOST_BYTES) as stream:
            content = stream.read()
    with _explained(file):
        try:
            return onnx.load_model_from_string(content)
        except Exception:
            refuse_other_kinds(file, content)
            raise


def refuse_other_kinds(file: Path, content: bytes) -> None:
    """Raises ValueError that tells what a file is, if it is of a kind that is known and not ONNX's."""
    kind = kind_of(io.BytesIO(content[:HEAD]))
    if kind not in (ONNX, TEXT, EMPTY, UNKNOWN):
        raise ValueError(f"it is {explained(file, kind)}")


def outside(file: Path, proto: Any) -> list[external.Part]:
    """The parts of other files that a message parsed from `file` needs. Raises ModelError if there is nonsense."""
    with _explained(file):
        return sorted({external.part_of(tensor) for tensor in external.tensors(proto.graph)})


def read(file: Path, proto: Any) -> OnnxModel:
    """The model in a message that was parsed from `file`. Raises ModelError if it is none."""
    onnx = _package(file)
    with _explained(file):
        external.read_parts(file.parent, proto.graph)
        return _read(file, proto, onnx)


@contextmanager
def _explained(file: Path) -> Iterator[None]:
    """Whatever protobuf, missing weights and malformed tensors raise becomes a ModelError."""
    try:
        yield
    except CnnccError:
        raise
    except Exception as error:
        raise ModelError(f"'{file}' is not an ONNX model that can be read: {_sentence(error)}") from None


def _package(file: Path) -> Any:
    try:
        return importlib.import_module("onnx")
    except ImportError:
        raise UsageError(f"reading '{file}' needs the onnx package: pip install 'cnncc[onnx]'") from None


def _sentence(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(".")


def _read(file: Path, proto: Any, onnx: Any) -> OnnxModel:
    graph = proto.graph
    if not graph.output:
        raise ModelError(f"'{file}' is not an ONNX model: it has no outputs")
    versions = {entry.domain: entry.version for entry in proto.opset_import}
    standard = max((versions[domain] for domain in STANDARD if domain in versions), default=1)
    if graph.sparse_initializer:
        raise ModelError(f"'{file}' holds sparse weights, which are not supported")
    weights = {_text(tensor.name): _array(tensor, onnx) for tensor in graph.initializer}
    declared = [_declared(value, onnx) for value in graph.input]
    inputs = tuple(value for value in declared if value.name not in weights)
    nodes = tuple(_node(node, standard, onnx) for node in graph.node)
    return OnnxModel(file, inputs, _texts(value.name for value in graph.output), weights, nodes, proto)


def _node(node: Any, standard: int, onnx: Any) -> OnnxNode:
    foreign = node.domain not in STANDARD
    operator = f"{_text(node.domain)}.{_text(node.op_type)}" if foreign else _text(node.op_type)
    attributes = {_text(a.name): _plain(onnx.helper.get_attribute_value(a), onnx) for a in node.attribute}
    return OnnxNode(operator, _text(node.name), standard, _texts(node.input), _texts(node.output), attributes)


def _text(text: str | bytes) -> str:
    """Text of a file, which messages can quote: bytes that are no UTF-8, line ends and the like are escaped."""
    text = text.decode(errors="backslashreplace") if isinstance(text, bytes) else text
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _texts(texts: Iterable[str | bytes]) -> tuple[str, ...]:
    return tuple(map(_text, texts))


def _plain(value: Any, onnx: Any) -> Any:
    """An attribute in Python's own types; tensors as arrays. Subgraphs stay what they are."""
    if isinstance(value, bytes):
        return _text(value)
    if isinstance(value, onnx.TensorProto):
        return _array(value, onnx)
    if isinstance(value, str | int | float) or not hasattr(value, "__iter__"):
        return value
    return tuple(_plain(item, onnx) for item in value)


def _array(tensor: Any, onnx: Any) -> Array:
    expect_rank(len(tensor.dims))
    array: Array = np.asarray(onnx.numpy_helper.to_array(tensor))
    return array


def _declared(value: Any, onnx: Any) -> Declared:
    if not value.type.HasField("tensor_type"):
        return Declared(_text(value.name), None, value.type.WhichOneof("value") or "nothing")
    tensor = value.type.tensor_type
    dtype = _DTYPES.get(name := onnx.TensorProto.DataType.Name(tensor.elem_type).lower(), name)
    if not tensor.HasField("shape"):
        return Declared(_text(value.name), None, dtype)
    return Declared(_text(value.name), tuple(_dimension(d) for d in tensor.shape.dim), dtype)


def _dimension(dim: Any) -> int | str:
    """A size, or the name of an open dimension; some exporters write −1 or 0 for one."""
    return int(dim.dim_value) if dim.dim_value > 0 else _text(dim.dim_param or "?")
