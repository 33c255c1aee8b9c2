"""What a file is, its content tells: only `.py` is ever run, and everything else is named."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnncc
from cnncc.cli import main
from cnncc.errors import CnnccError, InputError, ModelError, ScriptError, UsageError
from cnncc.file_kinds import kind_of
from cnncc.frontends.weights import read_weights

PICTURES = Path(__file__).resolve().parents[2] / "examples" / "digits"
SCRIPT = (
    "from cnncc import nn\nopen({!r}, 'w').close()\nmodel = nn.Sequential(nn.ReLU(), input=(1, 4, 4), name='tiny')\n"
)


def zipped(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, b"content")
    return stream.getvalue()


def npz() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, a=np.zeros(3, np.float32))
    return stream.getvalue()


TORCH, KERAS, TFLITE = "torch.onnx.export", "tf2onnx", "tf2onnx"
KINDS: dict[str, tuple[bytes, str, str]] = {
    "picture": ((PICTURES / "1.png").read_bytes(), "a PNG picture", ""),
    "jpeg": (b"\xff\xd8\xff\xe0\0\x10JFIF", "a JPEG picture", ""),
    "archive of arrays": (npz(), "an archive of NumPy arrays (.npz)", "load()"),
    "array": (b"\x93NUMPY\1\0", "a NumPy array (.npy)", "cnncc run"),
    "torch": (zipped("archive/data.pkl", "archive/version"), "a PyTorch file", TORCH),
    "torch of old": (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "a PyTorch file", TORCH),
    "pickle": (pickle.dumps([1]), "a pickle, which is never loaded", TORCH),
    "keras": (zipped("metadata.json", "config.json", "model.weights.h5"), "a Keras file", KERAS),
    "hdf5": (b"\x89HDF\r\n\x1a\n\0", "an HDF5 file", KERAS),
    "tflite": (b"\x1c\0\0\0TFL3" + bytes(20), "a TensorFlow Lite model", TFLITE),
    "ort": (b"\x1c\0\0\0ORTM" + bytes(20), "a model in ONNX Runtime's own format", ""),
    "safetensors": (b"\x10\0\0\0\0\0\0\0{}              ", "a safetensors file", "load()"),
    "library": (b"\x7fELF\2\1\1", "a shared library", "cnncc.load"),
    "zip": (zipped("readme"), "a zip archive", ""),
    "gzip": (b"\x1f\x8b\x08\0", "an archive or compressed file", "unpack"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS", "git lfs pull"),
    "text": (b"hello\n", "a text", ""),
    "nothing": (b"", "empty", ""),
    "bytes": (bytes(range(256)), "of no kind that is known here", ""),
}


@pytest.mark.parametrize("case", KINDS)
def test_kinds_are_told_from_the_content(case: str) -> None:
    content, name, route = KINDS[case]
    kind = kind_of(io.BytesIO(content))
    assert kind.name.startswith(name) and route in kind.route


VERBS: tuple[tuple[str, ...], ...] = (
    ("show",),
    ("check",),
    ("bench",),
    ("compile", "-o", "{}/build"),
    ("run", "x.npy"),
    ("reduce", "-o", "{}/bug.py"),
)
FUNCTIONS: dict[str, Callable[[Path], Any]] = {
    "compile": cnncc.compile,
    "load_graph": cnncc.load_graph,
    "interpret": lambda path: cnncc.interpret(path, np.zeros((1, 1, 4, 4), np.float32)),
}
NAMES = (
    "model.tflite",
    "weights.npz",
    "photo.png",
    "model.onnx.bak",
    "model",
    "model.txt",
    "model.py.bak",
    "model.pyc",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_script_of_another_name_is_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    trace, file = tmp_path / "trace", tmp_path / name
    file.write_text(SCRIPT.format(str(trace)))
    expected = f"unknown kind of model file: expected a model script (.py) or an ONNX file, but '{file}' is a text"
    for function in FUNCTIONS.values():
        with pytest.raises(UsageError) as error:
            function(file)
        assert str(error.value).startswith(expected)
    for verb, *words in VERBS:
        assert main([verb, str(file), *(word.format(tmp_path) for word in words)]) == 2
        assert capsys.readouterr().err.startswith(f"cnncc: {expected}")
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize(
    ("name", "route"),
    [("m.pt", TORCH), ("m.pth", TORCH), ("m.h5", KERAS), ("m.keras", KERAS), ("m.tflite", TFLITE), ("m.pb", TFLITE)],
)
@pytest.mark.parametrize("content", [b"", b"text", bytes(range(256))])
def test_names_tell_the_way_where_the_content_tells_nothing(
    tmp_path: Path, name: str, route: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=route):
        cnncc.load_graph(tmp_path / name)


@pytest.mark.parametrize("case", [case for case in KINDS if case not in ("text", "nothing", "bytes", "pointer")])
def test_binary_files_under_both_names(tmp_path: Path, case: str) -> None:
    content, name, _ = KINDS[case]
    script, model = tmp_path / "m.py", tmp_path / "m.onnx"
    script.write_bytes(content)
    with pytest.raises(ScriptError) as error:
        cnncc.load_graph(script)
    assert str(error.value).startswith(f"model script '{script}' is not valid Python: it is {name}")
    pytest.importorskip("onnx")
    model.write_bytes(content)
    with pytest.raises(ModelError) as wrong:
        cnncc.compile(model)
    assert str(wrong.value).startswith(f"'{model}' is not an ONNX model that can be read: it is {name}")


@pytest.mark.parametrize("name", ["model.onnx.bak", "model.pb", "model", "model.txt", "MODEL.ONNX"])
def test_onnx_files_of_another_name(tmp_path: Path, name: str) -> None:
    pytest.importorskip("onnx")
    from ..onnx.support import model, node

    file = tmp_path / name
    content = model([node("Relu", "x", "y")], {"x": (1, 3)}).SerializeToString()
    file.write_bytes(content)
    x = np.array([[-1, 0, 2]], np.float32)
    np.testing.assert_array_equal(cnncc.compile(file, cache=False)(x), [[0, 0, 2]])
    np.testing.assert_array_equal(cnncc.interpret(file, x), [[0, 0, 2]])
    if not name.endswith("ONNX"):  # the name says nothing any more if the content is damaged
        for damaged in (content[:-1], content + b"\xff", content[1:]):
            file.write_bytes(damaged)
            with pytest.raises(UsageError, match="unknown kind of model file"):
                cnncc.load_graph(file)


def irregular(folder: Path, ending: str) -> list[Path]:
    """A folder, a pipe, and ways to a file without an end."""
    made = [folder / f"{name}{ending}" for name in ("folder", "pipe", "zero", "large")]
    made[0].mkdir()
    os.mkfifo(made[1])
    made[2].symlink_to("/dev/zero")
    with made[3].open("wb") as stream:
        stream.truncate(40 << 30)
    return made


OPENERS: dict[str, tuple[str, Callable[[Path], Any], type[CnnccError]]] = {
    "script": (".py", cnncc.compile, ScriptError),
    "model": (".onnx", cnncc.compile, ModelError),
    "other": (".dat", cnncc.load_graph, CnnccError),
    "weights": (".npz", read_weights, ModelError),
    "safetensors": (".safetensors", read_weights, ModelError),
    "library": (".so", cnncc.load, InputError),
    "plan": (".json", lambda path: cnncc.compile(path.with_name("m.py"), plan=path), UsageError),
}


@pytest.mark.parametrize("case", OPENERS)
def test_nothing_waits_or_reads_without_an_end(tmp_path: Path, case: str) -> None:
    ending, function, error = OPENERS[case]
    (tmp_path / "m.py").write_text(SCRIPT.format(str(tmp_path / "trace")))
    for path in irregular(tmp_path, ending):
        with pytest.raises(error) as caught:
            function(path)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("ending", [".npy", ".npz", ".png"])
def test_inputs_that_are_no_files(tmp_path: Path, capsys: pytest.CaptureFixture[str], ending: str) -> None:
    (tmp_path / "m.py").write_text(SCRIPT.format(str(tmp_path / "trace")))
    for path in irregular(tmp_path, ending):
        # A folder stands for the pictures in it, and those want a table.
        assert main(["run", str(tmp_path / "m.py"), str(path)]) == (2 if path.is_dir() else 4)
        assert str(path) in capsys.readouterr().err


def test_archives_that_unpack_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez_compressed(tmp_path / "w.npz", a=np.zeros(10**6, np.float32), b=np.zeros(10**6, np.float32))
    monkeypatch.setenv("CNNCC_CONSTANT_BYTES", str(5 * 10**6))
    with pytest.raises(ModelError, match=r"'b.npy' in weights file .* CNNCC_CONSTANT_BYTES"):
        read_weights(tmp_path / "w.npz")
