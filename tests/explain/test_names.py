"""Names of ONNX files lead to the layers that compute them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import cnncc
from cnncc.errors import UsageError
from cnncc.explain import Explanation, explain
from cnncc.explain.names import Names
from cnncc.explain.text import text

onnx = pytest.importorskip("onnx", reason="the onnx package writes the file")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """conv → relu, whose nodes have names of their own, and a reshape to a shape that is computed from a shape."""
    helper = onnx.helper
    rng = np.random.default_rng(0)
    weights = onnx.numpy_helper.from_array(rng.standard_normal((8, 3, 3, 3)).astype(np.float32), "w")
    minus = onnx.numpy_helper.from_array(np.array([1, -1]), "minus")
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["features"], "/features/Conv", kernel_shape=[3, 3]),
        helper.make_node("Relu", ["features"], ["positive"], "/features/Relu"),
        helper.make_node("Identity", ["minus"], ["shape"], "/Shape"),
        helper.make_node("Reshape", ["positive", "shape"], ["y"]),
    ]
    ports = [
        helper.make_tensor_value_info(name, 1, shape) for name, shape in {"x": [1, 3, 8, 8], "y": [1, 288]}.items()
    ]
    graph = helper.make_graph(nodes, "named", ports[:1], ports[1:], [weights, minus])
    path = tmp_path_factory.mktemp("names") / "named.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.fixture(scope="module")
def explanation(file: Path) -> Explanation:
    from cnncc.compiler import Compilation, Options, resolve_target
    from cnncc.source import open_source

    return explain(Compilation(open_source(file), Options(resolve_target("x86-64-v3"))))


def test_nodes_and_tensors(explanation: Explanation) -> None:
    names = Names.of(explanation)
    for name in ("/features/Conv", "/features/Relu", "features", "positive"):
        assert names.layers(name) == ("/features/Conv",)
    assert names.layers("/Shape") == names.layers("shape") == ()
    assert names.layers("y") == ("y",)  # the last node has no name: it is called after its tensor


def test_what_became_of_them(explanation: Explanation) -> None:
    assert "'/features/Relu' (Relu) was fused into '/features/Conv'" in text(explanation, ["/features/Relu"])
    assert text(explanation, ["positive"]).startswith("'positive' is '/features/Relu' of the graph.")
    assert text(explanation, ["shape"]) == "'shape' was computed on reading the file, since what it reads is known."


def test_an_unknown_name_has_its_nearest(explanation: Explanation) -> None:
    with pytest.raises(
        UsageError, match=r"no layer or tensor '/features/Relo': the nearest names are '/features/Relu', "
    ):
        text(explanation, ["/features/Relo"])


def test_of_a_model(file: Path) -> None:
    model = cnncc.compile(file, cache=False)
    assert model.why("features") == model.why("features")
    assert "Layer '/features/Conv' of 'named' for host" in model.why("features")
    assert model.why().startswith("'named' for host")
    with pytest.raises(UsageError, match="no layer or tensor 'conv'"):
        model.why("conv")
