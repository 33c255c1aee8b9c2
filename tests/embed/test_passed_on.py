"""Outputs that no layer makes: inputs, constants and values that are outputs already, by every way to a model."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

import cnncc
from cnncc.cli import main
from cnncc.compiler import Compilation, Options, resolve_target
from cnncc.ir import Builder, Graph
from cnncc.ops import Exp, Relu
from cnncc.runtime import artefacts
from cnncc.types import Array, TensorType

from .support import C99, build, needs_cc

TABLE = np.arange(6, dtype=np.float32).reshape(2, 3)
X, UNREAD = np.array([[1, -2, 3]], np.float32), np.array([[7, 8]], np.float32)
WANTED = {"y": np.maximum(X, 0), "x again": X, "y again": np.maximum(X, 0), "x": X, "unread": UNREAD, "table": TABLE}


def network(constant: bool = True) -> Graph:
    """Two inputs, one of them read by nothing; `table` is the same for every number of images."""
    builder = Builder("ports")
    x, unread = builder.input("x", TensorType((1, 3))), builder.input("unread", TensorType((1, 2)))
    (y,) = builder.add(Relu(), (x,), "relu")
    outputs = {"y": y, "x again": x, "y again": y, "x": x, "unread": unread}
    return builder.graph(outputs | ({"table": builder.constant(TABLE, "table")} if constant else {}))


def expect(found: tuple[Array, ...]) -> None:
    for actual, wanted in zip(found, WANTED.values(), strict=False):
        np.testing.assert_array_equal(actual, wanted)


@pytest.mark.parametrize("options", [{}, {"threads": 2}, {"checked": True}, {"precision": "strict"}], ids=str)
def test_python(options: dict[str, int]) -> None:
    with cnncc.compile(network(), cache=False, **options) as model:
        assert [port.name for port in model.outputs] == list(WANTED)
        expect(model(X, UNREAD))
        expect(model({"unread": UNREAD, "x": X}))
        out = tuple(np.full_like(array, np.nan) for array in WANTED.values())
        assert model(X, UNREAD, out=out) is not None
        expect(out)
        again = tuple(np.full_like(array, np.nan) for array in WANTED.values())
        model.bind(X, UNREAD, out=again)()
        expect(again)
    expect(cnncc.interpret(network(), X, UNREAD))


def test_several_images() -> None:
    """Without an output that has none, their number is free."""
    model = cnncc.compile(network(constant=False), threads=2, cache=False)
    for images in (1, 2, 5):
        found = model(np.tile(X, (images, 1)), np.tile(UNREAD, (images, 1)))
        for actual, wanted in zip(found, WANTED.values(), strict=False):
            np.testing.assert_array_equal(actual, np.tile(wanted, (images, 1)))


def test_nothing_but_ports() -> None:
    """Models without a layer, and without an input."""
    builder = Builder("same")
    x = builder.input("x", TensorType((1, 3)))
    np.testing.assert_array_equal(cnncc.compile(builder.graph({"y": x}), cache=False)(X), X)
    builder = Builder("table")
    constant = builder.constant(TABLE, "table")
    (exp,) = builder.add(Exp(), (constant,), "exp")
    found = cnncc.compile(builder.graph({"table": constant, "exp": exp, "same": exp}), cache=False)()
    np.testing.assert_allclose(found, [TABLE, np.exp(TABLE), np.exp(TABLE)], rtol=1e-6)


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a file, and of what was compiled from it; a model without inputs takes no files."""
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    monkeypatch.setenv("CNNCC_CACHE", "off")
    monkeypatch.chdir(tmp_path)
    table = helper.make_node("Constant", [], ["table"], value=onnx.numpy_helper.from_array(TABLE))
    port = helper.make_tensor_value_info("table", onnx.TensorProto.FLOAT, None)
    onnx.save(helper.make_model(helper.make_graph([table], "g", [], [port])), "table.onnx")
    np.save("x.npy", X)
    np.save("u.npy", UNREAD)
    artefacts.write(Compilation(network(), Options(resolve_target("host"))).build(), Path(), ("so",))
    assert main(["run", "table.onnx", "-o", "table.npy"]) == 0
    np.testing.assert_array_equal(np.load("table.npy"), TABLE)
    assert main(["run", "./ports.so", "--input", "x=x.npy", "--input", "unread=u.npy", "-o", "out.npz"]) == 0
    with np.load("out.npz") as written:
        expect(tuple(written[name] for name in WANTED))
    capsys.readouterr()


PROGRAM = """
#include <stdio.h>
#include "ports.h"
static unsigned char workspace[PORTS_WORKSPACE_BYTES + 64];
int main(void)
{
    float x[3] = {1, -2, 3}, unread[2] = {7, 8}, y[5][3], table[6];
    void *aligned = workspace + (64 - (size_t)workspace % 64) % 64;
    int k, failed = ports_infer(x, unread, y[0], y[1], y[2], y[3], y[4], table, aligned);
    for (k = 0; k < 14; k++) printf("%g ", y[k / 3][k % 3]);
    for (k = 0; k < 6; k++) printf("%g ", table[k]);
    return failed;
}
"""


@needs_cc
def test_c(tmp_path: Path) -> None:
    artefacts.write(Compilation(network(), Options(resolve_target("host"))).build(), tmp_path, ("o", "h"))
    (tmp_path / "main.c").write_text(PROGRAM)
    program = build(tmp_path, "cc", *C99, "main.c", "ports.o", "ports_weights.o", output="ports")
    done = subprocess.run([program], capture_output=True, text=True, timeout=60, check=True)
    assert list(map(float, done.stdout.split())) == [number for array in WANTED.values() for number in array.flat]
