"""The graphs and functions of a file, and what a use of one stands for: nodes, each name of which is made once.

A `Body` is read once, node by node as they are needed. A use of it copies the needed nodes and gives them the names of
a `Scope`. So functions are inlined, branches chosen and loops unrolled into one list of nodes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import zip_longest
from typing import Any

from ...errors import ModelError
from ...types import Array
from .messages import short
from .order import Wiring, makers, needed
from .plain import array, names, operator, setting, text
from .scopes import File, Scope

MOST_NAMES = 100_000
"""Inputs, outputs and attributes of all nodes that functions, branches and loops stand for. A few lines can stand for
2¹⁰⁰ nodes."""

MOST_ELEMENTS = 1 << 31
"""Elements of known arrays that nodes of a model with functions, branches or loops may read, all together."""

MOST_NESTED = 64
"""Calls of functions inside each other."""

GRAPH, GRAPHS = 5, 10
"""The types of attributes that hold graphs."""


@dataclass(frozen=True)
class OnnxNode:
    """A node. Missing optional inputs are ''; `version` is the opset that gives the operator its meaning."""

    operator: str
    name: str
    version: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    overload: str = ""

    @property
    def shown(self) -> str:
        """The node in messages, with a name of a value if it has none itself, as in many files."""
        return self.name or next(filter(None, self.outputs), self.operator)


@dataclass(frozen=True)
class Part:
    """The nodes, in topological order, and the weights that some outputs of a body need.

    `read` are the names of the outputs and of values that the nodes read, `hidden` the names outside that mean
    something else inside.
    """

    nodes: tuple[OnnxNode, ...]
    weights: Mapping[str, Array] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    read: frozenset[str] = frozenset()
    hidden: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reference:
    """In place of an attribute's value in a function: that of an attribute of the call."""

    name: str


@dataclass(frozen=True, repr=False)
class Closure:
    """A graph inside a node, with the scope of the node."""

    body: Body
    scope: Scope

    def __repr__(self) -> str:
        return "a graph"

    def part(self, prefix: str = "") -> tuple[Part, tuple[str, ...]]:
        """The nodes of one more use, and the names of the graph's inputs. Raises what `Body.part` raises."""
        scope = self.scope.inner(prefix or self.scope.prefix)
        self.body.expect_inputs()
        self.body.model.count(1 + len(self.body.inputs))
        inputs = tuple(map(scope.own, self.body.inputs))
        return self.body.part(self.body.outputs, scope), inputs


@dataclass
class Bodies:
    """The functions of a file, by operator and overload, and how many names the uses of bodies have made."""

    onnx: Any
    functions: dict[tuple[str, str], Body] = field(default_factory=dict)
    counted: int = 0
    read: int = 0

    def count(self, names: int) -> None:
        """Count names of a use of a body. Raises ModelError if there are too many in all."""
        self.counted += names
        if self.counted > MOST_NAMES:
            raise ModelError(
                "the functions, branches and loops of the model stand for too many nodes: "
                f"those may have {MOST_NAMES} inputs, outputs and attributes together"
            )

    def weigh(self, elements: int) -> None:
        """Count elements that a node is about to read. Raises ModelError if bodies are used and they are too many."""
        self.read += elements
        if self.counted and self.read > MOST_ELEMENTS:
            raise ModelError(
                f"the functions, branches and loops of the model compute with more than {MOST_ELEMENTS} known elements"
            )


class Body:
    """A graph or a function as it stands in a file. Nodes, weights and inner graphs are read when they are needed."""

    def __init__(self, proto: Any, model: Bodies, version: int):
        self.proto, self.model, self.version = proto, model, version
        self._nodes: dict[int, OnnxNode] = {}
        self._weights: dict[str, Array] = {}

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """The names of the inputs, without those that are weights (older files list both)."""
        return tuple(name for name in names(self.proto.input) if name not in self.tensors)

    @cached_property
    def outputs(self) -> tuple[str, ...]:
        return names(self.proto.output)

    @cached_property
    def tensors(self) -> dict[str, Any]:
        """The weights as messages; a function has none."""
        return {text(tensor.name): tensor for tensor in getattr(self.proto, "initializer", ())}

    @cached_property
    def inside(self) -> list[dict[str, tuple[Body, ...]]]:
        """The graphs inside each node, by attribute."""
        return [
            {text(a.name): self._graphs(a) for a in node.attribute if a.type in (GRAPH, GRAPHS)}
            for node in self.proto.node
        ]

    def _graphs(self, attribute: Any) -> tuple[Body, ...]:
        graphs = [attribute.g] if attribute.type == GRAPH else attribute.graphs
        return tuple(Body(graph, self.model, self.version) for graph in graphs)

    @cached_property
    def wiring(self) -> list[Wiring]:
        return [_wiring(node, inside) for node, inside in zip(self.proto.node, self.inside, strict=True)]

    @cached_property
    def makers(self) -> dict[str, list[int]]:
        """The numbers of the nodes that make each value."""
        return makers(self.wiring)

    @cached_property
    def _clash(self) -> str | None:
        return next((name for name in self.inputs if name in self.makers), None)

    def expect_inputs(self) -> None:
        """Raise ModelError if a node makes an input."""
        if self._clash is not None:
            shown = self.wiring[self.makers[self._clash][0]].shown
            raise ModelError(f"output '{self._clash}' exists already", node=shown)

    @cached_property
    def free(self) -> tuple[str, ...]:
        """The names that a graph inside a node reads, but does not make."""
        made = {name for node in self.wiring for name in node.outputs}.union(self.inputs, self.tensors)
        read = [name for node in self.wiring for name in node.reads] + list(self.outputs)
        return tuple(name for name in dict.fromkeys(read) if name not in made)

    def node(self, number: int) -> OnnxNode:
        """A node with the names of the file."""
        if number not in self._nodes:
            node, wiring = self.proto.node[number], self.wiring[number]
            settings = {text(a.name): self._setting(a) for a in node.attribute}
            self._nodes[number] = OnnxNode(
                operator(node.domain, node.op_type),
                text(node.name),
                self.version,
                wiring.inputs,
                wiring.outputs,
                settings | self.inside[number],
                text(getattr(node, "overload", "")),
            )
        return self._nodes[number]

    def _setting(self, attribute: Any) -> Any:
        if attribute.ref_attr_name:
            return Reference(text(attribute.ref_attr_name))
        return None if attribute.type in (GRAPH, GRAPHS) else setting(attribute, self.model.onnx)

    def weight(self, name: str) -> Array:
        """The array of a weight; one object for all uses."""
        if name not in self._weights:
            self._weights[name] = array(self.tensors[name], self.model.onnx)
        return self._weights[name]

    def part(self, outputs: Sequence[str], scope: Scope) -> Part:
        """The nodes that `outputs` need, with the names of `scope`; calls of functions are replaced by their nodes.

        Raises ModelError for cycles, functions that call themselves, and too many nodes.
        """
        order = needed(self.wiring, outputs, self.makers)
        reads = dict.fromkeys([*outputs, *(name for k in order for name in self.wiring[k].reads)])
        weights = [name for name in reads if name in self.tensors]
        made = [*weights, *(name for k in order for name in self.wiring[k].outputs if name)]
        hidden = [scope.outer.find(name) for name in made] if scope.outer else []
        for name in made:
            scope.own(name)
        parts = [self._used(self.node(k), scope, reads) for k in order]
        return Part(
            tuple(node for part in parts for node in part.nodes),
            {scope.own(name): self.weight(name) for name in weights},
            tuple(map(scope.name, outputs)),
            frozenset(map(scope.name, reads)).union(*(part.read for part in parts)),
            tuple(filter(None, hidden)),
        )

    def _used(self, node: OnnxNode, scope: Scope, reads: Mapping[str, None]) -> Part:
        """What a node stands for: itself with the names of the model, or the nodes of the function that it calls."""
        if not isinstance(scope, File):
            self.model.count(1 + len(node.inputs) + len(node.outputs) + len(node.attributes))
        here = replace(
            node,
            name=scope.prefix + node.shown if scope.prefix else node.name,
            inputs=tuple(map(scope.name, node.inputs)),
            outputs=tuple(map(scope.name, node.outputs)),
            attributes=dict(_resolved(node.attributes, scope)),
        )
        function = self.model.functions.get((node.operator, node.overload))
        if function is None:
            return Part((here,))
        return function.called(here, [bool(name) and name in reads for name in node.outputs], scope)

    def called(self, node: OnnxNode, wanted: Sequence[bool], outer: Scope) -> Part:
        """The nodes of this function in place of `node`, which calls it and of which some outputs are `wanted`."""
        self._expect_call(node, outer)
        self.model.count(len(self.inputs) + len(self.defaults))
        scope = Scope(outer.names, None, f"{node.shown}.", self._settings(node), (*outer.calls, self))
        for name, given in zip_longest(self.inputs, node.inputs, fillvalue=""):
            scope.known[name] = given
        results = [pair for *pair, want in zip(self.outputs, node.outputs, wanted, strict=False) if want]
        again = [(name, result) for name, result in results if scope.known.setdefault(name, result) != result]
        part = self.part([name for name, _ in results], scope)
        copies = (OnnxNode("Identity", node.shown, 1, (scope.known[name],), (result,), {}) for name, result in again)
        return replace(part, nodes=(*part.nodes, *copies))

    def _expect_call(self, node: OnnxNode, outer: Scope) -> None:
        """Raise ModelError for a call that is none, and for one inside of this function."""
        self.expect_inputs()
        if self in outer.calls:
            raise ModelError(f"function {node.operator} calls itself", node=node.shown)
        if len(outer.calls) == MOST_NESTED:
            raise ModelError(f"functions call each other more than {MOST_NESTED} deep", node=node.shown)
        for what, given, own in (("inputs", node.inputs, self.inputs), ("outputs", node.outputs, self.outputs)):
            if len(given) > len(own):
                raise ModelError(f"function {node.operator} has {len(own)} {what}, not {len(given)}", node=node.shown)

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """The values of the attributes that a call may leave out."""
        return {text(a.name): self._setting(a) for a in getattr(self.proto, "attribute_proto", ())}

    @cached_property
    def _attributes(self) -> frozenset[str]:
        return frozenset(self.defaults).union(names(self.proto.attribute))

    def _settings(self, node: OnnxNode) -> dict[str, Any]:
        """The attributes of a call with the function's defaults. Raises ModelError for one that it does not have."""
        for name in node.attributes:
            if name not in self._attributes:
                raise ModelError(f"function {node.operator} has no attribute {short(name)}", node=node.shown)
        return {**self.defaults, **node.attributes}


def _wiring(node: Any, inside: Mapping[str, tuple[Body, ...]]) -> Wiring:
    shown = node.name or next(filter(None, node.output), node.op_type)
    free = tuple(name for bodies in inside.values() for body in bodies for name in body.free)
    return Wiring(text(shown), names(node.input), names(node.output), free)


def _resolved(attributes: Mapping[str, Any], scope: Scope) -> Iterator[tuple[str, Any]]:
    """The attributes of a node in a scope: those of the call in place of references, without those that it lacks."""
    for name, value in attributes.items():
        if isinstance(value, tuple) and value and isinstance(value[0], Body):
            yield name, Closure(value[0], scope)
        elif not isinstance(value, Reference):
            yield name, value
        elif not scope.calls:
            raise ModelError(f"attribute {short(name)} is that of a call, but stands in no function")
        elif value.name in scope.attributes:
            yield name, scope.attributes[value.name]
