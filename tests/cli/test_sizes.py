"""Several sizes on the command line: `compile` writes one library with a program for each, other verbs take one."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx

from ..onnx.cases import data
from ..onnx.support import model, node
from .conftest import DIGITS, Cli, listing

SIZES = ("--shape", "x=1,2,6,6", "--shape", "x=1,2,6,9")


@pytest.fixture
def net(tmp_path: Path) -> Path:
    nodes = [node("Conv", "x k", "a", "first"), node("GlobalMaxPool", "a", "y", "pool")]
    onnx.save(model(nodes, {"x": ("n", 2, "h", "w")}, ["y"], {"k": data(4, 2, 3, 3)}), tmp_path / "net.onnx")
    return tmp_path / "net.onnx"


def test_compile_writes_one_library(cli: Cli, net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CC", raising=False)
    result = cli("compile", net, *SIZES, "-o", tmp_path / "build")
    assert (result.code, result.err) == (0, "")
    names = {"net_6.o", "net_9.o", "net_weights.o", "libnet.a", "net.h", "net.json"}
    assert set(listing(tmp_path / "build")) == names | ({"net.so"} if shutil.which("cc") else set())
    rows = [line.split() for line in result.out.splitlines()]
    assert rows[-4] == "program workspace weights that no program above has".split()
    assert [row[0] for row in rows[-3:-1]] == ["net_6", "net_9"]
    weights = int(rows[-3][-1].replace(",", "")) + int(rows[-2][-1].replace(",", ""))
    assert result.out.splitlines()[-1] == f"net for host: weights {weights:,} bytes"
    if shutil.which("cc"):
        np.save(tmp_path / "x.npy", data(1, 2, 6, 6))
        ran = cli("run", tmp_path / "build" / "net.so", tmp_path / "x.npy")
        told = f"'{tmp_path / 'build' / 'net.so'}' has programs for several sizes, which run does not choose among"
        assert (ran.code, ran.err) == (2, f"cnncc: {told}\n")


def test_the_second_time_nothing_is_compiled(
    cli: Cli, net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same files again, from the cache; `--timings` names no stage of compiling."""
    words = ("compile", net, *SIZES, "--kinds", "o,a,h,json", "--timings", "-o")
    monkeypatch.setenv("CNNCC_CACHE", str(tmp_path / "cache"))
    first, again = cli(*words, tmp_path / "first"), cli(*words, tmp_path / "again")
    assert [stage(line) for line in first.err.splitlines()] == [
        "read",
        "cache",
        "passes",
        "plan",
        "code",
        "object",
        "all",
    ]
    assert [stage(line) for line in again.err.splitlines()] == ["read", "cache", "all"]
    assert again.out == first.out.replace("first", "again")
    for file in sorted((tmp_path / "first").iterdir()):
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes()
    assert "passes" in cli(*words, tmp_path / "third", "--no-cache").err


def stage(line: str) -> str:
    return line.split()[-1]


def test_the_name_is_that_of_the_library(cli: Cli, net: Path, tmp_path: Path) -> None:
    assert cli("compile", net, *SIZES, "--name", "eye", "--kinds", "h,o", "-o", tmp_path / "build").code == 0
    assert set(listing(tmp_path / "build")) == {"eye_6.o", "eye_9.o", "eye_weights.o", "eye.h"}
    header = (tmp_path / "build" / "eye.h").read_text()
    assert "int eye_9_run(const cnncc_call *call);" in header and "eye_weights[];" in header


REFUSED = {
    "tuning": (("compile", "NET", *SIZES, "--tune"), 2, "--tune takes one size: give one --shape for each input"),
    "a plan": (("compile", "NET", *SIZES, "--save-plan", "p"), 2, "--save-plan takes one size: *"),
    "a script": (("compile", DIGITS, *SIZES), 2, "shapes are given with ONNX models only; *"),
    "the same": (("compile", "NET", *SIZES, "--shape", "x=1,2,6,6"), 2, "size x=(1, 2, 6, 6) is given twice"),
    "too small": (
        ("compile", "NET", *SIZES, "--shape", "x=1,2,1,6"),
        3,
        "with x=(1, 2, 1, 6): layer 'first': a window of 3 elements does not fit *",
    ),
    "an unknown input": (
        ("compile", "NET", "--shape", "z=1", "--shape", "z=2"),
        2,
        "a shape is given for 'z', but the inputs of * are x",
    ),
    "another verb": (("check", "NET", *SIZES), 2, "a graph takes one size: give one shape for each input"),
    "inspect": (("inspect", "NET", *SIZES), 2, "a graph takes one size: give one shape for each input"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_writes_nothing(cli: Cli, net: Path, tmp_path: Path, case: str) -> None:
    words, code, message = REFUSED[case]
    folder = ("-o", tmp_path / "build") if words[0] == "compile" else ()
    result = cli(*(net if word == "NET" else word for word in words), *folder)
    begin, _, end = message.partition("*")
    assert result.code == code and result.err.startswith(f"cnncc: {begin}") and result.err.rstrip().endswith(end)
    assert result.err.count("\n") == 1 and not (tmp_path / "build").exists()
