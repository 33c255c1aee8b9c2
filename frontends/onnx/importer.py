"""The import of a model's nodes: known values are computed, the other nodes become layers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ...allowance import allowance, charge
from ...elements import ELEMENTS, FLOAT16, FLOAT32, VALUES, Element
from ...errors import ModelError, ShapeError, UsageError
from ...ir import Builder, Graph, Value
from ...op import either
from ...ops import Cast
from ...types import Array, TensorType
from .call import SHORT_FLOATS, NodeContext, Result, Tensor, held
from .folding import FOLDS, fold
from .independence import ImportedNode, Row, settled
from .messages import Problem, Unsupported, bounded, listed, report, short
from .read import Branch, Declared, OnnxModel, OnnxNode, parse, read
from .table import OPERATORS

INPUTS = tuple(element.name for element in VALUES)
"""Element types that an input can have."""

TAKE_FLOAT64 = ("Cast", "CastLike", "Shape", "Size")
"""Operators with the same result on values that are float64 in the file and float32 in the graph."""

MALFORMED = (ValueError, IndexError, TypeError, ArithmeticError)
"""The exceptions of Python and NumPy in a row for a malformed node, for example with two strides for three axes."""

Shapes = Mapping[str, Sequence[int]]


def load_onnx(path: str | os.PathLike[str], shapes: Shapes | None = None) -> Graph:
    """The graph of an ONNX file, named after the file; layers are named after their nodes.

    Nodes may be in any order. Nodes that no output needs are left out. An unread input stays an input of the graph if
    layers have its element type; one of another type is left out. An output that is listed again gets another name
    (`y_1`).

    `shapes` gives the shapes of inputs with open dimensions, by name; an open first dimension (images) is 1 without it.
    Raises UsageError for a missing `onnx` package or shapes that contradict the model. Raises ModelError for a file
    that is no ONNX model, and for everything that cnncc does not support, all at once.
    """
    return graph_of(Path(path), parse(Path(path)), shapes)


def graph_of(file: Path, proto: Any, shapes: Shapes | None = None) -> Graph:
    """As `load_onnx`, from a message that was parsed from `file`."""
    with bounded():
        with allowance():
            model = read(file, proto)
        with allowance():
            return Importer(model, shapes or {}).graph()


class Importer:
    """The import of one model. `tensors` maps each name to its value; to None after a problem with its node."""

    def __init__(self, model: OnnxModel, shapes: Shapes):
        self.model, self.shapes = model, shapes
        self.builder = Builder(model.file.stem)
        self.tensors: dict[str, Tensor | None] = {"": None, **model.weights}
        self.constants: dict[str, Value] = {}
        self.problems: list[Problem] = []
        self.records: list[ImportedNode] = []
        self.read = model.read
        self.taken: dict[str, int] = {}
        """Names of layers, with the last number that was added to each."""
        self.wide: set[str] = set()
        """Values that are float64 in the file; nothing computes with them."""

    def graph(self) -> Graph:
        self._inputs()
        self._walk(self.model.nodes)
        outputs = {label: self._output(name) for label, name in labelled(self.model.outputs).items()}
        if self.problems:
            raise report(self.model.file, self.problems)
        graph = self.builder.graph({name: value for name, value in outputs.items() if value is not None})
        return settled(graph, self.model.inputs, self.records, self.builder.nodes)

    def inline(self, branch: Branch) -> list[Tensor | None]:
        """The outputs of a graph inside a node; its nodes become layers, and its names are local to it."""
        for name in sorted(self.tensors.keys() & branch.weights.keys()):
            raise ModelError(f"tensor '{name}' exists already")
        tensors, wide, read = self.tensors, self.wide, self.read
        self.tensors, self.wide, self.read = {**tensors, **branch.weights}, set(wide), read | branch.read
        try:
            self._walk(branch.nodes)
            return [self._made(name) for name in branch.outputs]
        finally:
            for name in self.tensors.keys() - tensors.keys():
                self.constants.pop(name, None)
            self.tensors, self.wide, self.read = tensors, wide, read

    def _walk(self, nodes: Sequence[OnnxNode]) -> None:
        names = [self.fresh(node.shown) for node in nodes]
        for node, name in zip(nodes, names, strict=True):
            results = self._imported(node, name)
            self.tensors.update(zip(filter(None, node.outputs), results, strict=True))

    def fresh(self, hint: str) -> str:
        """`hint`, or `hint_1`, `hint_2`… if a layer of that name exists or will be made."""
        name, number = hint, self.taken.get(hint, 0)
        while name in self.taken:
            number += 1
            name = f"{hint}_{number}"
        self.taken[hint], self.taken[name] = number, self.taken.get(name, 0)
        return name

    def constant(self, tensor: str, data: Array) -> Value:
        """The constant node of a known array; all its readers use the same one."""
        if tensor not in self.constants:
            known, element = held(data, f"tensor '{tensor}'")
            if tensor not in self.model.weights or known is not data:  # the file has those already
                charge(known.nbytes, f"tensor '{tensor}'")
            self.constants[tensor] = self.builder.constant(known, self.fresh(tensor), element=element)
        return self.constants[tensor]

    def _inputs(self) -> None:
        check_names(self.shapes, self.model)
        for declared in self.model.inputs:
            self.tensors[declared.name] = None
            if declared.dtype not in INPUTS:
                self._refuse_input(declared)
                continue
            self.taken[declared.name] = 0
            try:
                shape = static_shape(declared, self.shapes.get(declared.name))
            except ModelError as error:
                self.problems.append(Problem(error, ""))
                continue
            value = self.builder.input(declared.name, input_type(declared, shape))
            self.tensors[declared.name] = self._converted(value, FLOAT32) if declared.dtype in SHORT_FLOATS else value

    def _refuse_input(self, declared: Declared) -> None:
        """Report an input of an unsupported type; if no node reads it, it is only left out of the graph's inputs."""
        if declared.name in self.model.read:
            way = "; export the model in float32, in PyTorch by module.float()" if declared.dtype == "float64" else ""
            error = Unsupported(f"an input of type {declared.dtype} is not supported, only {either(VALUES)}{way}")
            self._refuse(error, "input", declared.name)

    def _output(self, name: str) -> Value | None:
        try:
            tensor = self._made(name)
            value = self.constant(name, tensor) if isinstance(tensor, np.ndarray) else tensor
            return self._converted(value, FLOAT16) if value and self.model.results[name] == FLOAT16.name else value
        except ModelError as error:
            self._refuse(error, "output", name)
            return None

    def _converted(self, value: Value, element: Element) -> Value:
        """Halves that arrive, as floats, which are computed with; and back where they leave."""
        name = self.fresh(f"{value.node}.{element}")
        return self.builder.add(Cast(element.name), [value], name)[0]

    def _made(self, name: str) -> Tensor | None:
        """The value of an output. Raises ModelError if there is none, Unsupported for one that no graph can have."""
        if name not in self.tensors:
            raise ModelError("no node makes it")
        self._check_narrow(name)
        return self.tensors[name]

    def _check_narrow(self, name: str) -> None:
        if name in self.wide:
            raise Unsupported(f"computing with float64 value '{name}' is not supported, only float32", "float64")

    def _imported(self, node: OnnxNode, name: str) -> list[Tensor | None]:
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
        if node.operator in self.model.functions:
            raise Unsupported(f"function {node.operator} of the file is not supported")
        if node.operator not in OPERATORS and node.operator not in FOLDS:
            raise Unsupported(f"operator {node.operator} is not supported")

    def _apply(self, node: OnnxNode, name: str) -> Sequence[Tensor | None]:
        """The row of the node's operator: in NumPy if all inputs are known and it has such a row."""
        call = NodeContext(self, node, name)
        row = self._row(node)
        try:
            results = row(call)
        except MALFORMED as error:
            raise ModelError(f"inputs and attributes of {node.operator} do not fit together: {error}") from error
        call.finish()
        self.records.append(ImportedNode(call, row, tuple(self.tensors[name] for name in node.inputs), results))
        return results

    def _row(self, node: OnnxNode) -> Row:
        inputs = [self.tensors[input] for input in node.inputs if input]
        known = bool(inputs) and not any(isinstance(tensor, Value) for tensor in inputs)
        if known and node.operator in FOLDS:
            return partial(fold, FOLDS[node.operator])
        if node.operator in OPERATORS:
            return lambda call: _sequence(OPERATORS[node.operator](call))
        raise Unsupported(f"operator {node.operator} on values computed at run time is not supported")

    def _unread_only(self, node: OnnxNode, count: int) -> None:
        """Raise Unsupported if an output that the row does not compute (a mask, indices) is read."""
        for index, output in enumerate(node.outputs[count:], start=count):
            if output and output in self.read:
                raise Unsupported(
                    f"output '{output}' of {node.operator} is not supported", f"output {index} of {node.operator}"
                )

    def _refuse(self, error: ModelError, what: str, name: str) -> None:
        self.problems.append(Problem(error, f"{what} '{short(name)}'"))

    def _placeholder(self, output: str) -> Tensor | None:
        """An input in place of a result after a problem, so that problems of later nodes are found too."""
        stated = self.model.stated.get(output)
        if stated is None or stated.dtype not in INPUTS:
            return None
        try:
            return self.builder.input(self.fresh(f"{output}.missing"), input_type(stated, static_shape(stated, None)))
        except ModelError:  # too large: reported at the node itself
            return None


def _sequence(result: Result) -> Sequence[Tensor | None]:
    return (result,) if isinstance(result, Value | np.ndarray) else result


def check_names(shapes: Shapes, model: OnnxModel) -> None:
    """Raise UsageError for a shape with a name that is no input."""
    names = [declared.name for declared in model.inputs]
    for name in shapes:
        if name not in names:
            told = listed([short(name) for name in names], 10)
            raise UsageError(f"a shape is given for '{name}', but the inputs of '{model.file}' are {told}")


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


def input_type(declared: Declared, shape: tuple[int, ...]) -> TensorType:
    """The type of an input. Raises ShapeError if it is too large."""
    try:
        return TensorType(shape, ELEMENTS[declared.dtype])
    except ShapeError as error:
        raise ShapeError(f"input '{declared.name}': {error.message}") from None


def _fits(shape: Sequence[int | str] | None, given: Sequence[int]) -> bool:
    """Whether a given shape has the rank and the fixed sizes of a declared one."""
    if shape is None:
        return True
    same = (isinstance(n, str) or n == new for n, new in zip(shape, given, strict=False))
    return len(given) == len(shape) and all(same)


def static_shape(declared: Declared, given: Sequence[int] | None) -> tuple[int, ...]:
    """The shape without open dimensions. Raises UsageError if `given` contradicts it, ModelError if some stay."""
    name, shape = declared.name, declared.shape
    told = f"({', '.join(map(str, shape))})" if shape is not None else "of any rank"
    if given is not None:
        if not _fits(shape, given):
            raise UsageError(f"shape {tuple(given)} is given for input '{name}', which the model declares {told}")
        return tuple(given)
    sizes = () if shape is None else tuple(1 if k == 0 and isinstance(n, str) else n for k, n in enumerate(shape))
    static = tuple(size for size in sizes if isinstance(size, int))
    if shape is None or len(static) != len(sizes):
        example = ", ".join(str(size) if isinstance(size, int) else "…" for size in sizes) or "…"
        raise ModelError(
            f"input '{name}' is {told}: give its open dimensions, shapes={{{name!r}: ({example})}} "
            f"(on the command line --shape {name}={example.replace(' ', '')})"
        )
    return static
