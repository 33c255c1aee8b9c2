"""A graph as text that reads back to the same graph, and as a drawing for Graphviz.

    graph lenet labels=('zero', 'one')
    %x = Input : float32[1, 1, 8, 8]
    %w = Constant 5fe2c1d09a3b7e64 : float32[6, 1, 3, 3]
    %conv = Conv(kernel=(3, 3), padding='same') (%x, %w) : float32[1, 6, 8, 8]
    output y = %conv

An input that is a picture says what it has: `%x = Input NHWC BGR : uint8[1, 48, 64, 3]`.
A state is `%m = State 5fe2c1d09a3b7e64 : float32[6]`, with the digest of its first value, and `update m = %value` says
what it becomes.
Where inputs keep their shape whatever the number of images, or where that number is fixed, lines `kept NAME` and
`fixed 'WHY'` follow.
Names are percent-encoded where they hold anything but letters, digits and `._/-`. Weights are not part of
the text: a constant shows the beginning of its digest, and reading asks the caller for the array, as for a state.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any
from urllib.parse import quote, unquote

import numpy as np

from .computation import Arrangement, Contraction, Lookup, Pointwise, Reduction, Scatter, WindowReduction
from .elements import ELEMENTS, VALUES
from .errors import CnnccError, Location, ModelError
from .expr import Apply, Arg, Number
from .ir import Builder, Graph, Node, Value
from .lines import Linewise
from .op import REGISTRY, Constant, Input, Op, State
from .ops import Computed, Fused, FusedOp
from .types import Array, TensorType, port_type
from .windows import WindowAxis

DIGEST = 16  # hexadecimal digits shown

_SPELLED: dict[str, type[Any]] = {
    part.__name__: part
    for part in (
        *(Computed, Fused, FusedOp, TensorType, WindowAxis),
        *(Arg, Number, Apply),
        *(Contraction, WindowReduction, Pointwise, Reduction, Lookup, Scatter),
        *Arrangement.__subclasses__(),
        *Linewise.__subclasses__(),
    )
}
"""What is spelled like an op: ops that are in no registry, and what these are made of."""
_NAMES = {**ELEMENTS, "inf": math.inf, "nan": math.nan}

_HEADER = re.compile(r"graph (\S+)(?: labels=(\(.*\)))?")
_INPUT = re.compile(r"%(\S+) = Input(?: (\w+ \w+))? : (.+)")
_CONSTANT = re.compile(r"%(\S+) = (Constant|State) ([0-9a-f]+)( rounded)? : (.+)")
_NODE = re.compile(r"%(\S+) = (.+) \(([^()]*)\) : (.+)")
_OUTPUT = re.compile(r"output (\S+) = (\S+)")
_UPDATE = re.compile(r"update (\S+) = (\S+)")
_KEPT = re.compile(r"kept (\S+)")
_FIXED = re.compile(r"fixed ('.*'|\".*\")")
_VALUE = re.compile(r"%([^:\s]+)(?::([0-9]{1,9}))?")
_TYPE = re.compile(rf"({'|'.join(map(str, VALUES))})\[((?:[0-9]{{1,10}}(?:, [0-9]{{1,10}})*)?)\]")


def show(graph: Graph) -> str:
    """The text of `graph`: equal graphs have equal texts."""
    labels = f" labels={graph.labels!r}" if graph.labels else ""
    lines = [f"graph {_name(graph.name)}{labels}", *(_node(node) for node in graph)]
    lines += [f"output {_name(name)} = {_value(value)}" for name, value in graph.outputs.items()]
    lines += [f"update {_name(name)} = {_value(value)}" for name, value in graph.updates.items()]
    lines += [f"kept {_name(name)}" for name in graph.kept]
    lines += [f"fixed {graph.fixed!r}"] if graph.fixed else []
    return "\n".join(lines) + "\n"


def parse(text: str, constants: Mapping[str, Array], source: str = "graph text") -> Graph:
    """The graph that `show` wrote; each constant's array is looked up by node name, then by digest.

    Blank lines and lines that start with `#` are skipped. Nothing in the text is ever executed. Raises
    ModelError with the line (of `source`) that is wrong.
    """
    reader = _Reader(constants)
    for number, line in enumerate(text.splitlines(), 1):
        try:
            if line.strip() and not line.startswith("#"):
                reader.read(line.strip())
        except CnnccError as error:
            raise error.at(None, Location(source, number)) from None
    if reader.builder is None:
        raise ModelError(f"{source} holds no 'graph' line")
    return reader.builder.graph(reader.outputs)


def dot(graph: Graph) -> str:
    """The graph in Graphviz's language: an edge for each input, labelled with its type; weights in grey."""
    lines = [f"digraph {_quoted(graph.name)} {{", "  node [shape=box, fontname=monospace];"]
    for node in graph:
        style = {"input": ", shape=ellipse", "state": ", shape=box3d", "constant": ", color=grey, fontcolor=grey"}.get(
            node.op.source or "", ""
        )
        label = _quoted("\n".join((node.name, str(node.op))))
        lines.append(f"  {_quoted(node.name)} [label={label}{style}];")
        for value in node.inputs:
            label = _quoted(str(graph.type(value)))
            lines.append(f"  {_quoted(value.node)} -> {_quoted(node.name)} [label={label}];")
    for name, value in graph.outputs.items():
        port = _quoted(f"output {name}")
        lines.append(f"  {port} [shape=ellipse];")
        lines.append(f"  {_quoted(value.node)} -> {port} [label={_quoted(str(graph.type(value)))}];")
    for name, value in graph.updates.items():
        lines.append(f"  {_quoted(value.node)} -> {_quoted(name)} [label=update, style=dashed, constraint=false];")
    return "\n".join([*lines, "}"]) + "\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _name(name: str) -> str:
    return quote(name, safe="._/-")


def _value(value: Value) -> str:
    return f"%{_name(value.node)}" + (f":{value.index}" if value.index else "")


def _node(node: Node) -> str:
    types = " ".join(map(str, node.types))
    if isinstance(node.op, Input):
        right = f"Input {node.op.frame}".rstrip()
    elif isinstance(node.op, State):
        right = f"State {node.op.digest[:DIGEST]}"
    elif isinstance(node.op, Constant):
        right = f"Constant {node.op.digest[:DIGEST]}{' rounded' if node.op.rounded else ''}"
    else:
        right = f"{_spell(node.op)} ({', '.join(map(_value, node.inputs))})"
    return f"%{_name(node.name)} = {right} : {types}"


def _spell(value: Any) -> str:
    """An attribute as a Python literal, an op as a call with the attributes that are not the default."""
    if isinstance(value, Op) or type(value) in _SPELLED.values():
        told = [(f, getattr(value, f.name)) for f in fields(value)]
        shown = [f"{f.name}={_spell(v)}" for f, v in told if f.default is MISSING or v != f.default]
        return f"{type(value).__name__}({', '.join(shown)})"
    if isinstance(value, tuple):
        return f"({', '.join(map(_spell, value))}{',' if len(value) == 1 else ''})"
    return repr(value)


class _Reader:
    """What the lines read so far have built."""

    def __init__(self, constants: Mapping[str, Array]):
        self.constants = constants
        self.builder: Builder | None = None
        self.outputs: dict[str, Value] = {}

    def read(self, line: str) -> None:
        """One line; raises ModelError if it makes no sense."""
        if header := _HEADER.fullmatch(line):
            self._header(header)
        elif self.builder is None:
            raise ModelError(f"expected 'graph NAME' first, got {line!r}")
        elif found := _OUTPUT.fullmatch(line):
            self._named(self.outputs, "output", self.builder, found)
        elif found := _UPDATE.fullmatch(line):
            self._named(self.builder.updates, "update", self.builder, found)
        elif found := _KEPT.fullmatch(line):
            self.builder.kept += (unquote(found[1]),)
        elif found := _FIXED.fullmatch(line):
            self.builder.fixed = str(_literal(found[1]))
        elif found := _INPUT.fullmatch(line):
            self._new(self.builder, found[1], Input(_types(found[3])[0], found[2] or ""), "", found[3])
        elif found := _CONSTANT.fullmatch(line):
            self._new(self.builder, found[1], self._held(found), "", found[5])
        elif found := _NODE.fullmatch(line):
            self._new(self.builder, found[1], _op(found[2]), found[3], found[4])
        else:
            raise ModelError(f"expected '%name = Op(…) (%inputs) : types' or 'output name = %value', got {line!r}")

    def _header(self, header: re.Match[str]) -> None:
        if self.builder is not None:
            raise ModelError("there is a second 'graph' line")
        labels = _literal(header[2]) if header[2] else ()
        if not isinstance(labels, tuple) or not all(isinstance(label, str) for label in labels):
            raise ModelError(f"labels must be a tuple of texts, got {header[2]}")
        self.builder = Builder(unquote(header[1]), labels)

    def _new(self, builder: Builder, name: str, op: Op, inputs: str, types: str) -> None:
        name = unquote(name)
        if name in builder.nodes:
            raise ModelError(f"there already is a node called '{name}'")
        values = [self._known(builder, text) for text in inputs.split(", ")] if inputs else []
        try:
            builder.add(op, values, name)
        except (TypeError, ValueError, AttributeError):
            raise ModelError(f"{op} has attributes of the wrong kind", node=name) from None
        found = builder.nodes[name].types
        if found != _types(types):
            raise ModelError(f"the type rule gives {' '.join(map(str, found))}, the text says {types}", node=name)

    def _known(self, builder: Builder, text: str) -> Value:
        match = _VALUE.fullmatch(text)
        if match is None:
            raise ModelError(f"expected a value like %name or %name:1, got {text!r}")
        value = Value(unquote(match[1]), int(match[2] or 0))
        if value.node not in builder.nodes or value.index >= len(builder.nodes[value.node].types):
            raise ModelError(f"{text} is not defined above")
        return value

    def _held(self, found: re.Match[str]) -> Constant | State:
        """A constant or state with the array that the caller has for it, of the digest that the text shows."""
        name, kind, digest = unquote(found[1]), found[2].lower(), found[3]
        data = self.constants.get(name, self.constants.get(digest))
        if data is None:
            data = next((array for key, array in self.constants.items() if key.startswith(digest)), None)
        if data is None:
            raise ModelError(f"no array was given for {kind} '{name}' ({digest})")
        array, element = np.asarray(data), _types(found[5])[0].dtype
        held = State.of(array, element) if kind == "state" else Constant.of(array, element, rounded=bool(found[4]))
        if not held.digest.startswith(digest):
            raise ModelError(f"the array given for {kind} '{name}' is not the one with digest {digest}")
        return held

    def _named(self, known: dict[str, Value], what: str, builder: Builder, found: re.Match[str]) -> None:
        """A value that is an output, or what a state becomes."""
        name = unquote(found[1])
        if name in known:
            raise ModelError(f"there already is an {what} called '{name}'")
        known[name] = self._known(builder, found[2])


def _types(text: str) -> tuple[TensorType, ...]:
    """One or more types with blanks between them."""
    found = list(_TYPE.finditer(text))
    if not found or " ".join(match[0] for match in found) != text:
        raise ModelError(f"expected types like {VALUES[0]}[1, 3], got {text!r}")
    return tuple(port_type((int(n) for n in match[2].split(", ") if n), ELEMENTS[match[1]]) for match in found)


def _op(text: str) -> Op:
    """An op written as a call of keyword arguments."""
    try:
        tree = ast.parse(text, mode="eval").body
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise ModelError(f"{text!r} is not an op with attributes") from None
    made = _read(tree)
    if not isinstance(made, Op):
        raise ModelError(f"{text!r} is not an op")
    return made


def _read(tree: ast.expr) -> Any:
    """A literal, a tuple, an element, or an op, or a part of one, called with keywords: nothing else is understood."""
    if isinstance(tree, ast.Tuple):
        return tuple(_read(part) for part in tree.elts)
    if isinstance(tree, ast.Name) and tree.id in _NAMES:
        return _NAMES[tree.id]
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub) and isinstance(tree.operand, ast.Name):
        return -_read(tree.operand)
    if not isinstance(tree, ast.Call):
        return _literal(ast.unparse(tree))
    known: dict[str, Any] = {**REGISTRY, **_SPELLED}
    called = tree.func.id if isinstance(tree.func, ast.Name) else ast.unparse(tree.func)
    if called not in known:
        raise ModelError(f"unknown op '{called}'")
    if tree.args or any(keyword.arg is None for keyword in tree.keywords):
        raise ModelError(f"attributes of {called} must be given by name")
    attributes = {str(keyword.arg): _read(keyword.value) for keyword in tree.keywords}
    try:
        return known[called](**attributes)
    except TypeError as error:
        raise ModelError(f"attributes {', '.join(attributes) or 'none'} do not fit {called}: {error}") from None


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        raise ModelError(f"{text!r} is not a literal") from None
