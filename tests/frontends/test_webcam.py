"""examples/webcam.py on a folder of pictures, and on a video that is made here where OpenCV is installed."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def watched(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLES / "webcam.py"), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_a_folder_of_pictures() -> None:
    pytest.importorskip("PIL", reason="Pillow is not installed")
    found = watched(EXAMPLES / "digits.py", EXAMPLES / "digits")
    assert found.returncode == 0, found.stderr
    lines = found.stdout.splitlines()
    assert len(lines) == 10
    for number, line in enumerate(lines):
        assert re.fullmatch(rf"{number}\.png: {number} \([0-9.]+\), [0-9.]+ ms", line)


@pytest.mark.tools
def test_a_video(tmp_path: Path) -> None:
    """Eight digits, 40 times as large, as the frames of a video."""
    cv2 = pytest.importorskip("cv2", reason="OpenCV is not installed")
    with np.load(EXAMPLES / "digits" / "held_out.npz") as held:
        images, labels = held["images"][:8], held["labels"][:8]
    film = str(tmp_path / "film.avi")
    writer = cv2.VideoWriter(film, cv2.VideoWriter.fourcc(*"MJPG"), 5, (320, 320))
    assert writer.isOpened()
    for image in images:
        writer.write(np.repeat(np.kron(image, np.ones((40, 40), np.uint8))[..., None], 3, axis=-1))
    writer.release()
    found = watched(EXAMPLES / "digits.py", film, "--frames", 7)
    assert found.returncode == 0, found.stderr
    said = [line.split(": ")[1].split(" ")[0] for line in found.stdout.splitlines()]
    assert len(said) == 7 and sum(a == str(b) for a, b in zip(said, labels, strict=False)) >= 6
    found = watched(EXAMPLES / "digits.py", tmp_path / "none.avi")
    assert found.returncode == 1 and "webcam: OpenCV opens no camera or video" in found.stderr


def test_without_opencv() -> None:
    if importlib.util.find_spec("cv2"):
        pytest.skip("OpenCV is installed")
    found = watched(EXAMPLES / "digits.py", 0)
    assert found.returncode == 1 and found.stderr.startswith("webcam: '0' is no folder of pictures, and cameras and")
    assert len(found.stderr.splitlines()) == 1


def test_what_is_refused() -> None:
    for words, message in (
        ((EXAMPLES / "ecg.py", EXAMPLES / "digits"), "the Image of input 'input': it needs an input of floats"),
        ((EXAMPLES / "none.onnx", EXAMPLES / "digits"), "does not exist"),
    ):
        found = watched(*words)
        assert found.returncode == 1 and message in found.stderr and len(found.stderr.splitlines()) == 1, found.stderr
