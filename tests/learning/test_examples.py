"""The examples that learn, run as a user runs them."""

from __future__ import annotations

import importlib.util
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import cnncc

ROOT = Path(__file__).resolve().parents[2]


def run(script: str, *words: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [script, *words])
        runpy.run_path(str(ROOT / "examples" / script), run_name="__main__")


def small_file(path: Path) -> None:
    """A file for one image, with a reshape that says so."""
    onnx = pytest.importorskip("onnx")
    from tests.onnx.support import model, node

    rng = np.random.default_rng(0)
    weights = {
        "conv.weight": rng.normal(0, 0.4, (8, 1, 3, 3)).astype(np.float32),
        "conv.bias": np.zeros(8, np.float32),
        "sizes": np.array([1, 72]),
        "fc.weight": rng.normal(0, 0.1, (10, 72)).astype(np.float32),
        "fc.bias": np.zeros(10, np.float32),
    }
    nodes = [
        node("Conv", "x conv.weight conv.bias", "c", "conv"),
        node("Relu", "c", "r", "relu"),
        node("MaxPool", "r", "p", "pool", kernel_shape=[2, 2], strides=[2, 2]),
        node("Reshape", "p sizes", "f", "flatten"),
        node("Gemm", "f fc.weight fc.bias", "y", "fc", transB=1),
    ]
    onnx.save(model(nodes, {"x": (1, 1, 8, 8)}, weights=weights, opset=17), path)


def test_fine_tuning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small_file(tmp_path / "net.onnx")
    digits = np.load(ROOT / "examples" / "digits" / "held_out.npz")
    np.savez(tmp_path / "data.npz", x=digits["images"][:, None] / 64, y=digits["labels"])
    files = [str(tmp_path / name) for name in ("net.onnx", "data.npz", "tuned.onnx")]
    run("finetune.py", *files)
    told = re.match(r"of 72 held-out examples ([\d.]+)% were right, and ([\d.]+)% are", capsys.readouterr().out)
    assert told and float(told[1]) < 20 and float(told[2]) > 40
    run("finetune.py", *files, "fc.*")
    old, new = (cnncc.load_graph(tmp_path / name) for name in ("net.onnx", "tuned.onnx"))
    assert [name for name, node in new.nodes.items() if node.op != old[name].op] == ["fc.weight", "fc.bias"]


@pytest.mark.skipif(
    importlib.util.find_spec("distributed") is None, reason="dask is missing: pip install 'cnncc[sweep]'"
)
def test_a_sweep_over_a_cluster() -> None:
    command = [sys.executable, "examples/sweep.py", "--widths", "2,4", "--rates", "0.003,0.03"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    *trials, best = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    found = [re.match(r"width +(\d), rate ([\d.]+) +([\d.]+)%", line) for line in trials]
    tried = {match.groups()[:2] for match in found if match}
    assert tried == {(width, rate) for width in "24" for rate in ("0.003", "0.03")}
    assert best.startswith("best: width 4, rate 0.03: ")
