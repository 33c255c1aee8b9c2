"""Bad input from Python: always an error of the CnnccError family, with the sentence that the command line prints."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnncc
from cnncc import CnnccError, nn
from cnncc.check import model as checking
from cnncc.compiler import Options, resolve_target
from cnncc.errors import (
    InputError,
    OutputError,
    PassError,
    ScriptError,
    TargetError,
    UsageError,
    VerifyError,
    WeightsError,
)
from cnncc.ir import Graph, Node, Value
from cnncc.machine.target import ALIASES, TARGETS
from cnncc.op import Input
from cnncc.ops import Add, Relu
from cnncc.passes import PIPELINE
from cnncc.runtime import artefacts
from cnncc.types import TensorType

GOOD = "from cnncc import nn\nmodel = nn.Sequential(nn.ReLU(), input=(1, 4, 4), name='tiny')\n"
LOADERS: dict[str, Callable[[Any], Any]] = {
    "load_graph": cnncc.load_graph,
    "compile": lambda source: cnncc.compile(source, cache=False),
    "interpret": lambda source: cnncc.interpret(source, np.zeros((1, 1, 4, 4), np.float32)),
}


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], Path]:
    """A function that writes a model script."""

    def write(text: str) -> Path:
        file = tmp_path / "model.py"
        file.write_text(text)
        return file

    return write


@pytest.fixture
def graph(script: Callable[[str], Path]) -> Graph:
    return cnncc.load_graph(script(GOOD))


def raises(kind: type[CnnccError], message: str) -> Any:
    """Exactly this error with exactly this sentence, which is one line."""
    assert "\n" not in message
    return pytest.raises(kind, match=f"^{re.escape(message)}$")


SCRIPTS = {
    "syntax error": ("model = (\n", "is not valid Python: '(' was never closed (at {file}:1)"),
    "raises": ("x = 1\nx / 0\n", "raises ZeroDivisionError: division by zero (at {file}:2)"),
    "raises in lines": ("raise ValueError('a\\n  b')\n", "raises ValueError: a b (at {file}:1)"),
    "raises what nobody catches": ("raise GeneratorExit\n", "raises GeneratorExit (at {file}:1)"),
    "never ends": (
        "def f(): f()\nf()\n",
        "raises RecursionError: maximum recursion depth exceeded (at {file}:1)",
    ),
    "exits": ("import sys\nsys.exit(3)\n", "calls sys.exit(3) (at {file}:2)"),
    "no model": ("x = 1\n", "defines no model and no function that makes one"),
    "two models": (GOOD + "b = nn.Sequential(nn.ReLU(), input=(1,))\n", "defines 2 models (b, model), expected one"),
}


@pytest.mark.parametrize("load", LOADERS)
@pytest.mark.parametrize("case", SCRIPTS)
def test_scripts(script: Callable[[str], Path], case: str, load: str) -> None:
    text, message = SCRIPTS[case]
    file = script(text)
    with raises(ScriptError, f"model script '{file}' {message.format(file=file)}"):
        LOADERS[load](file)


@pytest.mark.parametrize("load", LOADERS)
def test_no_script(tmp_path: Path, load: str) -> None:
    with raises(ScriptError, f"model script '{tmp_path / 'x.py'}' does not exist"):
        LOADERS[load](tmp_path / "x.py")
    with raises(ScriptError, f"model script '{tmp_path}' is not a file"):
        LOADERS[load](str(tmp_path))
    with raises(ScriptError, f"model script '{'m' * 300}.py' does not exist"):
        LOADERS[load]("m" * 300 + ".py")


@pytest.mark.parametrize("load", LOADERS)
@pytest.mark.parametrize("source", [None, 3, nn.ReLU(), np.zeros(3)])
def test_no_source(source: object, load: str) -> None:
    kind = type(source).__name__
    with raises(UsageError, f"expected a graph, a model, an ONNX model or the path of a model, got {kind}"):
        LOADERS[load](source)


def test_weights(script: Callable[[str], Path], tmp_path: Path) -> None:
    weights = tmp_path / "w.npz"
    file = script(GOOD + f"model.load({str(weights)!r})\n")
    with raises(WeightsError, f"weights file '{weights}' does not exist (at {file}:3)"):
        cnncc.compile(file)
    weights.write_bytes(b"hello")
    with raises(WeightsError, f"weights file '{weights}' is not an .npz archive (at {file}:3)"):
        cnncc.compile(file)


DENSE = "from cnncc import nn\nmodel = nn.Sequential(nn.Dense(2, name='last'), input=(3,))\nmodel.load({!r})\n"
WEIGHTS, BIAS = np.zeros((2, 3), np.float32), np.zeros(2, np.float32)
ARCHIVES: dict[str, tuple[dict[str, Any], str]] = {
    "shape": ({"last.weights": WEIGHTS.T, "last.bias": BIAS}, "'last.weights' in {} has shape (3, 2), expected (2, 3)"),
    "type": ({"last.weights": WEIGHTS, "last.bias": BIAS.astype(int)}, "'last.bias' in {} is int64, expected float32"),
    "text": (
        {"last.weights": WEIGHTS, "last.bias": np.array(["a", "b"])},
        "'last.bias' in {} is <U1, expected float32",
    ),
    "missing": ({"last.weights": WEIGHTS}, "'last.bias' in {} is missing, expected float32[2]"),
    "nan": (
        {"last.weights": WEIGHTS, "last.bias": BIAS + np.float32(np.nan)},
        "'last.bias' in {} holds 2 values that are not finite",
    ),
    "infinity": (
        {"last.weights": WEIGHTS, "last.bias": np.array([1, -np.inf], np.float32)},
        "'last.bias' in {} holds 1 value that is not finite",
    ),
}


@pytest.mark.parametrize("load", LOADERS)
@pytest.mark.parametrize("case", ARCHIVES)
def test_weights_that_do_not_fit(script: Callable[[str], Path], tmp_path: Path, case: str, load: str) -> None:
    arrays, message = ARCHIVES[case]
    np.savez(tmp_path / "w.npz", **arrays)
    file = script(DENSE.format(str(tmp_path / "w.npz")))
    shown = message.format(f"'{tmp_path / 'w.npz'}'")
    with raises(WeightsError, f"layer 'last': {shown} (at {file}:2)"):
        LOADERS[load](file)


@pytest.mark.parametrize("wrong", [None, 3, b"w.npz"])
def test_weights_from_nowhere(wrong: Any) -> None:
    model = nn.Sequential(nn.ReLU(), input=(1,))
    kind = type(wrong).__name__
    with pytest.raises(WeightsError, match=f"^expected the path of a weights file, got {kind}"):
        model.load(wrong)
    with pytest.raises(WeightsError, match=f"^expected a dict of arrays, got {kind}"):
        model.assign(wrong)


ROW = (TensorType((1, 3)),)
INPUT = Node("x", Input(ROW[0]), (), ROW)


def by_hand(*nodes: Node, output: str = "y") -> Graph:
    """A graph that no builder has looked at."""
    return Graph("by hand", {node.name: node for node in (INPUT, *nodes)}, {"out": Value(output)})


GRAPHS: dict[str, tuple[Graph, str]] = {
    "cycle of two": (
        by_hand(
            Node("y", Add(), (Value("x"), Value("z")), ROW),
            Node("z", Add(), (Value("y"), Value("x")), ROW),
        ),
        "layer 'y': check_order: reads %z before it is computed (the graph has a cycle: y → z → y)",
    ),
    "cycle of one": (
        by_hand(Node("y", Add(), (Value("y"), Value("x")), ROW)),
        "layer 'y': check_order: reads %y before it is computed (the graph has a cycle: y → y)",
    ),
    "cycle of many": (
        by_hand(*(Node(f"y{k}", Relu(), (Value(f"y{(k + 1) % 9}"),), ROW) for k in range(9)), output="y8"),
        "layer 'y0': check_order: reads %y1 before it is computed (the graph has a cycle: y0 → y8 → y7 → … → y1 → y0)",
    ),
    "wrong order": (
        by_hand(Node("y", Relu(), (Value("z"),), ROW), Node("z", Relu(), (Value("x"),), ROW)),
        "layer 'y': check_order: reads %z before it is computed",
    ),
    "unknown value": (
        by_hand(Node("y", Relu(), (Value("z"),), ROW)),
        "layer 'y': check_inputs: reads %z, which does not exist",
    ),
    "unknown output": (by_hand(), "check_outputs: output 'out' is %y, which does not exist"),
}


@pytest.mark.parametrize("load", LOADERS)
@pytest.mark.parametrize("case", GRAPHS)
def test_graphs_by_hand(case: str, load: str) -> None:
    broken, message = GRAPHS[case]
    with raises(VerifyError, message):
        LOADERS[load](broken)


OPTIONS: dict[str, tuple[dict[str, Any], type[CnnccError], str]] = {
    "target": (
        {"target": "z80"},
        TargetError,
        f"unknown target 'z80': expected one of {', '.join(['host', *TARGETS, *ALIASES])}",
    ),
    "another machine": (
        {"target": "cortex-m4"},
        TargetError,
        "this machine cannot run model 'tiny', compiled for 'cortex-m4'",
    ),
    "precision": ({"precision": "best"}, UsageError, "unknown precision 'best': expected 'fast' or 'strict'"),
    "pass": (
        {"off": ["frob"]},
        UsageError,
        f"unknown pass 'frob': expected some of {', '.join(dict.fromkeys(step.name for step in PIPELINE))}",
    ),
    "a text of passes": ({"off": "fuse"}, UsageError, "off='fuse': expected the names of passes, such as ('fuse',)"),
    "nothing of passes": ({"off": None}, UsageError, "off=None: expected the names of passes, such as ('fuse',)"),
    "no threads": ({"threads": 0}, UsageError, "threads=0: expected a whole number of at least 1"),
    "half a thread": ({"threads": 1.5}, UsageError, "threads=1.5: expected a whole number of at least 1"),
    "true threads": ({"threads": True}, UsageError, "threads=True: expected a whole number of at least 1"),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_options(graph: Graph, case: str) -> None:
    options, kind, message = OPTIONS[case]
    with raises(kind, message):
        cnncc.compile(graph, cache=False, **options)


ARRAYS: dict[str, tuple[Any, str]] = {
    "shape": (np.zeros((1, 1, 4, 5), np.float32), "input 'input': expected shape (1, 1, 4, 4), got (1, 1, 4, 5)"),
    "rank": (np.zeros((4, 4), np.float32), "input 'input': expected shape (1, 1, 4, 4), got (4, 4)"),
    "dtype": (
        np.zeros((1, 1, 4, 4)),
        "input 'input': expected float32, got float64; convert it with .astype(np.float32) or convert=True",
    ),
    "objects": (
        np.zeros((1, 1, 4, 4), object),
        "input 'input': expected float32, got object; convert it with .astype(np.float32)",
    ),
    "list": ([[[[0.0] * 4] * 4]], "input 'input': expected a float32 array, got list"),
    "none": (None, "input 'input': expected a float32 array, got NoneType"),
    "name": ({"x": np.zeros(3, np.float32)}, "model 'tiny' takes the inputs 'input': missing 'input'; unknown 'x'"),
}


@pytest.mark.parametrize("case", ARRAYS)
def test_arrays(graph: Graph, case: str) -> None:
    given, message = ARRAYS[case]
    with cnncc.compile(graph, cache=False) as model:
        for call in (model, model.bind):
            with raises(InputError, message):
                call(given)


@pytest.mark.parametrize("case", [case for case in ARRAYS if case not in ("list", "none")])
def test_the_interpreter_refuses_them_too(graph: Graph, case: str) -> None:
    with pytest.raises(InputError):
        cnncc.interpret(graph, ARRAYS[case][0])


PICTURES: dict[str, tuple[Any, str, str]] = {
    "order of axes": (
        np.zeros((1, 3, 6, 5), np.uint8),
        "expected shape (1, 6, 5, 3), got (1, 3, 6, 5)",
        "must have shape (1, 6, 5, 3) (the number of images may differ), got (1, 3, 6, 5)",
    ),
    "one picture": (
        np.zeros((6, 5, 3), np.uint8),
        "expected shape (1, 6, 5, 3), got (6, 5, 3); the first axis, of images, is missing (x[None] adds it)",
        "must have shape (1, 6, 5, 3) (the number of images may differ), got (6, 5, 3)",
    ),
    "type": (
        np.zeros((1, 6, 5, 3), np.float32),
        "expected uint8, got float32; pixels from 0 to 1 become bytes with np.round(x * 255).astype(np.uint8), "
        "pixels from 0 to 255 with np.round(x).astype(np.uint8)",
        "must be uint8, got float32",
    ),
    "signed": (
        np.zeros((1, 6, 5, 3), np.int8),
        "expected uint8, got int8; if all values lie between 0 and 255, convert it with .astype(np.uint8) or "
        "convert=True",
        "must be uint8, got int8",
    ),
}


@pytest.mark.parametrize("case", PICTURES)
def test_pictures(case: str) -> None:
    given, compiled, interpreted = PICTURES[case]
    photo = nn.Input((6, 5, 3), "photo", layout="NHWC", dtype="uint8")
    network = nn.Sequential(nn.ReLU(), input=photo)
    with cnncc.compile(network, cache=False) as model:
        for call in (model, model.bind):
            with raises(InputError, f"input 'photo': {compiled}"):
                call(given)
    with raises(InputError, f"input 'photo' {interpreted}"):
        cnncc.interpret(network, given)


def test_number_of_arrays(graph: Graph) -> None:
    x = np.zeros((1, 1, 4, 4), np.float32)
    with cnncc.compile(graph, cache=False) as model:
        with raises(InputError, "model 'tiny' takes 1 input(s) ('input'), 2 given"):
            model(x, x)
        with raises(InputError, "model 'tiny' takes 1 input(s) ('input'), 0 given"):
            model()
    with raises(InputError, "model 'tiny' has 1 inputs, got 2"):
        cnncc.interpret(graph, x, x)


def test_nan_is_data(graph: Graph) -> None:
    x = np.full((1, 1, 4, 4), np.nan, np.float32)
    with cnncc.compile(graph, cache=False) as model:
        assert np.isnan(model(x)).all()
    assert np.isnan(cnncc.interpret(graph, x)).all()


def test_check(graph: Graph) -> None:
    options = Options(resolve_target("host"))
    with raises(InputError, "input 'input' must be float32, got float64"):
        checking.check(graph, options, {"input": np.zeros((1, 1, 4, 4))})
    with raises(InputError, "model 'tiny' takes the inputs 'input', got none"):
        checking.check(graph, options, {})


@pytest.mark.parametrize("wrong", [None, 3, b"x.so"])
def test_no_library(wrong: Any) -> None:
    with raises(UsageError, f"expected the path of a shared library, got {type(wrong).__name__}"):
        cnncc.load(wrong)


def test_libraries(tmp_path: Path) -> None:
    library = tmp_path / "x.so"
    with raises(InputError, f"cannot read '{library}': No such file or directory"):
        cnncc.load(library)
    library.write_bytes(b"\x7fELF")
    with pytest.raises(InputError, match=f"^'{re.escape(str(library))}' is not a shared library written by cnncc: "):
        cnncc.load(library)


def test_artefacts(graph: Graph, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with cnncc.compile(graph, cache=False) as model:
        with raises(
            UsageError,
            "unknown kind of artefact 'exe': expected some of o, a, so, dll, dylib, wasm, h, json, cmake, pc, ll, s",
        ):
            artefacts.write(model.executable, tmp_path / "build", ["o", "exe"])
        with pytest.raises(OutputError, match=r"^cannot write to "):
            artefacts.write(model.executable, tmp_path / "file" / "build", ["o"])
    assert not (tmp_path / "build").exists()


def test_every_error_has_its_exit_code() -> None:
    codes: dict[type[CnnccError], int] = {InputError: 4, OutputError: 5, PassError: 1, ScriptError: 3}
    codes |= {TargetError: 2, UsageError: 2, WeightsError: 3}
    assert {kind: kind.exit_code for kind in codes} == codes
    assert all(issubclass(kind, CnnccError) for kind in codes)
