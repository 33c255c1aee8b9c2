"""Pictures for the C program, and the artefacts that most tests link."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from .support import EXAMPLES, write_digits


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The example's pictures, 0 to 9, as binary PGM."""
    image = pytest.importorskip("PIL.Image")
    folder = tmp_path_factory.mktemp("pictures")
    for digit in range(10):
        with image.open(EXAMPLES / "digits" / f"{digit}.png") as picture:
            picture.save(folder / f"{digit}.pgm")
    return [folder / f"{digit}.pgm" for digit in range(10)]


@pytest.fixture(scope="session")
def host_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The digits network for this machine: objects, libraries (a shared one needs a compiler), the example program."""
    kinds = ("o", "a", "so", "h") if shutil.which("cc") else ("o", "a", "h")
    return write_digits(tmp_path_factory.mktemp("host"), "host", kinds)
