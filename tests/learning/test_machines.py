"""A checkpoint of one machine goes on on another, whose vectors are of another width."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cnncc.native import host_target

TRAIN = """
import os, sys
import numpy as np
from cnncc import nn
network = nn.Sequential(nn.Conv(3, 3, name="conv"), nn.Flatten(), nn.Dense(3, name="dense"), input=(1, 5, 5), seed=0)
rng = np.random.default_rng(0)
x, y = rng.random((16, 1, 5, 5), np.float32), np.arange(16) % 3
def stop(epoch):
    if sys.argv[2] == "first" and epoch.number == 1:
        raise KeyboardInterrupt
try:
    how = {"checkpoint": sys.argv[1], "resume": sys.argv[2] == "then"}
    network.fit(x, y, epochs=3, batch=8, progress=str, callbacks=[stop], **how)
except KeyboardInterrupt:
    pass
np.savez(sys.argv[3], **network.weights)
"""


@pytest.mark.skipif(host_target().cpu not in ("x86-64-v3", "x86-64-v4"), reason="this machine has vectors of one width")
def test_vectors_of_another_width(tmp_path: Path) -> None:
    """To the weights of training that was never interrupted, but for the roundings of the other machine."""

    def train(host: str, checkpoint: str, part: str) -> dict[str, np.ndarray]:
        words = [sys.executable, "-c", TRAIN, tmp_path / checkpoint, part, tmp_path / "w.npz"]
        environment = {**os.environ, "CNNCC_HOST": host}
        subprocess.run(list(map(str, words)), env=environment, timeout=120, check=True)
        with np.load(tmp_path / "w.npz") as weights:
            return dict(weights)

    train("x86-64-v3,32K,512K,32M", "c.npz", "first")
    resumed = train("x86-64-v2,32K,512K,32M", "c.npz", "then")
    for name, whole in train("x86-64-v3,32K,512K,32M", "d.npz", "whole").items():
        np.testing.assert_allclose(resumed[name], whole, rtol=1e-4, atol=1e-6)
