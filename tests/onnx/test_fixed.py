"""Inputs whose values are given when compiling."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx
from onnx import TensorProto, helper

import cnncc
from cnncc.cli import main
from cnncc.errors import UsageError

from .making import data
from .support import model, node

X = data(2, 3)


def branches() -> onnx.ModelProto:
    """A model that does one thing at a rate of 16,000 and another at any other, times a gain."""
    fast = helper.make_graph([node("Relu", "x", "fast")], "fast", [], [helper.make_empty_tensor_value_info("fast")])
    slow = helper.make_graph([node("Neg", "x", "slow")], "slow", [], [helper.make_empty_tensor_value_info("slow")])
    nodes = [
        node("Equal", "rate wanted", "same"),
        node("If", "same", "chosen", "branch", then_branch=fast, else_branch=slow),
        node("Mul", "chosen gain", "y"),
    ]
    weights = {"wanted": np.array(16000)}
    made = model(nodes, {"x": ("n", 3), "rate": (), "gain": (1, 3)}, ["y"], weights, opset=17)
    made.graph.input[1].type.tensor_type.elem_type = TensorProto.INT64
    return made


@pytest.mark.parametrize("rate", (16000, np.int32(8000), np.array(16000)))
def test_a_branch_is_chosen(rate: Any) -> None:
    """The input is gone, and so is the branch; a value stands for all elements of the declared shape; N stays free."""
    compiled = cnncc.compile(branches(), fixed={"rate": rate, "gain": 2}, cache=False)
    assert [port.name for port in compiled.inputs] == ["x"]
    wanted = 2 * (np.maximum(X, 0) if int(rate) == 16000 else -X)
    np.testing.assert_array_equal(compiled(X), wanted)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(compiled))(X), wanted)


def test_without_a_value_the_message_says_what_to_do() -> None:
    with pytest.raises(cnncc.CnnccError, match=r"If with a condition computed at run time.*fixed=.*--fix"):
        cnncc.compile(branches())


def test_open_sizes_keep_the_values() -> None:
    """Also through a pickle."""
    compiled = cnncc.compile(branches(), fixed={"rate": 0, "gain": [[1, 2, 3]]}, shapes="any", cache=False)
    again = pickle.loads(pickle.dumps(compiled))
    for each in (compiled, again):
        assert [port.name for port in each.inputs] == ["x"]
        with pytest.warns(UserWarning, match="was compiled for"):
            np.testing.assert_array_equal(each(X), -X * np.array([1, 2, 3], np.float32))


def test_the_cache_tells_values_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNCC_CACHE", str(tmp_path / "cache"))
    onnx.save(branches(), tmp_path / "m.onnx")
    for _ in range(2):
        for gain in (1.0, 3.0):
            compiled = cnncc.compile(tmp_path / "m.onnx", fixed={"rate": 1, "gain": gain})
            np.testing.assert_array_equal(compiled(X), -X * np.float32(gain))


@pytest.mark.parametrize(
    ("fixed", "message"),
    (
        ({"no": 1}, "a value is given for 'no', but the inputs of 'the given model' are x, rate, gain"),
        ({"wanted": 1}, "a value is given for 'wanted', but"),
        ({"rate": 1.5}, "input 'rate' of type int64 is fixed to a value that this type cannot hold"),
        ({"rate": 2.0**63}, "input 'rate' of type int64 is fixed to a value that this type cannot hold"),
        ({"rate": [1, 2]}, "input 'rate' is (), but is fixed to a value of shape (2,)"),
        ({"gain": np.ones((2, 3))}, "input 'gain' is (1, 3), but is fixed to a value of shape (2, 3)"),
        ({"gain": "2"}, "the value that is given for 'gain' is no array of numbers"),
        ([1], "fixed=[1]: expected values of inputs by name, such as {'rate': 16000}"),
    ),
)
def test_values_that_are_refused(fixed: Any, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        cnncc.load_graph(branches(), fixed=fixed)
    assert str(caught.value).startswith(message)


def test_shapes_are_those_of_the_other_inputs() -> None:
    with pytest.raises(
        UsageError, match="a shape is given for 'gain', but the inputs of 'the given model' are x, rate"
    ):
        cnncc.load_graph(branches(), {"gain": (1, 3)}, fixed={"gain": 1})


def test_other_models_have_no_values() -> None:
    graph = cnncc.load_graph(branches(), fixed={"rate": 1})
    with pytest.raises(UsageError, match="values of inputs are given with ONNX models only"):
        cnncc.load_graph(graph, fixed={"x": 1})


def test_open_dimensions_are_those_of_the_value() -> None:
    """A type that no layer computes with may be that of a known value."""
    made = model([node("Cast", "t", "f", to=1), node("Mul", "x f", "y")], {"x": (2, 3), "t": ("a", "b")}, ["y"])
    made.graph.input[1].type.tensor_type.elem_type = TensorProto.DOUBLE
    for value in (X, X[0], np.float64(0.1)):
        compiled = cnncc.compile(made, fixed={"t": value}, cache=False)
        np.testing.assert_array_equal(compiled(X), X * np.float32(value))


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "m.onnx"
    onnx.save(branches(), file)
    assert main(["inspect", "--json", "--fix", "rate=16000", "--fix", "gain=1,-2.5,1e2", str(file)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [port["name"] for port in found["inputs"]] == ["x"] and not found["problems"]
    assert main(["compile", "--fix", "rate=16000", "--kinds", "h", str(file), "-o", str(tmp_path)]) == 0
    assert main(["compile", "--fix", "rate=a", "-o", str(tmp_path), str(file)]) == 2
    assert "'rate=a' is no value of an input: expected INPUT=VALUE,…, as rate=16000" in capsys.readouterr().err
