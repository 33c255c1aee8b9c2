"""Which graphs the native back end compiles: it computes with floats, and reads bytes where pictures arrive."""

from __future__ import annotations

from collections.abc import Iterator

from ..elements import FLOAT32, UINT8
from ..errors import ModelError
from ..ir import Graph, Node
from ..ops import Fused, ImageToTensor
from ..types import TensorType


def expect_native(graph: Graph) -> None:
    """Raise ModelError, naming the layer, for a graph that computes with other elements than float32."""
    for node in graph:
        for type in _made(graph, node):
            arrives = node.op.source == "input" and type.dtype is UINT8
            pictured = arrives and all(map(_pictures, graph.consumers[node.values[0]]))
            if type.dtype is not FLOAT32 and not pictured:
                raise ModelError(
                    f"native code computes with {FLOAT32} only, got {type}: the interpreter runs such a graph",
                    node=node.name,
                    where=node.where,
                )


def _pictures(reader: Node) -> bool:
    op = reader.op.anchor if isinstance(reader.op, Fused) else reader.op
    return isinstance(op, ImageToTensor)


def _made(graph: Graph, node: Node) -> Iterator[TensorType]:
    """The types of all results of a node, also of those inside of a fused one."""
    yield from node.types
    if isinstance(node.op, Fused):
        own, *extras = node.op.split(graph.types(node.inputs))
        (running,) = node.op.anchor.infer(*own)
        for stage, extra in zip(node.op.epilogue, extras, strict=True):
            yield running
            (running,) = stage.op.infer(*stage.arguments(running, extra))
