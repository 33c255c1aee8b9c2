"""How long compiling takes, printed and not judged: absolute times depend on the machine.

python -m pytest tests/perf/test_compile_time.py -s
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

DIGITS = Path(__file__).parents[2] / "examples" / "digits.py"

SCRIPT = """
import sys, time
import numpy
begin = time.perf_counter()
import cnncc
cnncc.compile(sys.argv[1])
first = time.perf_counter()
cnncc.compile(sys.argv[1])
print(first - begin, time.perf_counter() - first)
"""


def test_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    show_times(DIGITS, tmp_path, monkeypatch)


@pytest.mark.parametrize("features", [100, 3000])
def test_onnx_file(features: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A LeNet in an ONNX file; with 3000 features most of its 37 MB are one dense layer."""
    onnx = pytest.importorskip("onnx")
    onnx.save(lenet(features), tmp_path / "lenet.onnx")
    show_times(tmp_path / "lenet.onnx", tmp_path, monkeypatch)


def lenet(features: int) -> Any:
    """Two convolutions with pools, and dense layers of so many features between them and ten classes."""
    from tests.onnx.support import model, node

    nodes = [
        node("Conv", "x w1", "c1", kernel_shape=[5, 5]),
        node("Relu", "c1", "r1"),
        node("MaxPool", "r1", "p1", kernel_shape=[2, 2], strides=[2, 2]),
        node("Conv", "p1 w2", "c2", kernel_shape=[5, 5]),
        node("Relu", "c2", "r2"),
        node("MaxPool", "r2", "p2", kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", "p2", "f"),
        node("Gemm", "f w3", "d1"),
        node("Relu", "d1", "r3"),
        node("Gemm", "r3 w4", "d2"),
        node("Relu", "d2", "r4"),
        node("Gemm", "r4 w5", "y"),
    ]
    shapes = {"w1": (6, 1, 5, 5), "w2": (16, 6, 5, 5), "w3": (256, features), "w4": (features, features)}
    shapes["w5"] = (features, 10)
    rng = np.random.default_rng(1)
    weights = {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}
    return model(nodes, {"x": (1, 1, 28, 28)}, weights=weights)


def show_times(model: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fresh process (imports and LLVM's start included, NumPy's not), with an empty cache and with a filled one."""
    monkeypatch.setenv("CNNCC_CACHE", str(folder / "cache"))
    command = [sys.executable, "-c", SCRIPT, str(model)]
    times = {}
    print()
    for state, count in (("empty", 1), ("filled", 5)):
        runs = [subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(count)]
        first, again = np.median([[float(word) for word in run.stdout.split()] for run in runs], axis=0)
        times[state] = first
        print(f"{model.name}, {state} cache: first compile {first * 1e3:.1f} ms, second {again * 1e3:.1f} ms")
    print(f"{model.name}: {times['empty'] / times['filled']:.1f} times as fast from the cache")
