"""The public names, and a typed program that uses them; `.ci/run` checks its types with the rest of `tests`."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

import cnncc

from .support import ROOT
from .typed import program


def test_a_typed_program_runs(capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    program(rng.random((64, 1, 4, 4), np.float32), rng.integers(0, 3, 64))
    assert capsys.readouterr().out.endswith("(64, 3) [(1, 1, 4, 4)]\n")


def test_names_are_told_before_they_are_loaded() -> None:
    code = "import json, cnncc; print(json.dumps(dir(cnncc)))"
    told = json.loads(subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True).stdout)
    assert told == dir(cnncc)
    assert [name for name in told if not name.startswith("__")] == [n for n in cnncc.__all__ if n != "__version__"]
    assert {"__all__", "__doc__", "__version__"} < set(told)
    assert all(hasattr(cnncc, name) for name in told)
