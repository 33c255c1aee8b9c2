"""--image: frames of cameras on the command line, and pictures as such frames."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cnncc import Image as Frames
from cnncc import compile
from cnncc.cli.frames import images_of
from cnncc.errors import UsageError
from cnncc.native import host_target
from cnncc.runtime.shared import can_link

from .conftest import DIGITS, PICTURES, Cli

WORDS = {
    "x=640x480,uint8,NHWC,BGR": Frames((480, 640), dtype="uint8", layout="NHWC", order="BGR"),
    "x=mean=0.5,std=0.25": Frames(mean=0.5, std=0.25),
    "x=mean=0.1,.2,3e-1,std=1,2,3": Frames(mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 3.0)),
    "x=BGR,resize=224x112,scale=1,mean=103,116,123,network_order=BGR": Frames(
        order="BGR", resize=(112, 224), scale=1.0, mean=(103.0, 116.0, 123.0), network_order="BGR"
    ),
    "x=resize=256,crop,antialias,cubic": Frames(resize=256, crop=True, antialias=True, method="cubic"),
    "x=64x48,RGBA,resize=letterbox,fill=114": Frames((48, 64), order="RGBA", resize="letterbox", fill=114.0),
    "x=resize=stretch": Frames(resize="stretch"),
    "x=uint16,GRAY,NHW": Frames(dtype="uint16", order="GRAY", layout="NHW"),
    "x=": Frames(),
}


@pytest.mark.parametrize("text", WORDS)
def test_words(text: str) -> None:
    assert images_of([text]) == {"x": WORDS[text]}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["x"], "'x' describes no frames: expected --image INPUT=WORD,…"),
        (["=BGR"], "'=BGR' describes no frames"),
        (["x=BGR", "x=RGB"], "--image of input 'x' is given twice"),
        (["x=BGR,640"], "--image of input 'x': '640' means nothing: expected --image INPUT=WORD,…"),
        (["x=bgr"], "'bgr' means nothing"),
        (["x=0x480"], "'0x480' means nothing"),
        (["x=mean=a"], "'mean=a' means nothing"),
        (["x=resize=big"], "'resize=big' means nothing"),
        (["x=size=3"], "'size=3' means nothing"),
        (["x=BGR,RGB"], "--image of input 'x' says two things about order, the second one 'RGB'"),
        (["x=640x480,320x240"], "says two things about size"),
    ],
)
def test_words_that_mean_nothing(given: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        images_of(given)
    assert message in str(caught.value)


@pytest.fixture
def colours(tmp_path: Path) -> tuple[Path, np.ndarray]:
    pillow = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    rgb = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    pillow.fromarray(rgb).save(tmp_path / "x.png")
    return tmp_path / "x.png", rgb


@pytest.mark.parametrize("words", ["BGR", "BGRA,NCHW", "uint16,RGBA", "BGR,resize=8x6"])
def test_pictures_are_frames(
    words: str, cli: Cli, relu: Callable[[str], Path], colours: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    """Whatever the order and elements of frames are, the network reads the same picture."""
    picture, rgb = colours
    found = cli("run", relu("3, 6, 8"), picture, "--image", f"input={words},std=0.5", "-o", tmp_path / "y.npy")
    assert found.code == 0, found.err
    np.testing.assert_allclose(
        np.load(tmp_path / "y.npy"), rgb.transpose(2, 0, 1)[None] / np.float32(127.5), rtol=0, atol=1e-6
    )


def test_grey_frames(cli: Cli, relu: Callable[[str], Path], tmp_path: Path) -> None:
    pillow = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    grey = np.random.default_rng(0).integers(0, 256, (6, 8), np.uint8)
    pillow.fromarray(grey).save(tmp_path / "x.png")
    for words in ("HW", "NHWC", "uint16,CHW"):
        found = cli("run", relu("1, 6, 8"), tmp_path / "x.png", "--image", f"input={words}", "-o", tmp_path / "y.npy")
        assert found.code == 0, found.err
        np.testing.assert_allclose(np.load(tmp_path / "y.npy")[0, 0], grey / np.float32(255), rtol=0, atol=1e-6)


def test_pictures_of_any_size(
    cli: Cli, relu: Callable[[str], Path], colours: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    pillow = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    pillow.fromarray(np.full((3, 5, 3), 255, np.uint8)).save(tmp_path / "white.png")
    files = colours[0], tmp_path / "white.png"
    found = cli("run", relu("3, 4, 4"), *files, "--image", "input=BGR,resize=4x4", "-o", tmp_path / "y.npy")
    assert found.code == 0, found.err
    y = np.load(tmp_path / "y.npy")
    assert y.shape == (2, 3, 4, 4) and (y[1] == 1).all()
    found = cli("run", "--top", 1, DIGITS, PICTURES / "7.png", "--image", "input=resize=stretch")
    assert found.out.endswith("7.png: 7 (0.9991)\n")  # with the network's labels


def test_every_verb(cli: Cli, relu: Callable[[str], Path], tmp_path: Path) -> None:
    model, words = relu("3, 4, 4"), ("--image", "input=8x6,BGR,resize=4x4")
    assert "uint8[1, 6, 8, 3]" in cli("show", model, *words).out
    assert "are within their bounds" in cli("check", model, *words).out
    assert cli("bench", model, *words, "--seconds", "0.05").code == 0
    found = cli("compile", model, *words, "-o", tmp_path / "out", "--kinds", "h,json,o")
    assert found.code == 0, found.err
    assert "frames NHWC BGR" in (tmp_path / "out" / "tiny.h").read_text()


def test_a_library_knows_its_frames(
    cli: Cli, relu: Callable[[str], Path], colours: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    if not can_link(host_target()):
        pytest.skip("no C compiler links a shared library")
    picture, rgb = colours
    assert cli("compile", relu("3, 6, 8"), "--image", "input=BGR", "-o", tmp_path, "--kinds", "so,json").code == 0
    found = cli("run", tmp_path / "tiny.so", picture, "-o", tmp_path / "y.npy")
    assert found.code == 0, found.err
    np.testing.assert_allclose(np.load(tmp_path / "y.npy")[0], rgb.transpose(2, 0, 1) / np.float32(255), atol=1e-6)
    found = cli("run", tmp_path / "tiny.so", picture, "--image", "input=RGB")
    assert found.code == 2 and "is compiled already: options of the compiler do not go with it" in found.err


@pytest.mark.parametrize(
    ("verb", "more", "message"),
    [
        ("run", ("x.npy", "--image", "y=BGR"), "model 'tiny' has no input 'y' for an Image: it has 'input'"),
        ("check", ("--image", "input=BGR,resize=4x4"), "one program needs their size: size=(480, 640), or"),
        ("bench", ("--image", "input=BGR", "--step"), "--step trains the network on what it reads: --image comes in"),
        ("bench", ("--image", "input=BGR", "--against", "all"), "--against compares whole models"),
        ("check", ("--image", "input=HW"), "layout 'HW' has no channels, and order 'RGB' has 3"),
    ],
)  # fmt: skip
def test_what_does_not_go(
    verb: str, more: tuple[str, ...], message: str, cli: Cli, relu: Callable[[str], Path]
) -> None:
    found = cli(verb, relu("3, 4, 4"), *more)
    assert found.code == 2 and message in found.err, found.err


def test_pictures_of_floats_are_refused(
    cli: Cli, relu: Callable[[str], Path], colours: tuple[Path, np.ndarray]
) -> None:
    found = cli("run", relu("3, 6, 8"), colours[0], "--image", "input=float32,BGR")
    assert "takes frames of float32, and nobody knows which number is white in them" in found.err


def test_equal_to_python(relu: Callable[[str], Path], cli: Cli, tmp_path: Path) -> None:
    frames = np.random.default_rng(1).integers(0, 256, (2, 9, 7, 3), np.uint8)
    np.save(tmp_path / "x.npy", frames)
    words = "input=7x9,BGR,resize=4x4,mean=0.4,0.5,0.6,std=0.2"
    assert cli("run", relu("3, 4, 4"), tmp_path / "x.npy", "--image", words, "-o", tmp_path / "y.npy").code == 0
    image = Frames((9, 7), order="BGR", resize=(4, 4), mean=(0.4, 0.5, 0.6), std=0.2)
    model = compile(relu("3, 4, 4"), inputs={"input": image})
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), model(frames))
