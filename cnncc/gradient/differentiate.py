"""From a graph to the graph of its gradients."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..batching import images_of
from ..cut import named, with_needed
from ..elements import FLOAT32
from ..errors import UsageError
from ..ir import Graph, Value
from ..ops import Identity
from .unfold import Unfolded, unfolded
from .walk import Walk, ones


def differentiated(graph: Graph, of: str, by: Sequence[str]) -> Graph:
    """A graph with the output `of`, and an output d_NAME for each name in `by`: the gradient of `of` by that value.

    Where that name is taken, by `of` or an input, it is d_OF_by_NAME; the outputs are in the order of `by`.
    `of` is an output, or a layer by name; a name in `by` is that of an input, of weights (constants) or of a layer. If
    `of` has several elements, the graph has a further input d_OF of its shape, and the gradient is that of the sum of
    d_OF · OF; if it has one, that counts 1. Raises UsageError for unknown names and for values that are no floats, and
    where no gradient reaches a value, with the layer that is flat; ModelError for a layer that has no gradient.
    """
    top, values = named(graph, (of,))[of], named(graph, by)
    _expect_floats(graph, {of: top, **values})
    whole = with_needed(graph, {of: top})
    back = backward(whole, of, top, values)
    back.new.builder.name, back.new.builder.kept = f"{graph.name}_gradient", whole.kept
    back.new.builder.fixed = _fixed(whole, values)
    return _result(back.new, of, back.new.made[top], back.gradients)


@dataclass(frozen=True)
class Backward:
    """A graph, with its nodes on the way in pieces, and the gradient of one of its values by others of them."""

    new: Unfolded
    gradients: Mapping[str, Value]


def backward(graph: Graph, of: str, top: Value, by: Mapping[str, Value]) -> Backward:
    """The gradient of `top`, which is called `of`, by the values of `by`; raises what `differentiated` raises."""
    new = unfolded(graph, _below(graph, by.values()))
    new.builder.updates = {name: new.made.get(value, value) for name, value in graph.updates.items()}
    asked = {name: new.made.get(value, value) for name, value in by.items()}
    walk = Walk(new, of, asked)
    walk.back(new.made[top], _seed(new, of, new.made[top]))
    for name, value in asked.items():
        if value not in walk.found:
            raise _unreached(walk, new.made[top], name)
    return Backward(new, {name: walk.found[value] for name, value in asked.items()})


def _expect_floats(graph: Graph, values: Mapping[str, Value]) -> None:
    for name, value in values.items():
        if graph.type(value).dtype is not FLOAT32:
            raise UsageError(f"'{name}' is {graph.type(value)}: gradients are of {FLOAT32} values by {FLOAT32} values")


def _below(graph: Graph, by: Iterable[Value]) -> set[Value]:
    """The values that depend on those of `by`, and these."""
    found = set(by)
    for node in graph:
        if not found.isdisjoint(node.inputs):
            found.update(node.values)
    return found


def _fixed(graph: Graph, by: Mapping[str, Value]) -> str:
    """Why the number of images of the gradient is fixed, as far as its nodes need not show it: a value without images
    gets a sum over all of them, however many they are when the graph is made."""
    images = images_of(graph)
    if images.batched is None:
        return images.fixed
    shared = next((name for name, value in by.items() if value not in images.carrying), None)
    return "" if shared is None else f"the gradient by '{shared}' is a sum over the images"


def _seed(new: Unfolded, of: str, top: Value) -> Value:
    """What each element of `of` counts."""
    type = new.type(top)
    return ones(new, type, f"d_{of}") if type.size == 1 else new.builder.input(f"d_{of}", type)


def _unreached(walk: Walk, top: Value, name: str) -> UsageError:
    layer = walk.flat(walk.by[name], top)
    if layer is None:
        return UsageError(f"'{walk.of}' does not depend on '{name}', so it has no gradient by it")
    told = f"{layer.op.name} has no slope by what it reads, so no gradient of '{walk.of}' reaches '{name}'"
    return UsageError(told, node=layer.name, where=layer.where)


def _result(new: Unfolded, of: str, top: Value, found: Mapping[str, Value]) -> Graph:
    """The graph of these outputs and of what they need; none of them is an input, a constant or another output."""
    builder = new.builder
    outputs = {of: _own(new, top, of, ())}
    taken = {node.name for node in builder.nodes.values() if node.op.source == "input"}
    for name, value in found.items():
        own = next((each for each in (f"d_{name}", f"d_{of}_by_{name}") if each not in taken | outputs.keys()), "")
        if not own:
            raise UsageError(f"there already are values called 'd_{name}' and 'd_{of}_by_{name}': rename '{name}'")
        outputs[own] = _own(new, value, own, outputs.values())
    return with_needed(builder.graph(outputs), outputs)


def _own(new: Unfolded, value: Value, name: str, others: Collection[Value]) -> Value:
    """A value that may be an output beside others: a copy of an input, of a constant and of what is one already."""
    if new.builder.nodes[value.node].op.source is None and value not in others:
        return value
    return new.builder.add(Identity(), (value,), f"{name}.copy")[0]
