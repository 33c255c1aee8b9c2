"""What is known of nodes that stay is not found out again."""

from __future__ import annotations

import pickle

import pytest

from cnncc import nn
from cnncc.ir import Graph, Node, Rewriter
from cnncc.ops import Relu
from cnncc.types import TensorType


def relus() -> Graph:
    return nn.Sequential(nn.ReLU(name="first"), nn.ReLU(name="second"), input=(2, 3, 3), seed=0).graph


def test_a_graph_that_nothing_changes_stays() -> None:
    graph = relus()
    assert Rewriter(graph).rewrite(lambda node, inputs: None) is graph


def test_a_graph_with_a_layer_less_is_another() -> None:
    graph = relus()
    made = Rewriter(graph).rewrite(lambda node, inputs: inputs if node.name == "second" else None)
    assert made is not graph
    assert set(made.outputs.values()) == set(graph["first"].values)
    assert made["first"] is graph["first"]


def test_rules_are_asked_once_for_the_same_types(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[TensorType, ...]] = []
    rule = Relu.infer

    def infer(self: Relu, *inputs: TensorType) -> tuple[TensorType, ...]:
        asked.append(inputs)
        return rule(self, *inputs)

    monkeypatch.setattr(Relu, "infer", infer)
    small, large = TensorType((1, 2)), TensorType((1, 3))
    node = Node("relu", Relu(), (), (small,))
    assert [node.inferred((x,)) for x in (small, small, large, small)] == [(small,), (small,), (large,), (small,)]
    assert asked == [(small,), (large,), (small,)]
    again = pickle.loads(pickle.dumps(node))
    assert again == node
    assert "_known" not in vars(again)
