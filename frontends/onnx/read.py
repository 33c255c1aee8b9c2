"""ONNX files as plain data. No other module uses protobuf or imports the `onnx` package."""

from __future__ import annotations

import importlib
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from ...elements import ELEMENTS, FLOAT32, Element
from ...errors import CnnccError, ModelError, UsageError
from ...file_kinds import EMPTY, HEAD, ONNX, UNKNOWN, explained, kind_of
from ...files import MOST_BYTES, opened
from ...types import Array
from . import external
from .bodies import Bodies, Body, Part
from .demand import expect_room
from .fixed import check_fixed, fixed_array
from .messages import short
from .plain import STANDARD, operator, text
from .scopes import File, Names

NEWEST = 28
"""The last opset with which the operators were compared: a later one may change their meaning."""

_DTYPES = {"float": "float32", "double": "float64"}  # types with another name in NumPy

ADVICE = (
    "With convert=True (on the command line --convert) float64 is computed with in float32, inputs and outputs as "
    "well; or export the model in float32, in PyTorch by module.float()"
)
"""What to do about float64."""


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
class OnnxModel:
    """The content of a file. Inputs exclude those that are weights (older files list both).

    `outputs` are the names of values by the names that they have in the graph, `part` is what they need, and `name` is
    that of the graph. `cuts` are the outputs that were asked for in place of the file's; those that the nodes of the
    file do not show are not among `outputs`. With `convert`, float32 stands for float64.
    """

    file: Path
    inputs: tuple[Declared, ...]
    outputs: Mapping[str, str]
    part: Part
    cuts: tuple[str, ...]
    name: str
    bodies: Bodies
    proto: Any = field(repr=False, compare=False)
    convert: bool = False

    def element(self, dtype: str) -> Element | None:
        """The element type in the graph of an input or output of the file; None if graphs do not have it."""
        narrow = dtype == "bfloat16" or (dtype == "float64" and self.convert)
        return FLOAT32 if narrow else ELEMENTS.get(dtype)

    @cached_property
    def results(self) -> dict[str, str]:
        """The element types of the outputs, as declared."""
        onnx = package(self.file)
        return {port.name: port.dtype for port in (_declared(value, onnx) for value in self.proto.graph.output)}

    @cached_property
    def stated(self) -> dict[str, Declared]:
        """The values inside the graph whose shapes the file states without open dimensions.

        ONNX could infer more, but its code ends the whole process for some malformed nodes.
        """
        onnx = package(self.file)
        ports = [_declared(value, onnx) for value in (*self.proto.graph.value_info, *self.proto.graph.output)]
        return {port.name: port for port in ports if port.closed}


def parse(file: Path, content: bytes | None = None) -> Any:
    """The message in `file`, or in `content` if given; weights in other files are not read.

    Raises UsageError without the `onnx` package, ModelError if there is no such file or no such message in it.
    """
    onnx = package(file)
    if content is None:
        expect_message(file)
        with opened(file, "ONNX model", ModelError, MOST_BYTES) as stream:
            content = stream.read()
    if not content:
        raise ModelError(f"'{file}' is not an ONNX model: it is empty")
    with _explained(file):
        try:
            return onnx.load_model_from_string(content)
        except Exception as error:
            refuse_other_kinds(file, content)
            raise ValueError(f"{_sentence(error)}; it may be incomplete or damaged") from None


def expect_message(file: Path) -> None:
    """Raise ModelError for a file with more bytes than a message can have, with what to do."""
    with suppress(OSError, ValueError):  # told where it is opened
        size = file.stat().st_size
        if size > MOST_BYTES and file.is_file():
            raise ModelError(
                f"'{file}' is too large: it has {size:,} bytes, and a message of protobuf has at most {MOST_BYTES:,}. "
                "Weights may be in other files: onnx.save_model(model, path, save_as_external_data=True)"
            )


def refuse_other_kinds(file: Path, content: bytes) -> None:
    """Raise ValueError with the kind of a file, if that is a known kind other than ONNX."""
    kind = kind_of(io.BytesIO(content[:HEAD]))
    if kind not in (ONNX, EMPTY, UNKNOWN):
        raise ValueError(f"it is {explained(file, kind)}")


def outside(file: Path, proto: Any) -> list[external.FileRange]:
    """The ranges of other files that a message parsed from `file` needs.

    Raises ModelError for impossible ones, TooLarge for a model beyond a limit.
    """
    expect_room(file, proto)
    with _explained(file):
        return sorted({external.part_of(tensor) for tensor in external.tensors(proto)})


def read(
    file: Path,
    proto: Any,
    cuts: Sequence[str] = (),
    fixed: Mapping[str, Array] | None = None,
    *,
    given: bool = False,
    convert: bool = False,
) -> OnnxModel:
    """The model in a message that was parsed from `file`. Raises ModelError for a malformed one, TooLarge for one
    beyond a limit, before its weights are read.

    `cuts` are names of tensors or nodes that become the outputs, `fixed` the values of inputs that become weights; it
    raises UsageError for a name that is no input, and a value that the input cannot have. A message that was `given`
    has no file: `file` is what errors call it, and the model is named after its graph. `convert` as in `OnnxModel`.
    """
    onnx = package(file)
    expect_room(file, proto)
    with _explained(file):
        external.read_parts(None if given else file.parent, proto)
        name = short(text(proto.graph.name)) or "model" if given else file.stem
        return replace(_read(file, proto, onnx, cuts, fixed or {}, name), convert=convert)


@contextmanager
def _explained(file: Path) -> Iterator[None]:
    """Converts exceptions of protobuf, missing weights and malformed tensors to ModelError."""
    try:
        yield
    except CnnccError:
        raise
    except Exception as error:
        raise ModelError(f"'{file}' is not an ONNX model that can be read: {_sentence(error)}") from None


def package(file: Path) -> Any:
    try:
        return importlib.import_module("onnx")
    except ImportError:
        raise UsageError(f"reading '{file}' needs the onnx package: pip install 'cnncc[onnx]'") from None


def _sentence(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(".")


def _read(file: Path, proto: Any, onnx: Any, cuts: Sequence[str], fixed: Mapping[str, Array], name: str) -> OnnxModel:
    graph = proto.graph
    if not graph.output:
        raise ModelError(f"'{file}' is not an ONNX model: it has no outputs")
    if graph.sparse_initializer:
        raise ModelError(f"'{file}' holds sparse weights, which are not supported")
    bodies = Bodies(onnx)
    body = Body(graph, bodies, _standard(proto.opset_import, f"'{file}'"))
    for function in proto.functions:
        key = (operator(function.domain, function.name), text(getattr(function, "overload", "")))
        standard = _standard(function.opset_import, f"function {key[0]} of '{file}'")
        bodies.functions[key] = Body(function, bodies, standard)
    declared = [_declared(value, onnx) for value in graph.input]
    check_fixed(fixed, [value.name for value in declared if value.name not in body.tensors], file)
    for value in declared:
        if value.name in fixed:
            array = fixed_array(value.name, value.dtype, value.shape, fixed[value.name])
            body.tensors[value.name] = onnx.numpy_helper.from_array(array, value.name)
    inputs = tuple(value for value in declared if value.name not in body.tensors)
    read = (name for wiring in body.wiring for name in wiring.reads)
    scope = File(Names([*(value.name for value in declared), *body.tensors, *body.makers, *body.outputs, *read]))
    for value in inputs:
        scope.own(value.name)
    outputs = _cut(body, cuts) if cuts else labelled(body.outputs)
    others = body.outputs if len(outputs) < len(cuts) else ()
    part = body.part([*outputs.values(), *others], scope)
    return OnnxModel(file, inputs, outputs, part, tuple(cuts), name, bodies, proto)


def schema_of(operator: str, version: int) -> Any:
    """What the standard says about an operator in an opset; None for one that the package does not know."""
    defs = importlib.import_module("onnx.defs")
    try:
        return defs.get_schema(operator, version)
    except defs.SchemaError:
        return None


def declared_values(model: OnnxModel) -> list[Declared]:
    """Outputs and values inside the graph as the file declares them. Raises ModelError for a malformed declaration."""
    onnx, graph = package(model.file), model.proto.graph
    with _explained(model.file):
        return [_declared(value, onnx) for value in (*graph.value_info, *graph.output)]


def declared_ports(file: Path, proto: Any) -> tuple[list[Declared], list[Declared]]:
    """Inputs and outputs as a message declares them; no weights are read. Raises ModelError for malformed ones."""
    onnx, graph = package(file), proto.graph
    known = {tensor.name for tensor in graph.initializer}
    with _explained(file):
        inputs = [_declared(value, onnx) for value in graph.input if value.name not in known]
        return inputs, [_declared(value, onnx) for value in graph.output]


def declared_outputs(model: OnnxModel) -> list[Declared]:
    """The outputs as the file declares them. Raises ModelError for a malformed declaration."""
    onnx = package(model.file)
    with _explained(model.file):
        return [_declared(value, onnx) for value in model.proto.graph.output]


def _cut(body: Body, cuts: Sequence[str]) -> dict[str, str]:
    """The values of these names: tensors, or the first outputs of nodes. Others may be made inside of functions."""
    values = {name: name for name in (*body.inputs, *body.tensors, *body.makers)}
    nodes = {wiring.shown: next(filter(None, wiring.outputs), "") for wiring in body.wiring}
    return {name: found for name in cuts if (found := values.get(name) or nodes.get(name))}


def _standard(imports: Iterable[Any], what: str) -> int:
    """The opset of ONNX's own operators. Raises ModelError for one that is not supported."""
    versions = {entry.domain: entry.version for entry in imports}
    standard = max((versions[domain] for domain in STANDARD if domain in versions), default=1)
    if not 1 <= standard <= NEWEST:
        raise ModelError(f"{what} is of opset {standard}; opsets 1 to {NEWEST} are supported")
    return int(standard)


def labelled(outputs: Sequence[str]) -> dict[str, str]:
    """The outputs by their names in the graph: one that is listed again is called name_1, name_2…"""
    labels: dict[str, str] = {}
    again = dict.fromkeys(outputs, 0)
    for name in outputs:
        label = name
        while label in labels or (again[name] and label in again):
            again[name] += 1
            label = f"{name}_{again[name]}"
        labels[label] = name
    return labels


def _declared(value: Any, onnx: Any) -> Declared:
    if not value.type.HasField("tensor_type"):
        return Declared(text(value.name), None, value.type.WhichOneof("value") or "nothing")
    tensor = value.type.tensor_type
    number = tensor.elem_type
    known = number in onnx.TensorProto.DataType.values()
    name = onnx.TensorProto.DataType.Name(number).lower() if known else f"number {number}"
    dtype = _DTYPES.get(name, name)
    if not tensor.HasField("shape"):
        return Declared(text(value.name), None, dtype)
    return Declared(text(value.name), tuple(_dimension(d) for d in tensor.shape.dim), dtype)


def _dimension(dim: Any) -> int | str:
    """A size, or the name of an open dimension; some exporters write −1 or 0 for one."""
    return int(dim.dim_value) if dim.dim_value > 0 else text(dim.dim_param or "?")
