"""Pictures of every mode: each is read right, or refused with a sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from .conftest import Cli

Image = pytest.importorskip("PIL.Image")

GREY = np.random.default_rng(0).integers(0, 256, (4, 4), dtype=np.uint8)
COLOURS = np.random.default_rng(1).integers(0, 256, (4, 4, 3), dtype=np.uint8)
CORNER = np.full((4, 4), 255, np.uint8)
CORNER[0, 0] = 254  # a pixel that is almost opaque

Save = Callable[[Path], Path]


def _file(name: str, make: Callable[[], Any], **options: Any) -> Save:
    def save(folder: Path) -> Path:
        make().save(folder / name, **options)
        return folder / name

    return save


def _tiff(tag: int, value: int) -> Save:
    """A TIFF file of 16 bits in which one short tag says something else."""

    def save(folder: Path) -> Path:
        file = GREY_FILES["16 bits, TIFF"](folder)
        head = tag.to_bytes(2, "little") + b"\x03\x00\x01\x00\x00\x00"
        before, found, after = file.read_bytes().partition(head)
        assert found
        file.write_bytes(before + head + value.to_bytes(2, "little") + after[2:])
        return file

    return save


def _with_alpha(mode: str, alpha: Any) -> Any:
    picture = Image.fromarray(GREY if mode == "LA" else COLOURS).convert(mode)
    picture.putalpha(Image.fromarray(alpha))
    return picture


def _palette(colours: Any = COLOURS) -> Any:
    """The colours as numbers of a palette in which neighbours have nothing to do with each other."""
    picture = Image.new("P", (4, 4))
    picture.putpalette(colours.reshape(-1).tolist())
    picture.putdata(list(range(16)))
    return picture


GREY_FILES: dict[str, Save] = {
    "8 bits": _file("x.png", lambda: Image.fromarray(GREY)),
    "8 bits, TIFF": _file("x.tif", lambda: Image.fromarray(GREY)),
    "16 bits": _file("x.png", lambda: Image.fromarray(GREY.astype(np.uint16) * 257)),
    "16 bits, TIFF": _file("x.tif", lambda: Image.fromarray(GREY.astype(np.uint16) * 257)),
    "16 bits, other byte order": _file("x.tif", lambda: Image.fromarray(GREY.astype(">u2") * 257)),
    "16 bits, PGM": _file("x.pgm", lambda: Image.fromarray(GREY.astype(np.uint16) * 257)),
    "opaque": _file("x.png", lambda: _with_alpha("LA", np.full((4, 4), 255, np.uint8))),
    "palette": _file("x.png", lambda: _palette(np.repeat(GREY.reshape(-1, 1), 3, axis=1))),
    "an unused transparent level": _file("x.png", lambda: Image.fromarray(GREY), transparency=int(255 - GREY.max())),
}
COLOUR_FILES: dict[str, Save] = {
    "8 bits": _file("x.png", lambda: Image.fromarray(COLOURS)),
    "opaque": _file("x.png", lambda: _with_alpha("RGBA", np.full((4, 4), 255, np.uint8))),
    "opaque, TIFF": _file("x.tif", lambda: _with_alpha("RGBA", np.full((4, 4), 255, np.uint8))),
    "palette": _file("x.png", _palette),
    "palette with an unused transparent colour": _file("x.png", _palette, transparency=200),
}
DOUBT = " and does not say which number is white: save it with 8 bits a channel, or its numbers as the model takes "
REFUSED: dict[str, tuple[Save, str]] = {
    "floats to 1": (_file("x.tif", lambda: Image.fromarray((GREY / 255).astype(np.float32))), "floats (mode F)"),
    "floats to 255": (_file("x.tif", lambda: Image.fromarray(GREY.astype(np.float32))), "floats (mode F)"),
    "32 bits": (_file("x.tif", lambda: Image.fromarray(GREY.astype(np.int32))), "integers (mode I)"),
    "12 bits": (_tiff(258, 12), "integers (mode I;16)"),
    "white is zero": (_tiff(262, 0), "integers (mode I;16)"),
    "almost opaque": (_file("x.png", lambda: _with_alpha("LA", CORNER)), "transparent pixels"),
    "almost opaque colours": (_file("x.png", lambda: _with_alpha("RGBA", CORNER)), "transparent pixels"),
    "a transparent colour of a palette": (_file("x.png", _palette, transparency=3), "transparent pixels"),
    "a transparent level": (
        _file("x.png", lambda: Image.fromarray(GREY), transparency=int(GREY[1, 1])),
        "transparent pixels",
    ),
    "a transparent level of 16 bits": (
        _file("x.png", lambda: Image.fromarray(GREY.astype(np.uint16) * 257), transparency=int(GREY[1, 1]) * 257),
        "transparent pixels",
    ),
}


def _script(folder: Path, dtype: str, channels: int) -> Path:
    """A model that returns its input."""
    made = f"x = nn.Input((4, 4, {channels}), layout='NHWC', dtype='{dtype}')\nmodel = nn.Model(x, -(-x))\n"
    (folder / "model.py").write_text(f"from cnncc import nn\n{made}")
    return folder / "model.py"


def _read(cli: Cli, folder: Path, dtype: str, channels: int, file: Path, *options: str) -> Any:
    result = cli("run", _script(folder, dtype, channels), file, "-o", folder / "y.npy", *options)
    assert (result.code, result.err) == (0, "")
    return np.load(folder / "y.npy")[0]


def _expected(pixels: Any, dtype: str) -> Any:
    return pixels.astype(np.float32) if dtype == "uint8" else pixels.astype(np.float32) / np.float32(255)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("case", GREY_FILES)
def test_grey(cli: Cli, tmp_path: Path, case: str, dtype: str) -> None:
    file = GREY_FILES[case](tmp_path)
    for channels in (1, 3):
        found = _read(cli, tmp_path, dtype, channels, file)
        expected = np.broadcast_to(_expected(GREY, dtype), (channels, 4, 4))
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("case", COLOUR_FILES)
def test_colours(cli: Cli, tmp_path: Path, case: str, dtype: str) -> None:
    found = _read(cli, tmp_path, dtype, 3, COLOUR_FILES[case](tmp_path))
    np.testing.assert_array_equal(found, _expected(COLOURS.transpose(2, 0, 1), dtype))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_certain_is_refused(cli: Cli, tmp_path: Path, case: str, dtype: str, channels: int) -> None:
    save, reason = REFUSED[case]
    file = save(tmp_path)
    result = cli("run", _script(tmp_path, dtype, channels), file)
    assert (result.code, result.out) == (4, "")
    if "mode" in reason:
        assert result.err == f"cnncc: picture '{file}' holds {reason}{DOUBT}them in a .npy file\n"
    else:
        assert result.err == f"cnncc: picture '{file}' has {reason}: put it on a background first\n"


def test_black_and_white(cli: Cli, tmp_path: Path) -> None:
    pixels = (GREY > 127) * np.uint8(255)
    Image.fromarray(pixels).convert("1").save(tmp_path / "x.png")
    found = _read(cli, tmp_path, "float32", 1, tmp_path / "x.png")
    np.testing.assert_array_equal(found[0], (pixels / 255).astype(np.float32))


@pytest.mark.parametrize("mode", ["1", "P", "L", "RGB"])
def test_scaling_works_on_colours(cli: Cli, tmp_path: Path, mode: str) -> None:
    """Means of pixels, and not of their numbers in a palette, nor one pixel in place of all."""
    halves = np.repeat(np.repeat(np.array([[0, 255], [255, 0]], np.uint8), 8, axis=0), 8, axis=1)
    picture = Image.fromarray(halves)
    if mode == "P":
        indices = (halves > 0) * np.uint8(3)
        picture = Image.fromarray(indices)
        picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 255, 255, 255])
    else:
        picture = picture.convert(mode)
    picture.save(tmp_path / "x.png")
    expected = np.asarray(Image.fromarray(halves).resize((4, 4), Image.Resampling.BILINEAR))
    found = _read(cli, tmp_path, "uint8", 1, tmp_path / "x.png", "--resize")
    np.testing.assert_array_equal(found[0], expected.astype(np.float32))
