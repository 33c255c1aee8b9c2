"""ONNX files on the command line that cannot be compiled: one sentence, the right exit code, nothing written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx

from ..onnx.support import model, node
from .conftest import DIGITS, PICTURES, Cli, listing

RELU = [node("Relu", "x", "y", "relu")]
OPEN = {"x": ("N", 3, "H", 4)}


def fails(cli: Cli, folder: Path, code: int, message: str, *words: object) -> None:
    before = listing(folder)
    result = cli(*words)
    expected = f"cnncc: {message}"
    if expected.endswith("*"):
        assert result.err.startswith(expected[:-1])
        assert result.err.count("\n") == 1
    else:
        assert result.err == f"{expected}\n"
    assert (result.code, result.out) == (code, "")
    assert listing(folder) == before


FILES: dict[str, tuple[bytes | None, str]] = {
    "missing": (None, "ONNX model '{file}' does not exist"),
    "empty": (b"", "'{file}' is not an ONNX model: it is empty"),
    "text": (b"from cnncc import nn\n", "'{file}' is not an ONNX model that can be read: *"),
    "picture": ((PICTURES / "1.png").read_bytes(), "'{file}' is not an ONNX model that can be read: *"),
    "cut short": (
        model(RELU, {"x": (1, 3)}).SerializeToString()[:40],
        "'{file}' is not an ONNX model that can be read: *",
    ),
}


@pytest.mark.parametrize("case", FILES)
def test_files_that_are_no_models(cli: Cli, tmp_path: Path, case: str) -> None:
    content, message = FILES[case]
    file = tmp_path / "model.onnx"
    if content is not None:
        file.write_bytes(content)
    fails(cli, tmp_path, 3, message.format(file=file), "compile", file, "-o", tmp_path / "build")


def test_unsupported_operators_all_at_once(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    nodes = [node("Det", "x", "a", "first"), node("Unique", "a", "b", "second"), node("Det", "b", "y", "third")]
    onnx.save(model(nodes, {"x": (1, 3, 3)}), file)
    message = (
        f"'{file}' cannot be imported: operator Det is not supported (at node 'first', node 'third'); "
        "operator Unique is not supported (at node 'second'). cnncc ops --onnx lists the operators that are supported; "
        "outputs=(…), on the command line --output, ends a model before others"
    )
    fails(cli, tmp_path, 3, message, "compile", file, "-o", tmp_path / "build")


def test_missing_external_data(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    proto = model([node("Add", "x w", "y")], {"x": (1, 300)}, weights={"w": np.zeros(300, np.float32)})
    onnx.save(proto, file, save_as_external_data=True, location="w.bin", size_threshold=0)
    for content in (b"abc", None):
        (tmp_path / "w.bin").unlink() if content is None else (tmp_path / "w.bin").write_bytes(content)
        message = f"'{file}' is not an ONNX model that can be read: *"
        fails(cli, tmp_path, 3, message, "compile", file, "-o", tmp_path / "build")


SHAPES: dict[str, tuple[list[str], int, str]] = {
    "none": (
        [],
        3,
        "input 'x' is (N, 3, H, 4): give its open dimensions, shapes={{'x': (1, 3, …, 4)}} "
        '(on the command line --shape x=1,3,…,4), or shapes="any" in Python, which compiles each size when it comes',
    ),
    "of another rank": (
        ["x=1,3"],
        2,
        "shape (1, 3) is given for input 'x', which the model declares (N, 3, H, 4)",
    ),
    "of another size": (
        ["x=1,4,4,4"],
        2,
        "shape (1, 4, 4, 4) is given for input 'x', which the model declares (N, 3, H, 4)",
    ),
    "of another input": (["z=1,3,4,4"], 2, "a shape is given for 'z', but the inputs of '{file}' are x"),
    "without a name": (
        ["1,3,4,4"],
        2,
        "argument --shape: '1,3,4,4' is not a shape: expected INPUT=N,…, as x=1,3,48,192 (see cnncc show --help)",
    ),
    "of letters": (
        ["x=1,3,H,4"],
        2,
        "argument --shape: 'H' is not a whole number of at least 0 (see cnncc show --help)",
    ),
    "of nothing": (
        ["x=1,3,0,4"],
        3,
        "node 'relu': Relu on a tensor without elements, of shape (1, 3, 0, 4), is not supported",
    ),
    "too large": (
        ["x=1000,3,1000000,4"],
        3,
        "input 'x': shape (1000, 3, 1000000, 4) has 12000000000 elements (44.7 GiB), at most 536870911 fit",
    ),
}


@pytest.mark.parametrize("case", SHAPES)
def test_open_dimensions(cli: Cli, tmp_path: Path, case: str) -> None:
    shapes, code, message = SHAPES[case]
    file = tmp_path / "model.onnx"
    onnx.save(model(RELU, OPEN), file)
    words = [word for shape in shapes for word in ("--shape", shape)]
    fails(cli, tmp_path, code, message.format(file=file), "show", file, *words)


def test_shapes_of_a_script(cli: Cli, tmp_path: Path) -> None:
    message = "shapes are given with ONNX models only; other models declare those of their inputs"
    fails(cli, tmp_path, 2, message, "show", DIGITS, "--shape", "input=1,3")
