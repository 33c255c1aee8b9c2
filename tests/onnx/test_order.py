"""Nodes in any order, and nodes, weights and inputs that no output needs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx

import cnncc
from cnncc import interpreter
from cnncc.elements import VALUES
from cnncc.errors import ModelError
from cnncc.frontends.onnx.order import Wiring, needed
from cnncc.op import either

from .making import data, ints
from .support import imported, model, node


def test_sorted_nodes_stay_where_they_are():
    nodes = [Wiring(f"n{k}", (f"v{k // 2}",), (f"v{k + 1}",)) for k in range(50)]
    assert needed(nodes, [f"v{k}" for k in range(51)]) == list(range(50))


@pytest.mark.parametrize("seed", range(20))
def test_any_order_gives_the_same_values(seed: int, tmp_path: Path):
    """A random graph, its nodes shuffled, and among them such as nobody needs and cnncc does not have."""
    random = np.random.default_rng(seed)
    nodes = []
    for k in range(25):
        reads = [f"v{random.integers(max(0, k - 6), k + 1)}" for _ in range(2)]
        nodes.append(node(str(random.choice(["Add", "Mul", "Max", "Sub"])), " ".join(reads), f"v{k + 1}"))
    dead = [node("NonZero", f"v{random.integers(26)}", f"d{k}") for k in range(5)]
    shuffled = [(*nodes, *dead)[k] for k in random.permutation(30)]
    outputs, x = ["v25", "v20"], random.standard_normal((2, 3)).astype(np.float32)
    wanted, graph = (imported(model(listed, {"v0": (2, 3)}, outputs), tmp_path) for listed in (nodes, shuffled))
    assert {n.name for n in graph} == {n.name for n in wanted} <= {f"v{k}" for k in range(26)}
    for name, values in interpreter.run(wanted, {"v0": x}).items():
        np.testing.assert_array_equal(interpreter.run(graph, {"v0": x})[name], values)


def test_long_chains_backwards(tmp_path: Path):
    """Neither Python's stack nor time by the square of the number of nodes."""
    nodes = [node("Relu", f"v{k}", f"v{k + 1}") for k in reversed(range(3000))]
    assert len(needed([Wiring(n.output[0], tuple(n.input), tuple(n.output)) for n in nodes], ["v3000"])) == 3000


def refusal(proto: onnx.ModelProto, folder: Path) -> str:
    with pytest.raises(ModelError) as error:
        imported(proto, folder)
    return str(error.value)


def test_cycles_are_shown(tmp_path: Path):
    itself = [node("Relu", "y", "y", "own")]
    assert refusal(model(itself, {"x": (1, 3)}), tmp_path) == (
        "nodes wait for each other in a cycle: 'own' reads 'y' of 'own'"
    )
    ring = [node("Add", f"x v{k}", f"v{(k + 1) % 9}", f"n{k}") for k in range(9)]
    assert refusal(model([*ring, node("Relu", "v4", "y")], {"x": (1, 3)}), tmp_path) == (
        "nodes wait for each other in a cycle: "
        "'n0' reads 'v0' of 'n8', 'n8' reads 'v8' of 'n7', 'n7' reads 'v7' of 'n6' and 6 more"
    )


def test_a_cycle_that_nobody_needs(tmp_path: Path):
    nodes = [node("Add", "x b", "a"), node("Relu", "a", "b"), node("Relu", "x", "y")]
    assert list(imported(model(nodes, {"x": (1, 3)}), tmp_path).nodes) == ["x", "y"]


def test_names_made_twice(tmp_path: Path):
    """Whoever makes them, in whatever order, if an output needs them."""
    twice = [node("Relu", "t", "y", "last"), node("Neg", "x", "t", "one"), node("Abs", "x", "t", "two")]
    assert refusal(model(twice, {"x": (1, 3)}), tmp_path) == "node 'two': output 't' exists already"
    weight = [node("Add", "x w", "y", "last"), node("Abs", "x", "w", "one")]
    assert refusal(model(weight, {"x": (1, 3)}, weights={"w": data(3)}), tmp_path) == (
        "node 'one': output 'w' exists already"
    )


def test_unread_weights_may_be_of_any_kind(tmp_path: Path):
    proto = model([node("Relu", "x", "y")], {"x": (1, 3)}, weights={"ids": ints(1, 2), "flags": np.array([True])})
    proto.graph.initializer.add(name="strange", data_type=onnx.TensorProto.FLOAT, dims=[7])  # without data
    assert list(imported(proto, tmp_path).nodes) == ["x", "y"]


def test_unread_inputs(tmp_path: Path):
    """One that layers could read stays in the signature; one of a type that cnncc does not have is left out of it."""
    nodes = [node("Relu", "x", "y"), node("Gather", "x ids", "dead")]
    proto = model(nodes, {"x": (1, 3), "z": (2, 2), "ids": (2,), "mask": (4,)})
    for port, kind in (
        (proto.graph.input[2], onnx.TensorProto.UINT64),
        (proto.graph.input[3], onnx.TensorProto.STRING),
    ):
        port.type.tensor_type.elem_type = kind
    graph = imported(proto, tmp_path)
    assert list(graph.inputs) == ["x", "z"]
    x = np.array([[1, -2, 3]], np.float32)
    compiled = cnncc.compile(graph, cache=False)
    np.testing.assert_array_equal(compiled(x, np.zeros((2, 2), np.float32)), [[1, 0, 3]])
    proto.graph.output.add().CopyFrom(onnx.helper.make_tensor_value_info("dead", onnx.TensorProto.FLOAT, None))
    assert refusal(proto, tmp_path).endswith(
        f"an input of type uint64 is not supported, only {either(VALUES)} (at input 'ids')"
    )


def test_outputs_listed_twice(tmp_path: Path):
    """Each is there, in the order of the file, under a name of its own."""
    nodes = [node("Relu", "x", "y"), node("Neg", "x", "y_1")]
    graph = imported(model(nodes, {"x": (1, 3)}, ["y", "y", "y_1", "y", "y_1"]), tmp_path)
    assert list(graph.outputs) == ["y", "y_2", "y_1", "y_3", "y_1_1"]
    x = np.array([[1, -2, 3]], np.float32)
    for value, wanted in zip(cnncc.compile(graph, cache=False)(x), ("y", "y", "n", "y", "n"), strict=True):
        np.testing.assert_array_equal(value, np.maximum(x, 0) if wanted == "y" else -x)
