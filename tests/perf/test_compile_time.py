"""How long compiling takes, printed and not judged: absolute times depend on the machine.

python -m pytest tests/perf/test_compile_time.py -s
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

DIGITS = Path(__file__).parents[2] / "examples" / "digits.py"

SCRIPT = """
import sys, time
import cnncc
begin = time.perf_counter()
cnncc.compile(sys.argv[1])
first = time.perf_counter()
cnncc.compile(sys.argv[1])
print(first - begin, time.perf_counter() - first)
"""


def test_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fresh process, with an empty cache (imports and LLVM's start included) and then with a filled one."""
    monkeypatch.setenv("CNNCC_CACHE", str(tmp_path / "cache"))
    for state in ("empty", "filled"):
        command = [sys.executable, "-c", SCRIPT, str(DIGITS)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        first, again = map(float, done.stdout.split())
        print(f"\ncache {state}: first compile {first * 1e3:.1f} ms, second {again * 1e3:.1f} ms")
