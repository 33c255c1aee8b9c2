"""What a model holds, told without compiling it: ports, operators, parameters, multiply-accumulates, problems."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from ..ir import Graph
from ..shown import shown


@dataclass(frozen=True)
class InspectedPort:
    """An input or output; an open dimension is its name. `shape` is None where the file leaves it out."""

    name: str
    element: str
    shape: tuple[int | str, ...] | None

    def __str__(self) -> str:
        shape = "of any rank" if self.shape is None else f"[{', '.join(map(str, self.shape))}]"
        return f"{self.element}{shape if self.shape is not None else ' ' + shape}"


@dataclass(frozen=True)
class InspectedProblem:
    """Why parts of a model cannot be compiled: `count` places, of which `places` has the first three."""

    message: str
    count: int
    places: tuple[str, ...]
    advice: str = ""


@dataclass(frozen=True)
class Inspection:
    """What `cnncc.inspect` finds. `operators` counts nodes; `unsupported` names those that `problems` is about.

    `parameters` are the elements of weights, `weight_bytes` the bytes of all constants as they are in the model. `macs`
    are multiply-accumulates, and `largest` the bytes of the largest tensor that arrives or that a layer makes, for the
    graph's own number of images; both are None if the model cannot be imported. `opset` and `producer` are those of an
    ONNX file. `open` has the names of the open dimensions of inputs, and `at` the shapes with which the model was
    looked at, where any but the first are open.
    """

    name: str
    inputs: tuple[InspectedPort, ...]
    outputs: tuple[InspectedPort, ...]
    operators: Mapping[str, int]
    parameters: int
    macs: int | None
    opset: int | None = None
    producer: str = ""
    problems: tuple[InspectedProblem, ...] = ()
    unsupported: frozenset[str] = frozenset()
    open: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    at: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    weight_bytes: int = 0
    largest: int | None = None

    def _repr_html_(self) -> str:
        """Ports, operators and problems as tables, for notebooks."""
        return shown("inspection", self)

    def plain(self) -> dict[str, Any]:
        """The same in types that JSON has."""
        return {**asdict(self), "operators": dict(self.operators), "unsupported": sorted(self.unsupported)}


def inspected(graph: Graph) -> Inspection:
    """What a graph holds."""
    operators = Counter(node.op.name for node in graph if not node.op.source)
    weights = [node.types[0] for node in graph if node.op.source == "constant"]
    outputs = {label: graph.type(value) for label, value in graph.outputs.items()}
    return Inspection(
        graph.name,
        tuple(
            InspectedPort(name, str(graph.nodes[name].types[0].dtype), graph.nodes[name].types[0].shape)
            for name in graph.inputs
        ),
        tuple(InspectedPort(name, str(type.dtype), type.shape) for name, type in outputs.items()),
        operators,
        sum(type.size for type in weights),
        macs(graph),
        weight_bytes=sum(type.nbytes for type in weights),
        largest=largest(graph),
    )


def macs(graph: Graph) -> int:
    """Multiply-accumulates of all layers."""
    layers = [node for node in graph if not node.op.source]
    return sum(node.op.cost(*(graph.type(value) for value in node.inputs)).macs for node in layers)


def largest(graph: Graph) -> int:
    """Bytes of the largest tensor that arrives or that a layer makes, for the graph's own number of images."""
    return max((type.nbytes for node in graph if node.op.source != "constant" for type in node.types), default=0)
