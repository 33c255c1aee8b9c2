"""What is known at compile time is computed while a model is imported, in the element types of the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

from onnx import TensorProto, defs, helper, numpy_helper

from cnncc import interpreter, ops
from cnncc.allowance import allowance
from cnncc.errors import ModelError
from cnncc.frontends.onnx import importer
from cnncc.frontends.onnx.call import NodeContext
from cnncc.frontends.onnx.folding import FOLDS, fold
from cnncc.types import Array

from .making import data, ints, number, positive
from .support import NEWEST, imported, model, node, reference

FLAGS, OTHERS = np.array([True, False, True]), np.array([True, True, False])
A, B, GRID = ints(-7, 3, 8), ints(2, -2, 5), np.arange(24).reshape(2, 3, 4)
SPECIAL = np.array([np.nan, np.inf, -np.inf, 0, 1], np.float32)
EMPTY, SUMS = np.empty((2, 0, 4), np.float32), ("L1", "L2", "LogSum", "LogSumExp", "SumSquare")

# Operator, inputs, attributes, opset, number of outputs.
CASES: list[tuple[str, tuple[Array | None, ...], dict[str, Any], int, int]] = [
    *((name, (A, B), {}, NEWEST, 1) for name in ("Add", "Sub", "Mul", "Div", "Max", "Min", "Mod", "Sum")),
    *((name, (A, B), {}, NEWEST, 1) for name in ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")),
    *((name, (FLAGS, OTHERS), {}, NEWEST, 1) for name in ("And", "Or")),
    *((name, (data(2, 3),), {}, NEWEST, 1) for name in ("Abs", "Ceil", "Exp", "Floor", "Neg", "Round", "Sign")),
    *((name, (positive(4),), {}, NEWEST, 1) for name in ("Log", "Reciprocal", "Sqrt")),
    *((f"Reduce{name}", (GRID,), {"keepdims": 0}, 11, 1) for name in ("Max", "Min", "Prod", "Sum")),
    *((f"Reduce{name}", (positive(2, 3, 4), ints(1)), {}, NEWEST, 1) for name in SUMS),
    *((f"Reduce{name}", (EMPTY, ints(1)), {}, NEWEST, 1) for name in (*SUMS, "Max", "Min", "Prod", "Sum")),
    *((f"Reduce{name}", (EMPTY.astype(np.int32), ints(1)), {"keepdims": 0}, NEWEST, 1) for name in ("Max", "Min")),
    ("ReduceMean", (data(2, 3, 4),), {"axes": [0, -1]}, 13, 1),
    ("ReduceSum", (GRID, ints(1)), {}, NEWEST, 1),
    ("ReduceSum", (GRID, None), {"noop_with_empty_axes": 1}, NEWEST, 1),
    ("Div", (data(3), positive(3)), {}, NEWEST, 1),
    ("Mod", (data(3), positive(3)), {"fmod": 1}, NEWEST, 1),
    ("Not", (FLAGS,), {}, NEWEST, 1),
    ("Pow", (ints(2, 3), ints(3, 2)), {}, NEWEST, 1),
    ("Where", (FLAGS, A, B), {}, NEWEST, 1),
    ("Xor", (FLAGS, OTHERS), {}, NEWEST, 1),
    *((f"Bitwise{name}", (A, B), {}, NEWEST, 1) for name in ("And", "Or", "Xor")),
    ("BitwiseNot", (A,), {}, NEWEST, 1),
    ("BitShift", (GRID.astype(np.uint8), np.array([1], np.uint8)), {"direction": "LEFT"}, NEWEST, 1),
    ("BitShift", (GRID.astype(np.uint32), np.full((3, 1), 2, np.uint32)), {"direction": "RIGHT"}, NEWEST, 1),
    ("CastLike", (data(4) * 9, A), {}, NEWEST, 1),
    ("Clip", (A, np.array(-2), np.array(5)), {}, NEWEST, 1),
    ("Clip", (A, None, np.array(5)), {}, NEWEST, 1),
    ("Clip", (data(2, 3),), {"min": -0.5}, 6, 1),
    ("IsInf", (SPECIAL,), {}, NEWEST, 1),
    ("IsInf", (SPECIAL,), {"detect_negative": 0}, NEWEST, 1),
    ("IsNaN", (SPECIAL,), {}, NEWEST, 1),
    ("NonZero", (GRID % 3,), {}, NEWEST, 1),
    ("NonZero", (FLAGS,), {}, NEWEST, 1),
    ("Pad", (GRID, ints(0, 1, 2, 1, 0, 0), np.array(7)), {}, NEWEST, 1),
    ("Pad", (GRID, ints(1, 0, 0, 2), np.array(7), ints(0, 2)), {}, NEWEST, 1),
    *(("Pad", (GRID, ints(0, 1, 2, 1, 2, 0)), {"mode": mode}, NEWEST, 1) for mode in ("edge", "reflect", "wrap")),
    ("Pad", (data(2, 3),), {"pads": [0, 1, 1, 0], "value": 2.5}, 10, 1),
    ("Cast", (data(4) * 9,), {"to": 7}, NEWEST, 1),
    ("Cast", (A,), {"to": 1}, NEWEST, 1),
    ("Concat", (A, B), {"axis": 0}, NEWEST, 1),
    ("ConstantOfShape", (ints(2, 3),), {}, NEWEST, 1),
    ("ConstantOfShape", (ints(2),), {"value": numpy_helper.from_array(ints(7))}, NEWEST, 1),
    ("Expand", (ints(1, 2), ints(3, 1)), {}, NEWEST, 1),
    ("Flatten", (GRID,), {"axis": 2}, NEWEST, 1),
    ("Gather", (GRID, ints(-1, 0)), {"axis": 1}, NEWEST, 1),
    ("Gather", (A, np.array(1)), {}, NEWEST, 1),
    ("GatherElements", (GRID, GRID % 3 - 1), {"axis": 1}, NEWEST, 1),
    ("GatherND", (GRID, ints(1, 2, 0, -1).reshape(2, 2)), {}, NEWEST, 1),
    ("ScatterElements", (A, ints(2, 0), ints(5, 6)), {}, NEWEST, 1),
    ("ScatterND", (GRID, ints(1, 2, 0, -1).reshape(2, 2), GRID[0, :2]), {"reduction": "add"}, NEWEST, 1),
    ("Range", (np.array(2), np.array(9), np.array(3)), {}, NEWEST, 1),
    *((name, (GRID % 7,), {"axis": 1, "keepdims": 0}, NEWEST, 1) for name in ("ArgMax", "ArgMin")),
    ("ArgMax", (data(2, 5),), {"axis": -1, "select_last_index": 1}, NEWEST, 1),
    ("Compress", (GRID, np.array([True, False, True])), {"axis": 1}, NEWEST, 1),
    ("Compress", (GRID, np.array([False, True, True])), {}, NEWEST, 1),
    ("CumProd", (GRID, np.array(1)), {"exclusive": 1}, 26, 1),
    ("CumSum", (GRID, np.array(-1)), {"exclusive": 1, "reverse": 1}, NEWEST, 1),
    ("CumSum", (data(2, 5), np.array(1)), {}, NEWEST, 1),
    ("OneHot", (ints(1, 0, -1), np.array(4), np.array([2, 5], np.uint8)), {"axis": 0}, NEWEST, 1),
    ("TopK", (GRID % 7, ints(2)), {"axis": 1}, NEWEST, 2),
    ("TopK", (data(9), ints(4)), {"largest": 0}, NEWEST, 2),
    ("Trilu", (GRID, np.array(1)), {"upper": 0}, NEWEST, 1),
    ("Reshape", (GRID, ints(0, -1)), {}, NEWEST, 1),
    ("Slice", (GRID, ints(0, 3), ints(2, -5), ints(1, 2), ints(1, -2)), {}, NEWEST, 1),
    ("Slice", (GRID,), {"starts": [1], "ends": [3], "axes": [1]}, 9, 1),
    ("Split", (GRID, ints(1, 2)), {"axis": 1}, NEWEST, 2),
    ("Squeeze", (GRID.reshape(1, 4, 6), ints(0)), {}, NEWEST, 1),
    ("Squeeze", (GRID.reshape(1, 4, 1, 6),), {}, NEWEST, 1),
    ("Tile", (GRID, ints(1, 2, 1)), {}, NEWEST, 1),
    ("Transpose", (GRID,), {"perm": [1, 2, 0]}, NEWEST, 1),
    ("Unsqueeze", (A, ints(0, -1)), {}, NEWEST, 1),
    ("Unsqueeze", (A,), {"axes": [1]}, 11, 1),
    ("DequantizeLinear", (GRID.astype(np.int8), positive(3), B.astype(np.int8)), {"axis": 1}, NEWEST, 1),
    ("QuantizeLinear", (data(2, 3) * 99, positive(3), B.astype(np.int8)), {"axis": -1}, NEWEST, 1),
]

IN_PACKAGE = [case for case in CASES if case[3] <= defs.onnx_opset_version()]
"""Those whose operator the installed package has."""


def test_folded_as_computed_at_run_time(tmp_path: Path):
    """Powers of long numbers are exact, and numbers beyond the range of a type become its ends."""
    nodes = [node("Pow", "x y", "p"), node("Cast", "f", "c", to=TensorProto.INT8), node("Cast", "c", "i", to=6)]
    weights = {"x": ints(3, -3), "y": ints(39, 39), "f": np.float32([300, -1e10, np.nan, -1.9])}
    found = interpreter.run(imported(model(nodes, {}, ["p", "c", "i"], weights), tmp_path), {})
    assert found["p"].tolist() == [3**39, -(3**39)]
    assert found["c"].dtype == np.int8 and found["i"].tolist() == found["c"].tolist() == [127, -128, 0, -1]


VIEWS = ("Expand", "Flatten", "Reshape", "Slice", "Split", "Squeeze", "Transpose", "Unsqueeze")
"""Operators that look at their input from elsewhere."""


def test_every_row_has_a_case():
    assert {case[0] for case in CASES} == set(FOLDS)


@pytest.mark.parametrize(("operator", "inputs", "attributes", "opset", "count"), IN_PACKAGE)
def test_row(operator, inputs, attributes, opset, count, tmp_path: Path):
    """The operator on known values, converted to float32 so that they can leave a graph."""
    names = " ".join("_" if given is None else f"i{k}" for k, given in enumerate(inputs))
    outputs = [f"y{k}" for k in range(count)]
    proto = model(
        [
            node(operator, names, " ".join(f"r{k}" for k in range(count)), **attributes),
            *(node("Cast", f"r{k}", f"y{k}", to=1) for k in range(count)),
        ],
        {},
        outputs,
        {f"i{k}": given for k, given in enumerate(inputs) if given is not None},
        opset,
    )
    graph = imported(proto, tmp_path)
    for name, wanted in zip(outputs, reference(proto, {}), strict=True):
        actual = graph.constant(graph.outputs[name])
        assert actual is not None and actual.shape == wanted.shape
        np.testing.assert_allclose(actual, wanted, rtol=1e-6)


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "wrap"])
def test_pad_with_negative_widths(mode: str, tmp_path: Path):
    """ONNX's reference does not know them: what is left is what the layer leaves, and that is padded."""
    x, pads = data(3, 4, 5), ints(0, -1, 2, 1, 2, -3)
    proto = model([node("Pad", "x pads", "y", mode=mode)], {}, ["y"], {"x": x, "pads": pads})
    graph = imported(proto, tmp_path)
    (wanted,) = ops.Pad(((0, 1), (-1, 2), (2, -3)), mode).reference(x)
    np.testing.assert_array_equal(graph.constant(graph.outputs["y"]), wanted)


@pytest.mark.parametrize("operator", ["Add", "Sub", "Mul", "Div"])
@pytest.mark.parametrize("axis", [0, -3, 1, None])
def test_broadcasting_up_to_opset_6(operator: str, axis: int | None, tmp_path: Path):
    """Known values as at run time: the axes of the second lie under those of the first from `axis` on."""
    x, y = data(2, 3, 4), positive(*{0: (2,), -3: (2, 3), 1: (3,), None: (3, 4)}[axis])
    attributes = {"broadcast": 1} | ({} if axis is None else {"axis": axis})
    proto = model([node(operator, "x y", "z", **attributes)], {}, ["z"], {"x": x, "y": y}, 6)
    graph = imported(proto, tmp_path)
    first = 1 if axis is None else axis % 3
    function = {"Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide}[operator]
    wanted = function(x, y.reshape(*y.shape, *(1,) * (3 - first - y.ndim)))
    np.testing.assert_array_equal(graph.constant(graph.outputs["z"]), wanted)


@pytest.mark.parametrize(("operator", "inputs", "attributes", "opset", "count"), IN_PACKAGE)
def test_defaults_may_be_spelled_out(operator, inputs, attributes, opset, count, tmp_path: Path):
    every = defs.get_schema(operator, opset).attributes.items()
    stated = {name: helper.get_attribute_value(a.default_value) for name, a in every if a.default_value.type}
    test_row(operator, inputs, stated | attributes, opset, count, tmp_path)


@pytest.mark.parametrize(("operator", "inputs", "attributes", "opset", "count"), IN_PACKAGE)
def test_every_row_tells_the_size_of_its_result_before_it_is_made(
    operator, inputs, attributes, opset, count, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """With room for too few bytes nothing is made: no row has an array that it does not say."""
    names = " ".join("_" if given is None else f"i{k}" for k, given in enumerate(inputs))
    weights = {f"i{k}": given for k, given in enumerate(inputs) if given is not None}
    outputs = [f"r{k}" for k in range(count)]
    made = rows(operator, names, outputs, attributes, opset, weights, tmp_path)
    if operator in VIEWS:
        assert all(np.shares_memory(array, weights["i0"]) for array in made)
        return
    least = sum(array.size for array in made)  # bytes: no element is smaller
    monkeypatch.setenv("CNNCC_CONSTANT_BYTES", str(least - 1))
    with pytest.raises(ModelError, match="CNNCC_CONSTANT_BYTES"):
        rows(operator, names, outputs, attributes, opset, weights, tmp_path)


def rows(operator, names, outputs, attributes, opset, weights, folder: Path) -> list[Array]:
    """What the operator's row makes of these inputs."""
    proto = model([node(operator, names, " ".join(outputs), **attributes)], {}, outputs, weights, opset)
    read = importer.read(folder / "m.onnx", proto)
    walk = importer.Importer(read, {})
    walk.tensors.update(weights)
    with allowance():
        return fold(FOLDS[operator], NodeContext(walk, read.part.nodes[0], "name"))


CONSTANTS = [
    ({"value_float": 1.5}, np.array(1.5)),
    ({"value_floats": [1.5, 2.0]}, np.array([1.5, 2.0])),
    ({"value_int": 3}, np.array(3)),
    ({"value_ints": [3, 4]}, np.array([3, 4])),
    ({"value": numpy_helper.from_array(np.float32([[1], [2]]))}, np.array([[1], [2]])),
]


@pytest.mark.parametrize(("attributes", "wanted"), CONSTANTS)
def test_constant(attributes, wanted, tmp_path: Path):
    graph = imported(model([node("Constant", "", "c", **attributes), node("Cast", "c", "y", to=1)], {}), tmp_path)
    actual = graph.constant(graph.outputs["y"])
    assert actual is not None
    np.testing.assert_array_equal(actual, wanted.astype(np.float32))


@pytest.mark.parametrize(("attributes", "wanted"), [({}, [1, 3, 4, 5]), ({"start": 1, "end": -1}, [3, 4])])
def test_shape_of_a_value_at_run_time(attributes, wanted, tmp_path: Path):
    nodes = [node("Shape", "x", "s", **attributes), node("Cast", "s", "y", to=1)]
    graph = imported(model(nodes, {"x": (1, 3, 4, 5)}), tmp_path)
    np.testing.assert_array_equal(graph.constant(graph.outputs["y"]), wanted)


def test_size_of_a_value_at_run_time(tmp_path: Path):
    graph = imported(model([node("Size", "x", "s"), node("Cast", "s", "y", to=1)], {"x": (1, 3, 4, 5)}), tmp_path)
    np.testing.assert_array_equal(graph.constant(graph.outputs["y"]), 60)


BAD = [
    (node("Reshape", "a b", "y", "bad"), "(3,) cannot be reshaped to (2, -2, 5)"),
    (node("Div", "a zero", "y", "bad"), "division of whole numbers by zero"),
    (node("ConstantOfShape", "huge", "y", "bad"), "(1099511627776,) is no shape that a constant can have"),
    (node("Tile", "a huge", "y", "bad"), "(3298534883328,) is no shape that a constant can have"),
    (node("Range", "n big one", "y", "bad"), "(1099511627776,) is no shape that a constant can have"),
    (
        node("Gather", "a big", "y", "bad"),
        "inputs and attributes of Gather do not fit together: index 1099511627776 is out of bounds",
    ),
    (node("Cast", "a", "y", "bad", to=helper.TensorProto.STRING), "Cast to element type 8 is not supported"),
]


@pytest.mark.parametrize(("bad", "told"), BAD, ids=lambda value: getattr(value, "op_type", ""))
def test_what_cannot_be_computed(bad, told, tmp_path: Path):
    weights = {"a": A, "b": B, "zero": ints(0), "huge": ints(2**40), "n": np.array(0), "big": np.array(2**40)}
    weights |= {"one": np.array(1), "f": number(1)}
    with pytest.raises(ModelError) as error:
        imported(model([bad], {}, weights=weights), tmp_path)
    assert told in str(error.value) and "node 'bad'" in str(error.value)
