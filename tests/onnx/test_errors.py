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
from cnncc.elements import COMPUTED, INT32, VALUES
from cnncc.errors import ModelError, ShapeError, UsageError
from cnncc.frontends.onnx.read import ADVICE
from cnncc.op import either
from cnncc.types import TensorType

from .making import data, ints
from .support import imported, model, node

OTHERS = (
    ". cnncc ops --onnx lists the operators that are supported; outputs=(…), on the command line --output, ends a "
    "model before others"
)


def refusal(proto: onnx.ModelProto, folder: Path) -> str:
    with pytest.raises(ModelError) as error:
        imported(proto, folder)
    return str(error.value).replace(str(folder), "…")


def test_all_problems_are_told_at_once(tmp_path: Path):
    """Also those behind a node that cannot be imported, and equal ones once with all their nodes."""
    nodes = [
        node("Unique", "x", "a", "first"),
        node("Cast", "a", "b", "cast", to=TensorProto.FLOAT),
        node("Det", "x", "d"),
        node("Relu", "x", "r"),
        node("Dropout", "r _ on", "m", "drop"),
        node("Det", "m", "y", "last"),
    ]
    proto = model(nodes, {"x": (1, 3, 4, 4)}, ["y", "b", "d"], {"on": np.array(True)})
    assert refusal(proto, tmp_path) == (
        "'…/small.onnx' cannot be imported: operator Unique is not supported (at node 'first'); "
        "operator Det is not supported (at node 'd', node 'last'); "
        f"Dropout in training mode is not supported (at node 'drop'){OTHERS}"
    )


MIRROR = {"coordinate_transformation_mode": "mirror"}


def test_what_comes_behind_a_node_is_seen_by_its_stated_shape(tmp_path: Path):
    """As exporters write them; without a shape only the operators behind it are looked at."""
    nodes = [node("Det", "x", "d", "first"), node("Resize", "d _ s", "y", "last", **MIRROR)]
    proto = model(nodes, {"x": (1, 3, 8, 8)}, weights={"s": np.array([1, 1, 0.5, 0.5], np.float32)})
    first = "'…/small.onnx' cannot be imported: operator Det is not supported (at node 'first')"
    told = "coordinate_transformation_mode='mirror'"
    assert refusal(proto, tmp_path) == first + OTHERS
    proto.graph.value_info.add().CopyFrom(helper.make_tensor_value_info("d", TensorProto.FLOAT, (1, 3, 8, 8)))
    assert refusal(proto, tmp_path) == f"{first}; Resize with {told} is not supported (at node 'last'){OTHERS}"
    proto.graph.value_info[0].type.tensor_type.elem_type = 99
    assert refusal(proto, tmp_path) == first + OTHERS


def test_nodes_at_which_onnx_itself_ends_the_process(tmp_path: Path):
    """Its inference of shapes does so for parts that are fewer than the outputs; nobody asks it."""
    proto = model([node("Split", "x", "a b c", "s", num_outputs=1)], {"x": (3, 4)}, ["a", "b", "c"])
    assert refusal(proto, tmp_path) == "node 's': num_outputs=1 does not agree with the 3 outputs"


def test_one_kind_is_told_once(tmp_path: Path):
    """With three places and the number of the others; also where the messages name values of their own."""
    nodes = [node("Relu" if k % 2 else "Det", f"v{k}", f"v{k + 1}", f"n{k}") for k in range(40)]
    nodes += [node("Add", f"x w{k}", f"z{k}", f"add{k}") for k in range(9)]
    nodes += [node("LRN", "x", f"p{k} q{k}", f"lrn{k}", size=1) for k in range(5)]
    outputs = ["v40", *(f"z{k}" for k in range(9)), *(f"q{k}" for k in range(5))]
    weights = {f"w{k}": data(4).astype(np.float64) for k in range(9)}
    nodes[0].input[0] = "x"
    assert refusal(model(nodes, {"x": (1, 4, 4)}, outputs, weights), tmp_path) == (
        "'…/small.onnx' cannot be imported: "
        "operator Det is not supported (at node 'n0', node 'n2', node 'n4' and 17 more); "
        f"computing with the float64 tensor 'w0' is not supported, only {either(COMPUTED)} "
        "(at node 'add0', node 'add1', node 'add2' and 6 more); "
        f"output 'q0' of LRN is not supported (at node 'lrn0', node 'lrn1', node 'lrn2' and 2 more){OTHERS}. {ADVICE}"
    )


def test_open_dimensions_beside_other_problems(tmp_path: Path):
    nodes = [node("Relu", "x", "a"), node("Unique", "a", "b", "where"), node("Det", "z", "y", "det")]
    told = refusal(model(nodes, {"x": ("N", 3, "H"), "z": ("W", "W")}, ["b", "y"]), tmp_path)
    assert told == (
        "'…/small.onnx' cannot be imported: "
        "input 'x' is (N, 3, H) and input 'z' is (W, W): give their open dimensions, "
        "shapes={'x': (1, 3, …), 'z': (1, …)} (on the command line --shape x=1,3,… --shape z=1,…), "
        'or shapes="any" in Python, which compiles each size when it comes; '
        f"operator Unique is not supported (at node 'where'); operator Det is not supported (at node 'det'){OTHERS}"
    )


def test_many_kinds_of_problems(tmp_path: Path):
    nodes = [node(f"Op{k}", "x", f"y{k}") for k in range(20)]
    told = refusal(model(nodes, {"x": (1, 3)}, [f"y{k}" for k in range(20)]), tmp_path)
    assert told.count("is not supported") == 6
    assert told.endswith(
        f"operator Op5 is not supported (at node 'y5'); and 14 more kinds of problems (see cnncc inspect){OTHERS}"
    )


HOSTILE = ["n" * 10_000, "\n\r\x1b[31m\0" * 1000, "é'\"\\" * 2000, "\u2028\u202e" * 2000]


@pytest.mark.parametrize("name", HOSTILE, ids=range(4))
def test_the_greatest_length_of_a_message(name: str, tmp_path: Path):
    """One line of at most 8,000 characters, whatever is called `name` and whatever is wrong."""
    good, wrong = {"x": (1, 3)}, node("Conv", "x w", "y", name)
    protos = [
        model([node("Relu", name, "y", name)], good),
        model([node(name, "x", f"{name}{k}", f"{name}{k}") for k in range(9)], good, [f"{name}{k}" for k in range(9)]),
        model([node("Flatten", "x", "y", name, axis=name)], good),
        model([node("Pad", "x _", "y", name, mode=name)], good),
        model([node("Relu", "x", "y", **{name: 1})], good),
        model([node("Relu", "x", "y")], good, [name]),
        model([node("Relu", name, "y")], {name: (name, name, 3)}),
        model([wrong], {"x": (1, 3, 5, 5)}, weights={"w": data(4, 2, 3, 3)}),
        model([node("Add", f"x {name}", "y", name)], good, weights={name: ints(1)}),
        model([node("Add", "x b", name, name), node("Relu", name, "b", name)], good, ["b"]),
    ]
    for proto in protos:
        told = refusal(proto, tmp_path)
        assert len(told) <= 8000 and told.isprintable(), told[:200]


def test_names_that_are_no_text(tmp_path: Path):
    """protobuf refuses bytes that are no UTF-8, or gives them as bytes: one sentence either way."""
    content = (
        model([node("Relu", "x", "y", "ZZZZ")], {"x": (1, 3)}).SerializeToString().replace(b"ZZZZ", b"\xff\xfe\x80Z")
    )
    (tmp_path / "m.onnx").write_bytes(content)
    try:
        cnncc.load_graph(tmp_path / "m.onnx")
    except ModelError as error:
        assert str(error).isprintable()


def test_the_operator_of_the_file_is_named(tmp_path: Path):
    """Not the op that it becomes, nor the step on the way to it."""
    gemm = model([node("Gemm", "x w", "y", "g", transA=1)], {"x": (1, 3, 4)}, weights={"w": data(3, 5)})
    assert refusal(gemm, tmp_path).startswith("layer 'g': Gemm: ")


def test_operators_of_other_domains(tmp_path: Path):
    proto = model([helper.make_node("Relu", ["x"], ["y"], "r", domain="com.example")], {"x": (1, 3)})
    assert refusal(proto, tmp_path) == (
        f"'…/small.onnx' cannot be imported: operator com.example.Relu is not supported (at node 'r'){OTHERS}"
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
    told = refusal(model(nodes, {"x": (1, 3), "low": (2,)}, ["y", "z"]), tmp_path)
    assert "min of shape (2,), expected a number (at node 'clip')" in told
    assert "Pad with pads computed at run time is not supported (at node 'pad')" in told


def test_other_element_types(tmp_path: Path):
    proto = model([node("Add", "x w", "y", "a")], {"x": (1, 3)}, weights={"w": data(3).astype(np.float64)})
    told = f"computing with the float64 tensor 'w' is not supported, only {either(COMPUTED)} (at node 'a')"
    assert told in refusal(proto, tmp_path)
    proto.graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    told = f"an input of type float64 is not supported, only {either(VALUES)} (at input 'x'). {ADVICE}"
    assert told in refusal(proto, tmp_path)
    proto.graph.input[0].type.tensor_type.elem_type = TensorProto.STRING
    told = f"an input of type string is not supported, only {either(VALUES)} (at input 'x')"
    assert told in refusal(proto, tmp_path)


def test_outputs_of_other_element_types(tmp_path: Path):
    weights = {"k": np.ones(3, np.uint64)}
    told = refusal(model([node("Neg", "k", "y", "s")], {"x": (1, 3)}, weights=weights), tmp_path)
    assert f"computing with the uint64 tensor 'y' is not supported, only {either(COMPUTED)} (at output 'y')" in told


def test_elements_that_do_not_fit_together(tmp_path: Path):
    """The type rule of the op says so, under the operator's name."""
    whole = TensorType((1, 3), INT32)
    told = refusal(model([node("Max", "x k", "y", "m")], {"x": (1, 3)}, weights={"k": ints(1, 2, 3)}), tmp_path)
    assert (
        told == "layer 'm': Max takes operands of one type, got float32[1, 3] and int64[3]: Cast converts one of them"
    )
    told = refusal(model([node("Sqrt", "x", "y", "t")], {"x": whole}), tmp_path)
    assert told == "layer 't': Sqrt takes float32, got int32[1, 3]: Cast converts it"


def test_only_known_values(tmp_path: Path):
    told = refusal(model([node("Range", "x x x", "y", "m")], {"x": ()}), tmp_path)
    assert "operator Range on values computed at run time is not supported (at node 'm')" in told


def test_outputs_that_are_read_but_not_made(tmp_path: Path):
    nodes = [node("LRN", "x", "y mask", "p", size=1), node("Cast", "mask", "z", to=1)]
    told = refusal(model(nodes, {"x": (1, 3, 6)}, ["y", "z"]), tmp_path)
    assert "output 'mask' of LRN is not supported (at node 'p')" in told


def test_values_that_nobody_makes(tmp_path: Path):
    assert refusal(model([node("Relu", "later", "y", "r")], {"x": (1, 3)}), tmp_path) == (
        "node 'r': input 'later' is made by no node"
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
        (empty, f"'{empty}' is not an ONNX model: it is empty"),
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


RELUS = [node("Relu", "x", "a"), node("Relu", "a", "y")]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"hello", "is not an ONNX model that can be read: it is a text"),
        (b"<!DOCTYPE html><html>404", "can be read: it is a web page; perhaps of an error, in place of a download"),
        (model(RELUS, {"x": (1, 3)}).SerializeToString()[:-9], "it may be incomplete or damaged"),
    ],
)
def test_what_a_file_is_in_place_of_a_model(content: bytes, told: str, tmp_path: Path):
    (tmp_path / "m.onnx").write_bytes(content)
    with pytest.raises(ModelError) as error:
        cnncc.load_graph(tmp_path / "m.onnx")
    assert str(error.value).endswith(told)


def test_lists_of_different_lengths_are_named(tmp_path: Path):
    proto = model([node("Conv", "x w", "y", "c", pads=[1, 1, 1])], {"x": (1, 2, 5, 5)}, weights={"w": data(4, 2, 3, 3)})
    told = "inputs and attributes of Conv do not fit together: a list has too few or too many elements (pads=(1, 1, 1))"
    assert refusal(proto, tmp_path) == f"node 'c': {told}"


def test_matrices_that_do_not_fit_are_told_as_they_are_in_the_file(tmp_path: Path):
    proto = model([node("MatMul", "x w", "y", "m")], {"x": (1, 5)}, weights={"w": data(4, 3)})
    assert "'m': MatMul of shapes (1, 5) and (4, 3): the last axis of the first" in refusal(proto, tmp_path)


def test_what_depends_on_numbers_that_arrive_is_told_with_advice(tmp_path: Path):
    assert "or simplified (onnxsim)" in refusal(model([node("NonZero", "x", "y")], {"x": (1, 3)}), tmp_path)
