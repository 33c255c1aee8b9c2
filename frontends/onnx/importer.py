"""The import of a model's nodes: known values are computed, the other nodes become layers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ...allowance import allowance, charge
from ...cut import unknown, with_needed
from ...elements import FLOAT16, FLOAT32, VALUES, Element
from ...errors import ModelError, ShapeError
from ...ir import Builder, Graph, Value
from ...op import either
from ...ops import Cast
from ...types import Array, EmptyType
from .bodies import Closure, OnnxNode, Part
from .call import SIMPLIFY, Anything, Items, NodeContext, Result, Tensor
from .floats import FLOATS, WIDE, held, related
from .folding import FOLDS, fold
from .hollow import nothing
from .independence import ImportedNode, Row, settled
from .input_shapes import Shapes, check_names, input_type, static_shape, still_open
from .messages import Problem, Unsupported, bounded, report, short
from .read import ADVICE, Declared, OnnxModel, parse, read
from .scopes import Names
from .table import OPERATORS

TAKE_FLOAT64 = ("Cast", "CastLike", "Shape", "Size")
"""Operators with the same result on values that are float64 in the file and float32 in the graph."""

MALFORMED = (ValueError, IndexError, TypeError, ArithmeticError)
"""The exceptions of Python and NumPy in a row for a malformed node, for example with two strides for three axes."""

OTHERS = (
    "cnncc ops --onnx lists the operators that are supported; outputs=(…), on the command line --output, ends a model "
    "before others"
)


def load_onnx(path: str | os.PathLike[str], shapes: Shapes | None = None, *, convert: bool = False) -> Graph:
    """The graph of an ONNX file, named after the file; layers are named after their nodes.

    Nodes may be in any order. Nodes that no output needs are left out. An unread input stays an input of the graph if
    layers have its element type; one of another type is left out. An output that is listed again gets another name
    (`y_1`).

    `shapes` gives the shapes of inputs with open dimensions, by name; an open first dimension (images) is 1 without it.
    With `convert`, what is float64 in the file is float32 in the graph.
    Raises UsageError for a missing `onnx` package or shapes that contradict the model. Raises ModelError for a file
    that is no ONNX model, and for everything that cnncc does not support, all at once.
    """
    return graph_of(Path(path), parse(Path(path)), shapes, convert=convert)


def graph_of(
    file: Path,
    proto: Any,
    shapes: Shapes | None = None,
    cuts: Sequence[str] = (),
    given: bool = False,
    convert: bool = False,
    fixed: Mapping[str, Array] | None = None,
) -> Graph:
    """As `load_onnx`, from a message that was parsed from `file`; `cuts`, `given` and `fixed` as in `read`.

    Raises UsageError for a name in `cuts` that the model does not have.
    """
    return imported(file, proto, shapes, cuts, given, convert, fixed)[0]


def imported(
    file: Path,
    proto: Any,
    shapes: Shapes | None = None,
    cuts: Sequence[str] = (),
    given: bool = False,
    convert: bool = False,
    fixed: Mapping[str, Array] | None = None,
) -> tuple[Graph, dict[str, Value]]:
    """The same graph, and those of its values that are tensors of the file, by their names there, inputs first.

    Tensors that are known when compiling are not among them, and neither are sequences.
    """
    model = model_of(file, proto, cuts, given, convert, fixed)
    with bounded(), allowance():
        importer = Importer(model, shapes or {})
        graph = importer.graph()
    return graph, {
        name: tensor
        for name, tensor in importer.tensors.items()
        if isinstance(tensor, Value) and tensor.node in graph.nodes
    }


def model_of(
    file: Path,
    proto: Any,
    cuts: Sequence[str] = (),
    given: bool = False,
    convert: bool = False,
    fixed: Mapping[str, Array] | None = None,
) -> OnnxModel:
    """What a message says, before anything of it is imported. Raises ModelError for a malformed one."""
    with bounded(), allowance():
        return read(file, proto, cuts, fixed, given=given, convert=convert)


class Importer:
    """The import of one model. `tensors` maps each name to its value; to None after a problem with its node."""

    def __init__(self, model: OnnxModel, shapes: Shapes):
        self.model, self.shapes = model, shapes
        self.builder = Builder(model.name)
        self.tensors: dict[str, Anything | None] = {"": None}
        self.constants: dict[int, tuple[Array, Value]] = {}
        """The constant node of each known array that some layer reads, by its `id`."""
        self.problems: list[Problem] = []
        self.records: list[ImportedNode] = []
        self.read: set[str] = set()
        """Names of outputs and of values that nodes read."""
        self.filed: set[str] = set()
        """Names of weights, whose bytes the file has."""
        self.layers = Names()
        self.floats: dict[Value, str] = {}
        self.steps: dict[tuple[str, ...], int] = {}  # of recurrent layers
        """The types of values that are other floats in the file than float32."""

    def graph(self) -> Graph:
        self.read.update(self.model.part.read)
        self._inputs()
        self._walk(self.model.part)
        labels = {**dict.fromkeys(self.model.cuts, ""), **self.model.outputs}
        outputs = {label: self._output(name) if name else self._inside(label) for label, name in labels.items()}
        if self.problems:
            raise report(self.model.file, self.problems)
        made = {name: value for name, value in outputs.items() if value is not None}
        graph = self.builder.graph(made)
        if self.model.cuts:
            graph = with_needed(graph, made)
        held = {label: self.tensors.get(name or label) for label, name in labels.items()}
        return settled(graph, self.model.inputs, self.records, self.builder.nodes, held)

    def _inside(self, name: str) -> Value | None:
        """A value of a function or a branch, or a layer. Raises UsageError if there is none of this name."""
        if name in self.tensors:
            return self._output(name)
        if name not in self.builder.nodes and not self.problems:
            raise unknown(name, dict.fromkeys([*self.tensors, *self.builder.nodes]))
        return Value(name)

    def inline(self, graph: Closure, inputs: Sequence[Anything], prefix: str = "") -> list[Anything | None]:
        """The outputs of a graph inside a node; its nodes become layers, and what it makes gets names of its own."""
        part, formals = graph.part(prefix)
        if len(formals) != len(inputs):
            raise ModelError(f"a graph inside a node has {len(formals)} inputs, expected {len(inputs)}")
        for name in part.hidden:
            if name in self.tensors:
                raise ModelError(f"tensor '{name}' exists already")
        self.tensors.update(zip(formals, inputs, strict=True))
        self.read.update(part.read)
        self._walk(part)
        return [self._made(name) for name in part.outputs]

    def _walk(self, part: Part) -> None:
        self.tensors.update(part.weights)
        self.filed.update(part.weights)
        names = [self.fresh(node.shown) for node in part.nodes]
        for node, name in zip(part.nodes, names, strict=True):
            results = self._imported(node, name)
            self.tensors.update(zip(filter(None, node.outputs), results, strict=True))

    def fresh(self, hint: str) -> str:
        """`hint`, or `hint_1`, `hint_2`… if a layer of that name exists or will be made."""
        return self.layers.fresh(hint)

    def constant(self, tensor: str, data: Array) -> Value:
        """The constant node of a known array; all its readers use the same one."""
        if id(data) not in self.constants:
            known, element = held(data, f"tensor '{tensor}'", self.model.convert)
            if tensor not in self.filed or known is not data:  # the file has those already
                charge(known.nbytes, f"tensor '{tensor}'")
            made = self.builder.constant(known, self.fresh(tensor), element=element)
            self.constants[id(data)] = (data, made)
        return self.constants[id(data)][1]

    def _inputs(self) -> None:
        check_names(self.shapes, self.model)
        unknown: list[Declared] = []
        for declared in self.model.inputs:
            self.tensors[declared.name] = None
            if self.model.cuts and declared.name not in self.read:
                continue
            element = self.model.element(declared.dtype)
            if element is None:
                self._refuse_input(declared)
                continue
            self.layers.taken[declared.name] = 0
            shape = static_shape(declared, self.shapes.get(declared.name))
            if shape is None:
                unknown.append(declared)
                continue
            value = self.builder.input(declared.name, input_type(declared, shape, element))
            if 0 in shape:
                self.tensors[declared.name] = np.empty(shape, element.numpy)
                continue
            value = value if element.computed is element else self._converted(value, element.computed)
            self.tensors[declared.name] = value
            if declared.dtype in FLOATS:
                self.floats[value] = declared.dtype

        if unknown:
            self.problems.append(Problem(still_open(unknown), ""))

    def _refuse_input(self, declared: Declared) -> None:
        """Report an input of an unsupported type; if no node reads it, it is only left out of the graph's inputs."""
        if declared.name in self.read:
            told = f"an input of type {declared.dtype} is not supported, only {either(VALUES)}"
            error = Unsupported(told, advice=ADVICE if declared.dtype == WIDE else "")
            self._refuse(error, "input", declared.name)

    def _output(self, name: str) -> Value | None:
        try:
            tensor = self._made(name)
            if isinstance(tensor, Items):
                raise Unsupported(f"output '{name}' is a sequence, which is not supported", "sequence")
            if isinstance(tensor, np.ndarray) and not tensor.size:
                _, element = held(tensor, f"tensor '{name}'", self.model.convert)
                return self.builder.empty(EmptyType(tensor.shape, element), self.fresh(name))
            value = self.constant(name, tensor) if isinstance(tensor, np.ndarray) else tensor
            return self._converted(value, FLOAT16) if value and self.model.results.get(name) == FLOAT16.name else value
        except ModelError as error:
            self._refuse(error, "output", name)
            return None

    def _converted(self, value: Value, element: Element) -> Value:
        """Halves that arrive, as floats, which are computed with; and back where they leave."""
        name = self.fresh(f"{value.node}.{element}")
        return self.builder.add(Cast(element.name), [value], name)[0]

    def _made(self, name: str) -> Anything | None:
        """The value of an output. Raises ModelError if there is none, Unsupported for one that no graph can have."""
        if name not in self.tensors:
            raise ModelError("no node makes it")
        self._check_narrow(name)
        return self.tensors[name]

    def _check_narrow(self, name: str) -> None:
        """Raise Unsupported for a value of float64, if nobody asked for float32 in its place."""
        tensor = self.tensors[name]
        if isinstance(tensor, Value) and self.floats.get(tensor) == WIDE and not self.model.convert:
            told = f"computing with float64 value '{name}' is not supported, only float32"
            raise Unsupported(told, WIDE, ADVICE)

    def stated(self, tensor: Tensor) -> str:
        """The element type that the file has for a tensor."""
        if not isinstance(tensor, Value):
            return tensor.dtype.name
        return self.floats.get(tensor) or self.builder.nodes[tensor.node].types[tensor.index].dtype.name

    def _state(self, call: NodeContext, inputs: Sequence[Anything | None], results: Sequence[Anything | None]) -> None:
        """Note which results of a node are other floats in the file than float32.

        They are of the type of the inputs to which the standard relates them, or of what a body inside has made.
        """
        made = call.inlined[-1][-len(results) :] if call.inlined else []
        for number, result in enumerate(results):
            if isinstance(result, Value) and self.stated(result) == FLOAT32.name:
                alike = [inputs[k] for k in related(call.operator, call.version, number, len(inputs))]
                own = next(
                    (t for t in (*made[number : number + 1], *alike) if isinstance(t, Value | np.ndarray)), result
                )
                if self.stated(own) in FLOATS:
                    self.floats[result] = self.stated(own)

    def _imported(self, node: OnnxNode, name: str) -> list[Anything | None]:
        """The value of each named output of `node`; after a problem, placeholders."""
        outputs = [output for output in node.outputs if output]
        try:
            self._check(node)
            if all(self.tensors[input] is not None for input in node.inputs if input):
                results = self._apply(node, name)
                if len(results) < len(node.outputs) and any(node.outputs[len(results) :]):
                    self._unread_only(node, len(results))
                given = [result for result, output in zip(results, node.outputs, strict=False) if output]
                return [*given, *[None] * (len(outputs) - len(given))]
        except ModelError as error:
            self._refuse(error, "node", node.shown)
        return [self._placeholder(output) for output in outputs]

    def _check(self, node: OnnxNode) -> None:
        for tensor in node.inputs:
            if tensor not in self.tensors:
                raise ModelError(f"input '{tensor}' is made by no node")
            if node.operator not in TAKE_FLOAT64:
                self._check_narrow(tensor)
        for output in filter(None, node.outputs):
            if output in self.tensors:
                raise ModelError(f"output '{output}' exists already")
        if node.operator not in OPERATORS and node.operator not in FOLDS:
            raise Unsupported(f"operator {node.operator} is not supported", advice=OTHERS)

    def _apply(self, node: OnnxNode, name: str) -> Sequence[Anything | None]:
        """The row of the node's operator: in NumPy if all inputs are known and it has such a row."""
        call = NodeContext(self, node, name)
        row = self._row(node)
        inputs = tuple(self.tensors[name] for name in node.inputs)
        self.model.bodies.weigh(sum(array.size for array in inputs if isinstance(array, np.ndarray)))
        try:
            row, results = _tried(row, call)
        except MALFORMED as error:
            told = f"inputs and attributes of {node.operator} do not fit together: {_mismatch(error, node)}"
            raise ModelError(told) from error
        call.finish()
        self._state(call, inputs, results)
        self.records.append(ImportedNode(call, row, inputs, results))
        return results

    def _row(self, node: OnnxNode) -> Row:
        inputs = [self.tensors[input] for input in node.inputs if input]
        known = bool(inputs) and not any(isinstance(tensor, Value) for tensor in inputs)
        if known and node.operator in FOLDS:
            return partial(fold, FOLDS[node.operator])
        if node.operator in OPERATORS:
            return lambda call: _sequence(OPERATORS[node.operator](call))
        told = f"operator {node.operator} on values computed at run time is not supported"
        raise Unsupported(told, advice=SIMPLIFY)

    def _unread_only(self, node: OnnxNode, count: int) -> None:
        """Raise Unsupported if an output that the row does not compute (a mask, indices) is read."""
        for index, output in enumerate(node.outputs[count:], start=count):
            if output and output in self.read:
                raise Unsupported(
                    f"output '{output}' of {node.operator} is not supported", f"output {index} of {node.operator}"
                )

    def _refuse(self, error: ModelError, what: str, name: str) -> None:
        self.problems.append(Problem(error, f"{what} '{short(name)}'"))

    def _placeholder(self, output: str) -> Value | None:
        """An input in place of a result after a problem, so that problems of later nodes are found too."""
        stated = self.model.stated.get(output)
        if stated is None or (element := self.model.element(stated.dtype)) is None:
            return None
        try:
            type = input_type(stated, static_shape(stated, None) or (), element)
            return self.builder.input(self.fresh(f"{output}.missing"), type)
        except ModelError:  # too large: reported at the node itself
            return None


def _tried(row: Row, call: NodeContext) -> tuple[Row, Sequence[Anything | None]]:
    """A row and its results, or another one where these have no elements, as no layer's results are."""
    try:
        return row, row(call)
    except ShapeError as error:
        if call.operator not in FOLDS:
            raise
        row = partial(nothing, FOLDS[call.operator], error)
        return row, row(call)


def _mismatch(error: Exception, node: OnnxNode) -> str:
    """What Python or NumPy says; of lists of different lengths which lists the node has."""
    if not str(error).startswith("zip()"):
        return str(error)
    lists = [f"{name}={value}" for name, value in node.attributes.items() if isinstance(value, tuple)]
    return short(f"a list has too few or too many elements ({', '.join(lists) or 'one of its inputs'})", 200)


def _sequence(result: Result) -> Sequence[Anything | None]:
    return (result,) if isinstance(result, Value | np.ndarray | Items) else result
