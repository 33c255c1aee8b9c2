"""Running the command line inside this process, and small scripts to run it on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from cnncc.cli import main

ROOT = Path(__file__).resolve().parents[2]
DIGITS = ROOT / "examples" / "digits.py"
PICTURES = ROOT / "examples" / "digits"

RELU = "from cnncc import nn\nmodel = nn.Sequential(nn.ReLU(name='relu'), input=({shape},), name='tiny')\n"
TWO_INPUTS = """
from cnncc import nn
a, b = nn.Input((2, 3, 3), name="a"), nn.Input((2, 3, 3), name="b")
model = nn.Model([a, b], {"sum": nn.Add(name="add")(a, b), "flat": nn.Flatten(name="flat")(a)}, name="pair")
"""


@dataclass(frozen=True)
class Result:
    """Exit code and what was written to the two streams."""

    code: int
    out: str
    err: str


Cli = Callable[..., Result]


@pytest.fixture
def cli(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Cli:
    """Run `cnncc` with these words; the cache is a folder of this test run."""
    monkeypatch.setenv("CNNCC_CACHE", str(tmp_path_factory.getbasetemp() / "cnncc-cache"))
    monkeypatch.delenv("CNNCC_TRACEBACK", raising=False)

    def run(*words: object) -> Result:
        capsys.readouterr()
        code = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return Result(code, out, err)

    return run


@pytest.fixture
def relu(tmp_path: Path) -> Callable[[str], Path]:
    """A script with one ReLU on an input of this shape (without N), such as '3, 4, 4'."""

    def write(shape: str) -> Path:
        file = tmp_path / "relu.py"
        file.write_text(RELU.format(shape=shape))
        return file

    return write


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    """A script with the inputs a and b and the outputs sum and flat."""
    file = tmp_path / "pair.py"
    file.write_text(TWO_INPUTS)
    return file


def listing(folder: Path) -> dict[str, int]:
    """Every file and folder below, with sizes: what a failed command must leave as it was."""
    return {str(path.relative_to(folder)): path.lstat().st_size * path.is_file() for path in folder.rglob("*")}


def fails(cli: Cli, folder: Path, code: int, message: str, *words: object) -> None:
    """The command fails with exactly this sentence and leaves every file as it was."""
    before = listing(folder)
    result = cli(*words)
    assert result.err == f"cnncc: {message}\n"
    assert result.code == code
    assert listing(folder) == before
