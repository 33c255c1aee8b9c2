"""`cnncc run --dump` and `cnncc.intermediates`: the tensors inside a model, under names that still mean them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import cnncc
from cnncc.check.model import random_feeds
from cnncc.check.tolerance import bounds
from cnncc.compiler import Compilation, Options, resolve_target
from cnncc.errors import InputError, UsageError
from cnncc.faults.follow import follow
from cnncc.interpreter import evaluate
from cnncc.ir import Value, with_outputs
from cnncc.runtime.model import Model

from .conftest import DIGITS, PICTURES, Cli, listing

SEVEN = PICTURES / "7.png"
LAYERS = ["conv1", "conv2", "flatten", "dense1", "dense2", "probabilities"]


def arrays(file: Path) -> dict[str, np.ndarray]:
    with np.load(file) as archive:
        return dict(archive)


def test_layers_are_written_with_what_they_are(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "inside.npz"
    result = cli("run", DIGITS, SEVEN, "--dump", "conv*", "--dump", "input", "--dump-to", file, "--top", 1)
    assert (result.code, result.err) == (0, "")
    found = arrays(file)
    assert result.out.splitlines()[1:] == [
        f"conv1: float32 (1, 16, 4, 4), min 0, max {found['conv1'].max():.6g}, "
        "Conv(kernel=(3, 3), padding='same') → Relu() → MaxPool(kernel=(2, 2))",
        f"conv2: float32 (1, 32, 4, 4), min 0, max {found['conv2'].max():.6g}, "
        "Conv(kernel=(3, 3), padding='same') → Relu()",
        "input: float32 (1, 1, 8, 8), min 0, max 1, Input(float32[1, 1, 8, 8])",
        f"wrote 3 tensor(s) to {file}",
    ]
    assert list(found) == ["conv1", "conv2", "input"]
    assert listing(tmp_path).keys() == {"inside.npz"}
    values = evaluate(cnncc.load_graph(DIGITS), {"input": found["input"]})
    np.testing.assert_allclose(found["conv1"], values[Value("pool1")], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found["conv2"], values[Value("relu2")], rtol=1e-5, atol=1e-6)


def test_a_line_tells_where_infinities_and_nan_begin(cli: Cli, tmp_path: Path) -> None:
    script = "from cnncc import nn\nnet = nn.Sequential(nn.Exp(name='e'), nn.Softmax(name='s'), input=(3,), name='net')"
    (tmp_path / "net.py").write_text(script)
    np.save(tmp_path / "x.npy", np.array([[0, 1000, 1]], np.float32))
    out = cli("run", tmp_path / "net.py", tmp_path / "x.npy", "--dump", "*", "--dump-to", tmp_path / "d").out
    assert "\ne: float32 (1, 3), min 1, max inf, Exp()\n" in out
    assert "\ns: float32 (1, 3), 3 NaN, Softmax()\n" in out


def test_a_folder_has_a_file_for_each(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "inside"
    assert cli("run", DIGITS, SEVEN, "--dump", "*", "--dump-to", folder).code == 0
    assert sorted(path.stem for path in folder.iterdir()) == sorted(LAYERS)
    assert np.load(folder / "dense2.npy").shape == (1, 10)
    before = listing(tmp_path)
    again = cli("run", DIGITS, SEVEN, "--dump", "*", "--dump-to", folder)
    assert again.code == 2 and again.err.startswith(f"cnncc: --dump-to '{folder}' exists: ")
    assert listing(tmp_path) == before


REFUSED = {
    "fused": (
        ("--dump", "relu1"),
        "'relu1' is no value of the compiled model: pass 'fuse' takes it into layer 'conv1', which absorbs relu1, "
        "pool1: 'conv1' names the result, and without that pass (--passes=-fuse, off=('fuse',)) the value stays",
    ),
    "unknown": (("--dump", "cv1"), "the model has no layer or tensor 'cv1': the nearest names are 'conv1', 'conv2'"),
    "no match": (("--dump", "x*"), "no value of the compiled model has a name like 'x*'"),
    "nowhere": (("--dump-to", "x.npz"), "--dump-to says where --dump writes: it needs --dump"),
    "two calls": (
        (PICTURES / "1.npy", "--dump", "conv1"),
        "--dump takes the tensors of one call, and these files make 2: name fewer files",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    monkeypatch.chdir(tmp_path)
    words, message = REFUSED[case]
    if case == "two calls":
        np.save(tmp_path / "1.npy", np.zeros((1, 1, 8, 8), np.float32))
        words = (tmp_path / "1.npy", *words[1:])
    before = listing(tmp_path)
    result = cli("run", DIGITS, SEVEN, *words)
    assert (result.code, result.err) == (2, f"cnncc: {message}\n")
    assert listing(tmp_path) == before


def test_without_the_pass_the_value_is_there(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "inside.npz"
    assert cli("run", DIGITS, SEVEN, "--passes", "-fuse", "--dump", "relu1", "--dump-to", file).code == 0
    assert arrays(file)["relu1"].shape == (1, 16, 8, 8)


def test_python() -> None:
    """Of any number of images; a model, or what it is made of."""
    x = np.random.default_rng(0).random((3, 1, 8, 8), np.float32)
    model = cnncc.compile(DIGITS)
    found = cnncc.intermediates(model, x)
    assert list(found) == LAYERS
    assert found["probabilities"].tobytes() == model(x).tobytes()
    again = cnncc.intermediates(DIGITS, {"input": x}, layers=("pool1", "dense2"))  # what conv1 has become
    assert again["pool1"].tobytes() == found["conv1"].tobytes() and list(again) == ["pool1", "dense2"]
    with pytest.raises(UsageError, match="the model has no layer or tensor 'convx'"):
        cnncc.intermediates(model, x, layers="convx")
    with pytest.raises(InputError, match="takes 1 input"):
        cnncc.intermediates(model)
    with pytest.raises(UsageError, match="model 'digits' is object code alone: its layers are not known"):
        cnncc.intermediates(Model(model.executable), x)
    model.close()


def test_every_value_is_followed_to_where_it_is() -> None:
    """Each value of the model is one with its bounds where it is said to be, or else some pass took it."""
    graph = cnncc.load_graph(DIGITS)
    compilation = Compilation(graph, Options(resolve_target("host")))
    feeds = random_feeds(graph, 0)
    before, after = bounds(graph, feeds), bounds(compilation.optimised.graph, feeds, exact_constants=False)
    gone = {}
    for node in graph:
        place = follow(compilation, Value(node.name))
        if place.value is None:
            gone[node.name] = place.gone
        else:
            old, new = before[Value(node.name)], after[place.value]
            assert (np.abs(old.reference - new.reference) <= old.error + new.error).all(), node.name
    computed = {name: by for name, by in gone.items() if graph[name].op.source is None}
    assert computed == {
        "conv1": "fuse",
        "relu1": "fuse",
        "conv2": "fold_batch_norm",
        "norm2": "fuse",
        "dense1": "fuse",
    }
    unneeded = Compilation(with_outputs(graph, {"y": Value("relu1")}), compilation.options)
    assert follow(unneeded, Value("dense1")).why == (
        "pass 'dead_code' leaves it out, since no layer that stays reads it"
    )


def test_tensors_of_a_file(cli: Cli, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="ONNX files need the onnx package")
    helper = onnx.helper
    nodes = [
        helper.make_node("Relu", ["x"], ["positive"], "first"),
        helper.make_node("Softmax", ["positive"], ["p/1"], "second"),
        helper.make_node("Softmax", ["p/1"], ["y"], "third", axis=0),
    ]
    ports = [[helper.make_tensor_value_info(name, 1, (2, 5))] for name in "xy"]
    onnx.save(helper.make_model(helper.make_graph(nodes, "net", *ports)), tmp_path / "net.onnx")
    np.save(tmp_path / "x.npy", np.arange(-5, 5, dtype=np.float32).reshape(2, 5))
    words = ("run", tmp_path / "net.onnx", tmp_path / "x.npy", "--dump-to", tmp_path / "d", "--dump")
    result = cli(*words, "p/*", "--dump", "first", "--dump", "positive")
    assert result.code == 0, result.err
    assert "p/1: float32 (2, 5), min " in result.out and ", layer 'second': Softmax(" in result.out
    assert {path.name for path in (tmp_path / "d").iterdir()} == {"p%2F1.npy", "first.npy", "positive.npy"}
    found = np.load(tmp_path / "d" / "p%2F1.npy")
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-6)
    assert cli(*words[:-1], "--dump", "pos").err.startswith("cnncc: --dump-to ")
