"""Each check of the verifier finds its own kind of broken graph, and names it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cnncc.check.graph import CHECKS, verify
from cnncc.elements import VALUES
from cnncc.errors import Location, VerifyError
from cnncc.ir import Builder, Graph, Node, Value
from cnncc.op import Constant, either
from cnncc.ops import Add, Relu
from cnncc.types import TensorType

PLACE = Location("model.py", 7)


def healthy() -> Graph:
    b = Builder("g")
    x = b.input("x", TensorType((1, 3)))
    c = b.constant(np.ones(3), "c")
    (a,) = b.add(Add(), (x, c), "sum", PLACE)
    (r,) = b.add(Relu(), (a,), "relu", PLACE)
    return b.graph({"y": r})


def changed(**nodes: Node) -> Graph:
    graph = healthy()
    return Graph(graph.name, {**graph.nodes, **nodes}, graph.outputs)


def with_data(data, digest="d") -> Graph:
    graph = healthy()
    return changed(c=replace(graph["c"], op=Constant(data, digest)))


def read_only(data):
    data.flags.writeable = False
    return data


def reordered(*names: str) -> Graph:
    graph = healthy()
    return Graph(graph.name, {name: graph[name] for name in names}, graph.outputs)


def cyclic() -> Graph:
    graph = healthy()
    return changed(sum=replace(graph["sum"], inputs=(Value("relu"), Value("c"))))


BROKEN = [
    (
        lambda: Graph("g", {"": replace(healthy()["x"], name="")}, {"y": Value("")}),
        "check_names: a node of op Input has the name '', expected a non-empty text",
    ),
    (
        lambda: changed(relu=replace(healthy()["relu"], name="other")),
        "layer 'other': check_names: stands in the graph under another name, 'relu' (at model.py:7)",
    ),
    (
        lambda: changed(relu=replace(healthy()["relu"], inputs=(Value("gone"),))),
        "layer 'relu': check_inputs: reads %gone, which does not exist (at model.py:7)",
    ),
    (
        lambda: changed(relu=replace(healthy()["relu"], inputs=(Value("sum", 1),))),
        "layer 'relu': check_inputs: reads %sum:1, which does not exist (at model.py:7)",
    ),
    (
        lambda: reordered("x", "c", "relu", "sum"),
        "layer 'relu': check_order: reads %sum before it is computed (at model.py:7)",
    ),
    (
        cyclic,
        "layer 'sum': check_order: reads %relu before it is computed (the graph has a cycle: sum → relu → sum) "
        "(at model.py:7)",
    ),
    (
        lambda: changed(relu=replace(healthy()["relu"], types=(TensorType((1, 4)),))),
        "layer 'relu': check_types: has float32[1, 4] on record, its type rule says float32[1, 3] (at model.py:7)",
    ),
    (
        lambda: changed(relu=replace(healthy()["relu"], inputs=(Value("x"), Value("x")))),
        "layer 'relu': check_types: Relu takes 1 inputs, got 2 (at model.py:7)",
    ),
    (lambda: replace(healthy(), outputs={}), "check_outputs: graph 'g' has no outputs"),
    (
        lambda: replace(healthy(), outputs={"": Value("relu")}),
        "check_outputs: output %relu has the name '', expected a non-empty text",
    ),
    (
        lambda: replace(healthy(), outputs={"y": Value("relu", 3)}),
        "check_outputs: output 'y' is %relu:3, which does not exist",
    ),
    (lambda: replace(healthy(), updates={"relu": Value("relu")}), "check_updates: 'relu' is updated, but is no state"),
    (
        lambda: with_data(read_only(np.ones(3))),
        f"layer 'c': check_constants: holds float64, expected {either(VALUES)}",
    ),
    (
        lambda: with_data(np.ones(3, np.float32)),
        "layer 'c': check_constants: holds a writeable array, expected a read-only one",
    ),
    (
        lambda: with_data(read_only(np.ones(6, np.float32))[::2]),
        "layer 'c': check_constants: holds an array that is not in row-major order",
    ),
    (
        lambda: with_data(read_only(np.ones(3, np.float32)), digest=""),
        "layer 'c': check_constants: has no digest (make it with Constant.of)",
    ),
]


def test_a_healthy_graph_passes():
    verify(healthy())


@pytest.mark.parametrize(("make", "message"), BROKEN, ids=[message.split(": ", 2)[-1][:40] for _, message in BROKEN])
def test_a_broken_graph_is_named(make, message):
    with pytest.raises(VerifyError) as caught:
        verify(make())
    assert str(caught.value) == message


def test_the_pass_is_named():
    with pytest.raises(VerifyError) as caught:
        verify(cyclic(), after="fuse")
    assert str(caught.value).startswith("layer 'sum': internal error in pass 'fuse': check_order: reads")


def test_every_check_has_a_test():
    tested = {check.__name__ for check in CHECKS if any(f"{check.__name__}:" in message for _, message in BROKEN)}
    assert tested == {check.__name__ for check in CHECKS}
