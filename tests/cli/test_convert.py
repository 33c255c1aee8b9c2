"""`--convert`: files of float64 on the command line, and what stays of the option in the libraries that it writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx
from onnx import TensorProto, helper, numpy_helper

import cnncc
from cnncc.errors import InputError
from cnncc.machine.target import TARGETS
from cnncc.runtime.shared import can_link

from .conftest import Cli

X = np.random.default_rng(0).standard_normal((4, 3, 5))
W = np.random.default_rng(1).standard_normal((5, 2))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A product of float64 of any number of images with 3 or more rows."""
    x = helper.make_tensor_value_info("x", TensorProto.DOUBLE, ["n", "rows", 5])
    y = helper.make_tensor_value_info("y", TensorProto.DOUBLE, None)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    graph = helper.make_graph(nodes, "product", [x], [y], [numpy_helper.from_array(W, "w")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]), tmp_path / "product.onnx")
    np.save(tmp_path / "x.npy", X)
    return tmp_path / "product.onnx"


def test_verbs(cli: Cli, file: Path) -> None:
    x, result, shape = file.parent / "x.npy", file.parent / "y.npy", ("--shape", "x=1,3,5")
    told = cli("run", file, x, *shape)
    assert (told.code, "With convert=True (on the command line --convert) float64" in told.err) == (3, True)
    assert cli("run", file, x, *shape, "--convert", "-o", result).code == 0
    np.testing.assert_allclose(np.load(result), X @ W, rtol=1e-5, atol=1e-5)
    np.save(x, X[:1])
    assert cli("check", file, x, *shape, "--convert").code == 0
    assert cli("show", file, *shape, "--convert").code == 0
    assert "it cannot be compiled" in cli("inspect", file, *shape).out
    assert "input  x: float64" in (told := cli("inspect", file, *shape, "--convert")).out
    assert "everything in it is supported" in told.out


@pytest.mark.skipif(not can_link(TARGETS["x86-64-v2"]), reason="no C compiler")
def test_libraries(cli: Cli, file: Path) -> None:
    """Calls of a model from a library do what it was compiled with; the manifest of others is as it was."""
    for shapes in (["x=1,3,5"], ["x=1,3,5", "x=1,4,5"]):
        options = [word for shape in shapes for word in ("--shape", shape)]
        assert cli("compile", file, "--convert", *options, "-o", file.parent).code == 0
        with cnncc.load(file.parent / "product.so") as model:
            np.testing.assert_allclose(model(X), X @ W, rtol=1e-5, atol=1e-5)
            with pytest.raises(InputError, match="expected float32, got float64"):
                model(X, convert=False)
    assert '"convert": true' in (file.parent / "product.json").read_text()
