"""ONNX files that cannot be imported: one sentence that tells everything at once."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx
from onnx import TensorProto, helper

import cnncc
from cnncc.errors import ModelError, ShapeError, UsageError

from .cases import data, ints
from .support import imported, model, node


def refusal(proto: onnx.ModelProto, folder: Path) -> str:
    with pytest.raises(ModelError) as error:
        imported(proto, folder)
    return str(error.value).replace(str(folder), "…")


def test_all_problems_are_told_at_once(tmp_path: Path):
    """Also those behind a node that cannot be imported, and equal ones once with all their nodes."""
    nodes = [
        node("NonZero", "x", "a", "first"),
        node("Cast", "a", "b", "cast", to=TensorProto.FLOAT),
        node("Det", "x", "d"),
        node("Relu", "x", "r"),
        node("MaxPool", "r", "m", "pool", kernel_shape=[2, 2], storage_order=1),
        node("Det", "m", "y", "last"),
    ]
    assert refusal(model(nodes, {"x": (1, 3, 4, 4)}), tmp_path) == (
        "'…/small.onnx' cannot be imported: operator NonZero is not supported (at node 'first'); "
        "operator Det is not supported (at node 'd', node 'last'); "
        "MaxPool with storage_order=1 is not supported (at node 'pool')"
    )


def test_operators_of_other_domains(tmp_path: Path):
    proto = model([helper.make_node("Relu", ["x"], ["y"], "r", domain="com.example")], {"x": (1, 3)})
    assert refusal(proto, tmp_path) == (
        "'…/small.onnx' cannot be imported: operator com.example.Relu is not supported (at node 'r')"
    )


def test_attributes_that_no_row_reads(tmp_path: Path):
    proto = model([node("Relu", "x", "y", "r", slope=0.1)], {"x": (1, 3)})
    assert "Relu with attribute slope is not supported (at node 'r')" in refusal(proto, tmp_path)


def test_attributes_of_the_wrong_type(tmp_path: Path):
    proto = model([node("Flatten", "x", "y", "f", axis=1.5)], {"x": (1, 3)})
    assert refusal(proto, tmp_path) == "node 'f': attribute axis=1.5: expected a value like 1"


def test_a_layer_that_the_type_rule_refuses(tmp_path: Path):
    proto = model([node("Conv", "x w", "y", "c")], {"x": (1, 3, 5, 5)}, weights={"w": data(4, 2, 3, 3)})
    with pytest.raises(ShapeError) as error:
        imported(proto, tmp_path)
    assert error.value.node == "c"
    assert "weights of shape (4, 2, 3, 3) do not fit input float32[1, 3, 5, 5]" in str(error.value)


def test_parameters_that_must_be_known(tmp_path: Path):
    nodes = [node("Clip", "x low", "y", "clip"), node("Pad", "x low", "z", "pad")]
    told = refusal(model(nodes, {"x": (1, 3), "low": ()}, ["y", "z"]), tmp_path)
    assert "Clip with min computed at run time is not supported (at node 'clip')" in told
    assert "Pad with pads computed at run time is not supported (at node 'pad')" in told


def test_other_element_types(tmp_path: Path):
    proto = model([node("Add", "x w", "y", "a")], {"x": (1, 3)}, weights={"w": data(3).astype(np.float64)})
    assert "computing with the float64 tensor 'w' is not supported, only float32 (at node 'a')" in refusal(
        proto, tmp_path
    )
    proto.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    assert "an input of type int64 is not supported, only float32 and uint8 (at input 'x')" in refusal(proto, tmp_path)


def test_outputs_of_other_element_types(tmp_path: Path):
    told = refusal(model([node("Shape", "x", "y", "s")], {"x": (1, 3)}), tmp_path)
    assert "computing with the int64 tensor 'y' is not supported, only float32 (at output 'y')" in told


def test_only_known_values(tmp_path: Path):
    told = refusal(model([node("Mod", "x x", "y", "m", fmod=1)], {"x": (1, 3)}), tmp_path)
    assert "operator Mod on values computed at run time is not supported (at node 'm')" in told


def test_outputs_that_are_read_but_not_made(tmp_path: Path):
    nodes = [node("MaxPool", "x", "y indices", "p", kernel_shape=[2]), node("Cast", "indices", "z", to=1)]
    told = refusal(model(nodes, {"x": (1, 3, 6)}, ["y", "z"]), tmp_path)
    assert "output 'indices' of MaxPool is not supported (at node 'p')" in told


def test_values_that_nobody_makes(tmp_path: Path):
    assert refusal(model([node("Relu", "later", "y", "r")], {"x": (1, 3)}), tmp_path) == (
        "node 'r': input 'later' is made by no node before it"
    )
    assert refusal(model([node("Relu", "x", "y", "r")], {"x": (1, 3)}, ["z"]), tmp_path) == (
        "output 'z': no node makes it"
    )


def test_attributes_that_do_not_fit_together(tmp_path: Path):
    conv = node("Conv", "x w", "y", "c", strides=[1, 2, 3], auto_pad="SAME_UPPER")
    told = refusal(model([conv], {"x": (1, 3, 5, 5)}, weights={"w": data(4, 3, 3, 3)}), tmp_path)
    assert told.startswith("node 'c': inputs and attributes of Conv do not fit together: ")


def test_missing_inputs(tmp_path: Path):
    assert refusal(model([node("Conv", "x", "y", "c")], {"x": (1, 3, 4)}), tmp_path) == (
        "node 'c': input 1 of Conv is missing"
    )


def test_files_that_are_no_models(tmp_path: Path):
    absent, folder, text, empty = (tmp_path / f"{name}.onnx" for name in ("absent", "folder", "text", "empty"))
    folder.mkdir()
    text.write_text("not a model at all")
    empty.write_bytes(b"")
    for file, told in [
        (absent, f"ONNX model '{absent}' does not exist"),
        (folder, f"ONNX model '{folder}' is not a file"),
        (text, f"'{text}' is not an ONNX model that can be read: "),
        (empty, f"'{empty}' is not an ONNX model: it has no outputs"),
    ]:
        with pytest.raises(ModelError) as error:
            cnncc.load_graph(file)
        assert str(error.value).startswith(told)


def test_missing_weights_file(tmp_path: Path):
    proto = model([node("Add", "x w", "y")], {"x": (1, 300)}, weights={"w": data(300)})
    onnx.save(proto, tmp_path / "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    (tmp_path / "w.bin").unlink()
    with pytest.raises(ModelError, match=r"m\.onnx' is not an ONNX model that can be read: "):
        cnncc.load_graph(tmp_path / "m.onnx")


def test_without_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UsageError) as error:
        cnncc.load_graph(tmp_path / "m.onnx")
    assert str(error.value) == f"reading '{tmp_path / 'm.onnx'}' needs the onnx package: pip install 'cnncc[onnx]'"


def test_dimensions_of_nothing(tmp_path: Path):
    proto = model([node("Reshape", "x shape", "y", "r")], {"x": (1, 3)}, weights={"shape": ints(0, 0, 5)})
    assert "node 'r'" in refusal(proto, tmp_path)
