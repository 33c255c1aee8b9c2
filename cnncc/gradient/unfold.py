"""A graph in which every node that a gradient goes through is one computation."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field

import numpy as np

from ..computation import Computation, ComputationNode, ConstantTensor, Contraction
from ..ir import Builder, Graph, Node, Value
from ..op import Op
from ..ops import Computed, Conv, Dense, Fused
from ..types import TensorType


@dataclass
class Unfolded:
    """The new graph so far; `made` has the values that stand for those of the old one.

    `layers` tells of which layer a new node is a part, `held` which values derivatives take for constants.
    """

    builder: Builder
    made: dict[Value, Value] = field(default_factory=dict)
    layers: dict[str, Node] = field(default_factory=dict)
    held: set[Value] = field(default_factory=set)

    def type(self, value: Value) -> TensorType:
        return self.builder.nodes[value.node].types[value.index]

    def add(self, piece: ComputationNode, inputs: Sequence[Value], hint: str, layer: Node) -> Value:
        """A node for one piece of a lowering, of which a name begins with `hint`; a part of `layer`."""
        c, builder = piece.computation, self.builder
        name = builder.unique(hint)
        if isinstance(c, ConstantTensor):
            data = np.array(c.values, None if c.element.is_float else c.element.numpy).reshape(piece.type.shape)
            return builder.constant(data, name, layer.where, element=c.element)
        types = tuple(self.type(value) for value in inputs)
        (value,) = builder.add(_op(c, types, piece.type), inputs, name, layer.where)
        self.layers[name] = layer
        return value

    def computation(self, node: Node) -> Computation:
        """What a node computes that was unfolded, or is one computation anyway."""
        return node.lowering(tuple(self.type(value) for value in node.inputs)).pieces[0].computation


def _op(c: Computation, types: tuple[TensorType, ...], result: TensorType) -> Op:
    """The op that passes know for a convolution or a dense layer; for other computations the computation itself."""
    if isinstance(c, Contraction) and not c.weights_per_image:
        if 1 <= len(c.window) <= 3:
            return Conv.over(c.window, c.groups, c.flip)
        if not c.window and c.groups == 1:
            return Dense()
    return Computed(c, types, result)


def unfolded(graph: Graph, above: Set[Value]) -> Unfolded:
    """`graph` with the pieces in place of each node that reads a value of `above`.

    A node that is one computation stays what it is; results keep the name of their layer.
    """
    new = Unfolded(Builder(graph.name, graph.labels))
    new.builder.nodes.update({node.name: node for node in graph if node.op.source})
    new.made.update({value: value for node in graph if node.op.source for value in node.values})
    taken = set(graph.nodes)
    for node in graph:
        if node.op.source:
            continue
        inputs = [new.made[value] for value in node.inputs]
        if above.isdisjoint(node.inputs) or is_one(graph, node):
            results: Iterable[Value] = new.builder.add(node.op, inputs, node.name, node.where)
            new.layers[node.name] = node
        else:
            results = _parts(new, node, inputs, taken)
        new.made.update(zip(node.values, results, strict=True))
    return new


def is_one(graph: Graph, node: Node) -> bool:
    """Whether a node is one computation of its inputs in order."""
    if isinstance(node.op, Fused):
        return False
    lowering = graph.lowering(node)
    return (
        len(lowering.pieces) == 1
        and lowering.results == (len(node.inputs),)
        and lowering.pieces[0].operands == tuple(range(len(node.inputs)))
        and lowering.pieces[0].type == node.types[0]
    )


def _parts(new: Unfolded, node: Node, inputs: Sequence[Value], taken: Set[str]) -> list[Value]:
    """The results of a node in pieces; the last piece has its name. A layer of fused ops is one op after the other."""
    if not isinstance(node.op, Fused):
        return _of_op(new, node, node.op, inputs, taken, node.name)
    own, *extras = node.op.split(inputs)
    (running,) = _of_op(new, node, node.op.anchor, own, taken)
    for stage, extra in zip(node.op.epilogue, extras, strict=True):
        name = node.name if stage is node.op.epilogue[-1] else ""
        (running,) = _of_op(new, node, stage.op, stage.arguments(running, extra), taken, name)
    return [running]


def _of_op(new: Unfolded, node: Node, op: Op, inputs: Sequence[Value], taken: Set[str], name: str = "") -> list[Value]:
    """The results of one op in pieces, of which the last one is called `name`."""
    lowering = op.lower(*(new.type(value) for value in inputs))
    known = list(inputs)
    for piece in lowering.pieces:
        last = name and piece is lowering.pieces[-1]
        hint = name if last else _free(new, node.name, taken)
        known.append(new.add(piece, [known[k] for k in piece.operands], hint, node))
        if piece.held:
            new.held.add(known[-1])
    return [known[k] for k in lowering.results]


def _free(new: Unfolded, name: str, taken: Set[str]) -> str:
    """NAME.1, NAME.2… as long as neither graph has it."""
    names = (f"{name}.{number}" for number in itertools.count(1))
    return next(each for each in names if each not in taken and each not in new.builder.nodes)
