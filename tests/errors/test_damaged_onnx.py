"""ONNX files that are damaged anywhere: a graph, or one sentence of the CnnccError family; never anything else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx
from onnx import helper

import cnncc
from cnncc.errors import CnnccError, ModelError

from ..onnx.support import model, node

SHAPE = ("N", 2, 4, 4)
NODES = [
    node("Conv", "x w", "c", "conv", kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1]),
    node("BatchNormalization", "c s s s s", "n", "norm"),
    node("Relu", "n", "r", "relu"),
    node("MaxPool", "r", "m", "pool", kernel_shape=[2, 2], strides=[2, 2]),
    node("Reshape", "m shape", "f", "flat"),
    node("Gemm", "f g", "q", "dense", transB=1),
    node("Softmax", "q", "y", "softmax", axis=1),
    node("Resize", "r _ _ sizes", "z", "resize", mode="linear"),
    node("Pad", "r pads", "p", "pad", mode="reflect"),
]
WEIGHTS = {
    "w": np.ones((3, 2, 3, 3), np.float32),
    "s": np.ones(3, np.float32),
    "g": np.ones((5, 12), np.float32),
    "shape": np.array([0, -1]),
    "sizes": np.array([1, 3, 7, 7]),
    "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1]),
}
WRONG = (1, -1, [1], [0, -5, 10**12], "abc", 2.5)
"""Values that attributes do not have."""


@pytest.fixture(scope="module")
def proto() -> onnx.ModelProto:
    return model(NODES, {"x": SHAPE}, ["y", "z", "p"], WEIGHTS)


def load(file: Path, data: bytes) -> str | None:
    """What is said about a file of these bytes; None if it can be imported."""
    file.write_bytes(data)
    try:
        cnncc.load_graph(file)
        return None
    except CnnccError as error:
        assert "\n" not in str(error)
        assert error.exit_code in (2, 3)
        return str(error)


def test_it_is_a_good_model(proto: onnx.ModelProto, tmp_path: Path) -> None:
    assert load(tmp_path / "m.onnx", proto.SerializeToString()) is None


@pytest.mark.parametrize("start", range(7))
def test_cut_short(proto: onnx.ModelProto, tmp_path: Path, start: int) -> None:
    data = proto.SerializeToString()
    for length in range(start, len(data), 7):
        assert load(tmp_path / "m.onnx", data[:length]) is not None


@pytest.mark.parametrize("seed", range(10))
def test_wrong_bytes(proto: onnx.ModelProto, tmp_path: Path, seed: int) -> None:
    random = np.random.default_rng(seed)
    for _ in range(100):
        data = bytearray(proto.SerializeToString())
        for _ in range(random.integers(1, 4)):
            data[random.integers(len(data))] = random.integers(256)
        load(tmp_path / "m.onnx", bytes(data))


@pytest.mark.parametrize("layer", range(len(NODES)))
def test_wrong_nodes(proto: onnx.ModelProto, tmp_path: Path, layer: int) -> None:
    """Each input and each attribute of each node, wrong in turn; and each node as another operator."""
    names = [value for one in proto.graph.node for value in (*one.input, *one.output)]
    for index in range(len(proto.graph.node[layer].input)):
        for name in ("", "nowhere", *sorted({*names, *WEIGHTS})):
            changed = copied(proto)
            changed.graph.node[layer].input[index] = name
            load(tmp_path / "m.onnx", changed.SerializeToString())
    for index, attribute in enumerate(proto.graph.node[layer].attribute):
        for value in WRONG:
            changed = copied(proto)
            changed.graph.node[layer].attribute[index].CopyFrom(helper.make_attribute(attribute.name, value))
            load(tmp_path / "m.onnx", changed.SerializeToString())
    for operator in ("", "Add", "Loop", *(one.op_type for one in proto.graph.node)):
        changed = copied(proto)
        changed.graph.node[layer].op_type = operator
        load(tmp_path / "m.onnx", changed.SerializeToString())


@pytest.mark.parametrize("weight", range(len(WEIGHTS)))
def test_wrong_weights(proto: onnx.ModelProto, tmp_path: Path, weight: int) -> None:
    for size in (0, -1, 2, 2**40):
        changed = copied(proto)
        changed.graph.initializer[weight].dims[0] = size
        load(tmp_path / "m.onnx", changed.SerializeToString())
    for kind in (*range(13), 16, 17, 99):
        changed = copied(proto)
        changed.graph.initializer[weight].data_type = kind
        load(tmp_path / "m.onnx", changed.SerializeToString())


def copied(proto: onnx.ModelProto) -> onnx.ModelProto:
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    return copy


def refused(file: Path, proto: onnx.ModelProto) -> str:
    onnx.save(proto, file)
    with pytest.raises(ModelError) as caught:
        cnncc.load_graph(file)
    return str(caught.value)


def test_a_cycle(tmp_path: Path) -> None:
    nodes = [node("Add", "x b", "a", "one"), node("Relu", "a", "b", "two")]
    assert refused(tmp_path / "m.onnx", model(nodes, {"x": (1, 3)}, ["b"])) == (
        "nodes wait for each other in a cycle: 'one' reads 'b' of 'two', 'two' reads 'a' of 'one'"
    )


def test_values_made_twice(tmp_path: Path) -> None:
    nodes = [node("Relu", "x", "y", "one"), node("Abs", "x", "y", "two")]
    assert refused(tmp_path / "m.onnx", model(nodes, {"x": (1, 3)})) == "node 'two': output 'y' exists already"


def test_an_input_that_is_too_large(tmp_path: Path) -> None:
    proto = model([node("Relu", "x", "y")], {"x": (1, 10**5, 10**5)})
    assert refused(tmp_path / "m.onnx", proto) == (
        "input 'x': shape (1, 100000, 100000) has 10000000000 elements (37.3 GiB), at most 536870911 fit"
    )


def test_a_result_that_is_too_large(tmp_path: Path) -> None:
    proto = model([node("Tile", "x n", "y", "t")], {"x": (1, 1000)}, weights={"n": np.array([10**4, 10**4])})
    assert refused(tmp_path / "m.onnx", proto) == (
        "layer 't': shape (10000, 10000000) has 100000000000 elements (372.5 GiB), at most 536870911 fit"
    )


def test_names_with_line_ends(tmp_path: Path) -> None:
    proto = model([node("Relu", "x", "y", "a\nb")], {"x": (1, 3)})
    proto.graph.node[0].input[0] = "no\twhere\n"
    assert refused(tmp_path / "m.onnx", proto) == (r"node 'a\nb': input 'no\twhere\n' is made by no node")
