"""Values without elements are known, so nothing computes them; as inputs and outputs they are ports of no bytes."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx
from onnx import NodeProto

import cnncc
from cnncc import interpreter
from cnncc.cli import main
from cnncc.compiler import Compilation, Options, resolve_target
from cnncc.elements import INT64
from cnncc.errors import CnnccError, InputError, ModelError, ShapeError
from cnncc.ir import Graph
from cnncc.op import Constant
from cnncc.runtime import artefacts
from cnncc.text import parse, show
from cnncc.types import Array, EmptyType, TensorType

from ..embed.support import C99, build, needs_cc
from .making import ints
from .support import imported, model, node, reference, runtime

X = np.array([[1, -2, 3], [4, 5, -6]], np.float32)
HOLLOW = np.empty((2, 0), np.float32)
WEIGHTS = {"none": np.empty(0, np.int64), "one": ints(1), "zero": ints(0), "end": ints(9), "hollow": HOLLOW}
EMPTY = node("Gather", "x none", "e", axis=1)
CASES: dict[str, tuple[list[NodeProto], dict[str, Array]]] = {
    "concat": ([EMPTY, node("Concat", "e x hollow", "y", axis=1)], {}),
    "slice": ([node("Slice", "x end end one", "s"), node("Concat", "x s", "y", axis=-1)], {}),
    "split": (
        [node("Split", "x parts", "a b c", axis=1), node("Concat", "b c", "y", axis=1)],
        {"parts": ints(2, 0, 1)},
    ),
    "expand": ([node("Expand", "x shape", "s"), node("ReduceSum", "s zero", "y")], {"shape": ints(0, 2, 3)}),
    "tile": ([node("Tile", "x times", "s"), node("ReduceProd", "s one", "y")], {"times": ints(1, 0)}),
    "elementwise": ([EMPTY, node("Add", "e hollow", "s"), node("ReduceMax", "s one", "y")], {}),
    "broadcast": (
        [node("Unsqueeze", "x one", "u"), node("Mul", "u wide", "s"), node("ReduceMin", "s one", "y")],
        {"wide": np.empty((2, 0, 3), np.float32)},
    ),
    "transpose": ([EMPTY, node("Transpose", "e", "r"), node("ReduceSum", "r zero", "y")], {}),
    "size": ([EMPTY, node("Size", "e", "n"), node("CastLike", "n x", "f"), node("Add", "x f", "y")], {}),
    "where": (
        [
            node("NonZero", "never", "p"),
            node("Shape", "p", "n", start=1),
            node("CastLike", "n x", "f"),
            node("Add", "x f", "y"),
        ],
        {"never": np.zeros((2, 3), np.float32)},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_values_on_the_way(case: str, tmp_path: Path) -> None:
    nodes, weights = CASES[case]
    if case in ("concat", "transpose") and tuple(map(int, onnx.__version__.split(".")[:2])) < (1, 21):
        pytest.skip(f"the reference of onnx {onnx.__version__} takes no arrays without elements there")
    proto = model(nodes, {"x": X.shape}, weights={**WEIGHTS, **weights})
    graph = imported(proto, tmp_path)
    found = [interpreter.run(graph, {"x": X})["y"], np.asarray(cnncc.compile(graph, cache=False)(X))]
    for wanted in ([*map(np.asarray, reference(proto, {"x": X}))], *runtime(proto, {"x": X})):
        for actual in found:
            np.testing.assert_array_equal(actual, wanted[0])


def ports() -> onnx.ModelProto:
    """Two inputs, one of them without elements, and outputs with and without."""
    nodes = [
        node("Relu", "x", "y"),
        node("Slice", "x end end one", "s"),
        node("ReduceMax", "u one", "m", keepdims=0),
        node("Transpose", "u", "t"),
    ]
    return model(nodes, {"u": ("a", "b", "c"), "x": (2, 3)}, ["s", "y", "m", "t", "s"], WEIGHTS)


SHAPES = {"u": (2, 0, 4)}
U = np.empty((2, 0, 4), np.float32)
WANTED = [HOLLOW, np.maximum(X, 0), np.full((2, 4), -np.inf), np.empty((4, 0, 2)), HOLLOW]


def graph() -> Graph:
    return cnncc.load_graph(ports(), SHAPES)


def expect(found: Sequence[Array]) -> None:
    for actual, wanted in zip(found, WANTED, strict=True):
        assert actual.dtype == np.float32
        np.testing.assert_array_equal(actual, wanted)


@pytest.mark.parametrize("options", [{}, {"threads": 2}, {"checked": True}, {"precision": "strict"}], ids=str)
def test_ports(options: dict[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fresh and from the cache, which writes and reads what a model is."""
    monkeypatch.setenv("CNNCC_CACHE", str(tmp_path))
    for _ in range(2):
        with cnncc.compile(ports(), shapes=SHAPES, **options) as compiled:
            assert [port.shape for port in compiled.inputs] == [(2, 0, 4), (2, 3)]
            assert [port.shape for port in compiled.outputs] == [array.shape for array in WANTED]
            expect(compiled(U, X))
            expect(compiled({"x": X, "u": U}))
            out = tuple(np.full(array.shape, np.nan, np.float32) for array in WANTED)
            compiled(U, X, out=out)
            expect(out)
            again = tuple(np.full(array.shape, np.nan, np.float32) for array in WANTED)
            compiled.bind(U, X, out=again)()
            expect(again)
            with pytest.raises(InputError, match=r"input 'u': expected shape \(2, 0, 4\), got \(2, 1, 4\)"):
                compiled(np.empty((2, 1, 4), np.float32), X)
    expect(cnncc.interpret(graph(), U, X))


def test_nothing_at_all() -> None:
    """Not even one element in the whole model."""
    proto = model([node("Reshape", "x shape", "y", allowzero=1)], {"x": (None, 3, 4)}, weights={"shape": ints(3, 4, 0)})
    compiled = cnncc.compile(proto, shapes={"x": (0, 3, 4)}, cache=False)
    assert compiled(np.empty((0, 3, 4), np.float32)).shape == (3, 4, 0)


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNCC_CACHE", "off")
    monkeypatch.chdir(tmp_path)
    onnx.save(ports(), "m.onnx")
    np.save("x.npy", X)
    np.save("u.npy", U)
    for verb in ("show", "check"):
        assert main([verb, "m.onnx", "--shape", "u=2,0,4"]) == 0
    for stage in ("graph", "passes", "plan", "memory"):
        assert main(["show", "m.onnx", "--shape", "u=2,0,4", "--stage", stage]) == 0
    assert main(["compile", "m.onnx", "--shape", "u=2,0,4", "-o", "."]) == 0
    for source in (["m.onnx", "--shape", "u=2,0,4"], ["./m.so"]):
        assert main(["run", *source, "--input", "x=x.npy", "--input", "u=u.npy", "-o", "y.npz"]) == 0
        with np.load("y.npz") as written:
            expect([written[name] for name in ("s", "y", "m", "t", "s_1")])
    assert main(["bench", "m.onnx", "--shape", "u=2,0,4", "--seconds", "0.01"]) == 0
    capsys.readouterr()


PROGRAM = """
#include <stdio.h>
#include "graph.h"
static unsigned char workspace[GRAPH_WORKSPACE_BYTES + 64];
int main(void)
{
    float u[1], x[6] = {1, -2, 3, 4, 5, -6}, s[1], y[6], m[8], t[1];
    void *aligned = workspace + (64 - (size_t)workspace % 64) % 64;
    int k, failed = graph_infer(u, x, s, y, m, t, s, aligned);
    for (k = 0; k < 6; k++) printf("%g ", y[k]);
    for (k = 0; k < 8; k++) printf("%g ", m[k]);
    printf("%d %d", GRAPH_INPUT0_SIZE, GRAPH_OUTPUT0_SIZE);
    return failed;
}
"""


@needs_cc
def test_c(tmp_path: Path) -> None:
    artefacts.write(Compilation(graph(), Options(resolve_target("host"))).build(), tmp_path, ("o", "h"))
    (tmp_path / "main.c").write_text(PROGRAM)
    program = build(tmp_path, "cc", *C99, "main.c", "graph.o", "graph_weights.o", output="graph")
    done = subprocess.run([program], capture_output=True, text=True, timeout=60, check=True)
    assert list(map(float, done.stdout.split())) == [*WANTED[1].flat, *WANTED[2].flat, 0, 0]


def test_as_text() -> None:
    constants = {n.op.digest: n.op.data for n in graph() if isinstance(n.op, Constant)}
    assert parse(show(graph()), constants) == graph()


def test_no_layer_takes_or_makes_one(tmp_path: Path) -> None:
    proto = model([node("Relu", "hollow", "y", "r")], {"x": (2, 3)}, weights=WEIGHTS)
    with pytest.raises(ModelError, match=r"'r'.*without elements"):
        imported(proto, tmp_path)
    proto = model([node("MaxPool", "z", "y", "p", kernel_shape=[9])], {"z": (1, 1, 4)})
    with pytest.raises(CnnccError):
        imported(proto, tmp_path)
    with pytest.raises(ShapeError):
        TensorType((2, 0))
    for shape in ((2, 3), (), (0, -1)):
        with pytest.raises(ShapeError):
            EmptyType(shape)


@pytest.mark.parametrize("operator", ["ReduceL2", "ReduceLogSum", "ReduceSum", "ReduceL1"])
def test_axes_that_arrive_decide_about_empty_results(operator: str, tmp_path: Path):
    """What has no elements is known, but axes are not: nothing stands for them."""
    proto = model([node(operator, "x axes", "y")], {"x": (2, 0, 4), "axes": TensorType((1,), INT64)}, opset=18)
    with pytest.raises(ModelError, match="with axes computed at run time is not supported"):
        imported(proto, tmp_path, shapes={"x": (2, 0, 4)})
