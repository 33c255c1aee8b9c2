"""`cnncc bench --against`: other engines in processes of their own. A module of the test stands in for one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx

from cnncc.measure import peers

from ..onnx.support import model, node
from .conftest import DIGITS, Cli

ENGINE = '''
"""Enough of ONNX Runtime to be measured: it interprets the file, and is off by {error}."""
import sys
import cnncc
print("an engine that talks")

class SessionOptions: pass

class OrtValue:
    @staticmethod
    def ortvalue_from_numpy(array): return array

class InferenceSession:
    def __init__(self, model, options, providers):
        assert (options.intra_op_num_threads, options.inter_op_num_threads) == ({threads}, 1)
        {ending}
        self.graph, self.inputs = cnncc.load_graph(model), dict()
    def io_binding(self): return self
    def bind_ortvalue_input(self, name, array): self.inputs[name] = array
    def bind_output(self, name, device): assert device == "cpu"
    def get_outputs(self): return []
    def run_with_iobinding(self, binding): self.found = cnncc.interpret(self.graph, self.inputs)
    def copy_outputs_to_cpu(self): return [self.found + {error}]
'''


@pytest.fixture
def relu_file(tmp_path: Path) -> Path:
    file = tmp_path / "relu.onnx"
    onnx.save(model([node("Relu", "x", "y", "relu")], {"x": (1, 3, 5, 4)}), file)
    return file


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Install an `onnxruntime` of version 9.9; the rest is not there."""
    folder = tmp_path / "engines"
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.setattr(peers, "installed", lambda name: name == "onnxruntime")
    monkeypatch.setattr(peers, "WARM_SECONDS", 0.0)

    def install(error: float = 0.0, threads: int = 1, ending: str = "pass") -> None:
        package = folder / "onnxruntime-9.9.dist-info"
        package.mkdir(parents=True, exist_ok=True)
        (package / "METADATA").write_text("Metadata-Version: 2.1\nName: onnxruntime\nVersion: 9.9\n")
        text = ENGINE.format(error=error, threads=threads, ending=ending)
        (folder / "onnxruntime.py").write_text(text)

    return install


def test_an_engine_takes_turns_with_ours(cli: Cli, relu_file: Path, engine) -> None:
    engine()
    result = cli("bench", relu_file, "--seconds", "0.05", "--against", "onnxruntime")
    assert (result.code, result.err) == (0, "")
    page = result.out.split("\n\n")[1].splitlines()
    assert page[0].split() == ["threads", "engine", "version", "median", "µs", "p10", "p90", "×", "cnncc", "difference"]
    ours, theirs = page[1].split(), page[2].split()
    assert ours[:2] + ours[6:] == ["1", "cnncc", "1.00", "0.0e+00"]
    assert theirs[:3] + theirs[7:] == ["1", "onnxruntime", "9.9", "0.0e+00"]
    assert float(theirs[6]) > 1
    assert page[3] == "outputs differ from cnncc's by at most 0.0e+00 of the largest element"


def test_the_difference_is_told(cli: Cli, relu_file: Path, engine) -> None:
    engine(error=0.125, threads=2)
    result = cli("bench", relu_file, "--seconds", "0.05", "--against", "all", "--threads", "2", "--json")
    ours, theirs = json.loads(result.out)["against"]
    assert (ours["engine"], ours["difference"], theirs["engine"]) == ("cnncc", 0, "onnxruntime")
    assert 0.01 < theirs["difference"] <= 0.125
    assert theirs["p10_us"] <= theirs["median_us"] <= theirs["p90_us"]


def test_an_engine_that_cannot_run_the_model(cli: Cli, relu_file: Path, engine) -> None:
    engine(ending='raise ValueError("no such op")')
    result = cli("bench", relu_file, "--seconds", "0.05", "--against", "onnxruntime")
    assert (result.code, result.out) == (5, "")
    assert result.err == "cnncc: engine 'onnxruntime' cannot run the model: ValueError: no such op\n"


def test_an_engine_that_dies(cli: Cli, relu_file: Path, engine) -> None:
    engine(ending="import os; sys.stderr.close(); os._exit(3)")
    result = cli("bench", relu_file, "--seconds", "0.05", "--against", "onnxruntime")
    assert result.code == 5
    assert result.err.startswith("cnncc: engine 'onnxruntime' cannot run the model: ")


@pytest.mark.parametrize(
    ("engines", "code", "message"),
    [
        ("onnxruntime", 5, "engine 'onnxruntime' is not installed: python -m pip install onnxruntime"),
        ("all", 5, "no other engine is installed: python -m pip install onnxruntime openvino"),
        ("openvino,fast", 2, "unknown engine 'fast': expected 'all' or some of onnxruntime, openvino"),
        (",", 2, "--against names no engine: expected 'all' or some of onnxruntime, openvino"),
    ],
)
def test_what_cannot_be_compared_with(
    cli: Cli, relu_file: Path, monkeypatch: pytest.MonkeyPatch, engines: str, code: int, message: str
) -> None:
    monkeypatch.setattr(peers, "installed", lambda name: engines == "openvino,fast")
    result = cli("bench", relu_file, "--against", engines)
    assert (result.code, result.out, result.err) == (code, "", f"cnncc: {message}\n")


def test_steps_are_compared_with_what_trains(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "installed", lambda name: False)
    result = cli("bench", DIGITS, "--step", "--against", "torch")
    assert (result.code, result.err) == (5, "cnncc: engine 'torch' is not installed: python -m pip install torch\n")
    result = cli("bench", DIGITS, "--step", "--against", "openvino")
    assert result.code == 2
    assert result.err == "cnncc: unknown engine 'openvino': expected 'all' or some of torch\n"


def test_a_script_cannot_be_read_by_others(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "installed", lambda name: True)
    result = cli("bench", DIGITS, "--against", "all")
    assert (result.code, result.out) == (2, "")
    assert result.err == f"cnncc: --against needs an ONNX file, which other engines can read, got '{DIGITS}'\n"


def test_differences_of_outputs() -> None:
    ours = [np.array([[2.0, -4.0]], np.float32), np.zeros(3, np.float32)]
    assert peers.worst_difference(ours, [np.array([2.0, -3.0]), np.zeros(3)]) == 0.25
    assert peers.worst_difference(ours, [np.array([2.0, -4.0]), np.array([0, 0.5, 0])]) == 0.5
    assert peers.worst_difference(ours, [np.array([2.0]), np.zeros(3)]) == float("inf")
    assert peers.worst_difference(ours, [np.full(2, np.nan), np.zeros(3)]) == float("inf")
    assert peers.worst_difference([np.full(2, np.nan)], [np.full(2, np.nan)]) == 0
