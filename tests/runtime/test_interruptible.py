"""Ctrl-C in a call that takes seconds."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import cnncc
from cnncc import nn
from cnncc.errors import NativeError
from cnncc.runtime import interruptible
from cnncc.runtime.model import Model

from . import toy

LONG = """
import sys, time
import numpy as np
import cnncc
from cnncc import nn
layers = [nn.Conv(64, 3, padding="same") for _ in range(6)]
model = cnncc.compile(nn.Sequential(*layers, input=(64, 64, 64), seed=0), threads=int(sys.argv[1]))
x = np.zeros((600, 64, 64, 64), np.float32)
out = np.empty((600, 64, 64, 64), np.float32) if sys.argv[2] == "out" else None
call = model.bind(x, out=out) if sys.argv[3] == "bound" else lambda: model(x, out=out)
print("begins", flush=True)
with model:
    call()
print("ended", flush=True)
"""


@pytest.mark.parametrize(("threads", "out", "bound"), [(1, "fresh", "call"), (2, "out", "call"), (1, "out", "bound")])
def test_ctrl_c_ends_the_wait(threads: int, out: str, bound: str) -> None:
    """600 images of 0.9 G multiply-adds each take 10 s and more; np.zeros and np.empty take no memory until used."""
    words = [sys.executable, "-c", LONG, str(threads), out, bound]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == "begins\n"
            time.sleep(0.5)
            process.send_signal(signal.SIGINT)
            told, error = process.communicate(timeout=30)
        finally:
            process.kill()
    assert "ended" not in told and error.strip().endswith("KeyboardInterrupt")


def test_a_long_call_has_the_bits_of_a_short_one(monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> None:
    network = nn.Sequential(nn.Conv(4, 3), nn.ReLU(), input=(3, 9, 9), seed=1)
    x = rng.random((5, 3, 9, 9), np.float32)
    with cnncc.compile(network) as short:
        expected = short(x)
        bound = short.bind(x)()
    for module in (interruptible, sys.modules[Model.__module__]):
        monkeypatch.setattr(module, "LONG", 1)
    with cnncc.compile(network) as long:
        for answer in (long(x), long.bind(x)(), long(x, out=np.empty_like(bound))):
            np.testing.assert_array_equal(answer, expected)


def test_errors_of_a_long_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interruptible, "LONG", -1)
    with (
        Model(toy.executable(fault=1)) as model,
        pytest.raises(NativeError, match="an access left its bounds in step 0"),
    ):
        model(toy.images())
