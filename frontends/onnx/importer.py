"""The walk over a model's nodes: known values are computed, the others become layers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...allowance import allowance, charge
from ...errors import ModelError, ShapeError, UsageError
from ...ir import Builder, Graph, Value
from ...types import Array, DType, TensorType
from .call import Call, Result, Tensor, Unsupported, check_float
from .folding import FOLDS, fold
from .read import Declared, OnnxModel, OnnxNode, parse, read
from .table import OPERATORS

INPUTS = ("float32", "uint8")
"""Element types that an input can have."""

MALFORMED = (ValueError, IndexError, TypeError, ArithmeticError)
"""What Python and NumPy raise in a row whose node has, say, two strides for three axes."""

Shapes = Mapping[str, Sequence[int]]


def load_onnx(path: str | os.PathLike[str], shapes: Shapes | None = None) -> Graph:
    """The graph of an ONNX file, called like the file; layers are called like their nodes.

    `shapes` gives open dimensions of inputs by name; an open first dimension (images) is 1 without it. Raises
    UsageError for a missing `onnx` package or shapes that contradict the model, ModelError for a file that is no
    ONNX model and for everything that cnncc does not support, all at once.
    """
    return graph_of(Path(path), parse(Path(path)), shapes)


def graph_of(file: Path, proto: Any, shapes: Shapes | None = None) -> Graph:
    """The same from a message that was parsed from `file`."""
    with allowance():
        model = read(file, proto)
    with allowance():
        return Importer(model, shapes or {}).graph()


@dataclass(frozen=True)
class Problem:
    """Why a node (or input) cannot be imported."""

    error: ModelError
    place: str


class Importer:
    """One model on its way. `tensors` holds what each name stands for; None after a problem with its node."""

    def __init__(self, model: OnnxModel, shapes: Shapes):
        self.model, self.shapes = model, shapes
        self.builder = Builder(model.file.stem)
        self.tensors: dict[str, Tensor | None] = {"": None, **model.weights}
        self.constants: dict[str, Value] = {}
        self.problems: list[Problem] = []
        self.taken: set[str] = set()

    def graph(self) -> Graph:
        self._inputs()
        names = [self.fresh(node.shown) for node in self.model.nodes]
        for node, name in zip(self.model.nodes, names, strict=True):
            results = self._imported(node, name)
            self.tensors.update(zip(filter(None, node.outputs), results, strict=True))
        outputs = {name: self._output(name) for name in self.model.outputs}
        if self.problems:
            raise self._report()
        return self.builder.graph({name: value for name, value in outputs.items() if value is not None})

    def fresh(self, hint: str) -> str:
        """`hint`, or `hint_1`, `hint_2`… if a layer of that name exists or is to come."""
        name, number = hint, 0
        while name in self.taken:
            number += 1
            name = f"{hint}_{number}"
        self.taken.add(name)
        return name

    def constant(self, tensor: str, data: Array) -> Value:
        """The node that holds a known array; its readers share it."""
        if tensor not in self.constants:
            check_float(data, f"tensor '{tensor}'")
            if tensor not in self.model.weights:  # the file has those already
                charge(data.nbytes, f"tensor '{tensor}'")
            self.constants[tensor] = self.builder.constant(data, self.fresh(tensor))
        return self.constants[tensor]

    def _inputs(self) -> None:
        check_names(self.shapes, self.model)
        for declared in self.model.inputs:
            shape = static_shape(declared, self.shapes.get(declared.name))
            if declared.dtype not in INPUTS:
                error = Unsupported(f"an input of type {declared.dtype} is not supported, only {' and '.join(INPUTS)}")
                self._refuse(error, f"input '{declared.name}'")
                self.tensors[declared.name] = None
                continue
            self.taken.add(declared.name)
            self.tensors[declared.name] = self.builder.input(declared.name, input_type(declared, shape))

    def _output(self, name: str) -> Value | None:
        try:
            if name not in self.tensors:
                raise ModelError("no node makes it")
            tensor = self.tensors[name]
            return self.constant(name, tensor) if isinstance(tensor, np.ndarray) else tensor
        except ModelError as error:
            self._refuse(error, f"output '{name}'")
            return None

    def _imported(self, node: OnnxNode, name: str) -> list[Tensor | None]:
        """What stands for each named output of `node`; after a problem, placeholders."""
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
            self._refuse(error, f"node '{node.shown}'")
        shapes = self.model.inferred(node, self._known(node))
        return [self._placeholder(output, shapes.get(output)) for output in outputs]

    def _check(self, node: OnnxNode) -> None:
        for tensor in node.inputs:
            if tensor not in self.tensors:
                raise ModelError(f"input '{tensor}' is made by no node before it")
        for output in filter(None, node.outputs):
            if output in self.tensors:
                raise ModelError(f"output '{output}' exists already")
        if node.operator not in OPERATORS and node.operator not in FOLDS:
            raise Unsupported(f"operator {node.operator} is not supported")

    def _apply(self, node: OnnxNode, name: str) -> Sequence[Tensor]:
        """The row of the node's operator: in NumPy if all inputs are known and it has such a row."""
        call = Call(self, node, name)
        inputs = [self.tensors[input] for input in node.inputs if input]
        known = bool(inputs) and not any(isinstance(tensor, Value) for tensor in inputs)
        try:
            if known and node.operator in FOLDS:
                results: Sequence[Tensor] = fold(FOLDS[node.operator], call)
            elif node.operator in OPERATORS:
                results = _sequence(OPERATORS[node.operator](call))
            else:
                raise Unsupported(f"operator {node.operator} on values computed at run time is not supported")
        except MALFORMED as error:
            raise ModelError(f"inputs and attributes of {node.operator} do not fit together: {error}") from error
        call.finish()
        return results

    def _unread_only(self, node: OnnxNode, count: int) -> None:
        """Outputs that a row does not make (masks, indices) may be named, but not read."""
        extra = set(filter(None, node.outputs[count:]))
        read = {name for other in self.model.nodes for name in other.inputs} | set(self.model.outputs)
        for output in sorted(extra & read):
            raise Unsupported(f"output '{output}' of {node.operator} is not supported")

    def _refuse(self, error: ModelError, place: str) -> None:
        self.problems.append(Problem(error, place))

    def _placeholder(self, output: str, shape: tuple[int, ...] | None) -> Tensor | None:
        """After a problem the walk goes on with an input in place of the result, so that later nodes are seen too."""
        if shape is None:
            return None
        try:
            return self.builder.input(self.fresh(f"{output}.missing"), TensorType(shape))
        except ModelError:  # too large: told at the node itself
            return None

    def _known(self, node: OnnxNode) -> dict[str, TensorType | Array]:
        """What is known of a node's inputs: the array, else the type."""
        tensors = {name: self.tensors.get(name) for name in node.inputs}
        return {
            name: self.builder.nodes[tensor.node].types[tensor.index] if isinstance(tensor, Value) else tensor
            for name, tensor in tensors.items()
            if tensor is not None
        }

    def _report(self) -> ModelError:
        """One error that tells of all problems; equal ones are told once, with all their nodes."""
        if len(self.problems) == 1 and not isinstance(self.problems[0].error, Unsupported):
            only = self.problems[0]
            return only.error if only.error.node else type(only.error)(f"{only.place}: {only.error.message}")
        places: dict[str, list[str]] = {}
        for problem in self.problems:
            places.setdefault(problem.error.message, []).append(problem.place)
        told = "; ".join(f"{reason} (at {', '.join(where)})" for reason, where in places.items())
        return ModelError(f"'{self.model.file}' cannot be imported: {told}")


def _sequence(result: Result) -> Sequence[Tensor]:
    return (result,) if isinstance(result, Value | np.ndarray) else result


def check_names(shapes: Shapes, model: OnnxModel) -> None:
    """Raises UsageError for a shape given to no input."""
    names = [declared.name for declared in model.inputs]
    for name in shapes:
        if name not in names:
            raise UsageError(f"a shape is given for '{name}', but the inputs of '{model.file}' are {', '.join(names)}")


def input_type(declared: Declared, shape: tuple[int, ...]) -> TensorType:
    """Raises ShapeError for an input that is too large."""
    try:
        return TensorType(shape, DType(declared.dtype))
    except ShapeError as error:
        raise ShapeError(f"input '{declared.name}': {error.message}") from None


def static_shape(declared: Declared, given: Sequence[int] | None) -> tuple[int, ...]:
    """The shape without open dimensions. Raises UsageError if `given` contradicts it, ModelError if some stay."""
    name, shape = declared.name, declared.shape
    told = f"({', '.join(map(str, shape))})" if shape is not None else "of any rank"
    if given is not None:
        fits = shape is None or (
            len(given) == len(shape)
            and all(isinstance(n, str) or n == new for n, new in zip(shape, given, strict=True))
        )
        if not fits:
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
