"""A model means the same if its nodes stand inside: in a function, a branch, a loop, or behind a sequence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx
from onnx import GraphProto, ModelProto, TensorProto, helper, numpy_helper

import cnncc
from cnncc import interpreter
from cnncc.batching import images_of
from cnncc.errors import CnnccError, InputError
from cnncc.ir import Graph

from . import open_batch
from .support import node


def around(proto: ModelProto, nodes: list[onnx.NodeProto], **weights: np.ndarray) -> ModelProto:
    """The model with other nodes, and weights beside its own."""
    other = ModelProto()
    other.CopyFrom(proto)
    del other.graph.node[:]
    other.graph.node.extend(nodes)
    other.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in weights.items())
    return other


def body(proto: ModelProto, before: list[onnx.NodeProto], inputs: list[str], outputs: list[str]) -> GraphProto:
    """The nodes as a graph; what they read stands outside."""
    ports = [[helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in names] for names in (inputs, outputs)]
    return helper.make_graph([*before, *proto.graph.node], "inner", *ports)


def names(proto: ModelProto) -> tuple[list[str], list[str]]:
    """Of everything that the nodes read from outside, and of the outputs."""
    outside = [value.name for value in (*proto.graph.input, *proto.graph.initializer)]
    return outside, [value.name for value in proto.graph.output]


def in_a_function(proto: ModelProto) -> ModelProto:
    """And that in another one."""
    outside, outputs = names(proto)
    imports = [*proto.opset_import, helper.make_opsetid("my", 1)]
    inner = helper.make_function("my", "Inner", outside, outputs, list(proto.graph.node), imports)
    call = helper.make_node("Inner", outside, outputs, "inner", domain="my")
    outer = helper.make_function("my", "Outer", outside, outputs, [call], imports)
    other = around(proto, [helper.make_node("Outer", outside, outputs, "outer", domain="my")])
    other.opset_import.append(imports[-1])
    other.functions.extend([outer, inner])
    return other


def in_a_branch(proto: ModelProto) -> ModelProto:
    _, outputs = names(proto)
    taken = body(proto, [], [], outputs)
    choice = helper.make_node("If", ["yes"], outputs, "if", then_branch=taken, else_branch=GraphProto())
    return around(proto, [choice], yes=np.array(True))


def in_a_loop(proto: ModelProto) -> ModelProto:
    """Two turns, of which the second one ends with the same values, since nothing of the first is read."""
    _, outputs = names(proto)
    made = [f"made {name}" for name in outputs]
    inner = body(proto, [], ["i", "c", *(f"last {name}" for name in outputs)], ["c", *outputs])
    turns = helper.make_node("Loop", ["two", "yes", *["x"] * len(outputs)], made, "loop", body=inner)
    copies = [node("Identity", "_", name) for name in outputs]
    for copy, name in zip(copies, made, strict=True):
        copy.input[0] = name
    return around(proto, [turns, *copies], yes=np.array(True), two=np.array(2))


def behind_a_sequence(proto: ModelProto) -> ModelProto:
    """Every value between nodes goes into a sequence and out again."""
    nodes = []
    for one in proto.graph.node:
        copy = onnx.NodeProto()
        copy.CopyFrom(one)
        for k, name in enumerate(one.output):
            copy.output[k] = f"made {name}"
            nodes.append(helper.make_node("SequenceConstruct", ["zero", f"made {name}"], [f"sequence {name}"]))
            nodes.append(helper.make_node("SequenceAt", [f"sequence {name}", "one"], [name]))
        nodes.append(copy)
    return around(proto, nodes, zero=np.array(0), one=np.array(-1))


def loaded(proto: ModelProto, shapes: dict[str, tuple[int, ...]]) -> Graph | None:
    try:
        return cnncc.load_graph(proto, shapes=shapes)
    except CnnccError:
        return None


@pytest.mark.parametrize("nest", [in_a_function, in_a_branch, in_a_loop, behind_a_sequence])
def test_random_models(nest: Callable[[ModelProto], ModelProto], tmp_path: Path) -> None:
    """The number of images is free exactly where it was, and the values have the same bits."""
    free = 0
    for seed in range(30):
        grower = open_batch.grown(seed)
        if (proto := grower.model()) is None:
            continue
        shapes = {name: (3, *map(int, shape[1:])) for name, shape in grower.inputs.items() if shape[:1] == ("N",)}
        flat, nested = loaded(proto, shapes), loaded(nest(proto), shapes)
        assert (flat is None) == (nested is None), f"seed {seed}"
        if flat is None or nested is None:
            continue
        assert images_of(flat).batched == images_of(nested).batched, f"seed {seed}: {flat.fixed} / {nested.fixed}"
        free += images_of(flat).batched is not None
        for number in (3, 5):
            feeds = {name: open_batch._fed(shape, number, seed) for name, shape in grower.inputs.items()}
            try:
                wanted = interpreter.run(flat, feeds)
            except InputError:
                continue
            for name, array in interpreter.run(nested, feeds).items():
                np.testing.assert_array_equal(array, wanted[name], err_msg=f"seed {seed}")
    assert free > 5
