"""`cnncc fit`: data from an archive or folders of pictures, weights that load, checkpoints, and every wrong use."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnncc
from cnncc import cli
from cnncc.cli.fit import pictures
from cnncc.learning.step import Step

SCRIPT = """\
from cnncc import nn

network = nn.Sequential(nn.Conv(4, 3, activation="relu", name="c"), nn.Flatten(), nn.Dense(3, name="d"), nn.Softmax(),
                        input=(1, 6, 6), seed=0)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(SCRIPT)
    rng = np.random.default_rng(0)
    x = rng.random((60, 1, 6, 6)).astype(np.float32)
    np.savez(tmp_path / "data.npz", x=x, y=(3 * x.mean((1, 2, 3))).astype(int) % 3)
    return tmp_path


def fit(folder: Path, *words: str, data: str = "data.npz") -> int:
    return cli.main(
        ["fit", str(folder / "net.py"), "--data", str(folder / data), "--batch", "20", "--epochs", "3", *words]
    )


def test_weights_are_written_and_load(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        fit(folder, "-o", str(folder / "w.npz"), "--validation", "0.25", "--optimiser", "adamw", "--rate", "0.01") == 0
    )
    told = capsys.readouterr()
    assert told.out.startswith("best epoch ") and told.out.endswith(f"wrote 4 arrays to {folder / 'w.npz'}\n")
    assert len(told.err.splitlines()) == 3 and told.err.startswith("epoch 1: loss ")
    network = cnncc.load_graph(folder / "net.py")
    with np.load(folder / "w.npz") as weights:
        assert set(weights) == {"c.weights", "c.bias", "d.weights", "d.bias"}
        assert not np.array_equal(weights["d.weights"], network.constant(network["d"].inputs[1]))


def test_history_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fit(folder, "--json", "--schedule", "one-cycle", "--train", "d.*", "--threads", "2") == 0
    epochs = json.loads(capsys.readouterr().out)
    assert [epoch["number"] for epoch in epochs] == [0, 1, 2] and all(epoch["loss"] > 0 for epoch in epochs)


def test_training_goes_on(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint, weights = str(folder / "c.npz"), [str(folder / name) for name in ("one.npz", "two.npz")]
    assert fit(folder, "-o", weights[0]) == 0
    assert fit(folder, "--checkpoint", checkpoint) == 0
    capsys.readouterr()
    assert fit(folder, "--checkpoint", checkpoint, "--resume", "-o", weights[1]) == 0
    assert capsys.readouterr().err == ""  # all epochs are there
    one, two = (np.load(name) for name in weights)
    for name in one:
        np.testing.assert_array_equal(one[name], two[name])


def test_folders_of_pictures(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = pytest.importorskip("PIL.Image")
    for number, name in enumerate(("cat", "dog", "eel")):
        (folder / "pictures" / name).mkdir(parents=True)
        for index in range(8):
            image.new("L", (6, 6), 80 * number + index).save(folder / "pictures" / name / f"{index}.png")
    assert fit(folder, data="pictures") == 0
    assert "classes: cat, dog, eel\n" in capsys.readouterr().out


def test_folders_called_like_labels(folder: Path) -> None:
    """Two of three classes: each is the class of its label, whatever its place among the folders."""
    image = pytest.importorskip("PIL.Image")
    for name in ("cat", "eel"):
        (folder / "pictures" / name).mkdir(parents=True)
        image.new("L", (6, 6)).save(folder / "pictures" / name / "0.png")
    graph = cnncc.load_graph(folder / "net.py")
    assert pictures(folder / "pictures", graph)[1].tolist() == [0, 1]
    named = replace(graph, labels=("dog", "cat", "eel"))
    assert pictures(folder / "pictures", named)[1].tolist() == [1, 2]


WRONG: Sequence[tuple[tuple[str, ...], str, int, str]] = (
    (("--rate", "0"), "data.npz", 2, "rate=0.0: expected a positive, finite number"),
    (("--optimiser", "lion"), "data.npz", 2, "unknown optimiser 'lion'"),
    (("--schedule", "linear"), "data.npz", 2, "unknown schedule 'linear'"),
    (("--loss", "hinge"), "data.npz", 2, "unknown loss 'hinge'"),
    (("--metric", "f1"), "data.npz", 2, "unknown metric 'f1'"),
    (("--metric", "top-2"), "data.npz", 2, "metric 'top-2' is found from validation data, and there are none"),
    (("--train", "fc*"), "data.npz", 2, "'fc*' matches no parameter"),
    (("--epochs", "0"), "data.npz", 2, "'0' is not a whole number of at least 1"),
    (("--resume",), "data.npz", 2, "resume=True needs the path of a checkpoint"),
    (("-o", "/no/such/folder/w.npz"), "data.npz", 5, "cannot write weights file '/no/such/folder/w.npz'"),
    ((), "none.npz", 4, "none.npz"),
    ((), "net.py", 4, "expected an .npz file with x and y, or a folder with a folder for each class"),
    (("--rate", "1e30"), "data.npz", 8, "a lower rate, a warm-up or clip= may help"),
)


@pytest.mark.parametrize(("words", "data", "code", "message"), WRONG)
def test_wrong_use(
    folder: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], data: str, code: int, message: str
) -> None:
    assert fit(folder, *words, data=data) == code
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith("cnncc: ") and message in told


def test_data_without_labels(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(folder / "x.npz", x=np.zeros((4, 1, 6, 6), np.float32))
    assert fit(folder, data="x.npz") == 4
    assert "must hold y and x (or the inputs by name), it has x" in capsys.readouterr().err
    (folder / "empty").mkdir()
    assert fit(folder, data="empty") == 4
    assert "has no folders with pictures" in capsys.readouterr().err


def test_weights_are_written_however_training_ends(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    left = 7  # three steps an epoch
    run = Step.run

    def counted(step: Step, *arguments: Any) -> float:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        return run(step, *arguments)

    monkeypatch.setattr(Step, "run", counted)
    assert fit(folder, "-o", str(folder / "w.npz"), "--checkpoint", str(folder / "c.npz")) == 130
    told = capsys.readouterr()
    assert told.out == f"wrote 4 arrays to {folder / 'w.npz'}\n" and told.err.endswith("cnncc: interrupted\n")
    monkeypatch.undo()
    assert fit(folder, "-o", str(folder / "w.npz"), "--rate", "1e30") == 8
    with np.load(folder / "w.npz") as weights:
        assert all(np.isfinite(weights[name]).all() for name in weights)


def onnx_file(path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    from tests.onnx.support import model, node

    rng = np.random.default_rng(0)
    weights = {"w": rng.random((4, 1, 3, 3)), "one": np.array([1, 64]), "fc": rng.random((64, 3)), "fixed": np.ones(3)}
    typed = {name: array.astype(np.float32) if array.dtype.kind == "f" else array for name, array in weights.items()}
    nodes = [
        node("Conv", "x w", "c", "conv"),
        node("Reshape", "c one", "f"),
        node("Gemm", "f fc", "g", "fc", alpha=0.3),
        node("Mul", "g fixed", "y", "scaled"),
    ]
    onnx.save(model(nodes, {"x": (1, 1, 6, 6)}, weights=typed, opset=17), path)


def test_an_onnx_model_stays_one(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """For one image, by the size of its reshape; what the file does not have as an array is found before training."""
    onnx_file(folder / "net.onnx")
    given = ["fit", str(folder / "net.onnx"), "--data", str(folder / "data.npz"), "--batch", "20", "--epochs", "2"]
    out = ["-o", str(folder / "tuned.onnx"), "--validation", "0.25"]
    assert cli.main([*given, *out, "--train", "w", "--train", "fixed"]) == 0
    assert capsys.readouterr().out.endswith(f"wrote 2 arrays to {folder / 'tuned.onnx'}\n")
    old, new = (cnncc.load_graph(folder / name) for name in ("net.onnx", "tuned.onnx"))
    changed = [name for name, node in new.nodes.items() if node.op != old[name].op]
    assert changed == ["w", "fixed"]
    assert cli.main([*given, *out]) == 3
    told = capsys.readouterr().err
    assert "parameter 'fc.weights' is no array of the file" in told and "epoch" not in told
    assert fit(folder, *out) == 2
    assert "only what was learned from an ONNX model can be saved as one" in capsys.readouterr().err
    assert fit(folder, "-o", str(folder / "w.pt")) == 2
    assert "must end in .npz, .safetensors or .onnx" in capsys.readouterr().err
