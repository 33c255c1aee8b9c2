"""The command as a process of its own: its start, its streams, its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import cnncc

from .conftest import DIGITS, ROOT

COMMAND = [sys.executable, "-m", "cnncc"]


def spawn(words: Sequence[object], **options: object) -> subprocess.Popen[str]:
    environment = {key: value for key, value in os.environ.items() if key != "CNNCC_TRACEBACK"}
    return subprocess.Popen(
        [*COMMAND, *map(str, words)],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**environment, "CNNCC_CACHE": "off", "PYTHONIOENCODING": "utf-8"},
        **options,  # type: ignore[call-overload]
    )


def finished(words: Sequence[object]) -> tuple[int, str, str]:
    with spawn(words) as process:
        out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_help() -> None:
    code, out, err = finished(["--help"])
    assert (code, err) == (0, "")
    assert "Exit codes:" in out


@pytest.mark.parametrize(
    "words", [["--help"], ["--version"], *([verb, "--help"] for verb in ("run", "check", "bench"))]
)
def test_questions_load_nothing_heavy(words: list[str]) -> None:
    """What takes the time is LLVM, NumPy and our own compiler; of the standard library, asyncio and its like."""
    heavy = {"llvmlite", "numpy", "networkx", "PIL", "onnx", "asyncio", "multiprocessing", "cnncc.ops", "cnncc.plan"}
    code = (
        "import sys; from cnncc.cli import main; code = main(sys.argv[1:]); "
        f"print(sorted({heavy} & set(sys.modules))); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("\n[]\n")


def test_version() -> None:
    assert finished(["--version"]) == (0, f"cnncc {cnncc.__version__}\n", "")


def test_every_exit_code_is_documented() -> None:
    out = finished(["--help"])[1]
    documented = {line.split()[0] for line in out.splitlines() if line[:5].strip().isdigit()}
    assert documented == {"0", "1", "2", "3", "4", "5", "6", "7", "8", "130", "141"}


def test_a_failure_is_one_line_and_its_code() -> None:
    assert finished(["show", "missing.py"]) == (3, "", "cnncc: model script 'missing.py' does not exist\n")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_reader_that_goes_away(monkeypatch: pytest.MonkeyPatch, unbuffered: str) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    words = ["show", DIGITS, "--stage", "llvm", "--checked"]  # more than a pipe holds
    with spawn(words) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(60) == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_full_device() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([*COMMAND, "--version"], cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 5
    assert done.stderr == "cnncc: cannot write to standard output: No space left on device\n"


def test_terminal_that_cannot_spell_everything() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "CNNCC_CACHE": "off"}
    words = [*COMMAND, "show", str(DIGITS), "--stage", "plan"]
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"direct 3?3" in done.stdout


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_interrupt(tmp_path: Path) -> None:
    script = tmp_path / "slow.py"
    script.write_text("import time\nprint('started', flush=True)\ntime.sleep(60)\n")
    # Where the tests run in the background of a script, interrupts are ignored, and processes inherit that.
    heeding = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.default_int_handler)}
    with spawn(["show", script], **heeding) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "", "cnncc: interrupted\n")


def interrupted(words: Sequence[object], seconds: float) -> tuple[int, str]:
    """Exit code and standard error of a command that gets Ctrl-C so long after `main` has begun to run."""
    script = (
        "import os, signal, sys, threading, time\n"
        "def late():\n"
        "    while 'cnncc.cli.interrupts' not in sys.modules:\n"
        "        time.sleep(0)\n"
        f"    time.sleep({seconds})\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "threading.Thread(target=late, daemon=True).start()\n"
        f"sys.argv = {['cnncc', *map(str, words)]!r}\n"
        "from cnncc.cli import main\n"
        "os._exit(main())\n"
    )
    environment = {**os.environ, "CNNCC_CACHE": "off"}
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, env=environment)
    return done.returncode, done.stderr


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.03, 0.06, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4])
def test_ctrl_c_during_imports(seconds: float) -> None:
    """Wherever it comes: one sentence, or the command has ended before."""
    code, err = interrupted(["check", DIGITS], seconds)
    assert (code, err) in [(130, "cnncc: interrupted\n"), (0, "")]
