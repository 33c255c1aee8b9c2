"""As if on Windows and macOS: what is Python alone runs, `host` names the machine, and the rest is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import cnncc
from cnncc.cli import main

from .support import ROOT

DIGITS = ROOT / "examples" / "digits.py"
SEVEN = ROOT / "examples" / "digits" / "7.png"
SCRIPT = """
import contextlib, io, json, sys
import numpy as np
from tests.packaging.elsewhere import become

become(*sys.argv[1:3])
digits, seven, folder = sys.argv[3:]
import cnncc
from cnncc.cli import main

def told(*words):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    return code, out.getvalue(), err.getvalue()

x = np.linspace(0, 1, 64, dtype=np.float32).reshape(1, 1, 8, 8)
np.save(f"{folder}/y.npy", cnncc.interpret(digits, x))
print(json.dumps([
    told("machine", "--json"),
    told("inspect", digits, "--json"),
    told("compile", digits, "--target", "cortex-m4", "-o", folder, "--kinds", "o,h", "--json"),
    told("compile", digits, "-o", f"{folder}/host", "--kinds", "o,a,h,json", "--json"),
    told("machine"),
    told("run", f"{folder}/digits.so", seven),
    told("run", digits, seven) if sys.argv[1] == "win32" else None,
]))
"""
MACHINES = {
    ("win32", "AMD64"): ("Windows", "x86-64-v3", "x86_64-pc-windows-gnu", "Microsoft x64"),
    ("win32", "ARM64"): ("Windows", "generic", "aarch64-pc-windows-gnu", "Microsoft arm64"),
    ("darwin", "x86_64"): ("macOS", "x86-64-v3", "x86_64-apple-macosx11.0.0", "System V"),
    ("darwin", "arm64"): ("macOS", "generic", "arm64-apple-macosx11.0.0", "Apple arm64"),
}


@pytest.mark.parametrize(("system", "machine"), MACHINES)
def test_what_runs_there(
    system: str, machine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CNNCC_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CNNCC_HOST", raising=False)
    command = [sys.executable, "-c", SCRIPT, system, machine, DIGITS, SEVEN, tmp_path]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    about, inspected, foreign, own, said, library, called = json.loads(done.stdout)
    named, cpu, triple, abi = MACHINES[system, machine]
    host = json.loads(about[1])["host"]
    assert (host["cpu"], host["triple"], host["abi"]) == (cpu, triple, abi)
    assert f"untested on {named}: " in json.loads(about[1])["untested"] and f"untested on {named}: " in said[1]
    assert json.loads(inspected[1])["problems"] == []
    assert [code for code, *_ in (about, inspected, foreign, own, said)] == [0] * 5, (foreign, own)
    sentence = "cnncc: cnncc.load reads libraries of Linux, and this machine is another one: "
    assert library[0] == 2 and library[2].startswith(sentence)
    if called:
        assert called[0] == 7 and called[2].startswith("cnncc: compiled code is not called from Python on Windows: ")
    x = np.linspace(0, 1, 64, dtype=np.float32).reshape(1, 1, 8, 8)
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), cnncc.interpret(DIGITS, x))
    capsys.readouterr()
    assert main(["compile", str(DIGITS), "--target", "cortex-m4", "-o", str(tmp_path / "here"), "--kinds", "o,h"]) == 0
    for name in ("digits.o", "digits_weights.o", "digits.h"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "here" / name).read_bytes()
