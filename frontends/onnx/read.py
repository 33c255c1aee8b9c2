"""ONNX files as plain data. No other module uses protobuf or imports the `onnx` package."""

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
from ...types import Array, expect_rank
from . import external
from .order import Wiring, needed

STANDARD = ("", "ai.onnx")
"""The two names of the domain of ONNX's own operators."""

NEWEST = 28
"""The last opset with which the operators were compared: a later one may change their meaning."""

GRAPHS = (5, 10)
"""The types of attributes that hold graphs."""

_DTYPES = {"float": "float32", "double": "float64"}  # types with another name in NumPy


@dataclass(frozen=True)
class Declared:
    """An input as declared in the model; an open dimension is its name, or '?'. `shape` None: of any rank."""

    name: str
    shape: tuple[int | str, ...] | None
    dtype: str

    @property
    def closed(self) -> bool:
        """Whether all sizes are known."""
        return self.shape is not None and all(isinstance(size, int) for size in self.shape)


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
        """The node in messages, with a name of a value if it has none itself, as in many files."""
        return self.name or next(filter(None, self.outputs), self.operator)


@dataclass(frozen=True)
class OnnxModel:
    """The content of a file. Inputs exclude those that are weights (older files list both).

    Nodes are in topological order. Nodes and weights are those that the outputs need; `read` are the names of outputs
    and of values that these nodes read.
    """

    file: Path
    inputs: tuple[Declared, ...]
    outputs: tuple[str, ...]
    weights: Mapping[str, Array]
    nodes: tuple[OnnxNode, ...]
    read: frozenset[str]
    functions: frozenset[str]
    """Operators that the file defines itself."""
    proto: Any = field(repr=False, compare=False)

    @cached_property
    def results(self) -> dict[str, str]:
        """The element types of the outputs, as declared."""
        onnx = _package(self.file)
        return {port.name: port.dtype for port in (_declared(value, onnx) for value in self.proto.graph.output)}

    @cached_property
    def stated(self) -> dict[str, Declared]:
        """The values inside the graph whose shapes the file states without open dimensions.

        ONNX could infer more, but its code ends the whole process for some malformed nodes.
        """
        onnx = _package(self.file)
        ports = [_declared(value, onnx) for value in (*self.proto.graph.value_info, *self.proto.graph.output)]
        return {port.name: port for port in ports if port.closed}


@dataclass(frozen=True)
class Branch:
    """The nodes and weights that the outputs of a graph need, perhaps of one inside a node: see `OnnxModel`."""

    nodes: tuple[OnnxNode, ...]
    weights: Mapping[str, Array]
    outputs: tuple[str, ...]
    read: frozenset[str]


def parse(file: Path, content: bytes | None = None) -> Any:
    """The message in `file`, or in `content` if given; weights in other files are not read.

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
    """Raise ValueError with the kind of a file, if that is a known kind other than ONNX."""
    kind = kind_of(io.BytesIO(content[:HEAD]))
    if kind not in (ONNX, TEXT, EMPTY, UNKNOWN):
        raise ValueError(f"it is {explained(file, kind)}")


def outside(file: Path, proto: Any) -> list[external.FileRange]:
    """The ranges of other files that a message parsed from `file` needs. Raises ModelError for impossible ones."""
    with _explained(file):
        return sorted({external.part_of(tensor) for tensor in external.tensors(proto.graph)})


def read(file: Path, proto: Any) -> OnnxModel:
    """The model in a message that was parsed from `file`. Raises ModelError for a malformed one."""
    onnx = _package(file)
    with _explained(file):
        external.read_parts(file.parent, proto.graph)
        return _read(file, proto, onnx)


@contextmanager
def _explained(file: Path) -> Iterator[None]:
    """Converts exceptions of protobuf, missing weights and malformed tensors to ModelError."""
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
    if not 1 <= standard <= NEWEST:
        raise ModelError(f"'{file}' is of opset {standard}; opsets 1 to {NEWEST} are supported")
    if graph.sparse_initializer:
        raise ModelError(f"'{file}' holds sparse weights, which are not supported")
    outputs = _texts(value.name for value in graph.output)
    part = _part(graph, outputs, standard, onnx)
    known = set(_texts(tensor.name for tensor in graph.initializer))
    declared = [_declared(value, onnx) for value in graph.input]
    inputs = tuple(value for value in declared if value.name not in known)
    functions = frozenset(_operator(function.domain, function.name) for function in proto.functions)
    return OnnxModel(file, inputs, outputs, part.weights, part.nodes, part.read, functions, proto)


def branch(graph: Any, standard: int, file: Path) -> Branch:
    """A graph inside an attribute, of the same opset. Raises ModelError for a malformed one."""
    onnx = _package(file)
    with _explained(file):
        return _part(graph, _texts(value.name for value in graph.output), standard, onnx)


def _part(graph: Any, outputs: tuple[str, ...], standard: int, onnx: Any) -> Branch:
    """The part of a graph that `outputs` need."""
    wiring = [_wiring(node) for node in graph.node]
    order = needed(wiring, outputs)
    names = frozenset(outputs).union(*(wiring[k].reads for k in order))
    weights = {_text(tensor.name): _array(tensor, onnx) for tensor in graph.initializer if _text(tensor.name) in names}
    return Branch(tuple(_node(graph.node[k], wiring[k], standard, onnx) for k in order), weights, outputs, names)


def _wiring(node: Any) -> Wiring:
    inner = [graph for attribute in node.attribute if attribute.type in GRAPHS for graph in _graphs(attribute)]
    inside = tuple(name for graph in inner for name in _free(graph))
    shown = node.name or next(filter(None, node.output), node.op_type)
    return Wiring(_text(shown), _texts(node.input), _texts(node.output), inside)


def _graphs(attribute: Any) -> list[Any]:
    return [attribute.g, *attribute.graphs]


def _free(graph: Any) -> list[str]:
    """The names that a graph inside a node reads, but does not make."""
    wiring = [_wiring(node) for node in graph.node]
    made = {name for node in wiring for name in node.outputs}
    made.update(_text(value.name) for value in (*graph.input, *graph.initializer))
    read = [name for node in wiring for name in node.reads] + [_text(value.name) for value in graph.output]
    return [name for name in read if name not in made]


def _node(node: Any, wiring: Wiring, standard: int, onnx: Any) -> OnnxNode:
    operator = _operator(node.domain, node.op_type)
    attributes = {_text(a.name): _plain(onnx.helper.get_attribute_value(a), onnx) for a in node.attribute}
    return OnnxNode(operator, _text(node.name), standard, wiring.inputs, wiring.outputs, attributes)


def _operator(domain: str, name: str) -> str:
    return _text(name) if domain in STANDARD else f"{_text(domain)}.{_text(name)}"


def _text(text: str | bytes) -> str:
    """Text of a file for quotation in messages: bytes that are not UTF-8, line ends and the like are escaped."""
    text = text.decode(errors="backslashreplace") if isinstance(text, bytes) else text
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _texts(texts: Iterable[str | bytes]) -> tuple[str, ...]:
    return tuple(map(_text, texts))


def _plain(value: Any, onnx: Any) -> Any:
    """An attribute in Python's own types; tensors become arrays, subgraphs stay as they are."""
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
    number = tensor.elem_type
    known = number in onnx.TensorProto.DataType.values()
    name = onnx.TensorProto.DataType.Name(number).lower() if known else f"number {number}"
    dtype = _DTYPES.get(name, name)
    if not tensor.HasField("shape"):
        return Declared(_text(value.name), None, dtype)
    return Declared(_text(value.name), tuple(_dimension(d) for d in tensor.shape.dim), dtype)


def _dimension(dim: Any) -> int | str:
    """A size, or the name of an open dimension; some exporters write −1 or 0 for one."""
    return int(dim.dim_value) if dim.dim_value > 0 else _text(dim.dim_param or "?")
