"""What whole models do: names, shapes that are left open, weights in odd places, shapes computed in the graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx

import cnncc
from cnncc import batching, interpreter
from cnncc.errors import ModelError, UsageError

from .making import data, ints
from .support import imported, model, node, reference

CONV = node("Conv", "x w b", "c", "conv/first")


def test_names_are_kept(tmp_path: Path):
    """Nodes keep their names, or get that of their first output; weights those of their tensors."""
    nodes = [CONV, node("Relu", "c", "the relu"), node("Identity", "the relu", "y")]
    nodes[1].output[0] = nodes[2].input[0] = "the relu"
    del nodes[2].input[1:]
    graph = imported(model(nodes, {"x": (1, 3, 5, 6)}, weights={"w": data(4, 3, 3, 3), "b": data(4)}), tmp_path)
    assert list(graph.nodes) == ["x", "w", "b", "conv/first", "the relu"]
    assert graph.name == "small"
    assert list(graph.outputs) == ["y"]


def test_names_are_made_unique(tmp_path: Path):
    """The input keeps its name, since callers use it; a name to come is not given away."""
    nodes = [node("Relu", "x", "a", "x"), node("Add", "a r", "b", "r"), node("Relu", "b", "y", "x")]
    graph = imported(model(nodes, {"x": (1, 3)}, weights={"r": data(3)}), tmp_path)
    assert list(graph.nodes) == ["x", "x_1", "r_1", "r", "x_2"]


def test_weights_listed_as_inputs(tmp_path: Path):
    proto = model([CONV], {"x": (1, 3, 5, 6)}, ["c"], {"w": data(4, 3, 3, 3), "b": data(4)}, 8, listed=True)
    assert list(imported(proto, tmp_path).inputs) == ["x"]


def test_weights_shared_by_two_nodes_are_one_constant(tmp_path: Path):
    nodes = [node("Add", "x w", "a"), node("Add", "a w", "y")]
    graph = imported(model(nodes, {"x": (1, 3)}, weights={"w": data(3)}), tmp_path)
    assert sum(n.op.source == "constant" for n in graph) == 1


def test_weights_through_reshape_and_transpose(tmp_path: Path, rng: np.random.Generator):
    nodes = [
        node("Reshape", "flat shape", "rows"),
        node("Transpose", "rows", "turned", perm=[1, 0, 2, 3]),
        node("Identity", "turned", "w"),
        node("Conv", "x w", "y"),
    ]
    weights = {"flat": data(108), "shape": ints(3, 4, 3, 3)}
    proto = model(nodes, {"x": (1, 3, 5, 6)}, weights=weights)
    graph, x = imported(proto, tmp_path), rng.standard_normal((1, 3, 5, 6)).astype(np.float32)
    assert [n.op.name for n in graph] == ["Input", "Constant", "Conv"]
    np.testing.assert_allclose(interpreter.run(graph, {"x": x})["y"], reference(proto, {"x": x})[0], atol=1e-5)


def test_shape_computed_in_the_graph(tmp_path: Path, rng: np.random.Generator):
    """view(x.size(0), -1) as PyTorch writes it; the number of images stays open."""
    nodes = [
        node("Shape", "x", "s"),
        node("Gather", "s zero", "n", axis=0),
        node("Unsqueeze", "n zeros", "n1"),
        node("Concat", "n1 rest", "shape", axis=0),
        node("Reshape", "x shape", "r"),
        node("MatMul", "r w", "y"),
    ]
    weights = {"zero": np.array(0), "zeros": ints(0), "rest": ints(-1), "w": data(12, 5)}
    proto = model(nodes, {"x": ("batch", 3, 4)}, weights=weights)
    graph = imported(proto, tmp_path)
    assert [n.op.name for n in graph] == ["Input", "Reshape", "Constant", "Dense"]
    assert batching.batched_inputs(graph) == {"x": True}
    x = rng.standard_normal((2, 3, 4)).astype(np.float32)
    actual = cnncc.compile(graph, cache=False)(x)
    np.testing.assert_allclose(actual, reference(proto, {"x": x})[0], atol=1e-5)


def test_pixel_shuffle_spelled_out(tmp_path: Path, rng: np.random.Generator):
    nodes = [
        node("Reshape", "x apart", "six"),
        node("Transpose", "six", "turned", perm=[0, 1, 4, 2, 5, 3]),
        node("Reshape", "turned together", "y"),
    ]
    proto = model(
        nodes, {"x": ("n", 8, 3, 4)}, weights={"apart": ints(-1, 2, 2, 2, 3, 4), "together": ints(-1, 2, 6, 8)}
    )
    graph, x = imported(proto, tmp_path), rng.standard_normal((2, 8, 3, 4)).astype(np.float32)
    np.testing.assert_array_equal(cnncc.compile(graph, cache=False)(x), reference(proto, {"x": x})[0])


def test_outputs_that_are_inputs_or_known(tmp_path: Path):
    graph = imported(model([node("Identity", "x", "y")], {"x": (1, 3)}, ["y", "x", "w"], {"w": data(2)}), tmp_path)
    assert list(graph.outputs) == ["y", "x", "w"]
    assert graph.outputs["y"] == graph.outputs["x"]


def test_masks_that_nobody_reads(tmp_path: Path):
    nodes = [node("Dropout", "x", "d mask"), node("MaxPool", "d", "y indices", kernel_shape=[2])]
    assert [n.op.name for n in imported(model(nodes, {"x": (1, 3, 6)}), tmp_path)] == ["Input", "MaxPool"]


def test_pictures_of_bytes(tmp_path: Path, rng: np.random.Generator):
    proto = model([node("Cast", "x", "f", to=1), node("Relu", "f", "y")], {"x": ("n", 3, 4, 5)})
    proto.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.UINT8
    graph, x = imported(proto, tmp_path), rng.integers(0, 256, (1, 3, 4, 5), np.uint8)
    np.testing.assert_array_equal(interpreter.run(graph, {"x": x})["y"], x.astype(np.float32))


RELU = [node("Relu", "x", "y")]


def test_an_open_number_of_images_is_one(tmp_path: Path):
    assert imported(model(RELU, {"x": ("batch", 3, 4)}), tmp_path).inputs["x"].shape == (1, 3, 4)


def test_shapes_are_given(tmp_path: Path):
    graph = imported(model(RELU, {"x": (None, 3, "height", "width")}), tmp_path, shapes={"x": (2, 3, 4, 5)})
    assert graph.inputs["x"].shape == (2, 3, 4, 5)


def test_open_dimensions_must_be_given(tmp_path: Path):
    with pytest.raises(ModelError) as error:
        imported(model(RELU, {"x": ("n", 3, "height", None)}), tmp_path)
    assert str(error.value) == (
        "input 'x' is (n, 3, height, ?): give its open dimensions, shapes={'x': (1, 3, …, …)} "
        '(on the command line --shape x=1,3,…,…), or shapes="any" in Python, which compiles each size when it comes'
    )


def test_shapes_must_fit(tmp_path: Path):
    with pytest.raises(UsageError) as error:
        imported(model(RELU, {"x": ("n", 3, "height")}), tmp_path, shapes={"x": (1, 4, 9)})
    assert str(error.value) == "shape (1, 4, 9) is given for input 'x', which the model declares (n, 3, height)"


def test_shapes_must_have_an_input(tmp_path: Path):
    with pytest.raises(UsageError) as error:
        imported(model(RELU, {"x": (1, 3)}), tmp_path, shapes={"z": (1, 4)})
    assert "a shape is given for 'z', but the inputs of " in str(error.value)
    assert str(error.value).endswith("small.onnx' are x")


def test_shapes_are_for_onnx_files():
    with pytest.raises(UsageError) as error:
        cnncc.load_graph("model.py", {"x": (1, 2)})
    assert str(error.value) == "shapes are given with ONNX models only; other models declare those of their inputs"
