"""`cnncc run`: arrays and pictures in, classes and arrays out."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnncc

from .conftest import DIGITS, PICTURES, Cli

Relu = Callable[[str], Path]


def image(*shape: int) -> Any:
    return (np.arange(np.prod(shape), dtype=np.float32) - 3).reshape(shape)


def save_picture(path: Path, pixels: Any) -> Path:
    pillow = pytest.importorskip("PIL.Image")
    pillow.fromarray(pixels).save(path)
    return path


def test_digits(cli: Cli) -> None:
    pytest.importorskip("PIL")
    pictures = [PICTURES / f"{digit}.png" for digit in range(10)]
    result = cli("run", DIGITS, *pictures)
    assert (result.code, result.err) == (0, "")
    lines = result.out.splitlines()
    for digit, (picture, line) in enumerate(zip(pictures, lines, strict=True)):
        assert line.startswith(f"{picture}: {digit} (")
        assert line.count("(") == 5


def test_files_may_stand_on_both_sides_of_options(cli: Cli) -> None:
    pytest.importorskip("PIL")
    result = cli("run", DIGITS, PICTURES / "3.png", "--top", 1, PICTURES / "7.png")
    assert [line.split(" ")[1] for line in result.out.splitlines()] == ["3", "7"]


def test_arrays_of_other_elements(cli: Cli, relu: Relu, tmp_path: Path) -> None:
    """Refused, but where their conversion is asked for; the other order of bytes is only another order."""
    file, result = relu("3, 4, 4"), tmp_path / "y.npy"
    for kind, options in (("float64", ["--convert"]), ("int64", ["--convert"]), (">f4", [])):
        np.save(tmp_path / "x.npy", image(1, 3, 4, 4).astype(kind))
        assert cli("run", file, tmp_path / "x.npy", "-o", result, *options).code == 0
        np.testing.assert_array_equal(np.load(result), np.maximum(image(1, 3, 4, 4), 0))
    np.save(tmp_path / "x.npy", np.full((1, 3, 4, 4), 1e300))
    told = cli("run", file, tmp_path / "x.npy", "--convert")
    assert (told.code, "float32 does not hold 1e+300, of an array of float64" in told.err) == (4, True)


def test_one_array_of_several_images(cli: Cli, tmp_path: Path) -> None:
    held = np.load(PICTURES / "held_out.npz")
    images = (held["images"][:3, None] / 255).astype(np.float32)
    np.save(tmp_path / "three.npy", images)
    result = cli("run", DIGITS, tmp_path / "three.npy", "--top", 1, "-o", tmp_path / "y.npy")
    expected = cnncc.compile(DIGITS)(images)
    lines = [
        f"{tmp_path / 'three.npy'}[{number}]: {row.argmax()} ({row.max():.4g})" for number, row in enumerate(expected)
    ]
    assert result.out.splitlines() == lines
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), expected)


def test_threads_give_the_same_bits(cli: Cli, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", image(1, 1, 8, 8))
    for threads in (1, 2):
        assert cli("run", DIGITS, tmp_path / "x.npy", "--threads", threads, "-o", tmp_path / f"{threads}.npy").code == 0
    assert (tmp_path / "1.npy").read_bytes() == (tmp_path / "2.npy").read_bytes()


def test_outputs_without_classes_are_summed_up(cli: Cli, relu: Relu, tmp_path: Path) -> None:
    x = image(1, 1, 2, 3)
    x[0, 0, 0, 0] = np.nan
    np.save(tmp_path / "x.npy", x)
    result = cli("run", relu("1, 2, 3"), tmp_path / "x.npy")
    assert result.out == f"{tmp_path / 'x.npy'}: output float32 (1, 1, 2, 3), min 0, max 2, 1 NaN\n"


def test_classes_without_names_are_numbered(cli: Cli, relu: Relu, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([[1, 5, 3]], np.float32))
    result = cli("run", relu("3"), tmp_path / "x.npy", "--top", 2)
    assert result.out == f"{tmp_path / 'x.npy'}: class 1 (5), class 2 (3)\n"


def test_npz_by_name_or_alone(cli: Cli, relu: Relu, tmp_path: Path) -> None:
    x = image(1, 4)
    np.savez(tmp_path / "named.npz", input=x, other=x[0])
    np.savez(tmp_path / "alone.npz", whatever=x)
    for name in ("named", "alone"):
        assert cli("run", relu("4"), tmp_path / f"{name}.npz", "-o", tmp_path / "y.npz").code == 0
        with np.load(tmp_path / "y.npz") as written:
            np.testing.assert_array_equal(written["output"], np.maximum(x, 0))


@pytest.mark.parametrize("way", ["order", "npz", "names", "mixed"])
def test_several_inputs(cli: Cli, pair: Path, tmp_path: Path, way: str) -> None:
    a, b = image(1, 2, 3, 3), 10 * image(1, 2, 3, 3)
    np.save(tmp_path / "a.npy", a)
    np.save(tmp_path / "b.npy", b)
    np.savez(tmp_path / "both.npz", b=b, a=a)
    words = {
        "order": [tmp_path / "a.npy", tmp_path / "b.npy"],
        "npz": [tmp_path / "both.npz"],
        "names": ["--input", f"b={tmp_path / 'b.npy'}", "--input", f"a={tmp_path / 'a.npy'}"],
        "mixed": ["--input", f"b={tmp_path / 'b.npy'}", tmp_path / "a.npy"],
    }[way]
    result = cli("run", pair, *words, "-o", tmp_path / "y.npz")
    assert (result.code, result.err) == (0, "")
    assert "sum float32 (1, 2, 3, 3)" in result.out
    with np.load(tmp_path / "y.npz") as written:
        np.testing.assert_array_equal(written["sum"], a + b)
        np.testing.assert_array_equal(written["flat"], a.reshape(1, -1))


def test_pictures_are_scaled_and_converted(cli: Cli, relu: Relu, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
    save_picture(tmp_path / "rgb.png", colours)
    assert cli("run", relu("3, 4, 5"), tmp_path / "rgb.png", "-o", tmp_path / "y.npy").code == 0
    expected = (colours.transpose(2, 0, 1)[None] / np.float32(255)).astype(np.float32)
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), expected)
    save_picture(tmp_path / "grey.png", colours[..., 0])
    assert cli("run", relu("3, 4, 5"), tmp_path / "grey.png", "-o", tmp_path / "y.npy").code == 0
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), np.repeat(expected[:, :1], 3, axis=1))


def test_sixteen_bits_a_pixel_are_kept(cli: Cli, relu: Relu, tmp_path: Path) -> None:
    pixels = np.array([[0, 1, 32768, 65535]], np.uint16)
    save_picture(tmp_path / "deep.png", pixels)
    assert cli("run", relu("1, 1, 4"), tmp_path / "deep.png", "-o", tmp_path / "y.npy").code == 0
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy")[0, 0], pixels.astype(np.float32) / np.float32(65535))


@pytest.mark.parametrize(
    ("shape", "layout", "dtype"),
    [
        ("4, 5, 3", "NHWC", "uint8"),
        ("3, 4, 3", "NHWC", "uint8"),  # either order would do: bytes have their channels last
        ("3, 4, 5", "NCHW", "uint8"),
        ("4, 5, 3", "NHWC", "float32"),
    ],
)
def test_pictures_for_either_order_and_type(cli: Cli, tmp_path: Path, shape: str, layout: str, dtype: str) -> None:
    script = tmp_path / "camera.py"
    script.write_text(
        f"from cnncc import nn\nx = nn.Input(({shape}), layout='{layout}', dtype='{dtype}')\nmodel = nn.Model(x, -x)\n"
    )
    height, width = (int(n) for n in shape.split(", ")[slice(0, 2) if layout == "NHWC" else slice(1, 3)])
    colours = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    save_picture(tmp_path / "rgb.png", colours)
    result = cli("run", script, tmp_path / "rgb.png", tmp_path / "rgb.png", "-o", tmp_path / "y.npy")
    assert (result.code, result.err) == (0, "")
    expected = -colours.transpose(2, 0, 1).astype(np.float32)
    if dtype == "float32":
        expected /= np.float32(255)
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), np.stack([expected] * 2))
    assert cli("check", script).code == 0


def test_resize(cli: Cli, relu: Relu, tmp_path: Path) -> None:
    save_picture(tmp_path / "large.png", np.full((8, 12), 51, np.uint8))
    assert cli("run", relu("1, 2, 3"), tmp_path / "large.png", "--resize", "-o", tmp_path / "y.npy").code == 0
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), np.full((1, 1, 2, 3), 51 / 255, np.float32))


def test_pictures_one_after_the_other_where_images_mix(cli: Cli, tmp_path: Path) -> None:
    script = tmp_path / "fixed.py"
    # Splitting the images apart mixes them: N is fixed.
    script.write_text(
        "from cnncc.ir import Builder\nfrom cnncc.ops import Concat\nfrom cnncc.types import TensorType\n"
        "b = Builder('fixed')\nx = b.input('x', TensorType((1, 1, 2, 2)))\n"
        "model = b.graph({'y': b.add(Concat(axis=0), (x, x))[0]})\ndel b\n"
    )
    for number in range(2):
        save_picture(tmp_path / f"{number}.png", np.full((2, 2), number, np.uint8))
    result = cli("run", script, tmp_path / "0.png", tmp_path / "1.png", "-o", tmp_path / "y.npy")
    assert (result.code, result.err) == (0, "")
    assert len(result.out.splitlines()) == 2
    assert np.load(tmp_path / "y.npy")[:, 0, 0, 0].tolist() == [0, 0, np.float32(1 / 255), np.float32(1 / 255)]


def test_without_pillow(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    picture = PICTURES / "3.png"
    result = cli("run", DIGITS, picture)
    assert result.code == 5
    assert result.err == f"cnncc: reading the picture '{picture}' needs Pillow: pip install 'cnncc[images]'\n"
