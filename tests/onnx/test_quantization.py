"""Quantised constants become float32 weights: the standard's formula, and every way in which scales may lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper

from cnncc.errors import ModelError
from cnncc.types import Array

from .making import data, ints, number, positive
from .support import NEWEST, imported, model, node

KINDS = {"uint8": np.uint8, "int8": np.int8, "uint16": np.uint16, "int16": np.int16, "int32": np.int32}
GRID = np.arange(24).reshape(2, 3, 4) * 9 % 23


def made(operator: str, weights: dict[str, Any], folder: Path, opset: int = NEWEST, **attributes: Any) -> Array:
    """The result of a node on constants, as float32."""
    names = " ".join(weights)
    arrays = {name: array for name, array in weights.items() if isinstance(array, np.ndarray)}
    nodes = [node(operator, names, "r", "q", **attributes), node("Cast", "r", "y", to=TensorProto.FLOAT)]
    proto = model(nodes, {}, weights=arrays, opset=opset)
    proto.graph.initializer.extend(tensor for tensor in weights.values() if not isinstance(tensor, np.ndarray))
    graph = imported(proto, folder)
    result = graph.constant(graph.outputs["y"])
    assert result is not None
    return result


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("opset", [10, 13, 19, 21])
def test_one_scale(kind: str, opset: int, tmp_path: Path):
    x, zero = GRID.astype(kind), np.array(0 if kind == "int32" else 7, kind)
    wanted = (GRID - zero.astype(np.int64)) * np.float32(0.37)
    actual = made("DequantizeLinear", {"x": x, "s": number(0.37), "z": zero}, tmp_path, opset)
    np.testing.assert_allclose(actual, wanted, rtol=1e-7)
    if not zero:
        np.testing.assert_array_equal(made("DequantizeLinear", {"x": x, "s": number(0.37)}, tmp_path, opset), actual)


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
def test_a_scale_for_each_place_along_an_axis(axis: int, tmp_path: Path):
    size, beside = GRID.shape[axis], [1, 1, 1]
    beside[axis] = size
    scale, zero = positive(size), np.arange(size, dtype=np.int8) - 1
    actual = made("DequantizeLinear", {"x": GRID.astype(np.int8), "s": scale, "z": zero}, tmp_path, axis=axis)
    np.testing.assert_allclose(actual, (GRID - zero.reshape(beside)) * scale.reshape(beside), rtol=1e-6)


def test_a_scale_for_each_channel_without_an_axis(tmp_path: Path):
    actual = made("DequantizeLinear", {"x": GRID.astype(np.int8), "s": positive(3)}, tmp_path, 13)
    np.testing.assert_allclose(actual, GRID * positive(3)[:, None], rtol=1e-6)


@pytest.mark.parametrize(("axis", "block"), [(2, 2), (2, 3), (1, 2), (-3, 5)])
def test_a_scale_for_each_block(axis: int, block: int, tmp_path: Path):
    shape = list(GRID.shape)
    shape[axis] = -(-shape[axis] // block)
    scale, zero = positive(*shape), np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    weights = {"x": GRID.astype(np.uint8), "s": scale, "z": zero}
    actual = made("DequantizeLinear", weights, tmp_path, axis=axis, block_size=block)
    wide = [array.astype(np.float64).repeat(block, axis) for array in (scale, zero)]
    factors, zeros = (np.take(array, range(GRID.shape[axis]), axis) for array in wide)
    np.testing.assert_allclose(actual, (GRID - zeros) * factors, rtol=1e-6)


@pytest.mark.parametrize(("kind", "low"), [(TensorProto.UINT4, 0), (TensorProto.INT4, -8)])
def test_four_bits(kind: int, low: int, tmp_path: Path):
    numbers = [low, low + 15, low + 3, 0, 1]
    tensors = {"x": helper.make_tensor("x", kind, [5], numbers), "s": number(0.5)}
    np.testing.assert_array_equal(made("DequantizeLinear", tensors, tmp_path, axis=0), np.array(numbers) / 2)


def test_quantize_and_back(tmp_path: Path):
    """Half steps go to the even number, what is too large saturates."""
    x = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 200, -200, np.inf, -np.inf, 3.2], np.float32)
    cases = {"uint8": (0, 255), "int8": (-128, 127), "uint16": (0, 65535), "int16": (-32768, 32767)}
    for kind, (low, high) in cases.items():
        zero = np.array(3, kind)
        actual = made("QuantizeLinear", {"x": x, "s": number(1), "z": zero}, tmp_path)
        np.testing.assert_array_equal(actual, np.clip(np.rint(x) + 3, low, high))
    np.testing.assert_array_equal(
        made("QuantizeLinear", {"x": x, "s": number(1)}, tmp_path), np.clip(np.rint(x), 0, 255)
    )
    actual = made("QuantizeLinear", {"x": x, "s": number(1)}, tmp_path, output_dtype=TensorProto.INT4)
    np.testing.assert_array_equal(actual, np.clip(np.rint(x), -8, 7))


def test_weights_of_a_layer(tmp_path: Path, rng: np.random.Generator):
    """Read like any others: the layer's weights are float32 constants."""
    nodes = [node("DequantizeLinear", "q s", "w", axis=0), node("Conv", "x w", "y")]
    weights = {"q": rng.integers(-128, 128, (4, 3, 3, 3)).astype(np.int8), "s": positive(4)}
    graph = imported(model(nodes, {"x": (1, 3, 5, 5)}, weights=weights), tmp_path)
    assert [n.op.name for n in graph] == ["Input", "Constant", "Conv"]


@pytest.mark.parametrize(
    ("weights", "attributes", "told"),
    [
        ({"x": ints(1, 2, 3), "s": positive(2)}, {"axis": 0}, "scales or zero points of shape (2,), expected (3,)"),
        ({"x": GRID, "s": positive(2, 3)}, {}, "scales or zero points of shape (2, 3), expected (3,)"),
        ({"x": GRID, "s": positive(2, 3, 4)}, {"axis": 2, "block_size": 2}, "expected (2, 3, 2)"),
        ({"x": GRID, "s": positive(3)}, {"axis": 3}, "axis 3 does not exist"),
        ({"x": GRID, "s": number(1)}, {"output_dtype": 16}, "DequantizeLinear to element type 16 is not supported"),
    ],
    ids=range(5),
)
def test_what_does_not_fit(weights: dict[str, Array], attributes: dict[str, Any], told: str, tmp_path: Path):
    weights["x"] = weights["x"].astype(np.int8)
    with pytest.raises(ModelError) as error:
        made("DequantizeLinear", weights, tmp_path, **attributes)
    assert told in str(error.value) and "'q'" in str(error.value)


def test_other_types_are_refused(tmp_path: Path):
    nodes = [node("QuantizeLinear", "x s", "q", "down", output_dtype=21), node("DequantizeLinear", "q s", "y", "up")]
    with pytest.raises(ModelError) as error:
        imported(model(nodes, {"x": (1, 3)}, weights={"s": number(1)}), tmp_path)
    told = "QuantizeLinear to uint4 of values computed at run time is not supported (at node 'down')"
    assert told in str(error.value)
    with pytest.raises(ModelError, match="QuantizeLinear of NaN has no result"):
        made("QuantizeLinear", {"x": data(3) * np.float32(np.nan), "s": number(1)}, tmp_path)
    tensor = numpy_helper.from_array(np.zeros(1, np.float32), "z")
    with pytest.raises(ModelError, match="QuantizeLinear to float32 is not supported"):
        made("QuantizeLinear", {"x": data(3), "s": number(1), "z": tensor}, tmp_path)
