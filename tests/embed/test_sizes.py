"""One library with programs for several sizes: linked and run from C, loaded from Python, weights stored once."""

from __future__ import annotations

import dataclasses
import json
import pickle
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

import cnncc
from cnncc.cache.sources import OnnxFile, OnnxMessage
from cnncc.compiler import Compilation, Options, resolve_target
from cnncc.errors import InputError
from cnncc.objects.elf import global_symbols
from cnncc.opening import library
from cnncc.runtime import artefacts
from cnncc.runtime.executable import Executable
from cnncc.runtime.model import Model
from cnncc.runtime.shared import can_link
from tests.onnx.cases import data
from tests.onnx.support import model, node

from .support import C99, CXX11, build, needs, needs_cc

SIZES = {"x": [(1, 4, 8, 8), (1, 4, 8, 12), (1, 4, 40, 12)]}
NAMES = ["net_8x8", "net_8x12", "net_40x12"]

PROGRAM = """
#include <stdio.h>
#include <string.h>
#include "net.h"

#if NET_8X8_WEIGHTS_BYTES != NET_40X12_WEIGHTS_BYTES
#error "one block of weights"
#endif

#define CALL(name, NAME) do { \\
    static float x[NAME##_INPUT_SIZE], y[NAME##_OUTPUT_SIZE]; \\
    for (i = 0; i < NAME##_INPUT_SIZE; i++) x[i] = (float)(i % 7) - 3; \\
    memset(workspace, 0, NAME##_WORKSPACE_BYTES); \\
    if (name##_check() || name##_workspace_bytes(1) != NAME##_WORKSPACE_BYTES) return 1; \\
    if (name##_infer(x, y, workspace) != CNNCC_OK) return 2; \\
    for (i = 0; i < NAME##_OUTPUT_SIZE; i++) printf("%.9g ", (double)y[i]); \\
} while (0)

int main(void)
{
    static unsigned char memory[NET_8X8_WORKSPACE_BYTES + NET_8X12_WORKSPACE_BYTES + NET_40X12_WORKSPACE_BYTES + 64];
    unsigned char *workspace = memory + (64 - (size_t)memory % 64) % 64;
    int i;
    CALL(net_8x8, NET_8X8);
    CALL(net_8x12, NET_8X12);
    CALL(net_40x12, NET_40X12);
    return 0;
}
"""


def source() -> OnnxMessage:
    """Convolutions with and without Winograd's transforms, a gather through a table, a dense layer."""
    nodes = [
        node("Conv", "x k", "a", "wide", pads=[1, 1, 1, 1]),
        node("Relu", "a", "b", "relu"),
        node("Conv", "b k2", "c", "deep", pads=[1, 1, 1, 1], strides=[2, 2]),
        node("GlobalAveragePool", "c", "d", "mean"),
        node("Flatten", "d", "e", "flat"),
        node("Gemm", "e w", "y", "dense", transB=1),
    ]
    weights = {"k": data(16, 4, 3, 3), "k2": data(24, 16, 3, 3), "w": data(5, 24)}
    made = model(nodes, {"x": ("n", 4, "h", "w")}, ["y"], weights)
    made.graph.name = "net"
    return OnnxMessage(made.SerializeToString())


def programs(shapes: Any = SIZES, **options: Any) -> tuple[list[Executable], list[int]]:
    return library(source(), shapes, Options(resolve_target("host"), **options))


def alone(shape: tuple[int, ...], **options: Any) -> Executable:
    """The model compiled for one size only."""
    return Compilation(source().at({"x": shape}), Options(resolve_target("host"), **options)).build()


def ramp(shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """What the C program puts into the input."""
    return (np.arange(np.prod(shape)) % 7 - 3).astype(np.float32).reshape(shape)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("sizes")
    kinds = ("o", "a", "so", "h", "json") if can_link(resolve_target("host")) else ("o", "a", "h", "json")
    artefacts.write(programs()[0], made, kinds)
    (made / "main.c").write_text(PROGRAM)
    return made


def test_one_block_of_weights_holds_those_of_all() -> None:
    """Every program computes what it does alone, to the bit; what several pack alike is stored once."""
    for options in ({}, {"precision": "strict", "checked": True}):
        made, added = programs(**options)
        assert [each.symbol for each in made] == NAMES and {each.weights_symbol for each in made} == {"net_weights"}
        assert len({bytes(each.weights) for each in made}) == 1 and sum(added) == len(made[0].weights)
        sizes = []
        for each, (shape,) in zip(made, [[shape] for shape in SIZES["x"]], strict=True):
            lone = alone(shape, **options)
            sizes.append(len(lone.weights))
            for images in (1, 3):
                x = data(images, *shape[1:])
                assert np.array_equal(Model(each)(x), Model(lone)(x))
        assert added[0] == sizes[0] and added[1] < sizes[1] and sum(added) < sum(sizes)


def test_bytes_that_differ_are_stored_twice() -> None:
    """A constant that depends on the size belongs to one program only."""
    nodes = [node("Shape", "x", "s", start=2), node("Cast", "s", "f", to=1), node("Mul", "m f", "y")]
    made = model(nodes, {"x": (1, 4, "h", "w"), "m": (1, 2)}, ["y"])
    sizes = {"x": [(1, 4, 2, 3), (1, 4, 5, 6), (1, 4, 2, 3 + 4)]}
    built, added = library(OnnxMessage(made.SerializeToString()), sizes, Options(resolve_target("host")))
    assert all(added) and [each.symbol for each in built] == ["graph_2x3", "graph_5x6", "graph_2x7"]
    for each, shape in zip(built, sizes["x"], strict=True):
        x, m = data(*shape), np.ones((1, 2), np.float32)
        feeds = [{"x": x, "m": m}[port.name] for port in each.inputs]
        np.testing.assert_array_equal(Model(each)(*feeds), [shape[2:]])


@needs_cc
@pytest.mark.parametrize("language", ["c", pytest.param("c++", marks=needs("c++"))])
@pytest.mark.parametrize("linked", ["objects", "archive"])
def test_a_program_links_all_sizes(folder: Path, language: str, linked: str) -> None:
    parts = [f"{name}.o" for name in (*NAMES, "net_weights")] if linked == "objects" else ["libnet.a"]
    flags = ("cc", *C99) if language == "c" else ("c++", *CXX11)
    program = build(folder, *flags, "-x", language, "main.c", "-x", "none", *parts, output=f"main-{language}-{linked}")
    done = subprocess.run([program], capture_output=True, text=True, timeout=60, check=False)
    want = [Model(alone(shape))(ramp(shape)) for shape in SIZES["x"]]
    assert done.returncode == 0
    assert np.array_equal(np.array(done.stdout.split(), np.float32), np.concatenate(want, axis=None))


def test_files_and_manifest(folder: Path) -> None:
    told = json.loads((folder / "net.json").read_text())
    assert (told["library"], [each["symbol"] for each in told["programs"]]) == ("net", NAMES)
    assert {f"{name}.o" for name in NAMES} | {"net_weights.o", "libnet.a", "net.h"} <= set(told["files"].values())
    weights = global_symbols((folder / "net_weights.o").read_bytes())
    assert [symbol.name for symbol in weights] == ["net_weights"]


@needs_cc
def test_python_loads_the_sizes_that_are_there(folder: Path) -> None:
    net = cnncc.load(folder / "net.so", threads=2)
    assert isinstance(net, cnncc.OpenModel) and net.inputs[0].shape == (1, 4, "?", "?") and len(net.sizes) == 3
    for again in (net, pickle.loads(pickle.dumps(net))):
        for shape in SIZES["x"]:
            x = data(3, *shape[1:])
            assert np.array_equal(again(x), Model(alone(shape))(x))
            assert np.array_equal(pickle.loads(pickle.dumps(again.at(shape)))(x), again(x))
    message = "model 'net' was compiled for x=(1, 4, 8, 8); x=(1, 4, 8, 12); x=(1, 4, 40, 12), got x=(1, 4, 9, 9)"
    with pytest.raises(InputError) as found:
        net(data(1, 4, 9, 9))
    assert str(found.value) == message


@needs_cc
def test_a_size_that_is_there_says_why_it_takes_no_other_number_of_images(tmp_path: Path) -> None:
    mixing = model([node("ReduceSum", "x", "y", "sum", keepdims=1)], {"x": ("n", "w")}, ["y"], opset=11)
    mixing.graph.name = "net"
    sizes = {"x": [(2, 4), (2, 5)]}
    made, _ = library(OnnxMessage(mixing.SerializeToString()), sizes, Options(resolve_target("host")))
    net = cnncc.load(artefacts.write(made, tmp_path, ("so",))["so"])
    assert net(np.ones((2, 5), np.float32)) == [[10]]
    message = (
        "input 'x': expected shape (2, 5), got (3, 5); "
        "layer 'sum' (ReduceSum) mixes images (shapes={'x': (…, 5)} gives another), "
        "so that the number of images is fixed at 2"
    )
    with pytest.raises(InputError) as found:
        net(np.ones((3, 5), np.float32))
    assert str(found.value) == message


def test_executables_say_what_they_belong_to() -> None:
    (first, *_), _ = programs({"x": SIZES["x"][:2]})
    assert first.library == "net" and dataclasses.replace(first, library="").weights_symbol == f"{first.symbol}_weights"


@pytest.fixture
def private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder of this test's own; entries stand in `v1` below it."""
    monkeypatch.setenv("CNNCC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def forbid(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on nothing is parsed and nothing is compiled."""

    def fail(*_: object) -> None:
        raise AssertionError("it is in the cache")

    monkeypatch.setattr(OnnxFile, "_parsed", fail)
    monkeypatch.setattr(Compilation, "build", fail)


def test_the_cache_has_all_programs(private_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built, added = programs()
    named, _ = library(source(), SIZES, Options(resolve_target("host")), "eye")
    forbid(monkeypatch)
    again, more = programs()
    assert (again, more) == (built, added) and again[1].weights == again[2].weights
    assert library(source(), SIZES, Options(resolve_target("host")), "eye")[0] == named
    assert [each.symbol for each in named] == ["eye_8x8", "eye_8x12", "eye_40x12"]
    x = data(*SIZES["x"][1])
    assert np.array_equal(Model(again[1])(x), Model(built[1])(x))
    for shapes, options in (
        ({"x": SIZES["x"][:2]}, {}),
        ({"x": SIZES["x"][::-1]}, {}),
        (SIZES, {"precision": "strict"}),
        (SIZES, {"checked": True}),
    ):
        with pytest.raises(AssertionError, match="it is in the cache"):
            programs(shapes, **options)


def test_a_damaged_entry_is_built_again(private_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = programs()
    largest = max((private_cache / "v1").iterdir(), key=lambda path: path.stat().st_size)
    whole = largest.read_bytes()
    for place in (100, 200, len(whole) // 2, len(whole) - 1):
        largest.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with monkeypatch.context() as patched:
            forbid(patched)
            with pytest.raises(AssertionError, match="it is in the cache"):
                programs()
    assert programs() == built and largest.read_bytes() == whole


def test_without_the_cache_nothing_is_stored(private_cache: Path) -> None:
    library(source(), SIZES, Options(resolve_target("host")), use_cache=False)
    assert not private_cache.exists()
