"""Small files that ask for much: sizes are judged before anything is made, and the limit is named with its switch."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx
from onnx import helper

import cnncc
from cnncc.errors import CnnccError, ModelError, UsageError
from cnncc.types import Array

from .making import data, ints
from .support import imported, model, node

LIMIT = 1 << 20
ONE = {"c": np.ones((1, 1), np.float32)}
ROW, COLUMN = np.ones((1, 2000), np.float32), np.ones((2000, 1), np.float32)
Nodes = list[onnx.NodeProto]


def doubled(operator: str, times: int, **attributes: Any) -> Nodes:
    """A constant put together with itself again and again."""
    return [node(operator, f"t{i} t{i}" if i else "c c", f"t{i + 1}", **attributes) for i in range(times)]


def ended(nodes: Nodes) -> Nodes:
    """Followed by the sum of `t` and an addition to the input, so that the output is small."""
    return [*nodes, node("ReduceSum", "t", "q", keepdims=0), node("Add", "x q", "y")]


def filled(value: float | bool, kind: int = 1) -> onnx.TensorProto:
    return helper.make_tensor("v", kind, [1], [value])


def fills(times: int) -> Nodes:
    """Many constants, each of which is small enough, and their sum."""
    made = [node("ConstantOfShape", "n", f"f{i}") for i in range(times)]
    return [*made, node("Sum", " ".join(f"f{i}" for i in range(times)), "t")]


def turned(times: int) -> Nodes:
    """The same constant from elsewhere, and so once more for each layer that reads it."""
    made = [node("ConstantOfShape", "n", "w")]
    for i in range(times):
        made += [node("Transpose", "w", f"w{i}"), node("MatMul", f"x w{i}", f"m{i}")]
    return [*made, node("Sum", " ".join(f"m{i}" for i in range(times)), "t")]


ZEROS = node("ConstantOfShape", "n", "a", value=filled(0, 7))
OUTER = {"r": ROW, "c": COLUMN}
ALL = {"a": np.array(0), "b": np.array(10**6), "s": np.array(1)}
RANGE = [node("Range", "a b s", "r"), node("Cast", "r", "t", to=1)]
Bomb = tuple[Nodes, dict[str, Array]]
"""Nodes that make `t`, and what they make it of."""

BOMBS: dict[str, Bomb] = {
    "concat": ([*doubled("Concat", 30, axis=0), node("Identity", "t30", "t")], ONE),
    "outer sum": ([node("Add", "r c", "t")], OUTER),
    "outer maximum": ([node("Max", "r c r", "t")], OUTER),
    "outer choice": ([node("Where", "f r c", "t")], {**OUTER, "f": np.array(True)}),
    "outer comparison": ([node("Greater", "r c", "g"), node("Cast", "g", "t", to=1)], OUTER),
    "pad": ([node("Pad", "c n", "t")], {**ONE, "n": ints(0, 0, 0, 2**20)}),
    "tile": ([node("Tile", "c n", "t")], {**ONE, "n": ints(2000, 2000)}),
    "expand": ([node("Expand", "c n", "t")], {**ONE, "n": ints(2000, 2000)}),
    "fill": ([node("ConstantOfShape", "n", "t", value=filled(0.5))], {"n": ints(2000, 2000)}),
    "fills": (fills(90), {"n": ints(10_000)}),
    "range": (RANGE, ALL),
    "gather": ([node("Gather", "c n", "t")], {"c": np.ones((1, 100), np.float32), "n": np.zeros(9000, np.int64)}),
    "cast": (
        [node("ConstantOfShape", "n", "b", value=filled(True, 9)), node("Cast", "b", "t", to=1)],
        {"n": ints(900_000)},
    ),
    "axes": ([ZEROS, node("ReduceSum", "x a", "t")], {"n": ints(10**5)}),
    "indices": ([ZEROS, node("Gather", "x a", "t", axis=1)], {"n": ints(10**5)}),
    "copies of a view": (turned(8), {"n": ints(20_000, 4)}),
}


@pytest.mark.parametrize("case", BOMBS)
def test_the_limit_is_told_before_it_is_met(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    nodes, weights = BOMBS[case]
    onnx.save(model(ended(nodes), {"x": (1, 4)}, weights=weights), tmp_path / "m.onnx")
    monkeypatch.setenv("CNNCC_CONSTANT_BYTES", str(LIMIT))
    tracemalloc.start()
    try:
        with pytest.raises(CnnccError, match=f"bytes.* constants may take {LIMIT} .*CNNCC_CONSTANT_BYTES sets that"):
            cnncc.compile(tmp_path / "m.onnx", cache=False)
        assert tracemalloc.get_traced_memory()[1] < 8 * LIMIT
    finally:
        tracemalloc.stop()


CHILD = """
import sys, cnncc
for file in sys.argv[1:]:
    try:
        cnncc.compile(file, cache=False).close()
        print("compiled")
    except cnncc.CnnccError as error:
        print(error)
"""


RANGES = {**ALL, "b": np.array(2**40)}
HUGE: dict[str, Bomb] = {
    "range": (RANGE, RANGES),
    "range after a problem": ([*RANGE, node("Det", "x", "d")], RANGES),
    "parts": ([node("Split", "x", "t", num_outputs=2**31 - 1, axis=1)], {}),
    "known parts": ([node("Split", "c", "t", num_outputs=2**31 - 1, axis=1)], ONE),
    "repeats": ([node("Concat", "x x", "z", axis=1), node("Tile", "z n", "t")], {"n": ints(1, 2**22)}),
    "pad": ([node("Pad", "x n", "t")], {"n": ints(0, 0, 0, 2**40)}),
    "kernel": ([node("Reshape", "x n", "z"), node("MaxPool", "z", "t", kernel_shape=[2**31])], {"n": ints(1, 1, 4)}),
}


def test_huge_numbers_take_neither_memory_nor_time(tmp_path: Path) -> None:
    files = []
    for case, (nodes, weights) in HUGE.items():
        files.append(tmp_path / f"{case}.onnx")
        onnx.save(model(ended(nodes), {"x": (1, 4)}, weights=weights), files[-1])
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *map(str, files)],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30)),
    )
    assert (done.returncode, done.stderr) == (0, "")
    said = dict(zip(HUGE, done.stdout.splitlines(), strict=True))
    assert [case for case, line in said.items() if line == "compiled"] == ["repeats"]


def test_honest_constants_pass(tmp_path: Path) -> None:
    """Weights of 150 MB that a file makes of two numbers."""
    nodes = [node("ConstantOfShape", "n", "w", value=filled(0.5)), node("Gemm", "x w", "y", transB=1)]
    graph = imported(model(nodes, {"x": (1, 9216)}, weights={"n": ints(4096, 9216)}), tmp_path)
    weights = graph.constant(graph["y"].inputs[1])
    assert weights is not None and weights.shape == (4096, 9216) and (weights[::500] == 0.5).all()


def test_the_limit_can_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proto = model([node("Concat", "w w", "v", axis=0), node("Add", "x v", "y")], {"x": (1, 8)}, weights={"w": data(4)})
    monkeypatch.setenv("CNNCC_CONSTANT_BYTES", "64")
    imported(proto, tmp_path)
    monkeypatch.setenv("CNNCC_CONSTANT_BYTES", "63")
    with pytest.raises(ModelError, match="tensor 'v' would take 32 bytes beside the 32 bytes made so far"):
        imported(proto, tmp_path)
    for text in ("-1", "1e9", "many", "٣"):
        monkeypatch.setenv("CNNCC_CONSTANT_BYTES", text)
        with pytest.raises(UsageError, match=f"CNNCC_CONSTANT_BYTES={text}: expected a whole number of bytes"):
            imported(proto, tmp_path)


def test_passes_do_not_multiply_shared_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each convolution of the same weights would get folded ones of its own."""
    vectors = {name: np.linspace(1, 2, 32, dtype=np.float32) for name in ("s", "b", "m", "v")}
    nodes: Nodes = []
    for i in range(8):
        nodes += [
            node("Conv", f"a{i} w" if i else "x w", f"c{i}"),
            node("BatchNormalization", f"c{i} s b m v", f"a{i + 1}"),
        ]
    proto = model(nodes, {"x": (1, 32, 2, 2)}, ["a8"], {"w": data(32, 32, 1, 1), **vectors})
    graph = imported(proto, tmp_path)
    cnncc.compile(graph, cache=False).close()
    monkeypatch.setenv("CNNCC_CONSTANT_BYTES", str(4 * 32 * 32 * 4))
    with pytest.raises(ModelError, match="CNNCC_CONSTANT_BYTES"):
        cnncc.compile(graph, cache=False)
    cnncc.compile(graph, cache=False, off=("fold_batch_norm", "fold_batch_norm_before", "separable")).close()


def test_onnx_infers_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its inference does whatever a model says, without end, and ends the process for some nodes that are wrong."""

    def asked(*_: Any, **__: Any) -> None:
        raise AssertionError("ONNX was asked for shapes")

    for name in ("infer_shapes", "infer_shapes_path", "infer_node_outputs"):
        monkeypatch.setattr(onnx.shape_inference, name, asked)
    nodes = [node("Elu", "x", "e", slope=1.0), node("Det", "e", "d"), node("Relu", "d", "y")]
    with pytest.raises(ModelError, match=r"Elu with attribute slope.*Det is not supported|Det.*slope"):
        imported(model(nodes, {"x": (1, 2, 4, 4)}), tmp_path)
