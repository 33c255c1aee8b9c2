"""`examples/many_images.py`: 10,000 pictures over a local cluster of Dask, and some over Ray."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import cnncc

ROOT = Path(__file__).resolve().parents[2]
DIGITS = ROOT / "examples" / "digits.py"


@pytest.mark.tools
@pytest.mark.parametrize(("library", "pictures", "words"), [("distributed", 10_000, []), ("ray", 500, ["--ray"])])
def test_pictures_over_a_cluster(
    tmp_path: Path, rng: np.random.Generator, library: str, pictures: int, words: list[str]
) -> None:
    """Each row is what one process finds; a file that is no picture is a row with its reason."""
    pytest.importorskip(library)
    image = pytest.importorskip("PIL.Image")
    folder = tmp_path / "pictures"
    folder.mkdir()
    pixels = rng.integers(0, 256, (pictures, 8, 8), np.uint8)
    for number, each in enumerate(pixels[1:], 1):
        image.fromarray(each).save(folder / f"{number:05}.png", compress_level=0)
    (folder / "00000.png").write_text("no picture")
    results = tmp_path / "results.csv"
    command = [sys.executable, ROOT / "examples" / "many_images.py", DIGITS, folder, "-o", results, *words]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith(f"{results}: {pictures:,} rows")
    with results.open(newline="") as stream:
        first, *rows = csv.DictReader(stream)
    assert first["file"] == str(folder / "00000.png") and "is not a picture" in first["error"] and not first["class"]
    assert [row["file"] for row in rows] == [str(folder / f"{number:05}.png") for number in range(1, pictures)]
    with cnncc.compile(DIGITS) as model:
        expected = model(pixels[1:, None].astype(np.float32) / np.float32(255))
    assert isinstance(expected, np.ndarray)
    assert [int(row["class"]) for row in rows] == expected.argmax(1).tolist()
