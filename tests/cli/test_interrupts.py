"""Ctrl-C where an exception would not arrive, and what is left of signal handlers afterwards."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from cnncc.cli import main
from cnncc.cli.failures import explained

from .conftest import ROOT, Cli

AT = """
import os, signal, sys
from cnncc.cli import failures, interrupts
sys.path.insert(0, {folder!r})

def command():
    {body}
    return 0

with interrupts.handled():
    code = failures.explained(command)
os._exit(code)
"""
LOUD = """
import os, signal
try:
    os.kill(os.getpid(), signal.SIGINT)
except KeyboardInterrupt:
    raise ImportError
"""
PLACES = {
    "in an import": "import loud",
    "in a destructor": "class D:\n        def __del__(self): os.kill(os.getpid(), signal.SIGINT)\n    D()",
    "in a finally that fails": "try: os.kill(os.getpid(), signal.SIGINT)\n    finally: missing.name",
    "anywhere else": "os.kill(os.getpid(), signal.SIGINT)\n    while True: pass",
}


@pytest.mark.parametrize("place", PLACES)
def test_it_ends_in_one_sentence(tmp_path: Path, place: str) -> None:
    """An import, as those of C extensions, may turn the exception into another one."""
    (tmp_path / "loud.py").write_text(LOUD)
    script = AT.format(folder=str(tmp_path), body=PLACES[place])
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "cnncc: interrupted\n")


def test_handlers_are_left_as_they_were(cli: Cli) -> None:
    hook = sys.unraisablehook
    before = signal.getsignal(signal.SIGINT)
    assert cli("--version").code == 0
    assert signal.getsignal(signal.SIGINT) is before and sys.unraisablehook is hook

    def own(number: int, frame: object) -> None:
        raise AssertionError

    signal.signal(signal.SIGINT, own)
    try:
        assert cli("--version").code == 0
        assert signal.getsignal(signal.SIGINT) is own
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_thread_may_run_commands(capsys: pytest.CaptureFixture[str]) -> None:
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(main(["--version"])))
    thread.start()
    thread.join()
    assert codes == [0]


def raises(error: type[BaseException]) -> Callable[[], int]:
    def command() -> int:
        raise error("no more")

    return command


def test_memory_and_depth_are_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert explained(raises(MemoryError)) == explained(raises(RecursionError)) == 1
    assert capsys.readouterr().err.count("\n") == 2
