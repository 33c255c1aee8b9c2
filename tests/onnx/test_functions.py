"""Functions inside a model are inlined, with names, attributes and opsets of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx
from onnx import AttributeProto, GraphProto, NodeProto, TensorProto, helper, numpy_helper

import cnncc
from cnncc import batching, interpreter
from cnncc.errors import ModelError
from cnncc.types import Array

from .making import data
from .support import imported, model, node, reference

X = np.array([[1, -2, 3], [-4, 5, -6]], np.float32)


def function(
    name: str, inputs: str, outputs: str, nodes: Sequence[NodeProto], opset: int = 21, **extra: Any
) -> onnx.FunctionProto:
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("my", 1)]
    return helper.make_function("my", name, inputs.split(), outputs.split(), list(nodes), imports, **extra)


def call(name: str, inputs: str, outputs: str, own: str = "", **attributes: Any) -> NodeProto:
    made = node(name, inputs, outputs, own, **attributes)
    made.domain = "my"
    return made


def referring(made: NodeProto, attribute: str, kind: int, of: str) -> NodeProto:
    """A node with an attribute that is one of the call."""
    made.attribute.add(name=attribute, ref_attr_name=of, type=kind)
    return made


def calling(nodes: Sequence[NodeProto], *functions: onnx.FunctionProto, **options: Any) -> onnx.ModelProto:
    proto = model(nodes, {"x": ("n", 3)}, **options)
    proto.opset_import.append(helper.make_opsetid("my", 1))
    proto.functions.extend(functions)
    return proto


def results(proto: onnx.ModelProto, folder: Path) -> list[Array]:
    """The outputs for X, at both numbers of images, natively and interpreted."""
    graph = imported(proto, folder, shapes={"x": (2, 3)})
    interpreted = list(interpreter.run(graph, {"x": X}).values())
    found = cnncc.compile(graph, cache=False)(X)
    for actual, wanted in zip(found if isinstance(found, tuple) else (found,), interpreted, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-5, atol=1e-6)
    return interpreted


def refusal(proto: onnx.ModelProto, folder: Path) -> str:
    with pytest.raises(ModelError) as error:
        imported(proto, folder)
    return str(error.value)


TWICE = function("Twice", "p", "q", [node("Add", "p p", "q", "sum")])
SQUARE = function("Square", "p", "q", [node("Mul", "p p", "t"), node("Identity", "t", "q")])
NESTED = function(
    "Nested", "a b", "c", [call("Twice", "a", "t", "first"), call("Square", "b", "u"), node("Sub", "t u", "c")]
)


def test_calls_inside_of_calls(tmp_path: Path) -> None:
    """Layers are named after the node that calls; every use has names of its own, also where they meet outer ones."""
    nodes = [node("Relu", "x", "one.t"), call("Nested", "x one.t", "t", "one"), call("Nested", "t x", "y", "two")]
    proto = calling(nodes, TWICE, SQUARE, NESTED)
    (actual,) = results(proto, tmp_path)
    np.testing.assert_array_equal(actual, reference(proto, {"x": X})[0])
    graph = imported(proto, tmp_path)
    layers = ["one.t", "one.first.sum", "one.u.t", "one.c", "two.first.sum", "two.u.t", "two.c"]
    assert list(graph.nodes) == ["x", *layers]
    assert batching.batched_inputs(graph) == {"x": True}


def test_attributes_of_the_call_and_defaults(tmp_path: Path) -> None:
    elu = referring(node("Elu", "p", "t"), "alpha", AttributeProto.FLOAT, "slope")
    leaky = referring(node("LeakyRelu", "t", "q"), "alpha", AttributeProto.FLOAT, "leak")
    body = function("Act", "p", "q", [elu, leaky], attributes=["slope"])
    body.attribute_proto.append(helper.make_attribute("leak", 0.25))
    nodes = [call("Act", "x", "a", slope=2.0), call("Act", "a", "b", leak=0.5), call("Act", "b", "y")]
    (actual,) = results(calling(nodes, body), tmp_path)

    def act(v: Array, slope: float, leak: float) -> Array:
        v = np.where(v > 0, v, slope * np.expm1(v))
        return np.where(v > 0, v, leak * v)

    np.testing.assert_allclose(actual, act(act(act(X, 2, 0.25), 1, 0.5), 1, 0.25), rtol=1e-5)


def test_attributes_reach_nested_calls_and_branches(tmp_path: Path) -> None:
    """Also graphs inside a function see its attributes and its values, and those of nobody else."""
    port = helper.make_tensor_value_info("r", TensorProto.FLOAT, None)
    leaky = referring(node("LeakyRelu", "p", "r"), "alpha", AttributeProto.FLOAT, "alpha")
    branches: dict[str, GraphProto] = {
        "then_branch": helper.make_graph([leaky], "then", [], [port]),
        "else_branch": helper.make_graph([node("Neg", "p", "r")], "else", [], [port]),
    }
    inner = function("Inner", "p c", "q", [node("If", "c", "q", "if", **branches)], attributes=["alpha"])
    outer_call = referring(call("Inner", "p c", "q"), "alpha", AttributeProto.FLOAT, "a")
    outer = function("Outer", "p c", "q", [outer_call], attributes=["a"])
    nodes = [call("Outer", "x yes", "r", a=0.5), call("Outer", "r no", "y", a=9.0)]
    proto = calling(nodes, inner, outer, weights={"yes": np.array(True), "no": np.array(False)})
    (actual,) = results(proto, tmp_path)
    np.testing.assert_array_equal(actual, -np.where(X > 0, X, X / 2))


def test_own_opsets(tmp_path: Path) -> None:
    """Softmax flattens from axis 1 on up to opset 12."""
    body = function("Old", "p", "q", [node("Softmax", "p", "q", axis=0)], opset=11)
    nodes = [call("Old", "x", "a"), node("Softmax", "a", "y", axis=0)]
    (actual,) = results(calling(nodes, body), tmp_path)
    flat = np.exp(X) / np.exp(X).sum()
    np.testing.assert_allclose(actual, np.exp(flat) / np.exp(flat).sum(0), rtol=1e-5)
    body.opset_import[0].version = 99
    assert "function my.Old of '" in refusal(calling(nodes, body), tmp_path)


def test_overloads(tmp_path: Path) -> None:
    if not hasattr(onnx.NodeProto(), "overload"):
        pytest.skip("this onnx package has no overloads")
    other = function("Twice", "p", "q", [node("Neg", "p", "q")])
    other.overload = "int"
    nodes = [call("Twice", "x", "a"), call("Twice", "a", "y")]
    nodes[1].overload = "int"
    (actual,) = results(calling(nodes, TWICE, other), tmp_path)
    np.testing.assert_array_equal(actual, -2 * X)


def test_inputs_and_outputs_that_are_left_out(tmp_path: Path) -> None:
    """Results may be inputs, or the same value twice; what nobody reads is not looked at."""
    nodes = [node("Clip", "p low high", "c"), node("NonZero", "p", "n"), node("Neg", "c", "m")]
    body = function("Many", "p low high", "c p n m m", nodes)
    # Each output is listed once in a right function; engines take others, too.
    low = np.array(-1, np.float32)
    used = [call("Many", "x _ low", "a b _ d e"), node("Sum", "a b d e", "y")]
    (actual,) = results(calling(used, body, weights={"low": low}), tmp_path)
    np.testing.assert_array_equal(actual, X - np.minimum(X, -1))
    short = [call("Many", "x low", "a"), node("Relu", "a", "y")]
    (actual,) = results(calling(short, body, weights={"low": low}), tmp_path)
    np.testing.assert_array_equal(actual, np.maximum(X, 0))


def test_weights_are_shared(tmp_path: Path) -> None:
    """The same constant for all calls, whether it comes from outside or stands in the function."""
    w, b = data(3), data(3)
    nodes = [
        node("Constant", "", "b", value=numpy_helper.from_array(b)),
        node("Mul", "p w", "m"),
        node("Add", "m b", "q"),
    ]
    body = function("Layer", "p w", "q", nodes)
    proto = calling([call("Layer", "x w", "a", "l1"), call("Layer", "a w", "y", "l2")], body, weights={"w": w})
    graph = imported(proto, tmp_path)
    assert [n.name for n in graph if n.op.name == "Constant"] == ["w", "l1.b_1"]
    np.testing.assert_allclose(results(proto, tmp_path)[0], (X * w + b) * w + b, rtol=1e-4, atol=1e-5)


def test_float64_and_problems_inside(tmp_path: Path) -> None:
    body = function("Bad", "p", "q", [node("Det", "p", "q", "det")])
    assert (
        refusal(calling([call("Bad", "x", "y", "b")], body), tmp_path)
        .partition(". ")[0]
        .endswith("operator Det is not supported (at node 'b.det')")
    )
    body = function("Dark", "p", "q", [node("Add", "p secret", "q")])
    told = refusal(
        calling(
            [
                node("Relu", "x", "secret"),
                call("Dark", "x", "y", "d"),
            ],
            body,
        ),
        tmp_path,
    )
    assert told == "node 'd.q': input 'd.secret' is made by no node"


@pytest.mark.parametrize(
    ("nodes", "functions", "told"),
    [
        (
            [call("F", "x", "y", "f")],
            [function("F", "p", "q", [call("F", "p", "q", "again")])],
            "function my.F calls itself",
        ),
        (
            [call("F", "x", "y", "f")],
            [
                function("F", "p", "q", [call("G", "p", "q", "g")]),
                function("G", "p", "q", [node("Relu", "p", "t"), call("F", "t", "q", "h")]),
            ],
            "layer 'f.g.h': function my.F calls itself",
        ),
        ([call("Twice", "x x", "y", "f")], [TWICE], "layer 'f': function my.Twice has 1 inputs, not 2"),
        ([call("Twice", "x", "y z", "f")], [TWICE], "layer 'f': function my.Twice has 1 outputs, not 2"),
        ([call("Twice", "x", "y", "f", axis=1)], [TWICE], "layer 'f': function my.Twice has no attribute axis"),
        (
            [call("F", "x", "y", "f")],
            [function("F", "p", "q", [node("Relu", "p", "t")])],
            "output 'y': no node makes it",
        ),
        (
            [call("F", "x", "y")],
            [function("F", "p", "q", [node("Relu", "p", "p", "n"), node("Neg", "p", "q")])],
            "'p' exists",
        ),
        (
            [call("F", "x", "y")],
            [function("F", "p", "q", [node("Relu", "p", "t"), node("Neg", "p", "t"), node("Add", "t t", "q")])],
            "exists already",
        ),
        ([referring(node("Elu", "x", "y", "e"), "alpha", AttributeProto.FLOAT, "a")], [], "attribute alpha"),
    ],
)
def test_functions_that_are_refused(
    nodes: list[NodeProto], functions: list[onnx.FunctionProto], told: str, tmp_path: Path
) -> None:
    assert told in refusal(calling(nodes, *functions), tmp_path)


def test_functions_that_nobody_calls_may_be_wrong(tmp_path: Path) -> None:
    endless = function("F", "p", "q", [call("F", "p", "q", "again")])
    graph = imported(calling([call("F", "x", "dead"), call("Twice", "x", "y")], endless, TWICE), tmp_path)
    assert list(graph.nodes) == ["x", "y.sum"]


def test_few_lines_that_stand_for_many_nodes(tmp_path: Path) -> None:
    """2²⁰ additions in 20 functions, as many calls of nothing, and calls a hundred deep."""
    step = [call(f"F{k}", "p", "t") if k else node("Neg", "p", "t") for k in range(20)]
    doubled = [function(f"F{k + 1}", "p", "q", [one, _renamed(one)]) for k, one in enumerate(step)]
    told = refusal(calling([call("F20", "x", "y")], *doubled), tmp_path)
    assert told.startswith("the functions, branches and loops of the model stand for too many nodes: those may have")
    wide = function("Wide", " ".join(f"p{k}" for k in range(3000)), "q", [node("Neg", "p0", "q")])
    chain = [
        call("Wide", "x", "y0"),
        *(call("Wide", f"y{k}", f"y{k + 1}") for k in range(99)),
        node("Relu", "y99", "y"),
    ]
    assert "too many nodes" in refusal(calling(chain, wide), tmp_path)
    deep = [function(f"D{k}", "p", "q", [call(f"D{k + 1}", "p", "q", "d")]) for k in range(100)]
    deep.append(function("D100", "p", "q", [node("Neg", "p", "q")]))
    assert "functions call each other more than 64 deep" in refusal(calling([call("D0", "x", "y")], *deep), tmp_path)


def _renamed(one: NodeProto) -> NodeProto:
    """The same node behind itself."""
    second = NodeProto()
    second.CopyFrom(one)
    second.input[0], second.output[0] = "t", "q"
    return second
