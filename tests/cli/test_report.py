"""`cnncc report`: the file is there whole, whatever happens to the model."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .conftest import DIGITS, TWO_INPUTS, Cli

QUICK = ("--seconds", "0.01", "--against", "none", "--no-check")
BAD = "from cnncc import nn\nmodel = nn.Sequential(nn.Conv(4, 3), nn.Dense(10, name='head'), input=(1, 8, 8))\n"


def test_a_report_replaces_the_one_before(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text("old")
    result = cli("report", DIGITS, "-o", file, "--target", "cortex-m4", *QUICK)
    assert (result.code, result.out, result.err) == (0, f"digits: wrote {file}\n", "")
    text = file.read_text(encoding="utf-8")
    assert text.startswith("<!DOCTYPE html>") and text.endswith("</html>\n")
    assert f"{DIGITS}, compiled for cortex-m4" in text
    assert list(tmp_path.iterdir()) == [file]


def test_a_model_that_is_wrong_gets_a_report(cli: Cli, tmp_path: Path) -> None:
    script, file = tmp_path / "bad.py", tmp_path / "report.html"
    script.write_text(BAD)
    result = cli("report", script, "-o", file)
    assert result.code == 3 and result.err.startswith("cnncc: layer 'head': a dense layer takes")
    text = file.read_text(encoding="utf-8")
    assert "Stopped at stage “read”, layer head" in text and f"{script}:2" in text


def test_wrong_usage_leaves_no_file(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    for words in (["--target", "z80"], ["--passes", "fuse"], ["--against", "frob"]):
        assert cli("report", DIGITS, "-o", file, *words).code == 2
    assert cli("report", DIGITS, "-o", tmp_path / "none" / "report.html").code == 5
    assert list(tmp_path.iterdir()) == []


def test_given_data(cli: Cli, tmp_path: Path) -> None:
    script, data, file = tmp_path / "pair.py", tmp_path / "in.npz", tmp_path / "report.html"
    script.write_text(TWO_INPUTS)
    arrays = {name: np.ones((1, 2, 3, 3), np.float32) for name in "ab"}
    np.savez(data, **arrays)
    assert cli("report", script, "-o", file, "--data", data, *QUICK).code == 0
    assert "A call on the given data" in file.read_text(encoding="utf-8")
    np.savez(data, **{**arrays, "b": np.ones((1, 2, 3, 4), np.float32)})
    file.unlink()
    result = cli("report", script, "-o", file, "--data", data, *QUICK)
    assert result.code == 4 and "input 'b': expected shape" in result.err
    assert not file.exists()
