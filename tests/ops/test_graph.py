"""The graph itself: building, reading, rewriting, hashing."""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cnncc.check.graph import verify
from cnncc.errors import Location
from cnncc.ir import Builder, Rewriter, Value, with_outputs
from cnncc.ops import Add, Dense, Relu, Split
from cnncc.types import TensorType

ROOT = Path(__file__).resolve().parents[2]


def network(weights=1.0):
    """x → split → (low + low) → relu, and high; a dense layer that nobody reads."""
    b = Builder("net")
    x = b.input("x", TensorType((1, 4)))
    low, high = b.add(Split((2, 2)), (x,), "parts")
    (twice,) = b.add(Add(), (low, low), "twice")
    (relu,) = b.add(Relu(), (twice,), "relu", Location("model.py", 3))
    b.add(Dense(), (x, b.constant(np.full((3, 4), weights), "w")), "unread")
    return b.graph({"y": relu, "rest": high})


def test_names_are_made_unique():
    b = Builder()
    x = b.input("x", TensorType((1,)))
    assert [b.add(Relu(), (x,))[0].node for _ in range(3)] == ["relu", "relu_1", "relu_2"]
    assert b.constant(np.ones(1), "x").node == "x_1"


def test_reading():
    graph = network()
    assert [node.name for node in graph] == ["x", "parts", "twice", "relu", "w", "unread"]
    assert graph.inputs == {"x": TensorType((1, 4))}
    assert graph.type(Value("parts", 1)) == TensorType((1, 2))
    assert graph.constant(Value("x")) is None
    np.testing.assert_array_equal(graph.constant(Value("w")), np.ones((3, 4)))
    assert str(Value("parts", 1)) == "%parts:1"
    assert graph["relu"].where == Location("model.py", 3)


def test_consumers():
    graph = network()
    assert [node.name for node in graph.consumers[Value("x")]] == ["parts", "unread"]
    assert [node.name for node in graph.consumers[Value("parts")]] == ["twice", "twice"]


def test_the_index_has_an_edge_for_each_input():
    index = network().index
    assert sorted(index.nodes) == sorted(network().nodes)
    assert index.number_of_edges() == sum(len(node.inputs) for node in network())
    assert index.number_of_edges("parts", "twice") == 2


def test_the_hash_depends_on_all_that_matters():
    graph = network()
    assert graph.hash == network().hash
    assert graph.hash == replace(graph, nodes={n.name: replace(n, where=None) for n in graph}).hash
    others = [
        network(2.0),
        replace(graph, name="other"),
        replace(graph, labels=("a", "b")),
        with_outputs(graph, {"y": Value("relu")}),
        with_outputs(graph, {"z": Value("relu"), "rest": Value("parts", 1)}),
    ]
    assert len({graph.hash, *(other.hash for other in others)}) == 6


@pytest.mark.parametrize("seed", ["0", "77"])
def test_the_hash_is_the_same_in_every_process(seed):
    code = "from tests.ops.test_graph import network; print(network().hash)"
    found = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, cwd=ROOT, capture_output=True, check=True
    )
    assert found.stdout.decode().strip() == network().hash


def test_graphs_pickle():
    again = pickle.loads(pickle.dumps(network()))
    assert again == network()
    assert again.hash == network().hash
    verify(again)


def test_rewriting_nothing_gives_the_same_graph():
    graph = network()
    again = Rewriter(graph).rewrite(lambda node, inputs: None)
    assert again == graph
    assert all(again[name] is graph[name] for name in graph.nodes)


def test_rewriting_replaces_values_and_types_follow():
    graph = network()
    rewriter = Rewriter(graph)

    def without_relu(node, inputs):
        return inputs if node.op == Relu() else None

    after = rewriter.rewrite(without_relu)
    verify(after)
    assert after.outputs == {"y": Value("twice"), "rest": Value("parts", 1)}
    assert "relu" in graph.nodes and "relu" not in after.nodes


def test_a_replacement_keeps_its_neighbours_names():
    graph = network()
    rewriter = Rewriter(graph)

    def doubled(node, inputs):
        if node.op != Relu():
            return None
        (first,) = rewriter.add(Relu(), inputs, node.name, node.where)
        assert rewriter.type(first) == graph.type(Value("relu"))
        return rewriter.add(Relu(), (first,), node.name, node.where)

    after = rewriter.rewrite(doubled)
    verify(after)
    assert after.outputs["y"] == Value("relu_1")
    assert after["relu_1"].inputs == (Value("relu"),)
    assert rewriter.producer(Value("relu_1")) == after["relu_1"]
    assert rewriter.constant_data(Value("x")) is None
    np.testing.assert_array_equal(rewriter.constant_data(Value("w")), np.ones((3, 4)))
