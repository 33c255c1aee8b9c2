"""The layer graph: values, nodes, and the rewriter that makes one graph from another.

A graph is logical: tensors are (N, C, spatial…), weights are inputs like any other (mostly `Constant`
nodes). It is immutable; a pass returns a new one, so before and after both exist. `Node.inputs` is the
truth; networkx is an index made from it when somebody asks for a path. What runs in every compilation goes through
the nodes in their order instead: the import alone takes 0.09 s of processor time, a small model 0.46 s in all.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, cast

from .allowance import charge
from .computation import Lowering
from .elements import FLOAT32, Element
from .errors import CnnccError, Location, ModelError, ShapeError, VerifyError
from .op import Constant, Input, Op, State
from .shown import listed, shown
from .types import Array, EmptyType, TensorType

UNNAMED = "model"  # what a graph is called that was given no name

if TYPE_CHECKING:
    import networkx as nx

Rule = TypeVar("Rule")


@dataclass(frozen=True, slots=True)
class Value:
    """Output number `index` of the node called `node`."""

    node: str
    index: int = 0

    def __str__(self) -> str:
        return f"%{self.node}" if self.index == 0 else f"%{self.node}:{self.index}"


@dataclass(frozen=True)
class Node:
    """One application of an op; `types` has one entry for each output, `where` is the user's line.

    `of` names the node of an earlier graph in whose place a pass made this one under another name; else it is empty.
    Passes hand most nodes on as they are, so what the rules of the op say is remembered here.
    """

    name: str
    op: Op
    inputs: tuple[Value, ...]
    types: tuple[TensorType, ...]
    where: Location | None = field(default=None, compare=False)
    of: str = field(default="", compare=False, repr=False)

    @cached_property
    def values(self) -> tuple[Value, ...]:
        return tuple(Value(self.name, index) for index in range(len(self.types)))

    def inferred(self, inputs: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
        """The types of the outputs for inputs of these types. Raises what `Op.infer` raises."""
        return self._once(self.op.infer, inputs)

    def lowering(self, inputs: tuple[TensorType, ...]) -> Lowering:
        """What the op computes on inputs of these types. Raises what `Op.lower` raises."""
        return self._once(self.op.lower, inputs)

    def _once(self, rule: Callable[..., Rule], inputs: tuple[TensorType, ...]) -> Rule:
        """What a rule of the op says, which depends on frozen data only."""
        known = self._known.get(rule.__name__)
        if known is None or known[0] != inputs:
            known = self._known[rule.__name__] = (inputs, rule(*inputs))
        return cast("Rule", known[1])

    @cached_property
    def _known(self) -> dict[str, tuple[tuple[TensorType, ...], object]]:
        """The last inputs and answer of each rule."""
        return {}

    def __getstate__(self) -> dict[str, Any]:
        """Without what can be found out again."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


@dataclass(frozen=True)
class Graph:
    """Nodes in a topological order, and the values that leave the graph under their names.

    `labels` are the names of the classes, if the last axis of the first output means classes. `kept` are the inputs
    whose shape is complete, whatever the number of images; `fixed`, if it is not empty, says why that number is fixed
    though no node shows it: somebody has computed with it (see `batching`). `updates` has, for the names of states, the
    value that each has after a call; all of them change at once, when everything has been computed. Other states stay.
    """

    name: str
    nodes: Mapping[str, Node]
    outputs: Mapping[str, Value]
    labels: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    fixed: str = ""
    updates: Mapping[str, Value] = field(default_factory=dict)

    def __iter__(self) -> Any:
        return iter(self.nodes.values())

    def __getitem__(self, name: str) -> Node:
        return self.nodes[name]

    def __repr__(self) -> str:
        """A line for each node but constants: its name, its op, what it reads of others, its types."""
        return listed(f"<Graph '{self.name}'>", [self._line(node) for node in self if node.op.source != "constant"])

    def _line(self, node: Node) -> str:
        reads = ", ".join(value.node for value in node.inputs if self.nodes[value.node].op.source != "constant")
        return f"{node.name}: {node.op.name}({reads}) {', '.join(map(str, node.types))}"

    def _repr_html_(self) -> str:
        """The graph as a drawing, for notebooks."""
        return shown("graph", self)

    @cached_property
    def inputs(self) -> dict[str, TensorType]:
        """Name and type of each graph input, in the order of their declaration."""
        return {node.name: node.types[0] for node in self.nodes.values() if node.op.source == "input"}

    @cached_property
    def states(self) -> dict[str, TensorType]:
        """Name and type of each state, in the order of their declaration."""
        return {node.name: node.types[0] for node in self.nodes.values() if node.op.source == "state"}

    def frame(self, name: str) -> str:
        """Which axes and channels a graph input has that is a picture; else empty."""
        op = self.nodes[name].op
        return op.frame if isinstance(op, Input) else ""

    def initial(self, name: str) -> Array:
        """The first value of a state, read-only."""
        op = self.nodes[name].op
        assert isinstance(op, State), f"'{name}' is no state"
        return op.initial

    def type(self, value: Value) -> TensorType:
        return self.nodes[value.node].types[value.index]

    def types(self, values: Iterable[Value]) -> tuple[TensorType, ...]:
        return tuple(self.type(value) for value in values)

    def constant(self, value: Value) -> Array | None:
        """The array behind `value` if it is known at compile time."""
        op = self.nodes[value.node].op
        return op.data if isinstance(op, Constant) else None

    def with_constants(self, arrays: Mapping[str, Array]) -> Graph:
        """The graph with other floats in the constants of these names."""
        changed = {name: replace(self[name], op=Constant.of(array)) for name, array in arrays.items()}
        return replace(self, nodes={**self.nodes, **changed})

    @cached_property
    def consumers(self) -> dict[Value, tuple[Node, ...]]:
        """The nodes that read each value (a node once for each time that it reads it)."""
        table: dict[Value, list[Node]] = {value: [] for node in self.nodes.values() for value in node.values}
        for node in self.nodes.values():
            for value in node.inputs:
                table[value].append(node)
        return {value: tuple(nodes) for value, nodes in table.items()}

    @cached_property
    def leaving(self) -> frozenset[Value]:
        """The values that are outputs, or what a state is after a call."""
        return frozenset((*self.outputs.values(), *self.updates.values()))

    def lowering(self, node: Node) -> Lowering:
        """What the op of a node computes on its inputs, found out once. Raises what `Op.lower` raises."""
        if node.name not in self._lowerings:
            self._lowerings[node.name] = node.lowering(self.types(node.inputs))
        return self._lowerings[node.name]

    @cached_property
    def _lowerings(self) -> dict[str, Lowering]:
        return {}

    def __getstate__(self) -> dict[str, Any]:
        """Without what can be found out again."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @cached_property
    def index(self) -> nx.MultiDiGraph:
        """The same graph for networkx: node names, an edge for each input."""
        import networkx as nx

        graph = nx.MultiDiGraph()
        graph.add_nodes_from(self.nodes)
        for node in self.nodes.values():
            for position, value in enumerate(node.inputs):
                graph.add_edge(value.node, node.name, output=value.index, input=position)
        return graph

    def canonical(self) -> str:
        """A text that is equal exactly for graphs that compile to the same code and weights."""
        lines = [
            f"{node.name} = {node.op!r} {getattr(node.op, 'digest', '')} ({', '.join(map(str, node.inputs))})"
            for node in self.nodes.values()
        ]
        outputs = ", ".join(f"{name}={value}" for name, value in self.outputs.items())
        updates = ", ".join(f"{name}={value}" for name, value in self.updates.items())
        changes = [f"updates {updates}"] if updates else []
        images = [f"kept={self.kept!r} fixed={self.fixed!r}"] if self.kept or self.fixed else []
        return "\n".join([f"graph {self.name} labels={self.labels!r}", *images, *lines, f"outputs {outputs}", *changes])

    @cached_property
    def hash(self) -> str:
        return hashlib.sha256(self.canonical().encode()).hexdigest()


class Builder:
    """Makes a graph node by node, running the type rule of each."""

    def __init__(self, name: str = UNNAMED, labels: Sequence[str] = ()):
        self.name, self.labels = name, tuple(labels)
        self.kept: tuple[str, ...] = ()
        self.fixed = ""
        self.updates: dict[str, Value] = {}
        self.nodes: dict[str, Node] = {}
        self._numbers: dict[str, int] = {}

    def unique(self, hint: str) -> str:
        """`hint`, or `hint_1`, `hint_2`… if it is taken."""
        if hint not in self.nodes:
            return hint
        number = self._numbers.get(hint, 1)  # no name below it becomes free again
        while f"{hint}_{number}" in self.nodes:
            number += 1
        self._numbers[hint] = number
        return f"{hint}_{number}"

    def add(
        self, op: Op, inputs: Sequence[Value], name: str | None = None, where: Location | None = None
    ) -> tuple[Value, ...]:
        """A new node; returns its outputs. Raises ShapeError (with layer and line) if the type rule refuses."""
        name = self.unique(name or op.name.lower())
        try:
            types = op.infer(*(self.nodes[v.node].types[v.index] for v in inputs))
        except CnnccError as error:
            raise error.at(name, where) from None
        node = Node(name, op, tuple(inputs), types, where, self.origin(name))
        self.nodes[name] = node
        return node.values

    def origin(self, name: str) -> str:
        """What a new node of this name is made in the place of (`Node.of`)."""
        return ""

    def input(self, name: str, type: TensorType, where: Location | None = None, *, frame: str = "") -> Value:
        if name in self.nodes:
            raise ModelError(f"there already is a layer or input called '{name}'", where=where)
        return self.add(Input(type, frame), (), name, where)[0]

    def state(self, initial: Array, name: str, where: Location | None = None, *, element: Element = FLOAT32) -> Value:
        """A state with its first value; `updates[name]` is what it becomes in a call."""
        if name in self.nodes:
            raise ModelError(f"there already is a layer, input or state called '{name}'", where=where)
        return self.add(State.of(initial, element), (), name, where)[0]

    def constant(
        self,
        data: Array,
        name: str = "constant",
        where: Location | None = None,
        *,
        element: Element = FLOAT32,
        rounded: bool = False,
    ) -> Value:
        if not data.size:
            raise ShapeError(f"shape {data.shape}: every dimension must be at least 1", node=name, where=where)
        return self.add(Constant.of(data, element, rounded=rounded), (), name, where)[0]

    def empty(self, type: EmptyType, name: str) -> Value:
        """An output without elements: no op reads it."""
        return self.add(Constant.nothing(type), (), name)[0]

    def graph(self, outputs: Mapping[str, Value]) -> Graph:
        if not outputs:
            raise ModelError(f"model '{self.name}' has no outputs")
        updates = dict(self.updates)
        return Graph(self.name, dict(self.nodes), dict(outputs), self.labels, self.kept, self.fixed, updates)


class Rewriter(Builder):
    """Rebuilds a graph node by node; a pass decides for each node what stands in its place.

    `rewrite(visit)` calls `visit(node, inputs)` in topological order, where `inputs` are the node's inputs
    in the new graph. It returns the new values of the node's outputs, or None to keep the node. Replaced
    nodes leave their producers behind: dead-code elimination removes what nobody reads. If nothing
    changes, the old graph is the answer. Raises VerifyError if a new value has another type than the one in whose place
    it stands. New constants may take as many bytes as the old graph's do; what they take beyond is charged (see
    `allowance`).
    """

    def __init__(self, graph: Graph):
        super().__init__(graph.name, graph.labels)
        self.kept, self.fixed = graph.kept, graph.fixed
        self.old = graph
        self.mapping: dict[Value, Value] = {}
        self.visited = ""
        self.spare = sum(node.op.data.nbytes for node in graph if isinstance(node.op, Constant))

    def constant(
        self,
        data: Array,
        name: str = "constant",
        where: Location | None = None,
        *,
        element: Element = FLOAT32,
        rounded: bool = False,
    ) -> Value:
        size = element.bytes * data.size
        charge(max(0, size - self.spare), f"constant '{name}'")
        self.spare = max(0, self.spare - size)
        return super().constant(data, name, where, element=element, rounded=rounded)

    def keep(self, node: Node, inputs: Sequence[Value]) -> tuple[Value, ...]:
        """`node` itself on new inputs, under its own name."""
        if node.name in self.nodes or tuple(inputs) != node.inputs:
            return self.add(node.op, inputs, node.name, node.where)
        self.nodes[node.name] = node
        return node.values

    def origin(self, name: str) -> str:
        """A name of the old graph goes on with what it stands for; another one stands for the node that is visited."""
        known = self.old.nodes.get(name)
        return known.of if known else self.visited

    def type(self, value: Value) -> TensorType:
        """Type of a value of the new graph."""
        return self.nodes[value.node].types[value.index]

    def constant_data(self, value: Value) -> Array | None:
        """The array of a value of the new graph, if it is a constant."""
        op = self.nodes[value.node].op
        return op.data if isinstance(op, Constant) else None

    def producer(self, value: Value) -> Node:
        """The new graph's node behind one of its values."""
        return self.nodes[value.node]

    def _hold_types(self, node: Node, values: tuple[Value, ...]) -> None:
        """Raise VerifyError if a value is to be replaced by one of another type: its readers count on the old one."""
        for old, value in zip(node.values, values, strict=True):
            made = self.nodes.get(value.node)  # None: the value is said to have no readers
            if made is not None and made.types[value.index] != self.old.type(old):
                change = f"from {self.old.type(old)} to {made.types[value.index]}"
                raise VerifyError(f"value {old} would change {change}", node=node.name, where=node.where)

    def rewrite(self, visit: Callable[[Node, tuple[Value, ...]], Sequence[Value] | None]) -> Graph:
        for node in self.old:
            self.visited, inputs = node.name, tuple(self.mapping[value] for value in node.inputs)
            made = visit(node, inputs)
            values = tuple(made) if made is not None else self.keep(node, inputs)
            self._hold_types(node, values)
            self.mapping.update(zip(node.values, values, strict=True))
        outputs = {name: self.mapping[value] for name, value in self.old.outputs.items()}
        self.updates = {name: self.mapping[value] for name, value in self.old.updates.items()}
        return self.old if self._is_old(outputs) else self.graph(outputs)

    def _is_old(self, outputs: Mapping[str, Value]) -> bool:
        """Whether nothing has changed: the old graph then stays, with what is known of it."""
        kept = zip(self.nodes.values(), self.old, strict=False)
        return (
            len(self.nodes) == len(self.old.nodes)
            and outputs == self.old.outputs
            and self.updates == self.old.updates
            and all(node is old for node, old in kept)
        )


def with_outputs(graph: Graph, outputs: Mapping[str, Value]) -> Graph:
    """The same nodes with other outputs."""
    return replace(graph, outputs=dict(outputs))


def without_states(graph: Graph) -> Graph:
    """The same computation without a memory: states are inputs, and what `m` becomes is the output `m (after)`.

    So whatever knows graphs of inputs and outputs knows graphs with states.
    """
    if not graph.states:
        return graph
    nodes = {node.name: replace(node, op=Input(node.types[0])) if node.op.source == "state" else node for node in graph}
    after = {f"{name} (after)": value for name, value in graph.updates.items()}
    return replace(graph, nodes=nodes, outputs={**graph.outputs, **after}, updates={})
