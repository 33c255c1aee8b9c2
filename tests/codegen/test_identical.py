"""The same model gives the same bytes in any process, and the comparison of bytes sees what changes."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import cnncc
from cnncc.compiler import Compilation
from cnncc.ir import Graph
from cnncc.machine.cores import CORES
from cnncc.machine.target import TARGETS, named
from cnncc.op import Constant

from .identical import differences, record

ROOT = Path(__file__).resolve().parents[2]
MODELS = [ROOT / "examples" / name for name in ("digits.py", "ecg.py")]
TARGET = "x86-64-v3"
COMMAND = [sys.executable, "-m", "tests.codegen.identical", *map(str, MODELS), "--targets", f"{TARGET},cortex-m4"]


def test_every_process_makes_the_same_bytes(tmp_path: Path) -> None:
    """Whatever the order of sets is, and the folder that Python starts in."""
    file = tmp_path / "before.json"
    for seed, arguments in (("1", ["--save", file]), ("2", ["--against", file])):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT), "CNNCC_CACHE": "off"}
        done = subprocess.run([*COMMAND, *arguments], env=environment, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == "4 objects as before\n"


def with_larger_weights(graph: Graph) -> Graph:
    """Each number of the largest constant one step up."""
    constants = {name: node.op for name, node in graph.nodes.items() if isinstance(node.op, Constant)}
    name = max(constants, key=lambda name: constants[name].data.size)
    larger = Constant.of(np.nextafter(constants[name].data, np.float32(np.inf)))
    return replace(graph, nodes={**graph.nodes, name: replace(graph.nodes[name], op=larger)})


def test_a_change_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = cnncc.load_graph(MODELS[0])
    before = record(graph, TARGET)

    def changed(graph: Graph = graph) -> set[str]:
        found = differences({"digits": before}, {"digits": record(graph, TARGET)})
        return {part for line in found for part in line.partition(": ")[2].split(", ")}

    assert changed() == set()
    assert changed(with_larger_weights(graph)) == {".text", "weights"}, "the fingerprint stands in both"
    with monkeypatch.context() as patch:
        patch.setitem(TARGETS, TARGET, replace(named(TARGET), core=CORES["cortex-m4"]))
        assert changed() >= {".text", "plan"}
    with monkeypatch.context() as patch:
        text = Compilation.llvm.func
        patch.setattr(Compilation, "llvm", property(lambda self: text(self).replace("fadd", "fsub")))
        assert ".text" in changed() and not changed() & {"plan", "weights", "symbols"}
