"""Whole numbers and truth values through all doors: calls, threads, libraries, C programs, the command line."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

import cnncc
from cnncc.cli import main
from cnncc.compiler import Compilation
from cnncc.elements import BOOL, FLOAT16, INT8, INT16, INT32, INT64, UINT8
from cnncc.errors import InputError
from cnncc.ir import Graph
from cnncc.ops import (
    Add,
    And,
    Cast,
    Conv,
    Expand,
    Greater,
    Mod,
    Mul,
    Not,
    Quantize,
    ReduceMax,
    ReduceSum,
    Slice,
    Transpose,
    Where,
)
from cnncc.runtime import artefacts
from cnncc.runtime.model import Model
from cnncc.types import Array
from tests.embed.support import C99, build, needs_cc
from tests.graphs import Net, assert_same_bits, call, check, compilation, expected, worst_ratio

IMAGE = (2, 3, 17, 19)


def network(rows: int = 17) -> tuple[Graph, dict[str, Array]]:
    """Numbers of each element in rows of images, mixed with a convolution."""
    net = Net(3)
    shape = (2, 3, rows, 19)
    x = net.arrives(net.rng.integers(-(2**62), 2**62, shape), "x", INT64)
    small = net.arrives(net.rng.integers(-9, 9, shape), "small", INT32)
    mask = net.arrives(net.rng.random(shape) < 0.5, "mask", BOOL)
    tiny = net.arrives(net.rng.integers(-128, 128, shape), "tiny", INT8)
    grey = net.arrives(net.rng.integers(0, 256, shape), "grey", UINT8)
    short = net.arrives(net.rng.integers(-(2**15), 2**15, shape), "short", INT16)
    half = net.arrives(net.rng.standard_normal(shape), "half", FLOAT16)
    rest = net.apply(Mod(), x, net.apply(Cast("int64"), small))
    images = net.apply(Conv((3, 3), padding="same"), net.apply(Cast("float32"), rest), net.weights(4, 3, 3, 3))
    bright = net.apply(Greater(), images, net.known(np.float32([0.25])))
    outputs = [
        net.apply(Where(), mask, rest, x),
        net.apply(Transpose((0, 2, 3, 1)), net.apply(Mul(), small, small)),
        net.apply(ReduceSum((2, 3), False), x),
        net.apply(ReduceMax((1,)), bright),
        net.apply(And(), mask, net.apply(Not(), mask)),
        net.apply(Add(), tiny, tiny),
        net.apply(ReduceMax((3,)), net.apply(Mul(), grey, grey)),
        net.apply(Transpose((0, 3, 1, 2)), net.apply(Add(), short, short)),
        net.apply(Cast("float16"), net.apply(Mul(), *[net.apply(Cast("float32"), half)] * 2)),
        net.apply(Quantize("uint8"), images, net.known(np.float32(0.5)), net.known(np.uint8(100), UINT8)),
        net.apply(Where(), bright, images, net.known(np.zeros(1, np.float32))),
    ]
    return net.graph(*outputs), net.feeds


@pytest.fixture(scope="module")
def compiled() -> Compilation:
    return compilation(network()[0])


@pytest.mark.parametrize("streaming", ["none", "pools", "chains"])
@pytest.mark.parametrize("checked", [False, True])
def test_streams_shares_and_checks(streaming: str, checked: bool) -> None:
    graph, feeds = network()
    program = compilation(graph, streaming=streaming, checked=checked)
    wanted, executable = expected(program, feeds), program.build()
    with Model(executable) as model:
        alone = call(model, feeds)
    worst_ratio(alone, wanted)
    for threads in (2, 3):
        with Model(executable, threads=threads) as model:
            assert_same_bits(call(model, feeds), alone, f"{threads} threads")


def test_profiled_code_has_the_same_bits(compiled: Compilation) -> None:
    _, feeds = network()
    with Model(compiled.build()) as plain, Model(compiled.varied(profiled=True).build()) as profiled:
        assert_same_bits(call(profiled, feeds), call(plain, feeds))


def test_any_number_of_images(compiled: Compilation) -> None:
    _, feeds = network()
    with Model(compiled.build()) as model:
        whole = model(feeds)
        for images in (1, 5):
            given = {name: np.resize(data, (images, *data.shape[1:])) for name, data in feeds.items()}
            for port, found, wanted in zip(model.outputs, model(given), whole, strict=True):
                again = np.resize(wanted, (images, *wanted.shape[1:]))
                assert found.dtype == port.type.dtype.numpy and np.array_equal(found, again)


def test_arrays_of_other_types_are_refused_in_a_sentence(compiled: Compilation) -> None:
    _, feeds = network()
    with Model(compiled.build()) as model:
        for name, wrong, message in (
            ("x", np.int32, r"input 'x': expected int64, got int32; convert it with .astype\(np.int64\)"),
            ("small", np.float32, "input 'small': expected int32, got float32"),
            ("mask", np.uint8, r"input 'mask': expected bool, got uint8; convert it with .astype\(bool\)"),
        ):
            with pytest.raises(InputError, match=message):
                model(feeds | {name: feeds[name].astype(wrong)})
        out = [np.empty(port.shape, np.float64) for port in model.outputs]
        with pytest.raises(InputError, match="output 'y0': expected int64, got float64"):
            model(feeds, out=out)


def test_every_byte_but_0_is_true() -> None:
    """Whoever writes other bytes than 0 and 1 gets the results of 1, and bytes of 0 and 1."""
    net = Net()
    mask = net.arrives(np.zeros((3, 40), bool), "mask", BOOL)
    turned = net.apply(Transpose(), mask)
    graph = net.graph(
        mask, turned, net.apply(Not(), mask), net.apply(Cast("int32"), mask), net.apply(ReduceMax(), mask)
    )
    given = net.rng.integers(0, 3, (3, 40)).astype(np.uint8) * 97
    with Model(compilation(graph).build()) as model:
        results = call(model, {"mask": given.view(np.bool_)})
        assert_same_bits(results, call(model, {"mask": given != 0}))
    assert np.array_equal(results["y1"].view(np.uint8), (given != 0).T)


def test_a_library_and_its_manifest(compiled: Compilation, tmp_path: Path) -> None:
    _, feeds = network()
    written = artefacts.write(compiled.build(), tmp_path, ["so", "json"])
    ports = json.loads(written["json"].read_text())
    dtypes = {side: " ".join(port["dtype"] for port in ports[side]) for side in ("inputs", "outputs")}
    assert dtypes["inputs"] == "int64 int32 bool int8 uint8 int16 float16"
    assert dtypes["outputs"] == "int64 int32 int64 bool bool int8 uint8 int16 float16 uint8 float32"
    with cnncc.load(written["so"], threads=2) as loaded, Model(compiled.build()) as model:
        assert_same_bits(call(loaded, feeds), call(model, feeds))


PROGRAM = """
#include <stdio.h>
#include "net.h"

static const int64_t x[NET_INPUT0_SIZE] = {7, -7, INT64_MIN, 5};
static const uint8_t keep[NET_INPUT1_SIZE] = {1, 0, 200, 1};
static int64_t rest[NET_OUTPUT0_SIZE];
static uint8_t kept[NET_OUTPUT1_SIZE];
static _Alignas(64) unsigned char workspace[NET_WORKSPACE_BYTES];

int main(void)
{
    if (net_infer(x, keep, rest, kept, workspace) != CNNCC_OK)
        return 1;
    for (int i = 0; i < 4; i++)
        printf("%lld %d\\n", (long long)rest[i], kept[i]);
    return 0;
}
"""


@needs_cc
def test_a_c_program(tmp_path: Path) -> None:
    net = Net()
    x = net.arrives(np.zeros(4, np.int64), "x", INT64)
    keep = net.arrives(np.zeros(4, bool), "keep", BOOL)
    graph = net.graph(net.apply(Mod(), x, net.known(np.array([3, 3, -1, 0]), INT64)), keep)
    artefacts.write(compilation(graph).build(), tmp_path, ["a", "h"])
    (tmp_path / "main.c").write_text(PROGRAM.replace("\\\\n", "\\n"))
    program = build(tmp_path, "cc", "-std=c11", *C99[1:], "main.c", "libnet.a")
    done = subprocess.run([program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split("\n") == ["1 1", "2 0", "0 1", "5 1", ""]


SCRIPT = """
from cnncc import nn
x = nn.Input((4, 5), name="x", dtype="int64")
mask = nn.Input((4, 5), name="mask", dtype="bool")
chosen = nn.Where()(mask, x * 3 % 7, -x)
outputs = {"chosen": chosen, "any": nn.ReduceMax(axes=(1, 2))(mask), "half": nn.Cast("float32")(chosen) * 0.5}
model = nn.Model([x, mask], outputs, name="typed")
"""


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script, data, result = (tmp_path / name for name in ("model.py", "data.npz", "result.npz"))
    script.write_text(SCRIPT)
    x, mask = np.arange(-10, 10).reshape(1, 4, 5), np.arange(20).reshape(1, 4, 5) % 3 == 0
    np.savez(data, x=x, mask=mask)
    assert main(["run", str(script), str(data), "-o", str(result)]) == 0
    told = capsys.readouterr().out
    assert "chosen int64 (1, 4, 5), min -9, max 9" in told and "any bool (1, 1, 1), 1 of 1 true" in told
    assert np.array_equal(np.load(result)["chosen"], np.where(mask, x * 3 % 7, -x))
    for arguments in (["check"], ["show", "--stage", "plan"], ["show", "--stage", "memory"]):
        assert main([arguments[0], *arguments[1:], str(script)]) == 0, capsys.readouterr()
    np.savez(data, x=x.astype(np.int32), mask=mask)
    assert main(["run", str(script), str(data)]) == 4
    assert "input 'x': expected int64, got int32" in capsys.readouterr().err


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [1, 3, 16, 33])
def test_tails_and_strides(size: int, stride: int) -> None:
    """Every other element, reversed ones, repeated ones: with lanes along any axis, to the last element."""
    for element in (INT32, INT64, BOOL):
        net = Net(size)
        data = np.arange(2 * size * stride * 5).reshape(2, 5, size * stride) % (2 if element is BOOL else 97)
        x = net.arrives(data, "x", element)
        part = net.apply(Slice((0,), (size * stride,), (2,), (stride,)), x)
        back = net.apply(Slice((-1,), (-size * stride - 1,), (2,), (-stride,)), x)
        column = net.apply(Expand((2, 5, size)), net.apply(Slice((0,), (1,), (2,)), x))
        two = And() if element is BOOL else Add()
        mixed = net.apply(two, net.apply(two, part, back), column)
        turned = net.apply(Transpose((2, 0, 1)), mixed)
        found = check(net.graph(mixed, turned, net.apply(ReduceMax((2,)), mixed)), net.feeds)
        assert np.array_equal(found["y1"], found["y0"].transpose(2, 0, 1))
