"""`cnncc inspect`: what a model holds, and everything in it that cannot be compiled."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import cnncc

from .conftest import DIGITS, Cli

onnx = pytest.importorskip("onnx")

from ..onnx.support import model, node  # noqa: E402


def test_a_script(cli: Cli) -> None:
    result = cli("inspect", DIGITS)
    lines = result.out.splitlines()
    assert (result.code, result.err) == (0, "")
    assert lines[:4] == [
        "digits",
        "input  input: float32[1, 1, 8, 8]",
        "output output: float32[1, 10]",
        "21,642 parameters, 99,648 multiply-accumulates for the number of images as given",
    ]
    assert lines[4] == "86,568 bytes in weights, 4,096 in the largest tensor of a layer"
    assert lines[6:9] == ["operator            nodes", "Relu                    3", "Conv                    2"]
    assert lines[-1] == "everything in it is supported"


def test_macs_are_those_of_the_summary() -> None:
    from cnncc import nn

    network = nn.Sequential(nn.Conv(4, 3), nn.ReLU(), nn.Flatten(), nn.Dense(5), input=(2, 8, 9))
    found = cnncc.inspect(network)
    assert found.macs == network.summary().macs == 4 * 6 * 7 * 2 * 9 + 5 * 4 * 6 * 7
    assert found.parameters == network.summary().parameters


def test_an_onnx_file_with_open_dimensions(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    weights = {"w": np.ones((4, 3, 3, 3), np.float32)}
    onnx.save(
        model([node("Conv", "x w", "a", "c"), node("Relu", "a", "y", "r")], {"x": ("N", 3, "H", 9)}, weights=weights),
        file,
    )
    result = cli("inspect", file, "--shape", "x=1,3,9,9")
    assert "input  x: float32[N, 3, H, 9]" in result.out
    assert "108 parameters, 5,292 multiply-accumulates" in result.out
    assert "open" not in result.out


def test_which_dimensions_are_open(cli: Cli, tmp_path: Path) -> None:
    """A model is looked at with the first length that fits; JSON has the names and that shape too."""
    nodes = [node("Conv", "x w", "a", "c"), node("Relu", "a", "r"), node("Add", "r b", "y")]
    weights = {"w": np.ones((4, 3, 3, 3), np.float32), "b": np.ones((126, 7), np.float32)}
    onnx.save(model(nodes, {"x": ("N", 3, "H", 9)}, weights=weights), tmp_path / "net.onnx")
    result = cli("inspect", tmp_path / "net.onnx")
    lines = result.out.splitlines()
    assert result.code == 0 and lines[3] == "open   x: N, H"
    assert lines[4] == "990 parameters, 95,256 multiply-accumulates with x=(1, 3, 128, 9)"
    supported = (
        "everything in it is supported; --shape x=1,3,…,9 gives one size, shapes='any' (of run, --shape any) takes all"
    )
    assert lines[-1] == supported
    found = json.loads(cli("inspect", tmp_path / "net.onnx", "--json").out)
    assert (found["open"], found["at"]) == ({"x": ["N", "H"]}, {"x": [1, 3, 128, 9]})
    cut = cli("inspect", tmp_path / "net.onnx", "--output", "a")
    assert "output a: float32[1, 4, 62, 7]" in cut.out and "Relu" not in cut.out and "x=(1, 3, 64, 9)" in cut.out


def test_what_is_unsupported_at_any_size(cli: Cli, tmp_path: Path) -> None:
    onnx.save(model([node("Det", "x", "y", "d")], {"x": ("N", "H", "H")}), tmp_path / "net.onnx")
    told = cli("inspect", tmp_path / "net.onnx")
    assert "operator Det is not supported (1: node 'd')" in told.out and "x=(1, 64, 64)" in told.out
    onnx.save(
        model([node("Add", "x w", "y", "sum")], {"x": ("N", 5, "H")}, weights={"w": np.ones((5, 7), np.float32)}),
        tmp_path / "odd.onnx",
    )
    assert "give its open dimensions, shapes={'x': (1, 5, …)}" in cli("inspect", tmp_path / "odd.onnx").out


def test_everything_that_is_unsupported(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    nodes = [node("Det", f"x{k}" if k else "x", f"x{k + 1}", f"d{k}") for k in range(5)]
    nodes += [node("Relu", "x5", "z", "r"), node("Tile", "z x", "y", "t")]
    onnx.save(model(nodes, {"x": (1, 3, 3)}), file)
    result = cli("inspect", file)
    assert result.code == 0
    assert "operator Det is not supported (5: node 'd0', node 'd1', node 'd2' and 2 more)" in result.out
    assert "Det           5  unsupported" in result.out
    found = json.loads(cli("inspect", file, "--json").out)
    assert found["operators"] == {"Det": 5, "Relu": 1, "Tile": 1}
    assert found["unsupported"] == ["Det"] and found["macs"] is None
    assert found["problems"][0]["count"] == 5


def test_what_is_no_model(cli: Cli, tmp_path: Path) -> None:
    for name, content, code in (("a.onnx", b"nothing", 3), ("b.bin", b"nothing", 2), ("c.py", b"x = 1", 3)):
        file = tmp_path / name
        file.write_bytes(content)
        result = cli("inspect", file)
        assert (result.code, result.out) == (code, "") and result.err.count("\n") == 1
    assert cli("inspect", tmp_path / "missing.onnx").code == 3


def test_advice_stands_once(tmp_path: Path) -> None:
    file = tmp_path / "net.onnx"
    nodes = [
        node("Tile", "x n", "a", "first"),
        node("Expand", "x n", "b", "second"),
        node("Concat", "a b", "y", "c", axis=0),
    ]
    inputs = {"x": (1, 3)}
    graph = model(nodes, inputs)
    graph.graph.input.append(onnx.helper.make_tensor_value_info("n", onnx.TensorProto.FLOAT, (2,)))
    onnx.save(graph, file)
    with pytest.raises(cnncc.CnnccError) as caught:
        cnncc.load_graph(file)
    assert str(caught.value).count("onnxsim") == 1
    problems = cnncc.inspect(file).problems
    assert [problem.count for problem in problems] == [1, 1]
    assert all("onnxsim" in problem.advice for problem in problems)
