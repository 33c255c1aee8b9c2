"""Models cut at any tensor, from every frontend, in Python and on the command line; models that are messages."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx
from onnx import helper

import cnncc
from cnncc import nn
from cnncc.cli import main
from cnncc.errors import CnnccError, ModelError, UsageError
from cnncc.frontends.onnx import importer

from .making import data
from .support import model, node
from .test_functions import TWICE, call

X = data(1, 3)


def network() -> onnx.ModelProto:
    """Nodes with and without names, one of several outputs, a call, and a head that cnncc does not have."""
    nodes = [
        node("Mul", "x w", "/trunk/Mul_output_0", "/trunk/Mul"),
        node("Split", "/trunk/Mul_output_0", "left right", "split", axis=1, split=[1, 2]),
        call("Twice", "right", "doubled", "twice"),
        node("Relu", "doubled", "embedding"),
        node("Add", "embedding second", "sum"),
        node("Det", "sum", "y", "head"),
    ]
    proto = model(nodes, {"x": ("n", 3), "second": ("n", 2), "ids": (4,)}, ["y"], {"w": data(3)}, opset=11)
    proto.graph.input[2].type.tensor_type.elem_type = onnx.TensorProto.INT64
    proto.opset_import.append(helper.make_opsetid("my", 1))
    proto.functions.append(TWICE)
    proto.graph.name = "net.of/graph"
    return proto


MUL = X * data(3)
CUTS: dict[str, tuple[Any, list[str]]] = {
    "/trunk/Mul_output_0": (MUL, ["x"]),
    "/trunk/Mul": (MUL, ["x"]),
    "split": (MUL[:, :1], ["x"]),
    "right": (MUL[:, 1:], ["x"]),
    "embedding": (np.maximum(2 * MUL[:, 1:], 0), ["x"]),
    "x": (X, ["x"]),
    "w": (data(3), []),
}


@pytest.mark.parametrize("name", CUTS)
def test_tensors_and_nodes(name: str) -> None:
    """What is behind is not looked at, inputs that are not needed are no inputs."""
    wanted, inputs = CUTS[name]
    graph = cnncc.load_graph(network(), outputs=(name,))
    assert (list(graph.inputs), list(graph.outputs)) == (inputs, [name])
    compiled = cnncc.compile(network(), outputs=name, cache=False)
    np.testing.assert_allclose(compiled(dict.fromkeys(inputs, X)), wanted, rtol=1e-6)
    if name not in ("w", "x"):
        np.testing.assert_allclose(compiled(np.tile(X, (5, 1))), np.tile(wanted, (5, 1)), rtol=1e-6)


def test_several_in_their_order() -> None:
    names = ("sum", "split", "embedding", "x")
    compiled = cnncc.compile(network(), outputs=names, cache=False)
    assert [port.name for port in compiled.outputs] == list(names)
    assert [port.name for port in compiled.inputs] == ["x", "second"]
    second = data(1, 2)
    embedding = np.maximum(2 * MUL[:, 1:], 0)
    for found, wanted in zip(compiled(X, second), (embedding + second, MUL[:, :1], embedding, X), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_layers_inside_of_functions() -> None:
    """They are known if the whole model can be imported."""
    proto = network()
    proto.graph.output[0].name = "sum"
    proto.graph.node.pop()
    graph = cnncc.load_graph(proto, outputs=("twice.sum", "left"))
    assert (list(graph.outputs), list(graph.inputs)) == (["twice.sum", "left"], ["x"])


def test_unknown_names() -> None:
    proto = network()
    proto.graph.output[0].name = "sum"
    proto.graph.node.pop()
    with pytest.raises(UsageError) as error:
        cnncc.load_graph(proto, outputs=("embeding",))
    assert str(error.value) == "the model has no layer or tensor 'embeding': the nearest names are 'embedding'"
    with pytest.raises(UsageError, match=r"has no layer or tensor 'zzzzzzzz', nor one with a name like it"):
        cnncc.load_graph(proto, outputs=("zzzzzzzz",))
    for wrong in ((), [], ("",), (1,), 3, b"sum"):
        with pytest.raises(UsageError, match="expected names of layers or tensors"):
            cnncc.load_graph(proto, outputs=wrong)  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="operator Det is not supported"):
        cnncc.load_graph(network(), outputs=("nowhere",))


def test_scripts_networks_and_graphs(tmp_path: Path) -> None:
    """By the names of layers; labels stay with the output that they belong to."""
    x, other = nn.Input((3,), "x"), nn.Input((3,), "other")
    trunk = nn.Dense(4, name="trunk", activation="relu")(x)
    parts = nn.Split((2, 2), axis=1, name="parts")(trunk)
    head = nn.Dense(2, name="head")(nn.Concat(name="both")(parts[1], other))
    network = nn.Model([x, other], {"class": head, "raw": trunk}, labels=("a", "b"))
    whole, feeds = cnncc.compile(network), {"x": X, "other": X}
    cut = cnncc.load_graph(network, outputs=("trunk.relu", "parts:1"))
    assert (list(cut.inputs), list(cut.outputs), cut.labels) == (["x"], ["trunk.relu", "parts:1"], ())
    relu, right = cnncc.compile(cut)(X)
    np.testing.assert_allclose(relu, whole(feeds)[1], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(right, relu[:, 2:])
    assert cnncc.load_graph(network, outputs=("class",)).labels == ("a", "b")
    assert list(cnncc.load_graph(network.graph, outputs="head").inputs) == ["x", "other"]
    with pytest.raises(UsageError, match=r"no layer or tensor 'trunk.rel': the nearest names are 'trunk.relu'"):
        cnncc.compile(network, outputs=("trunk.rel",))
    script = "from cnncc import nn\nmodel = nn.Sequential(nn.Dense(4, name='a'), nn.ReLU(name='b'), input=(3,))\n"
    (tmp_path / "net.py").write_text(script)
    assert list(cnncc.load_graph(tmp_path / "net.py", outputs=["a"]).outputs) == ["a"]


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNCC_CACHE", "off")
    monkeypatch.chdir(tmp_path)
    onnx.save(network(), "net.onnx")
    np.save("x.npy", X)
    assert main(["run", "net.onnx", "x.npy", "--output", "right", "--output", "embedding", "-o", "y.npz"]) == 0
    with np.load("y.npz") as found:
        np.testing.assert_allclose(found["embedding"], CUTS["embedding"][0], rtol=1e-6)
    for verb in (["compile", "-o", "build"], ["show"], ["check"]):
        assert main([verb[0], "net.onnx", "--output", "embedding", *verb[1:]]) == 0
    capsys.readouterr()
    assert main(["run", "build/net.so", "x.npy", "--output", "embedding"]) == 2
    assert "is compiled already" in capsys.readouterr().err
    assert main(["bench", "net.onnx", "--output", "embedding", "--against", "onnxruntime"]) == 2
    assert "--against compares whole models" in capsys.readouterr().err


def test_messages_and_bytes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Named after their graph, known to the cache by their content, their shapes and their outputs."""
    monkeypatch.setenv("CNNCC_CACHE", str(tmp_path))
    imports: list[object] = []
    imported = importer.imported

    def noted(*arguments: Any) -> object:
        imports.append(arguments)
        return imported(*arguments)

    monkeypatch.setattr(importer, "imported", noted)
    proto, content = network(), network().SerializeToString()
    sources: list[Any] = [proto, content, bytearray(content), memoryview(content)]
    for source in sources * 2:
        compiled = cnncc.compile(source, outputs="embedding")
        assert compiled.name == "net.of/graph"
        np.testing.assert_allclose(compiled(X), CUTS["embedding"][0], rtol=1e-6)
    assert len(imports) == 1
    again = pickle.loads(pickle.dumps(compiled))
    np.testing.assert_array_equal(again(X), compiled(X))
    closed = cnncc.compile(proto, outputs="right", shapes={"x": (7, 3)})
    assert closed.inputs[0].shape == (7, 3) and cnncc.compile(proto, outputs="right").inputs[0].shape == (1, 3)
    proto.graph.initializer[0].raw_data = (2 * data(3)).tobytes()
    np.testing.assert_allclose(cnncc.compile(proto, outputs="right")(X), 2 * CUTS["right"][0], rtol=1e-6)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "'the given model' is not an ONNX model: it is empty"),
        (
            b"\x89PNG\r\n\x1a\n" + bytes(40),
            "'the given model' is not an ONNX model that can be read: it is a PNG picture",
        ),
        (b"\xff" * 99, "'the given model' is not an ONNX model that can be read: "),
    ],
)
def test_bytes_that_are_no_model(content: bytes, told: str) -> None:
    with pytest.raises(ModelError) as error:
        cnncc.compile(content)
    assert str(error.value).startswith(told)


def test_a_message_has_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights in other files are not looked for in the folder that happens to be the current one."""
    monkeypatch.chdir(tmp_path)
    proto = model([node("Add", "x w", "y")], {"x": (1, 3)}, weights={"w": data(3)})
    onnx.save(proto, "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    kept = onnx.load("m.onnx", load_external_data=False)
    for compile in (cnncc.compile, cnncc.load_graph):
        with pytest.raises(ModelError, match="'w': its elements are in another file, which is found only if the path"):
            compile(kept)
    read = onnx.load("m.onnx")
    np.testing.assert_array_equal(cnncc.compile(read, cache=False)(X), X + data(3))


def test_names_of_graphs(tmp_path: Path) -> None:
    """Any text; a model without one is called so."""
    for name, wanted in (("", "model"), ("a\nb", "a\\nb"), ("n" * 999, None), ("é", "é")):
        proto = model([node("Relu", "x", "y")], {"x": (1, 3)})
        proto.graph.name = name
        graph = cnncc.load_graph(proto)
        assert graph.name == (wanted or graph.name) and len(graph.name) <= 60
        np.testing.assert_array_equal(cnncc.compile(proto, cache=False)(X), np.maximum(X, 0))


def test_shapes_are_for_onnx_models() -> None:
    network = nn.Sequential(nn.ReLU(), input=(3,))
    with pytest.raises(UsageError, match="shapes are given with ONNX models only"):
        cnncc.compile(network, shapes={"input": (1, 3)})
    with pytest.raises(CnnccError, match="expected a graph, a model, an ONNX model or the path of a model, got int"):
        cnncc.compile(3)
