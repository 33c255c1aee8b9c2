"""Bad input data on the command line: one sentence, the right exit code, and nothing half written."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .conftest import DIGITS, PICTURES, TWO_INPUTS, Cli, fails, listing

GREY, VECTOR, MANY = "1, 4, 4", "3", "5, 4, 4"


def relu(shape: str) -> str:
    return f"from cnncc import nn\nmodel = nn.Sequential(nn.ReLU(), input=({shape},), name='tiny')\n"


class Bomb:
    """Unpickling this would leave a file behind."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.path,)


def _npy(array: Any) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        np.save(folder / "x.npy", array)
        return folder / "x.npy"

    return make


def _bytes(name: str, data: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return make


def _picture(size: tuple[int, int]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        pillow = pytest.importorskip("PIL.Image")
        pillow.new("L", size).save(folder / "x.png")
        return folder / "x.png"

    return make


def _bomb(folder: Path) -> Path:
    np.save(folder / "x.npy", np.array([Bomb(folder / "unpickled")], object), allow_pickle=True)
    return folder / "x.npy"


def _bomb_npz(folder: Path) -> Path:
    array = np.array([Bomb(folder / "unpickled")], object)
    np.savez(folder / "x.npz", allow_pickle=True, input=array)
    return folder / "x.npz"


def _cut_npz(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "x.npz", "w") as archive:
        archive.writestr("input.npy", b"\x93NUMPY")
    return folder / "x.npz"


_HUGE = (
    b"\x93NUMPY\x01\x00v\x00"
    + b"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999), }".ljust(117)
    + b"\n"
)
DAMAGED = "'{file}' is damaged or holds no plain arrays: "
INPUTS: dict[str, tuple[str, Callable[[Path], Path], str]] = {
    "missing": (GREY, lambda f: f / "x.npy", "cannot read '{file}': No such file or directory"),
    "missing picture": (GREY, lambda f: f / "x.png", "cannot read '{file}': it does not exist"),
    "wrong shape": (
        GREY,
        _npy(np.zeros((1, 1, 4, 5), np.float32)),
        "{file}: input 'input': expected shape (1, 1, 4, 4), got (1, 1, 4, 5)",
    ),
    "without images": (
        GREY,
        _npy(np.zeros((1, 4, 4), np.float32)),
        "{file}: input 'input': expected shape (1, 1, 4, 4), got (1, 4, 4); "
        "the first axis, of images, is missing (x[None] adds it)",
    ),
    "wrong dtype": (
        GREY,
        _npy(np.zeros((1, 1, 4, 4))),
        "{file}: input 'input': expected float32, got float64; convert it with .astype(np.float32) or convert=True",
    ),
    "empty": (GREY, _bytes("x.npy", b""), "'{file}' is not a .npy array"),
    "no array": (GREY, _bytes("x.npy", b"hello"), "'{file}' is not a .npy array"),
    "no archive": (GREY, _bytes("x.npz", b"hello"), "'{file}' is not a .npz archive"),
    "archive of nothing": (
        GREY,
        _bytes("x.npz", b"PK\x05\x06" + bytes(18)),
        "'{file}' holds nothing, expected an array called 'input'",
    ),
    "no archive but for its start": (GREY, _bytes("x.npz", b"PK\x03\x04 hello"), DAMAGED + "File is not a zip file"),
    "cut short": (GREY, _bytes("x.npy", b"\x93NUMPY"), DAMAGED + "*"),
    "more than there is memory": (GREY, _bytes("x.npy", _HUGE), DAMAGED + "*"),
    "objects": (GREY, _bomb, DAMAGED + "Object arrays cannot be loaded when allow_pickle=False"),
    "objects in an archive": (GREY, _bomb_npz, DAMAGED + "Object arrays cannot be loaded when allow_pickle=False"),
    "archive cut short": (GREY, _cut_npz, DAMAGED + "*"),
    "no picture": (GREY, _bytes("x.png", b"hello"), "'{file}' is not a picture that can be read: *"),
    "text": (GREY, _bytes("x.txt", b"hello"), "'{file}' is not a picture that can be read: *"),
    "picture of another size": (
        GREY,
        _picture((5, 6)),
        "picture '{file}' has 5×6 pixels, input 'input' takes 4×4 (--resize scales it)",
    ),
    "picture for a vector": (
        VECTOR,
        _picture((1, 3)),
        "input 'input' of shape (1, 3) takes no picture like '{file}': "
        "that needs (N, C, H, W) or (N, H, W, C) with one or three channels",
    ),
    "picture for five channels": (
        MANY,
        _picture((4, 4)),
        "input 'input' of shape (1, 5, 4, 4) takes no picture like '{file}': "
        "that needs (N, C, H, W) or (N, H, W, C) with one or three channels",
    ),
}


@pytest.mark.parametrize("case", INPUTS)
def test_inputs(cli: Cli, tmp_path: Path, case: str) -> None:
    shape, make, message = INPUTS[case]
    if "picture" in message:
        pytest.importorskip("PIL")
    script = tmp_path / "model.py"
    script.write_text(relu(shape))
    file = make(tmp_path)
    before = listing(tmp_path)
    result = cli("run", script, file, "-o", tmp_path / "y.npy")
    expected = f"cnncc: {message.format(file=file)}"
    if expected.endswith("*"):
        assert result.err.startswith(expected[:-1])
        assert result.err.count("\n") == 1
    else:
        assert result.err == f"{expected}\n"
    assert (result.code, result.out) == (4, "")
    assert listing(tmp_path) == before


def test_a_picture_cut_short(cli: Cli, tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    (tmp_path / "x.png").write_bytes((PICTURES / "1.png").read_bytes()[:60])
    result = cli("run", DIGITS, tmp_path / "x.png")
    assert result.code == 4
    assert result.err.startswith(f"cnncc: '{tmp_path / 'x.png'}' is not a picture that can be read: ")


def test_nan_and_infinity_are_data(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(relu("2"))
    np.save(tmp_path / "x.npy", np.array([[np.nan, np.inf]], np.float32))
    assert cli("run", tmp_path / "model.py", tmp_path / "x.npy", "-o", tmp_path / "y.npy").code == 0
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), [[np.nan, np.inf]])


def test_the_second_file_is_read_before_the_first_call(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(relu("2"))
    np.save(tmp_path / "x.npy", np.zeros((1, 2), np.float32))
    result = cli("run", tmp_path / "model.py", tmp_path / "x.npy", tmp_path / "missing.npy")
    assert (result.code, result.out) == (4, "")


def test_files_for_several_inputs(cli: Cli, tmp_path: Path) -> None:
    script = tmp_path / "pair.py"
    script.write_text(TWO_INPUTS)
    np.savez(tmp_path / "one.npz", a=np.zeros((1, 2, 3, 3), np.float32))
    np.save(tmp_path / "a.npy", np.zeros((1, 2, 3, 3), np.float32))
    fails(
        cli,
        tmp_path,
        4,
        "model 'pair' needs a file for each of the inputs 'a', 'b', got 1",
        "run",
        script,
        tmp_path / "a.npy",
    )
    message = f"'{tmp_path / 'one.npz'}' holds 'a', expected also 'b'"
    fails(cli, tmp_path, 4, message, "run", script, tmp_path / "one.npz")
    fails(cli, tmp_path, 4, "model 'pair' has 2 inputs, got 1 files", "check", script, tmp_path / "a.npy")
    message = "-o 'y.npy' holds one array, the model has 2 outputs: name a .npz file"
    fails(cli, tmp_path, 2, message, "run", script, tmp_path / "one.npz", "-o", "y.npy")


def test_libraries(cli: Cli, tmp_path: Path) -> None:
    library = tmp_path / "x.so"
    message = f"cannot read '{library}': No such file or directory"
    fails(cli, tmp_path, 4, message, "run", library, PICTURES / "1.png")
    library.write_bytes(b"\x7fELF hello")
    result = cli("run", library, PICTURES / "1.png")
    assert result.code == 4
    assert result.err.startswith(f"cnncc: '{library}' is not a shared library written by cnncc: ")
