"""Branches, loops, scans and sequences whose course is known when the model is imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

import cnncc
from cnncc import batching, interpreter
from cnncc.errors import ModelError
from cnncc.frontends.onnx import bodies
from cnncc.types import Array

from .making import data, ints
from .support import imported, model, node, runtime

X = np.array([[1, -2, 3], [4, 5, -6]], np.float32)
YES, NO = np.array(True), np.array(False)


def body(
    nodes: Sequence[NodeProto], inputs: str, outputs: str, weights: Mapping[str, Array] | None = None
) -> onnx.GraphProto:
    """The first inputs of a loop's body are its number and its condition."""
    kinds = {"i": TensorProto.INT64, "c": TensorProto.BOOL, "k": TensorProto.BOOL}
    ports = [
        [helper.make_tensor_value_info(name, kinds.get(name, TensorProto.FLOAT), None) for name in names.split()]
        for names in (inputs, outputs)
    ]
    tensors = [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()]
    return helper.make_graph(list(nodes), "body", *ports, tensors)


def results(proto: onnx.ModelProto, folder: Path, feeds: dict[str, Array], **options: Any) -> list[Array]:
    """The outputs natively, interpreted and by ONNX Runtime, which are the same."""
    graph = imported(proto, folder, **options)
    interpreted = list(interpreter.run(graph, feeds).values())
    compiled = cnncc.compile(graph, cache=False)(feeds)
    other = runtime(proto, feeds)
    for found in ([compiled] if isinstance(compiled, np.ndarray) else compiled, *other):
        for actual, wanted in zip(found, interpreted, strict=True):
            np.testing.assert_allclose(actual, wanted, rtol=1e-5, atol=1e-6)
    return interpreted


def refusal(proto: onnx.ModelProto, folder: Path, **options: Any) -> str:
    with pytest.raises(ModelError) as error:
        imported(proto, folder, **options)
    return str(error.value)


def loop(nodes: Sequence[NodeProto], **options: Any) -> onnx.ModelProto:
    return model(nodes, {"x": (2, 3)}, **options)


STEP = [
    node("Mul", "v w", "m", "scale"),
    node("Add", "m outer", "v2"),
    node("Cast", "i", "f", to=TensorProto.FLOAT),
    node("Mul", "v2 f", "s"),
    node("Identity", "c", "k"),
]


def counted(name: str = "loop") -> NodeProto:
    """Three turns: v = v · w + outer, and v · i of each turn."""
    return node("Loop", "three yes x", "v3 scans", name, body=body(STEP, "i c v", "k v2 s", {"w": data(3)}))


def test_a_trip_count(tmp_path: Path) -> None:
    """Layers are named after node, turn and layer; weights of the body are there once; what is outside is seen."""
    nodes = [node("Relu", "x", "outer"), counted(), node("Relu", "v3", "y")]
    proto = loop(nodes, outputs=["y", "scans"], weights={"three": np.array(3), "yes": YES})
    y, scans = results(proto, tmp_path, {"x": X})
    v, wanted = X, []
    for turn in range(3):
        v = v * data(3) + np.maximum(X, 0)
        wanted.append(v * turn)
    np.testing.assert_allclose(y, np.maximum(v, 0), rtol=1e-5)
    np.testing.assert_allclose(scans, wanted, rtol=1e-5, atol=1e-6)
    graph = imported(proto, tmp_path)
    assert {"loop.0.scale", "loop.1.scale", "loop.2.scale", "loop.scan0"} <= graph.nodes.keys()
    assert sum(n.op.name == "Constant" and n.types[0].shape == (3,) for n in graph) == 1


def test_the_number_of_images_stays_free(tmp_path: Path) -> None:
    """Also that the carried value has images does not fix their number; a count of turns that depends on it does."""
    carried = [node("Relu", "x", "outer"), counted(), node("Relu", "v3", "y")]
    proto = model(carried, {"x": ("n", 3)}, weights={"three": np.array(3), "yes": YES})
    graph = imported(proto, tmp_path)
    assert batching.batched_inputs(graph) == {"x": True}
    many = np.concatenate([X, -X, X])
    compiled = cnncc.compile(graph, cache=False)
    np.testing.assert_array_equal(compiled(many)[:2], compiled(X))
    for operator in ("Shape", "Size"):
        nodes = [node(operator, "x", "three"), *carried]
        if operator == "Shape":
            nodes[0].attribute.append(helper.make_attribute("end", 1))
        fixed = imported(model(nodes, {"x": ("n", 3)}, weights={"yes": YES}), tmp_path)
        assert batching.batched_inputs(fixed) is None and "'loop' computes with the number of images" in fixed.fixed


def test_stacked_numbers_of_images_are_noticed(tmp_path: Path) -> None:
    """What a body makes of N is N's still when it comes out, alone or stacked."""
    sizes = body([node("Shape", "x", "s", end=1), node("Identity", "c", "k")], "i c", "k s")
    for tail in ("stack", "last"):
        nodes = [
            node("Loop", "two yes", "stack", "loop", body=sizes),
            node("Gather", "stack zero", "last"),
            node("Cast", tail, "f", to=TensorProto.FLOAT),
            node("ReduceSum", "f", "r", keepdims=0),
            node("Add", "x r", "y"),
        ]
        weights = {"two": np.array(2), "yes": YES, "zero": np.array(0)}
        graph = imported(model(nodes, {"x": ("n", 3)}, weights=weights), tmp_path)
        assert batching.batched_inputs(graph) is None and "computes with the number of images" in graph.fixed


def test_a_condition(tmp_path: Path) -> None:
    """While v < 20, counted in whole numbers; without a trip count."""
    step = [node("Add", "v two", "v2"), node("Less", "v2 most", "k"), node("Relu", "r", "r2")]
    nodes = [
        node("Loop", "_ yes start x", "total last", "loop", body=body(step, "i c v r", "k v2 r2")),
        node("Cast", "total", "f", to=TensorProto.FLOAT),
        node("Add", "last f", "y"),
    ]
    weights = {"yes": YES, "two": np.array(7), "most": np.array(20), "start": np.array(1)}
    (actual,) = results(loop(nodes, weights=weights), tmp_path, {"x": X})
    np.testing.assert_array_equal(actual, np.maximum(X, 0) + 22)
    weights["yes"] = NO
    (actual,) = results(loop(nodes, weights=weights), tmp_path, {"x": X})
    np.testing.assert_array_equal(actual, X + 1)


def test_loops_inside_of_branches_and_loops(tmp_path: Path) -> None:
    """A triangle of additions: the inner trip count is the outer number."""
    inner = body([node("Add", "v x", "v2"), node("Identity", "c", "k")], "i c v", "k v2")
    outer = body([node("Loop", "i yes u", "u2", "in", body=inner), node("Identity", "c", "k")], "i c u", "k u2")
    branch = body([node("Loop", "four yes x", "t", "out", body=outer)], "", "t")
    choice = node("If", "yes", "y", "if", then_branch=branch, else_branch=body([node("Neg", "x", "t")], "", "t"))
    (actual,) = results(loop([choice], weights={"four": np.array(4), "yes": YES}), tmp_path, {"x": X})
    np.testing.assert_array_equal(actual, X * 7)


def test_what_is_made_inside_stays_inside(tmp_path: Path) -> None:
    """Nobody outside, nor in another branch, reads a value of a branch by its name."""
    inner = body([node("Neg", "x", "t"), node("Relu", "t", "r")], "", "r")
    first = node("If", "yes", "a", "if", then_branch=inner, else_branch=inner)
    outside = [first, node("Add", "a t", "y", "add")]
    assert refusal(loop(outside, weights={"yes": YES}), tmp_path) == "node 'add': input 't' is made by no node"
    other = body([node("Add", "a t", "r2", "add")], "", "r2")
    second = [first, node("If", "yes", "y", "if2", then_branch=other, else_branch=other)]
    assert refusal(loop(second, weights={"yes": YES}), tmp_path) == "node 'add': input 't' is made by no node"
    told = refusal(loop([first], outputs=["a", "t"], weights={"yes": YES}), tmp_path)
    assert told == "output 't': no node makes it"


def test_loops_that_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "MOST_NAMES", 1000)
    step = body([node("Relu", "v", "v2"), node("Identity", "c", "k")], "i c v", "k v2")
    weights = {"yes": YES, "many": np.array(10**12), "pair": ints(1, 2), "none": np.array(0)}

    def told(inputs: str, outputs: str = "y", graph: onnx.GraphProto = step, **attributes: Any) -> str:
        proto = loop([node("Loop", inputs, outputs, "loop", body=graph, **attributes)], weights=weights)
        return refusal(proto, tmp_path)

    assert "stand for too many nodes" in told("many yes x")
    assert "stand for too many nodes" in told("_ yes x")
    assert "stand for too many nodes" in told("_ _ x")
    assert told("pair yes x") == "node 'loop': Loop with a trip count of shape (2,), expected a number"
    assert "Loop with a condition of shape (2,)" in told("many pair x")
    assert "a graph inside a node has 3 inputs, expected 2" in told("many yes")
    assert "a body with 2 outputs, expected at least 3" in told("many yes x x", graph=body(STEP, "i c v u", "k v2"))
    run_time = body(
        [node("Greater", "v2 v", "g"), node("Relu", "v", "v2"), node("ReduceMax", "v2", "k")], "i c v", "k v2"
    )
    assert "Loop with a condition computed at run time is not supported" in told("many yes x", graph=run_time)
    stopping = body([node("Relu", "v", "v2"), node("Not", "c", "k")], "i c v", "k v2")
    assert "Loop without a condition, with a body that has one" in told("many _ x", graph=stopping)
    assert "Loop of no tensors is not supported" in told("none yes", "y", body(STEP[4:], "i c", "k c"))
    assert "operator Det is not supported (at node 'loop.0.det')" in told(
        "many yes x", graph=body([node("Det", "v", "v2", "det"), node("Identity", "c", "k")], "i c v", "k v2")
    )
    proto = model([node("Loop", "n yes x", "y", "loop", body=step)], {"x": (2, 3), "n": ()}, weights=weights)
    assert "Loop with a trip count computed at run time is not supported" in refusal(proto, tmp_path)


def test_work_of_loops_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few hundred bytes that would read 10⁸ elements."""
    monkeypatch.setattr(bodies, "MOST_ELEMENTS", 10**6)
    step = [node("ReduceSum", "large", "s", keepdims=0), node("Add", "v s", "v2"), node("Identity", "c", "k")]
    nodes = [
        node("ConstantOfShape", "n", "large"),
        node("Loop", "many yes x", "y", "loop", body=body(step, "i c v", "k v2")),
    ]
    weights = {"yes": YES, "many": np.array(10**4), "n": ints(10**4)}
    assert "compute with more than 1000000 known elements" in refusal(loop(nodes, weights=weights), tmp_path)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("backwards", [0, 1])
def test_scan(axis: int, backwards: int, tmp_path: Path) -> None:
    """Running sums along an axis, from its end if so said, with a second input that is known."""
    step = [node("Add", "total part", "t2"), node("Mul", "t2 weight", "out")]
    attributes = {
        "scan_input_axes": [axis, 0],
        "scan_input_directions": [backwards, 0],
        "scan_output_axes": [axis],
        "scan_output_directions": [backwards],
    }
    length = X.shape[axis]
    inner = body(step, "total part weight", "t2 out")
    scan = node("Scan", "start x ws", "final y", "scan", body=inner, num_scan_inputs=2, **attributes)
    weights = {"start": np.zeros(X.shape[1 - axis % 2], np.float32), "ws": data(length)}
    y, final = results(loop([scan], outputs=["y", "final"], weights=weights), tmp_path, {"x": X})
    order = np.flip(X, axis) if backwards else X
    sums = np.cumsum(order, axis) * np.expand_dims(data(length), 1 - axis % 2)
    np.testing.assert_allclose(y, np.flip(sums, axis) if backwards else sums, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(final, X.sum(axis), rtol=1e-5)


def test_scan_over_images_fixes_their_number(tmp_path: Path) -> None:
    step = body([node("Add", "total part", "t2"), node("Identity", "t2", "out")], "total part", "t2 out")
    scan = node("Scan", "start x", "final y", "scan", body=step, num_scan_inputs=1)
    proto = model([scan], {"x": ("n", 3)}, weights={"start": data(3)})
    graph = imported(proto, tmp_path, shapes={"x": (2, 3)})
    assert batching.batched_inputs(graph) is None
    for count in (0, 3):
        scan.attribute[1].i = count
        told = refusal(loop([scan], weights={"start": data(3)}), tmp_path)
        assert told == f"node 'scan': Scan with num_scan_inputs={count} and 2 inputs"


def test_sequences(tmp_path: Path) -> None:
    nodes = [
        node("SplitToSequence", "x", "rows", axis=0, keepdims=0),
        node("SequenceEmpty", "", "none"),
        node("SequenceInsert", "none x", "one"),
        node("Neg", "x", "n"),
        node("SequenceInsert", "one n zero", "two"),
        node("SequenceConstruct", "x n x", "three"),
        node("SequenceErase", "three last", "less"),
        node("SequenceAt", "rows last", "row"),
        node("ConcatFromSequence", "two", "stacked", "cat", axis=0, new_axis=1),
        node("ConcatFromSequence", "less", "wide", axis=-1),
        node("SequenceLength", "three", "length"),
        node("Identity", "rows", "same"),
        node("ConcatFromSequence", "same", "back", axis=0, new_axis=1),
        node("Cast", "length", "f", to=TensorProto.FLOAT),
        node("Mul", "back f", "y"),
    ]
    proto = loop(nodes, outputs=["y", "stacked", "wide", "row"], weights={"zero": np.array(0), "last": np.array(-1)})
    y, stacked, wide, row = results(proto, tmp_path, {"x": X})
    np.testing.assert_array_equal(y, 3 * X)
    np.testing.assert_array_equal(stacked, [-X, X])
    np.testing.assert_array_equal(wide, np.concatenate([X, -X], 1))
    np.testing.assert_array_equal(row, X[1])


@pytest.mark.parametrize(
    ("sizes", "parts"), [(None, 5), (np.array(2), 3), (ints(1, 3, 1), 3), (ints(2, 0, 3), 3), (np.array(9), 1)]
)
@pytest.mark.parametrize("known", [False, True])
def test_parts(sizes: Array | None, parts: int, known: bool, tmp_path: Path) -> None:
    x = data(2, 5)
    split = node("SplitToSequence", "v" if sizes is None else "v sizes", "parts", axis=1)
    nodes = [
        node("Identity", "t" if known else "x", "v"),
        split,
        node("SequenceAt", "parts zero", "part"),
        node("SequenceLength", "parts", "length"),
        node("ConcatFromSequence", "parts", "whole", axis=1),
        node("Add", "whole x", "y"),
    ]
    weights = {"zero": np.array(0), "t": x} | ({} if sizes is None else {"sizes": sizes})
    proto = model(nodes, {"x": x.shape}, ["y", "part", "length"], weights)
    proto.graph.output[2].type.tensor_type.elem_type = TensorProto.INT64
    y, part, length = results(proto, tmp_path, {"x": x})
    np.testing.assert_array_equal(y, x + x)
    first = 1 if sizes is None else min(int(sizes.reshape(-1)[0]), 5)
    np.testing.assert_array_equal(part, x[:, :first])
    assert length == parts


def test_sequences_through_loops_and_branches(tmp_path: Path) -> None:
    """As PyTorch collects a list."""
    grow = body([node("SequenceInsert", "list x", "longer"), node("Identity", "c", "k")], "i c list", "k longer")
    same = body([node("Identity", "many", "picked")], "", "picked")
    nodes = [
        node("SequenceEmpty", "", "empty"),
        node("Loop", "three yes empty", "many", body=grow),
        node("If", "yes", "chosen", then_branch=same, else_branch=same),
        node("ConcatFromSequence", "chosen", "y", axis=0),
    ]
    graph = imported(loop(nodes, weights={"three": np.array(3), "yes": YES}), tmp_path)
    np.testing.assert_array_equal(interpreter.run(graph, {"x": X})["y"], np.tile(X, (3, 1)))


def test_optional_values(tmp_path: Path) -> None:
    kind = helper.make_optional_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, None))
    nodes = [
        node("Optional", "x", "o"),
        node("Optional", "", "nothing", type=kind),
        node("OptionalHasElement", "o", "has"),
        node("OptionalHasElement", "nothing", "none"),
        node("OptionalHasElement", "", "missing"),
        node("OptionalGetElement", "o", "v"),
        *(node("Cast", name, f"{name}1", to=TensorProto.FLOAT) for name in ("has", "none", "missing")),
        node("Sum", "has1 none1 missing1", "sum"),
        node("Add", "v sum", "y"),
    ]
    graph = imported(loop(nodes), tmp_path)
    np.testing.assert_array_equal(interpreter.run(graph, {"x": X})["y"], X + 1)


PAIR, NOTHING = node("SequenceConstruct", "x x", "s"), node("SequenceEmpty", "", "s")


@pytest.mark.parametrize(
    ("nodes", "told"),
    [
        ([PAIR, node("Relu", "s", "y", "r")], "input 0 of Relu is a sequence"),
        ([node("SequenceConstruct", "x x", "y")], "output 'y' is a sequence, which is not supported"),
        ([node("SequenceAt", "x zero", "y", "r")], "input 0 of SequenceAt is no sequence"),
        ([PAIR, node("SequenceAt", "s two", "y", "r")], "position 2 does not exist"),
        (
            [node("SequenceEmpty", "", "s"), node("SequenceErase", "s", "t", "r"), node("SequenceLength", "t", "y")],
            "without",
        ),
        ([NOTHING, node("ConcatFromSequence", "s", "y", "r", axis=0)], "of no tensors"),
        (
            [node("SplitToSequence", "x two", "s", "r", axis=1), node("SequenceAt", "s pair", "y")],
            "a position of shape (2,)",
        ),
        (
            [node("SplitToSequence", "x pair", "s", "r", axis=1), node("SequenceAt", "s zero", "y")],
            "do not add up to the 3",
        ),
        ([node("SplitToSequence", "big", "s", "r"), node("SequenceAt", "s zero", "y")], "a sequence of 20000 tensors"),
        ([node("Optional", "", "o"), node("OptionalGetElement", "o", "y", "r")], "OptionalGetElement of nothing"),
        ([node("SequenceConstruct", "x zero", "s"), node("ConcatFromSequence", "s", "y", "r", axis=0)], "'r'"),
    ],
)
def test_sequences_that_are_refused(nodes: list[NodeProto], told: str, tmp_path: Path) -> None:
    weights = {"zero": np.array(0), "two": np.array(2), "pair": ints(1, 1), "big": np.zeros(20000, np.float32)}
    assert told in refusal(loop(nodes, weights=weights), tmp_path)
