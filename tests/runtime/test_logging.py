"""What the progress bar says goes to the logger `cnncc` as well."""

from __future__ import annotations

import logging
import subprocess
import sys

import numpy as np
import pytest

import cnncc
from cnncc import nn


def network() -> cnncc.nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Dense(2), input=(1, 4, 4), name="small")


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "cnncc"]


def test_stages_of_compiling_and_tuning(caplog: pytest.LogCaptureFixture) -> None:
    told: list[float] = []
    with caplog.at_level(logging.INFO, logger="cnncc"):
        cnncc.compile(network(), cache=False, tune=True, tune_progress=lambda done, text: told.append(done))
    assert any(text.startswith("plan took ") for text in messages(caplog))
    assert told == sorted(told) and sum(text.startswith("tuning: ") for text in messages(caplog)) == len(told)


def test_epochs(caplog: pytest.LogCaptureFixture, rng: np.random.Generator) -> None:
    x, y = rng.random((8, 1, 4, 4), np.float32), np.arange(8) % 2
    lines: list[str] = []
    with caplog.at_level(logging.INFO, logger="cnncc"):
        cnncc.fit(network(), x, y, epochs=2, batch=4, progress=lines.append)
    assert len(lines) == 2 and lines == [text for text in messages(caplog) if text in lines]


def test_whoever_does_not_listen_does_not_wait() -> None:
    code = "import cnncc, sys; sys.exit('logging' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
