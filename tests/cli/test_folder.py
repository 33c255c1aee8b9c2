"""`cnncc run MODEL FOLDER -o results.csv`: a row for each file."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import DIGITS, PICTURES, Cli

LIMITED = """
import resource, sys
from cnncc.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Ten digits, and a file that is no picture."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for file in PICTURES.glob("*.png"):
        shutil.copy(file, folder)
    (folder / "z.png").write_text("no picture")
    return folder


def test_digits(cli: Cli, pictures: Path, tmp_path: Path) -> None:
    results = tmp_path / "results.csv"
    done = cli("run", DIGITS, pictures, "--batch", 4, "--jobs", 2, "-o", results)
    first, second = done.out.splitlines()
    assert done.code == 0 and first == f"{results}: 11 rows, 1 without an answer"
    assert second.startswith(f"  '{pictures / 'z.png'}' is not a picture that can be read: ")
    assert "digits: 100%, 11 of 11" in done.err
    rows = list(csv.DictReader(results.read_text().splitlines()))
    assert [row["class"] for row in rows] == [*map(str, range(10)), ""]
    assert rows[-1]["error"] == second.strip()


MISTAKES = {
    "no table": (
        ["PICTURES"],
        2,
        "folder 'PICTURES' needs a file for its rows: -o results.csv, results.jsonl, results",
    ),
    "another kind": (["PICTURES", "-o", "y.npz"], 2, "folder 'PICTURES' needs a file for its rows: -o results.csv"),
    "force alone": (["PICTURES/1.png", "--force"], 2, "--force is for a table of results: -o results.csv"),
    "an input by name": (["--input", "input=a.npy", "-o", "r.csv"], 2, "--input names the file of one call, 'r.csv'"),
    "nothing": (["-o", "r.csv"], 2, "run needs at least one INPUT file or folder (see cnncc run --help)"),
    "exists": (["PICTURES", "-o", "PICTURES/there.csv"], 2, "'PICTURES/there.csv' exists: --force replaces it"),
    "empty": (["PICTURES/empty", "-o", "r.csv"], 4, "folder 'PICTURES/empty' holds no picture and no .npy file"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes(cli: Cli, pictures: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    words, code, told = MISTAKES[case]
    monkeypatch.chdir(pictures)
    (pictures / "empty").mkdir()
    (pictures / "there.csv").write_text("mine")
    result = cli("run", DIGITS, *(word.replace("PICTURES", str(pictures)) for word in words))
    assert (result.code, result.out) == (code, "")
    assert result.err.startswith("cnncc: " + told.replace("PICTURES", str(pictures)))
    assert not (pictures / "r.csv").exists() and (pictures / "there.csv").read_text() == "mine"


def test_a_full_disk_and_then_a_larger_one(cli: Cli, pictures: Path, tmp_path: Path) -> None:
    results, part = tmp_path / "results.csv", tmp_path / "results.csv.part"
    command = ["run", DIGITS, pictures, "--batch", 1, "-o", results, "--no-cache"]
    limited = [sys.executable, "-c", LIMITED, "900", *map(str, command)]
    done = subprocess.run(limited, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 5 and not results.exists()
    assert f"cannot write '{part}': File too large; " in done.stderr and "--resume goes on" in done.stderr
    again = cli(*command)
    assert again.code == 2 and "has the rows of a run that did not end" in again.err
    assert cli(*command, "--resume").code == 0
    whole = results.read_text()
    assert not part.exists() and cli(*command, "--force").code == 0 and results.read_text() == whole
