"""Pictures of bytes: one op takes them, no other does, and nothing else in a graph is of bytes."""

from __future__ import annotations

import numpy as np
import pytest

from cnncc.check.tolerance import bounds
from cnncc.elements import UINT8
from cnncc.errors import InputError, ShapeError
from cnncc.interpreter import run
from cnncc.ir import Builder
from cnncc.op import REGISTRY
from cnncc.ops import ImageToTensor
from cnncc.text import parse, show
from cnncc.types import TensorType

BYTES = TensorType((2, 4, 5, 3), UINT8)


def test_the_refusal_names_the_layer():
    b = Builder()
    x = b.input("x", BYTES)
    told = r"layer 'r': Sigmoid takes float32, got uint8\[2, 4, 5, 3\]: ImageToTensor makes float32 of pictures"
    with pytest.raises(ShapeError, match=told):
        b.add(REGISTRY["Sigmoid"](), [x], "r")


def picture_graph():
    b = Builder("picture")
    x = b.input("x", BYTES)
    factor = b.constant(np.array([0.5, 2, 0.25], np.float32), "factor")
    shift = b.constant(np.array([-1, 0, 4], np.float32), "shift")
    return b.graph({"y": b.add(ImageToTensor(True), [x, factor, shift], "tensor")[0]})


def test_interpreter_and_bounds():
    graph = picture_graph()
    x = np.random.default_rng(1).integers(0, 256, BYTES.shape, np.uint8)
    expected = x.transpose(0, 3, 1, 2) * np.array([0.5, 2, 0.25]).reshape(3, 1, 1)
    expected += np.array([-1, 0, 4]).reshape(3, 1, 1)
    result = run(graph, {"x": x})["y"]
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, expected)
    bound = bounds(graph, {"x": x})[graph.outputs["y"]]
    np.testing.assert_array_equal(bound.reference, expected)
    with pytest.raises(InputError, match="input 'x' must be uint8, got float32"):
        run(graph, {"x": x.astype(np.float32)})


def test_the_text_keeps_the_element_type():
    graph = picture_graph()
    constants = {name: graph[name].op.data for name in ("factor", "shift")}
    assert "%x = Input : uint8[2, 4, 5, 3]" in show(graph)
    assert parse(show(graph), constants) == graph
