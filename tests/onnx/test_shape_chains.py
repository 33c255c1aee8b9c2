"""The arithmetic with shapes that exporters write: all of it is known when the model is imported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

from onnx import NodeProto, TensorProto, helper, numpy_helper

import cnncc
from cnncc import batching
from cnncc.types import Array

from .making import data, ints
from .support import imported, model, node, reference

WEIGHTS = {
    "zero": ints(0),
    "one": ints(1),
    "two": ints(2),
    "three": ints(3),
    "minus": ints(-1),
    "channels": np.array(1),
    "most": np.array(6),
    "start": np.array(0),
    "step": np.array(1),
    "corner": ints(2, 3),
    "mask": np.array([0, 1, 1], np.float32),
    "size": np.array([-1, 3, 5, 7]),
    "hw": np.array([9, 11]),
    "pair": ints(-1, 2),
}
Chain = list[NodeProto]


def filled(value: float, dtype: type = np.int64) -> dict[str, object]:
    return {"value": numpy_helper.from_array(np.array([value], dtype))}


# For each: nodes from x (n, 3, 5, 7) to y, and whether the number of images stays free.
CHAINS: dict[str, tuple[Chain, bool]] = {
    "view": (
        [
            node("Shape", "x", "s"),
            node("Slice", "s zero two", "head"),
            node("Slice", "s two four", "tail"),
            node("ReduceProd", "tail", "flat", keepdims=1),
            node("Concat", "head flat", "target", axis=0),
            node("Reshape", "x target", "y"),
        ],
        True,
    ),
    "expand, as PyTorch writes it": (
        [
            node("ReduceMean", "x axes", "m", keepdims=1),
            node("Shape", "size", "rank"),
            node("ConstantOfShape", "rank", "ones", **filled(1)),
            node("Mul", "ones minus", "minuses"),
            node("Equal", "size minuses", "same"),
            node("Where", "same ones size", "target"),
            node("Expand", "m target", "y"),
        ],
        True,
    ),
    "pads, as PyTorch writes them": (
        [
            node("Shape", "corner", "given"),
            node("Sub", "eight given", "left"),
            node("ConstantOfShape", "left", "zeros", **filled(0)),
            node("Concat", "corner zeros", "all", axis=0),
            node("Reshape", "all pair", "rows"),
            node("Slice", "rows minus least zero minus", "turned"),
            node("Transpose", "turned", "columns", perm=[1, 0]),
            node("Reshape", "columns minus", "plain"),
            node("Cast", "plain", "pads", to=TensorProto.INT64),
            node("Pad", "x pads", "y"),
        ],
        True,
    ),
    "a crop in the middle": (
        [
            node("Shape", "x", "s", start=2),
            node("Clip", "s _ most", "kept"),
            node("Sub", "s kept", "over"),
            node("Div", "over two", "begin"),
            node("Add", "begin kept", "end"),
            node("Slice", "x begin end places", "y"),
        ],
        True,
    ),
    "a resize to computed sizes": (
        [
            node("Shape", "x", "s"),
            node("Slice", "s zero two", "head"),
            node("Concat", "head hw", "sizes", axis=0),
            node("Resize", "x _ _ sizes", "y", mode="nearest"),
        ],
        True,
    ),
    "positions of a grid": (
        [
            node("Shape", "x", "s"),
            node("Gather", "s three", "width"),
            node("Squeeze", "width", "w"),
            node("Range", "start w step", "columns"),
            node("Cast", "columns", "f", to=TensorProto.FLOAT),
            node("Div", "f scale", "unit"),
            node("Pad", "unit sides half", "wide"),
            node("Slice", "wide one eighth", "cut"),
            node("Add", "x cut", "y"),
        ],
        True,
    ),
    "channels where a mask is not zero": (
        [
            node("NonZero", "mask", "found"),
            node("Squeeze", "found zero", "at"),
            node("Gather", "x at", "y", axis=1),
        ],
        True,
    ),
    "a count in the arithmetic": (
        [
            node("Shape", "x", "s"),
            node("Gather", "s zero", "n"),
            node("Clip", "n _ most", "few"),
            node("Cast", "few", "f", to=TensorProto.FLOAT),
            node("Mul", "x f", "y"),
        ],
        False,
    ),
}
MORE = {
    "four": ints(4),
    "eight": ints(8),
    "axes": ints(2, 3),
    "least": np.array([-(2**63) + 1]),
    "places": ints(2, 3),
    "scale": np.array(7, np.float32),
    "sides": ints(1, 1),
    "half": np.array(0.5, np.float32),
    "eighth": ints(8),
}


@pytest.mark.parametrize("case", CHAINS)
def test_chains(case: str, tmp_path: Path) -> None:
    nodes, free = CHAINS[case]
    proto = model(nodes, {"x": ("n", 3, 5, 7)}, weights={**WEIGHTS, **MORE})
    graph = imported(proto, tmp_path)
    assert not {n.op.name for n in graph} & {"Equal", "Where", "Clip", "Cast", "NonZero"}
    assert (batching.batched_inputs(graph) is not None) == free, graph.fixed
    compiled = cnncc.compile(graph, cache=False)
    for count in (1, 3) if free else (1,):
        x: Array = data(count, 3, 5, 7)
        np.testing.assert_allclose(compiled(x), reference(proto, {"x": x})[0], rtol=1e-5, atol=1e-6)


def test_known_numbers_leave_a_model(tmp_path: Path) -> None:
    """Shapes, sizes, ranges and masks as outputs, of their own types."""
    nodes = [
        node("Shape", "x", "shape", start=1),
        node("Size", "x", "size1"),
        node("Range", "start most step", "range"),
        node("ConstantOfShape", "corner", "filled", **filled(True, bool)),
        node("Constant", "", "list", value_ints=[4, 2]),
        node("Constant", "", "number", value_float=0.5),
        node("Dropout", "x", "y mask1"),
        node("NonZero", "mask", "found"),
        node("Identity", "square", "upper"),
        node("NonZero", "number0", "nothing"),
    ]
    outputs = ["shape", "size1", "range", "filled", "list", "number", "y", "mask1", "found", "upper", "nothing"]
    weights = {**WEIGHTS, **MORE, "square": np.arange(9, dtype=np.int32).reshape(3, 3), "number0": np.array(5)}
    proto = model(nodes, {"x": (1, 3, 5)}, outputs, weights)
    for port in proto.graph.output:
        port.CopyFrom(helper.make_empty_tensor_value_info(port.name))
    graph, x = imported(proto, tmp_path), data(1, 3, 5)
    found = cnncc.compile(graph, cache=False)(x)
    wanted = [
        ints(3, 5),
        np.array(15),
        np.arange(6),
        np.ones((2, 3), bool),
        ints(4, 2),
        np.array(0.5, np.float32),
        x,
        np.ones((1, 3, 5), bool),
        ints(1, 2).reshape(1, 2),
        weights["square"],
        np.empty((0, 1), np.int64),
    ]
    for actual, other in zip(found, wanted, strict=True):
        assert actual.dtype == other.dtype
        np.testing.assert_array_equal(actual, other)
