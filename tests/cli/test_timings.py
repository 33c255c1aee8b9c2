"""--timings, and the line that a terminal shows while compiling takes long."""

from __future__ import annotations

import io
import re
import time
from pathlib import Path

import pytest

from cnncc.cli import progress
from cnncc.cli.progress import Compiling
from cnncc.compiler import Compilation, Options, resolve_target
from cnncc.frontends.script import load_script
from cnncc.timings import Stopwatch

from .conftest import DIGITS, Cli

STAGES = ["read", "passes", "plan", "code", "object"]


def stages(err: str) -> list[str]:
    """The stages of the lines on standard error, which are nothing else."""
    found = [re.fullmatch(r" +\d+\.\d{3} s  (\w+)", line) for line in err.splitlines()]
    return [match[1] if match else "?" for match in found]


def test_a_line_for_each_stage(cli: Cli, tmp_path: Path) -> None:
    words = "compile", DIGITS, "-o", tmp_path, "--kinds", "o", "--timings"
    assert stages(cli(*words, "--no-cache").err) == [*STAGES, "all"]
    cli(*words)
    assert stages(cli(*words).err) == ["read", "cache", "all"]
    assert cli(*words[:-1]).err == ""


def test_other_verbs(cli: Cli) -> None:
    assert stages(cli("show", DIGITS, "--stage", "plan", "--timings").err) == [*STAGES[:3], "all"]
    ran = cli("run", DIGITS, DIGITS.parent / "digits" / "7.png", "--no-cache", "--timings")
    assert stages(ran.err) == [*STAGES, "load", "all"]
    timed = cli("bench", DIGITS, "--seconds", "0.01", "--no-cache", "--timings")
    assert stages(timed.err) == [*STAGES, "all"]


def test_a_compilation_has_its_timings() -> None:
    compilation = Compilation(load_script(DIGITS), Options(resolve_target("host")))
    assert compilation.timings == ()
    compilation.build()
    before = compilation.timings
    assert [timing.stage for timing in before] == STAGES[1:]
    assert all(timing.seconds > 0 for timing in before)
    compilation.build()
    assert compilation.timings == before
    assert compilation.varied(profiled=True).stopwatch is compilation.stopwatch


def test_a_stage_inside_counts_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter((0.0, 1.0, 3.0, 7.0))
    monkeypatch.setattr(time, "perf_counter", lambda: next(times))
    told: list[str | None] = []
    watch = Stopwatch(told.append)
    with pytest.raises(ValueError), watch.stage("outer"), watch.stage("inner"):
        raise ValueError
    assert [(timing.stage, timing.seconds) for timing in watch.timings] == [("outer", 5.0), ("inner", 2.0)]
    assert told == ["outer", "inner", "outer", None]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_the_stage_of_a_long_compilation(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr(progress, "PATIENCE", 0.02)
    watch = Stopwatch(Compiling())
    with watch.stage("plan"):
        assert terminal.getvalue() == ""
        while not terminal.getvalue():
            time.sleep(0.01)
    with watch.stage("object"):
        pass
    assert terminal.getvalue() == "\rcompiling: plan\x1b[K\r\x1b[K\rcompiling: object\x1b[K\r\x1b[K"


def test_a_short_compilation_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr(progress, "PATIENCE", 600.0)
    watch = Stopwatch(Compiling())
    with watch.stage("plan"):
        pass
    assert terminal.getvalue() == ""
