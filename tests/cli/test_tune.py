"""`--tune`, `--save-plan` and `--plan`; what the tuner chooses is asked in tests/runtime/test_tuning.py."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest

from cnncc.cli.progress import Progress
from cnncc.measure import tuning

from .conftest import DIGITS, Cli, listing


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory, cli: Cli) -> None:
    """Nothing is remembered from other tests; measuring is short."""
    monkeypatch.setenv("CNNCC_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setattr(tuning, "ROUNDS", 2)


def test_compile_tunes_once(cli: Cli, tmp_path: Path) -> None:
    words = ("compile", DIGITS, "-o", tmp_path / "a", "--kinds", "o", "--tune", "--tune-seconds", "60")
    first = cli(*words)
    assert first.code == 0
    assert re.match(r"tuned: \d+ measured, 0 remembered, \d+ changed\n", first.out)
    told = first.err.splitlines()
    assert told[0] == "tuning: 0%, compiling variant 1 of 6"
    assert all(re.match(r"tuning: \d+%, (compiling|measuring,|checking) ", line) for line in told), told
    measured = re.search(r"(\d+) measured", first.out).group(1)
    before = (tmp_path / "a" / "digits.o").read_bytes()
    second = cli(*words)
    assert (second.code, second.err) == (0, "")
    assert second.out.startswith(f"tuned: 0 measured, {measured} remembered, ")
    assert (tmp_path / "a" / "digits.o").read_bytes() == before


def test_a_plan_goes_to_a_file_and_comes_back(cli: Cli, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    saved = cli("compile", DIGITS, "-o", tmp_path / "a", "--kinds", "o", "--save-plan", file)
    assert (saved.code, saved.err) == (0, "")
    content = json.loads(file.read_text())
    assert [choice["layers"] for choice in content["choices"]] == [["conv1"], ["conv2"], ["dense1"], ["dense2"]]
    content["choices"][1]["label"] = "direct 2×1"
    file.write_text(json.dumps(content))
    other = cli("compile", DIGITS, "-o", tmp_path / "b", "--kinds", "o", "--plan", file)
    assert (other.code, other.err) == (0, "")
    assert (tmp_path / "a" / "digits.o").read_bytes() != (tmp_path / "b" / "digits.o").read_bytes()
    assert "1×2 positions × 1 vectors" in cli("show", DIGITS, "--stage", "plan", "--plan", file).out


def test_bench_tells_what_was_tuned(cli: Cli, tmp_path: Path) -> None:
    result = cli("bench", DIGITS, "--seconds", "0.05", "--tune", "--tune-seconds", "60", "--save-plan", tmp_path / "p")
    assert result.code == 0
    assert re.match(r"tuned: \d+ measured, 0 remembered, \d+ changed\n", result.out)
    facts = json.loads(cli("bench", DIGITS, "--seconds", "0.05", "--tune", "--json").out)
    assert isinstance(facts["tuned"], list)
    assert (tmp_path / "p").exists()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--plan", "none.json"), 2, "plan 'none.json': cannot read it: No such file or directory"),
        (("--plan", "note.txt"), 2, "plan 'note.txt': it is not JSON: Expecting value: line 1 column 1 (char 0)"),
        (("--tune", "--tune-seconds", "0"), 2, "argument --tune-seconds: '0' is not a number of seconds*"),
        (("--tune", "--target", "cortex-m4"), 2, "cannot tune for target 'cortex-m4' here: candidates are timed on*"),
        (("--save-plan", "no/plan.json"), 5, "cannot write plan 'no/plan.json': No such file or directory"),
    ],
)
def test_mistakes(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], code: int, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("note.txt").write_text("not a plan")
    before = listing(tmp_path)
    result = cli("compile", DIGITS, "-o", tmp_path / "out", *words)
    assert (result.code, result.out) == (code, "")
    if message.endswith("*"):
        assert result.err.startswith(f"cnncc: {message[:-1]}") and result.err.count("\n") == 1
    else:
        assert result.err == f"cnncc: {message}\n"
    assert listing(tmp_path) == before


def test_an_interrupt_ends_the_command(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tuning.Trials, "round", interrupted)
    result = cli("compile", DIGITS, "-o", tmp_path / "out", "--tune")
    assert (result.code, result.out) == (130, "")
    assert result.err.endswith("\ncnncc: interrupted\n")
    assert not (tmp_path / "out").exists()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", Terminal())
    with Progress("tuning") as progress:
        progress(0.5, "half")
        progress(1.0, "all")
    import sys

    bars = sys.stderr.getvalue().split("\r")  # type: ignore[attr-defined]
    assert bars[1] == f"tuning [{'#' * 12}{'.' * 12}]  50% half\x1b[K"
    assert bars[2] == f"tuning [{'#' * 24}] 100% all\x1b[K"
    assert bars[3] == "\x1b[K"


def test_progress_without_a_stream_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", None)
    with Progress("tuning") as progress:
        progress(0.5, "half")
