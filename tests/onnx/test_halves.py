"""Files of float16 and bfloat16: weights as float32, what arrives, leaves or is cast as float16."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx
from onnx import TensorProto, helper

import cnncc
from cnncc.elements import FLOAT16
from cnncc.errors import ModelError
from cnncc.interpreter import run
from cnncc.types import Array, TensorType

from .making import data
from .support import imported, model, node, runtime


def halves(proto: onnx.ModelProto, *names: str) -> onnx.ModelProto:
    """With outputs that are declared as float16."""
    for port in proto.graph.output:
        port.type.tensor_type.elem_type = TensorProto.FLOAT16 if port.name in names else TensorProto.FLOAT
    return proto


def test_inputs_outputs_weights_and_casts(tmp_path: Path):
    """Computed in float32, rounded where the file has a float16 input, output or cast."""
    nodes = [
        node("Conv", "x w b", "c"),
        node("Relu", "c", "r"),
        node("Cast", "r", "f", to=TensorProto.FLOAT),
        node("Mul", "f f", "s"),
        node("Cast", "s", "h", to=TensorProto.FLOAT16),
        node("CastLike", "h f", "g"),
    ]
    weights = {"w": data(4, 3, 3, 3).astype(np.float16), "b": data(4).astype(np.float16)}
    proto = model(nodes, {"x": TensorType((1, 3, 8, 8), FLOAT16)}, ["r", "s", "h", "g"], weights)
    graph = imported(halves(proto, "r", "h"), tmp_path)
    compiled = cnncc.compile(graph, cache=False)
    assert [port.dtype for port in compiled.inputs + compiled.outputs] == [
        *("float16", "float16", "float32", "float16", "float32")
    ]
    x = data(5, 3, 8, 8).astype(np.float16)
    r, s, h, g = compiled(x)
    np.testing.assert_allclose(r[:1], run(graph, {"x": x[:1]})["r"], rtol=2e-3)
    np.testing.assert_array_equal(h, s.astype(np.float16))
    np.testing.assert_array_equal(g, h.astype(np.float32))
    for found, wanted in zip(
        (r, h), (other for each in runtime(proto, {"x": x[:1]}) for other in each[::2]), strict=False
    ):
        np.testing.assert_allclose(found[:1], wanted, rtol=4e-3, atol=1e-3)


def test_weights_of_bfloat16_are_floats(tmp_path: Path):
    numbers: Array = np.float32([1.5, -2.25, 3.0])
    proto = model([node("Mul", "x w", "y")], {"x": (2, 3)})
    proto.graph.initializer.append(helper.make_tensor("w", TensorProto.BFLOAT16, [3], numbers))
    graph = imported(proto, tmp_path)
    np.testing.assert_array_equal(run(graph, {"x": np.ones((2, 3), np.float32)})["y"], [numbers] * 2)


def short_model() -> onnx.ModelProto:
    """Inputs, weights, outputs and a cast of bfloat16 to what it is already."""
    x = helper.make_tensor_value_info("x", TensorProto.BFLOAT16, ["n", 3])
    results = [helper.make_tensor_value_info(name, TensorProto.BFLOAT16, None) for name in ("y", "z")]
    nodes = [node("Mul", "x w", "y"), node("CastLike", "y x", "z")]
    weights = [helper.make_tensor("w", TensorProto.BFLOAT16, [3], [1.5, -2.25, 3.0])]
    graph = helper.make_graph(nodes, "short", [x], results, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def test_inputs_of_bfloat16_are_floats(tmp_path: Path):
    """The program has float32; arrays of bfloat16 and of float32 are taken, results are not rounded."""
    compiled = cnncc.compile(short_model(), cache=False)
    assert {port.dtype for port in compiled.inputs + compiled.outputs} == {"float32"}
    x = data(4, 3)
    for given in (x, x.astype(pytest.importorskip("ml_dtypes").bfloat16)):
        for found in compiled(given):
            np.testing.assert_array_equal(found, given.astype(np.float32) * np.float32([1.5, -2.25, 3.0]))


def test_values_are_not_cast_to_bfloat16(tmp_path: Path):
    proto = short_model()
    proto.graph.input.append(helper.make_tensor_value_info("f", TensorProto.FLOAT, ["n", 3]))
    proto.graph.node[1].input[0] = "f"
    with pytest.raises(ModelError, match="CastLike of float32 values computed at run time to bfloat16 is not supp"):
        imported(proto, tmp_path)


def test_cast_like_a_half(tmp_path: Path):
    """What is computed in float32 is float16 in the file: a value cast like it is rounded, a known one as well."""
    nodes = [
        node("Relu", "x", "r"),
        node("CastLike", "f r", "y"),
        node("CastLike", "k r", "z"),
        node("LayerNormalization", "r s", "norm mean"),
        node("CastLike", "f mean", "m"),
    ]
    weights = {"k": np.float32([1 / 3, 1e-7, 70000]), "s": np.ones(3, np.float16)}
    proto = model(nodes, {"x": TensorType((1, 3), FLOAT16), "f": (1, 3)}, ["y", "z", "m"], weights)
    graph, f = imported(proto, tmp_path), np.float32([[1 / 3, 1e-7, 70000]])
    found = run(graph, {"x": np.ones((1, 3), np.float16), "f": f})
    with np.errstate(over="ignore"):
        rounded = f.astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(found["y"], rounded)
    np.testing.assert_array_equal(found["z"], rounded[0])
    np.testing.assert_array_equal(found["m"], f)  # the mean is of float32


def test_ends_of_halves(tmp_path: Path):
    """Without bounds, Clip has the largest number of the type that the file states; `m` is float32 in it."""
    nodes = [
        node("Mul", "x x", "square"),
        node("Clip", "square", "y"),
        node("Clip", "f", "z"),
        node("Clip", "square _ top", "capped"),
    ]
    weights = {"top": np.array(np.inf, np.float16)}
    proto = model(nodes, {"x": TensorType((1, 3), FLOAT16), "f": (1, 3)}, ["y", "z", "capped"], weights)
    f = np.float32([[np.inf, -np.inf, 1e30]])
    found = run(imported(proto, tmp_path), {"x": np.float16([[300, np.inf, -2]]), "f": f})
    np.testing.assert_array_equal(found["y"], np.float32([[65504, 65504, 4]]))
    np.testing.assert_array_equal(found["z"], np.nan_to_num(f))
    np.testing.assert_array_equal(found["capped"], np.float32([[90000, np.inf, 4]]))
