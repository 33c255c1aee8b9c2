"""Files of float64, computed in float32 where that is asked for, and refused with the words to type where it is not."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx
from onnx import TensorProto, helper, numpy_helper

import cnncc
from cnncc.cache.sources import OnnxFile
from cnncc.elements import INT32
from cnncc.errors import CnnccError, InputError, ModelError
from cnncc.interpreter import run
from cnncc.op import Constant
from cnncc.types import Array, TensorType

from .cases_elements import EVERY
from .making import data, ints, number
from .support import Case, imported, model, node, reference

TO_TYPE = (
    ". With convert=True (on the command line --convert) float64 is computed with in float32, inputs and outputs as "
    "well; or export the model in float32, in PyTorch by module.float()"
)


def wide(proto: onnx.ModelProto) -> onnx.ModelProto:
    """With float64 in place of float32: inputs, outputs, weights."""
    for port in (*proto.graph.input, *proto.graph.output):
        if port.type.tensor_type.elem_type == TensorProto.FLOAT:
            port.type.tensor_type.elem_type = TensorProto.DOUBLE
    for weight in proto.graph.initializer:
        if weight.data_type == TensorProto.FLOAT:
            weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float64), weight.name))
    return proto


def layered() -> onnx.ModelProto:
    """Products and sums of float64, a value of float32 on the way, constants that meet in float64."""
    nodes = [
        node("MatMul", "x w", "m"),
        node("Relu", "m", "r"),
        node("Cast", "r", "f", to=TensorProto.FLOAT),
        node("Cast", "f", "d", to=TensorProto.DOUBLE),
        node("Div", "one three", "third"),
        node("CastLike", "many d", "many_d"),
        node("Mul", "third many_d", "factor"),
        node("Mul", "d factor", "y"),
    ]
    weights = {"w": data(6, 4), "one": number(1), "three": number(3), "many": np.array(2**24 + 5)}
    proto = wide(model(nodes, {"x": ("n", 6)}, ["y", "f"], weights))
    proto.graph.output[1].type.tensor_type.elem_type = TensorProto.FLOAT
    return proto


X = np.random.default_rng(0).standard_normal((5, 6))


def test_inputs_constants_and_outputs(tmp_path: Path) -> None:
    """Inputs and outputs are float32; constants are folded in float64 and rounded once; calls convert arrays."""
    proto = layered()
    compiled = cnncc.compile(proto, convert=True, cache=False)
    assert {port.dtype for port in (*compiled.inputs, *compiled.outputs)} == {"float32"}
    graph = imported(proto, tmp_path, convert=True)
    (factor,) = (each.op.data for each in graph if isinstance(each.op, Constant) and each.op.data.ndim == 0)
    assert factor == np.float32((2**24 + 5) / 3) != np.float32(2**24 + 5) / np.float32(3)
    for found, wanted in zip(compiled(X), reference(proto, {"x": X}), strict=True):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5 * np.abs(wanted).max())
    np.testing.assert_array_equal(compiled(X.astype(np.float32))[0], compiled(X)[0])
    with pytest.raises(InputError, match="expected float32, got float64"):
        compiled(X, convert=False)
    with pytest.raises(InputError, match=r"float32 does not hold 1e\+300"):
        compiled(X + 1e300)


def test_the_option_stays_with_the_model(tmp_path: Path) -> None:
    """In pickles, in models of several sizes, in libraries, and for sources without float64."""
    proto = layered()
    first = cnncc.compile(proto, convert=True)
    wanted = first(X)[0]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(first))(X)[0], wanted)
    with warnings.catch_warnings(action="ignore"):
        sizes = cnncc.compile(proto, convert=True, shapes="any")
        assert [port.dtype for port in (*sizes.inputs, *sizes.outputs)] == ["float32"] * 3
        for each in (sizes, pickle.loads(pickle.dumps(sizes))):
            np.testing.assert_array_equal(each(X)[0], wanted)
            with pytest.raises(InputError, match="expected float32, got float64"):
                each(X, convert=False)
    plain = model([node("Relu", "x", "y")], {"x": ("n", 6)})
    assert cnncc.compile(plain, convert=True)(X).dtype == np.float32
    with pytest.raises(InputError, match="expected float32, got float64"):
        cnncc.compile(plain)(X)


def test_the_cache_tells_both_apart(tmp_path: Path) -> None:
    """A value that is cast to float64 and back has the same layers, but one computed with is refused without."""
    file = tmp_path / "m.onnx"
    onnx.save(layered(), file)
    assert OnnxFile(file, convert=True).hash == OnnxFile(file, convert=True).graph.hash
    with pytest.raises(ModelError, match="an input of type float64 is not supported"):
        _ = OnnxFile(file).hash


REFUSED: dict[str, tuple[list[onnx.NodeProto], dict[str, Array], str]] = {
    "constant beyond float32": (
        [node("Mul", "x w", "y", "m")],
        {"w": np.array(-1e300)},
        "node 'm': float32 does not hold -1e+300, of the float64 tensor 'w'",
    ),
    "end beyond float32": (
        [node("Clip", "x w _", "y", "c")],
        {"w": np.array(-1e300)},
        "layer 'c': minimum=-1e+300 is beyond float32, where it becomes -inf",
    ),
    "output beyond float32": (
        [node("Mul", "w w", "y")],
        {"w": np.array(1e100)},
        "output 'y': float32 does not hold 1e+200, of the float64 tensor 'y'",
    ),
    "long whole numbers": (
        [node("Cast", "x", "i", to=TensorProto.INT64), node("Cast", "i", "y", "c", to=TensorProto.DOUBLE)],
        {},
        "Cast of int64 values computed at run time to float64 is not supported",
    ),
    "long whole numbers like others": (
        [node("CastLike", "k x", "y", "c")],
        {},
        "CastLike of int32 values computed at run time to float64 is not supported",
    ),
    "odd exponents": (
        [node("Pow", "x w", "y", "p")],
        {"w": np.array(2.0**24 + 1)},
        "Pow with whole exponents beyond ±16777216",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_float32_cannot_hold_is_refused(name: str, tmp_path: Path) -> None:
    nodes, weights, told = REFUSED[name]
    proto = wide(model(nodes, {"x": (1, 3), "k": TensorType((3,), INT32)}, weights=weights))
    with pytest.raises(ModelError) as error:
        imported(proto, tmp_path, convert=True)
    assert told in str(error.value)


def test_infinities_stay_and_small_numbers_are_rounded(tmp_path: Path) -> None:
    proto = wide(model([node("Add", "x w", "y")], {"x": (1, 3)}, weights={"w": np.array([np.inf, 1e-300, np.nan])}))
    (found,) = run(imported(proto, tmp_path, convert=True), {"x": np.ones((1, 3), np.float32)}).values()
    np.testing.assert_array_equal(found, [[np.inf, 1, np.nan]])


@pytest.mark.parametrize(
    ("nodes", "told"),
    [
        ([node("Relu", "x", "y")], "an input of type float64 is not supported"),
        ([node("Add", "x w", "y")], "computing with the float64 tensor 'w' is not supported"),
        ([node("Cast", "x", "d", to=TensorProto.DOUBLE), node("Relu", "d", "y")], "computing with float64 value 'd'"),
        ([node("Cast", "x", "y", to=TensorProto.DOUBLE)], "computing with float64 value 'y'"),
    ],
)
def test_the_words_to_type(nodes: list[onnx.NodeProto], told: str, tmp_path: Path) -> None:
    proto = model(nodes, {"x": (1, 3)}, weights={"w": np.ones(3)})
    if nodes[0].op_type == "Relu":
        wide(proto)
    with pytest.raises(ModelError) as error:
        imported(proto, tmp_path)
    assert told in str(error.value) and str(error.value).endswith(TO_TYPE)
    (problem,) = cnncc.inspect(proto).problems
    assert f". {problem.advice}" == TO_TYPE
    assert not cnncc.inspect(proto, convert=True).problems
    assert list(imported(proto, tmp_path, convert=True).outputs) == ["y"]


def body() -> onnx.GraphProto:
    """A turn of a loop: a carried sum of float64, stacked, and as float32."""
    inputs = [("i", TensorProto.INT64, ()), ("go", TensorProto.BOOL, ()), ("c", TensorProto.DOUBLE, (1, 3))]
    outputs = ["go_on", "sum", "half", "sum_again"]
    nodes = [
        node("Add", "c step", "sum"),
        node("Cast", "sum", "half", to=TensorProto.FLOAT16),
        node("Identity", "go", "go_on"),
        node("Identity", "sum", "sum_again"),
    ]
    ports = [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in inputs]
    return helper.make_graph(nodes, "body", ports, [helper.make_tensor_value_info(n, 1, None) for n in outputs])


def test_types_of_the_file_are_kept_through_bodies(tmp_path: Path) -> None:
    """`CastLike` asks for them: to halves rounds, to float64 refuses what float32 does not hold."""
    nodes: list[Any] = [
        node("Loop", "two _ x", "last halves sums", body=body()),
        node("CastLike", "x halves", "rounded"),
        node("CastLike", "short sums", "y"),
    ]
    weights = {"two": ints(2).reshape(()), "step": number(0.1)}
    proto = wide(model(nodes, {"x": (1, 3), "short": TensorType((1, 3), INT32)}, ["rounded", "y"], weights))
    with pytest.raises(ModelError, match="CastLike of int32 values computed at run time to float64 is not supported"):
        imported(proto, tmp_path, convert=True)
    proto.graph.node[2].input[1] = "halves"
    graph = imported(proto, tmp_path, convert=True)
    x = np.array([[1 / 3, 1e-7, 70000]], np.float32)
    found = run(graph, {"x": x, "short": np.array([[1, 2049, -7]], np.int32)})
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(found["rounded"], x.astype(np.float16).astype(np.float32))
    np.testing.assert_array_equal(found["y"], [[1, 2048, -7]])


def valid(case: Case) -> bool:
    """Whether float64 may stand where the case has float32; of scales the standard has float32 only."""
    return case.operator not in ("Resize", "Upsample", "QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")


@pytest.mark.parametrize("case", [case for case in EVERY[::7] if valid(case)], ids=str)
def test_every_row(case: Case, tmp_path: Path) -> None:
    """A file of float64 has the layers that it has in float32, or the same results where known values are folded."""
    try:
        wanted = imported(case.model, tmp_path)
    except CnnccError:
        return
    found = imported(wide(case.model), tmp_path, convert=True)
    if found.hash == wanted.hash:
        return
    feeds = case.feeds(np.random.default_rng(0))
    for one, other in zip(run(found, feeds).values(), run(wanted, feeds).values(), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)
