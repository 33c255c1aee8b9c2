"""Learned weights in a file: all else stays, and what is read again is what was learned, or a sentence says why not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx
from onnx import numpy_helper

import cnncc
from cnncc.cache.sources import OnnxFile, OnnxMessage
from cnncc.errors import InputError, ModelError, OutputError, UsageError
from cnncc.types import Array

from .making import data
from .support import model, node

X = (1, 2, 6, 6)


def network(dtype: Any = np.float32) -> onnx.ModelProto:
    """Weights as they are, turned by Gemm, through Reshape, and of a Constant; equal biases; statistics."""
    weights = {
        "w": data(4, 2, 3, 3),
        "b": np.zeros(4),
        "scale": np.ones(4),
        "shift": np.zeros(4),
        "mean": data(4) / 8,
        "var": np.abs(data(4)) + 0.5,
        "fc": data(8, 8, 1),
        "sizes": np.array([8, 8]),
        "one": np.array([1, 8]),
        "head": data(8, 3),
    }
    typed = {name: given.astype(dtype) if given.dtype.kind == "f" else given for name, given in weights.items()}
    known = numpy_helper.from_array(data(3).astype(dtype))
    nodes = [
        node("Constant", "", "known", value=known),
        node("Reshape", "fc sizes", "flat"),
        node("Conv", "x w b", "c", "conv", strides=[3, 3], pads=[1, 1, 0, 0]),
        node("BatchNormalization", "c scale shift mean var", "n", "norm"),
        node("Relu", "n", "r", "relu"),
        node("MaxPool", "r", "p", "pool", kernel_shape=[1, 2]),
        node("Reshape", "p one", "f", "flatten"),
        node("MatMul", "f flat", "h", "hidden"),
        node("Gemm", "h head known", "y", "out"),
    ]
    proto = model(nodes, {"x": X}, weights=typed, opset=17)
    proto.metadata_props.add(key="author", value="somebody")
    proto.producer_name = "a test"
    proto.graph.output[0].type.tensor_type.shape.SetInParent()
    for size in (1, 3):
        proto.graph.output[0].type.tensor_type.shape.dim.add(dim_value=size)
    if dtype != np.float32:
        for port in (*proto.graph.input, *proto.graph.output):
            port.type.tensor_type.elem_type = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    return proto


def source(proto: onnx.ModelProto) -> OnnxMessage:
    return OnnxMessage(proto.SerializeToString())


def parameters(given: OnnxFile) -> dict[str, Array]:
    """New values for all floats of more than one element in the graph."""
    graph, rng = given.at(given.shapes).graph, np.random.default_rng(0)
    arrays = {node.name: graph.constant(node.values[0]) for node in graph}
    return {
        name: np.asarray(rng.uniform(0.5, 1, array.shape), np.float32)
        for name, array in arrays.items()
        if array is not None and array.dtype.kind == "f" and array.size > 1
    }


def emptied(proto: onnx.ModelProto) -> onnx.ModelProto:
    """The message without the bytes of its floats."""
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    tensors = [*copy.graph.initializer, *(a.t for n in copy.graph.node for a in n.attribute if a.HasField("t"))]
    for tensor in tensors:
        if tensor.data_type != onnx.TensorProto.INT64:
            tensor.ClearField("raw_data")
    return copy


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", "bfloat16"])
def test_all_else_stays(dtype: str) -> None:
    if dtype == "bfloat16":
        pytest.importorskip("ml_dtypes")
    proto = network(np.dtype(dtype) if dtype != "bfloat16" else onnx.helper.tensor_dtype_to_np_dtype(16))
    given = OnnxMessage(proto.SerializeToString(), convert=dtype == "float64")
    learned = parameters(given)
    written = onnx.load_model_from_string(given.holding(learned))
    assert emptied(written) == emptied(proto)
    onnx.checker.check_model(written)
    graph = OnnxMessage(written.SerializeToString(), convert=dtype == "float64").graph
    for name, array in learned.items():
        kept = np.float64 if dtype == "float64" else numpy_helper.to_array(written.graph.initializer[0]).dtype
        found = graph.constant(graph[name].values[0])
        np.testing.assert_array_equal(found, array.astype(kept).astype(np.float32), err_msg=name)


def test_what_is_learned_is_saved(tmp_path: Path) -> None:
    onnx.save(network(), tmp_path / "net.onnx")
    rng = np.random.default_rng(0)
    x, y = rng.random((64, *X[1:]), np.float32), rng.integers(0, 3, 64)
    before = (tmp_path / "net.onnx").read_bytes()
    tuned = cnncc.fit(tmp_path / "net.onnx", x, y, epochs=2, batch=16, validation=0.25, progress=lambda line: None)
    tuned.save_onnx(tmp_path / "net.onnx")  # the source is known, whatever becomes of the file
    tuned.save_onnx(tmp_path / "again.onnx")
    after = (tmp_path / "net.onnx").read_bytes()
    assert (tmp_path / "again.onnx").read_bytes() == after != before and len(after) == len(before)
    assert not np.array_equal(tuned.weights["mean"], numpy_helper.to_array(network().graph.initializer[4]))
    expected = [tuned.compile()(x[k : k + 1]) for k in range(3)]
    found = [cnncc.compile(tmp_path / "net.onnx")(x[k : k + 1]) for k in range(3)]
    np.testing.assert_array_equal(found, expected)
    ort = pytest.importorskip("onnxruntime")
    session = ort.InferenceSession(after, providers=["CPUExecutionProvider"])
    other = [session.run(None, {"x": x[k : k + 1]})[0] for k in range(3)]
    np.testing.assert_allclose(other, expected, rtol=1e-4, atol=1e-5)


def test_a_file_of_halves() -> None:
    """Inputs are rounded to the file's type; the loss takes its output before the rounding."""
    rng = np.random.default_rng(0)
    x, y = rng.random((64, *X[1:]), np.float32), rng.integers(0, 3, 64)
    how: dict[str, Any] = {"epochs": 3, "batch": 16, "validation": 0.25, "progress": lambda line: None}
    tuned = cnncc.fit(network(np.float16).SerializeToString(), x, y, **how)
    content = tuned.source.holding(tuned.weights) if tuned.source else b""
    assert tuned.history[2].loss < tuned.history[0].loss
    for name, array in tuned.weights.items():
        np.testing.assert_array_equal(constant(content, name), array.astype(np.float16).astype(np.float32))
    with pytest.raises(InputError, match=r"x of input 'x' holds 100000 in example 0, which is beyond float16"):
        cnncc.fit(network(np.float16).SerializeToString(), 0 * x + 1e5, y, **how)


def test_weights_in_other_files_are_inside_of_the_new_one(tmp_path: Path) -> None:
    onnx.save_model(network(), tmp_path / "net.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    given = OnnxFile(tmp_path / "net.onnx")
    learned = parameters(given)
    written = given.holding(learned)
    (tmp_path / "w.bin").unlink()
    np.testing.assert_array_equal(constant(written, "w"), learned["w"])


def constant(content: bytes, name: str) -> Array:
    graph = cnncc.load_graph(content)
    found = graph.constant(graph[name].values[0])
    assert found is not None
    return found


def test_nothing_but_what_was_learned_is_touched() -> None:
    proto = network()
    learned = {"w": parameters(source(proto))["w"]}
    written = onnx.load_model_from_string(source(proto).holding(learned))
    changed = [
        new.name for new, old in zip(written.graph.initializer, proto.graph.initializer, strict=True) if new != old
    ]
    assert changed == ["w"] and written.graph.node == proto.graph.node


def parted() -> onnx.ModelProto:
    """One array for two layers' weights, and two for one's."""
    weights = {"both": data(4, 8), "sizes": np.array([3, 5]), "left": data(3, 2), "right": data(3, 4)}
    nodes = [
        node("Split", "both sizes", "first second", axis=1),
        node("Concat", "left right", "wide", axis=1),
        node("MatMul", "x first", "h", "one"),
        node("MatMul", "h wide", "v", "three"),
        node("MatMul", "x second", "w", "two"),
        node("Concat", "v w", "y", axis=1),
    ]
    return model(nodes, {"x": (1, 4)}, weights=weights, opset=17)


def called() -> onnx.ModelProto:
    """A function with weights of its own, called once."""
    inner = [
        node("Constant", "", "w", value=numpy_helper.from_array(data(4, 4))),
        node("MatMul", "a w", "b", "inside"),
    ]
    proto = model([node("Own", "x", "y", "call", domain="d")], {"x": (1, 4)}, opset=17)
    proto.functions.append(
        onnx.helper.make_function("d", "Own", ["a"], ["b"], inner, [onnx.helper.make_opsetid("", 17)])
    )
    proto.opset_import.append(onnx.helper.make_opsetid("d", 1))
    return proto


@pytest.mark.parametrize("proto", [parted(), called()], ids=["parted", "called"])
def test_arrays_in_parts_and_in_functions(proto: onnx.ModelProto) -> None:
    learned = parameters(source(proto))
    content = source(proto).holding(learned)
    for name, array in learned.items():
        np.testing.assert_array_equal(constant(content, name), array, err_msg=name)
    assert len(learned) == (3 if proto.graph.initializer else 1)


def shared(**attributes: Any) -> onnx.ModelProto:
    nodes = [node("Gemm", "x w", "h", "one", **attributes), node("Gemm", "h w", "y", "two", **attributes)]
    return model(nodes, {"x": (1, 4)}, weights={"w": data(4, 4)}, opset=17)


def test_a_shared_array() -> None:
    content = source(shared(transB=1)).holding({"w": np.eye(4, dtype=np.float32)})  # one constant for both
    np.testing.assert_array_equal(constant(content, "w"), np.eye(4))
    with pytest.raises(
        ModelError, match=r"the file has one array for several parameters 'one.weights' and 'two.weights'"
    ):
        source(shared()).holding(parameters(source(shared())))


def quantised() -> onnx.ModelProto:
    numbers = (10 * data(4, 4)).astype(np.int8)
    nodes = [node("DequantizeLinear", "q s", "w"), node("MatMul", "x w", "y", "fc")]
    return model(nodes, {"x": (1, 4)}, weights={"q": numbers, "s": np.float32(0.1)}, opset=17)


def grouped() -> onnx.ModelProto:
    nodes = [node("GroupNormalization", "x s b", "y", "norm", num_groups=2)]
    return model(nodes, {"x": (1, 4, 3)}, weights={"s": data(2), "b": data(1)[[0, 0]]}, opset=18)


def scaled() -> onnx.ModelProto:
    return model([node("Gemm", "x w", "y", "fc", alpha=0.3)], {"x": (1, 4)}, weights={"w": data(4, 4)}, opset=17)


def doubled() -> onnx.ModelProto:
    nodes = [
        node("Add", "w w", "w2"),
        node("MatMul", "x w", "h", "one"),
        node("MatMul", "h w2", "y", "two"),
    ]
    return model(nodes, {"x": (1, 4)}, weights={"w": data(4, 4)}, opset=17)


@pytest.mark.parametrize(
    ("proto", "name", "message"),
    [
        (quantised(), "fc.weights", "parameter 'fc.weights' is no array of the file, which computes it from others"),
        (grouped(), "norm.scale", "the file has one array for several elements of 'norm.scale'"),
        (scaled(), "fc.weights", "parameter 'fc.weights' is no array of the file"),
        (doubled(), "one.weights", "cannot hold what was learned: layer 'two.weights' depends on the same arrays"),
        (doubled(), "two.weights", "parameter 'two.weights' is no array of the file"),
    ],
    ids=["quantised", "repeated", "scaled", "read twice", "a sum"],
)
def test_what_a_file_cannot_hold(proto: onnx.ModelProto, name: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        source(proto).holding({name: parameters(source(proto))[name]})


def test_a_number_that_the_type_does_not_have() -> None:
    proto = network(np.float16)
    with pytest.raises(ModelError, match="tensor 'w' of the file is float16, which cannot hold what was learned"):
        source(proto).holding({"w": np.full((4, 2, 3, 3), 1e6, np.float32)})


def test_refusals(tmp_path: Path) -> None:
    onnx.save(network(), tmp_path / "net.onnx")
    x, y = np.zeros((8, *X[1:]), np.float32), np.zeros(8, np.int64)
    how: dict[str, Any] = {"epochs": 1, "batch": 8, "progress": lambda line: None}
    tuned = cnncc.fit(tmp_path / "net.onnx", x, y, train="out*", **how)
    assert set(tuned.weights) == {"out.weights"}
    with pytest.raises(OutputError, match=r"cannot write ONNX model '/no/such/place.onnx'"):
        tuned.save_onnx("/no/such/place.onnx")
    graph = cnncc.load_graph(tmp_path / "net.onnx")
    with pytest.raises(UsageError, match=r"only what was learned from an ONNX model can be saved as one"):
        cnncc.fit(graph, x, y, **how).save_onnx(tmp_path / "other.onnx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.onnx"]
