"""Bad input on the command line: one sentence, the right exit code, and nothing half written."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnncc.check import model as checking
from cnncc.cli import main, run
from cnncc.cli.parser import VERBS
from cnncc.errors import NativeError
from cnncc.machine.target import ALIASES, TARGETS
from cnncc.passes import PIPELINE

from .conftest import DIGITS, PICTURES, Cli, fails, listing

GOOD = "from cnncc import nn\nmodel = nn.Sequential(nn.ReLU(), input=(1, 4, 4), name='tiny')\n"

# Command lines

KNOWN = ", ".join(["host", *TARGETS, *ALIASES])
USAGE = {
    "unknown verb": (
        ["frobnicate"],
        f"unknown verb 'frobnicate': expected one of {', '.join(VERBS)} (see cnncc --help)",
    ),
    "unknown flag": (["show", DIGITS, "--frob"], "unrecognized arguments: --frob (see cnncc show --help)"),
    "unknown layer": (["why", DIGITS, "frob"], "the model has no layer or tensor 'frob', nor one with a name like it"),
    "abbreviated flag": (["show", DIGITS, "--stag", "dot"], None),
    "flag of another verb": (["run", DIGITS, "x.npy", "--kinds=o"], None),
    "no output folder": (
        ["compile", DIGITS],
        "the following arguments are required: -o (see cnncc compile --help)",
    ),
    "unknown target": (
        ["show", DIGITS, "--stage", "plan", "--target", "z80"],
        f"unknown target 'z80': expected one of {KNOWN}",
    ),
    "target comes before the model": (
        ["compile", "missing.py", "-o", "x", "--target", "z80"],
        f"unknown target 'z80': expected one of {KNOWN}",
    ),
    "another machine": (
        ["run", DIGITS, PICTURES / "1.png", "--target", "cortex-m4"],
        "this machine cannot run model 'digits', compiled for 'cortex-m4'",
    ),
    "unknown pass": (
        ["show", DIGITS, "--passes", "-fuse,-frob"],
        f"unknown pass 'frob': expected some of {', '.join(dict.fromkeys(step.name for step in PIPELINE))}",
    ),
    "pass without minus": (
        ["check", DIGITS, "--passes", "fuse"],
        "--passes takes the passes to leave out, each as -NAME, got 'fuse'",
    ),
    "shape that is none": (
        ["bench", DIGITS, "--shape", "x1,3"],
        "argument --shape: 'x1,3' is not a shape: expected INPUT=N,…, as x=1,3,48,192 (see cnncc bench --help)",
    ),
    "shape of a script": (
        ["show", DIGITS, "--shape", "x=1,3"],
        "shapes are given with ONNX models only; other models declare those of their inputs",
    ),
    "unknown stage": (
        ["show", DIGITS, "--stage", "ast"],
        "argument --stage: unknown stage 'ast', expected one of graph, passes, plan, memory, llvm, asm, dot, "
        "svg (see cnncc show --help)",
    ),
    "report without a file": (
        ["report", DIGITS],
        "the following arguments are required: -o (see cnncc report --help)",
    ),
    "report beside an unknown engine": (
        ["report", DIGITS, "-o", "report.html", "--against", "frob"],
        "unknown engine 'frob': expected 'all' or some of onnxruntime, openvino",
    ),
    "unknown graph": (
        ["show", DIGITS, "--stage", "svg", "--graph", "last"],
        "argument --graph: unknown graph 'last', expected one of original, optimised (see cnncc show --help)",
    ),
    "graph of a stage without one": (
        ["show", DIGITS, "--stage", "plan", "--graph", "optimised"],
        "--graph says which graph is shown: it needs --stage graph, dot or svg",
    ),
    "unknown precision": (
        ["show", DIGITS, "--precision", "best"],
        "argument --precision: unknown precision 'best', expected one of fast, strict (see cnncc show --help)",
    ),
    "unknown kind": (
        ["compile", DIGITS, "-o", "build", "--kinds", "o,exe"],
        "unknown kind of artefact 'exe': expected some of o, a, so, dll, dylib, wasm, h, json, cmake, pc, ll, s",
    ),
    "no kind": (
        ["compile", DIGITS, "-o", "build", "--kinds", ","],
        "--kinds names nothing to write: expected some of o, a, so, dll, dylib, wasm, h, json, cmake, pc, ll, s",
    ),
    "name that C refuses": (
        ["compile", DIGITS, "-o", "build", "--name", "2nd net"],
        "--name '2nd net' cannot prefix C symbols: 'model_2nd_net' could",
    ),
    "threads": (
        ["run", DIGITS, "x.npy", "--threads", "0"],
        "argument --threads: '0' is not a whole number of at least 1 (see cnncc run --help)",
    ),
    "seed": (
        ["check", DIGITS, "--seed=-1"],
        "argument --seed: '-1' is not a whole number of at least 0 (see cnncc check --help)",
    ),
    "seconds": (
        ["bench", DIGITS, "--seconds", "nan"],
        "argument --seconds: 'nan' is not a number of seconds (see cnncc bench --help)",
    ),
    "no input": (["run", DIGITS], "run needs at least one INPUT file (see cnncc run --help)"),
    "input without a file": (["run", DIGITS, "--input", "input"], "--input takes NAME=FILE, got 'input'"),
    "unknown input": (["run", DIGITS, "--input", "x=a.npy"], "model 'digits' has no input 'x': it has 'input'"),
    "input twice": (
        ["run", DIGITS, "--input", "input=a.npy", "--input", "input=b.npy"],
        "--input 'input' is given twice",
    ),
    "output of a strange kind": (["run", DIGITS, "x.npy", "-o", "y.txt"], "-o 'y.txt' must end in .npy or .npz"),
    "unknown weights": (
        ["show", DIGITS, "--weights", "int8"],
        "unknown weights 'int8': expected 'float32' or 'float16', or one of them with ',replaceable'",
    ),
    "weights that a target cannot read": (
        ["compile", DIGITS, "--target", "riscv64", "--weights", "float16", "-o", "build"],
        "target 'riscv64gcv' has no instruction that reads float16 weights: expected one of "
        f"{', '.join(name for name, row in TARGETS.items() if row.float16)}, or weights of float32",
    ),
    "weights for a library": (
        ["run", "net.so", "x.npy", "--weights", "float16"],
        "'net.so' is compiled already: options of the compiler do not go with it",
    ),
    "options for a library": (
        ["run", "net.so", "x.npy", "--target", "x86-64-v2"],
        "'net.so' is compiled already: options of the compiler do not go with it",
    ),
}


@pytest.mark.parametrize("case", USAGE)
def test_usage(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    words, message = USAGE[case]
    monkeypatch.chdir(tmp_path)
    if message is not None:
        fails(cli, tmp_path, 2, message, *words)
        return
    result = cli(*words)
    assert result.code == 2
    assert result.err.startswith("cnncc: unrecognized arguments: --")
    assert listing(tmp_path) == {}


@pytest.mark.parametrize("words", [[], ["--frob"], ["run"], ["show", DIGITS, "--stage"]])
def test_usage_in_argparse_words(cli: Cli, words: list[str]) -> None:
    result = cli(*words)
    assert result.code == 2
    assert result.err.startswith("cnncc: ")
    assert result.err.count("\n") == 1
    assert "--help)" in result.err


# Models

SCRIPTS = {
    "syntax error": ("model = (\n", "is not valid Python: '(' was never closed (at {script}:1)"),
    "raises": ("x = 1\nx / 0\n", "raises ZeroDivisionError: division by zero (at {script}:2)"),
    "exits": ("import sys\nsys.exit(3)\n", "calls sys.exit(3) (at {script}:2)"),
    "no model": ("x = 1\n", "defines no model and no function that makes one"),
    "two models": (
        GOOD + "other = nn.Sequential(nn.ReLU(), input=(1,))\n",
        "defines 2 models (model, other), expected one",
    ),
    "two functions": (
        "def a(): ...\ndef b(): ...\n",
        "has several functions (a, b): call the one that makes the model 'model'",
    ),
    "returns none": ("def model(): ...\n", None),
    "null bytes": ("\0", None),
}


@pytest.mark.parametrize("verb", ["compile", "run", "check", "show", "why", "bench"])
@pytest.mark.parametrize("case", SCRIPTS)
def test_scripts(cli: Cli, tmp_path: Path, case: str, verb: str) -> None:
    text, message = SCRIPTS[case]
    script = tmp_path / "model.py"
    script.write_text(text)
    more = {"compile": ["-o", tmp_path / "build"], "run": [PICTURES / "1.png", "-o", tmp_path / "y.npy"]}.get(verb, [])
    if message is not None:
        fails(cli, tmp_path, 3, f"model script '{script}' {message.format(script=script)}", verb, script, *more)
        return
    result = cli(verb, script, *more)
    assert result.code == 3
    assert result.err.startswith("cnncc: ")
    assert str(script) in result.err
    assert result.err.count("\n") == 1
    assert set(listing(tmp_path)) == {"model.py"}


def test_script_missing_or_a_folder(cli: Cli, tmp_path: Path) -> None:
    missing = tmp_path / "missing.py"
    build = tmp_path / "build"
    fails(cli, tmp_path, 3, f"model script '{missing}' does not exist", "compile", missing, "-o", build)
    fails(cli, tmp_path, 3, f"model script '{tmp_path}' is not a file", "compile", tmp_path, "-o", build)


def test_layer_that_does_not_fit(cli: Cli, tmp_path: Path) -> None:
    script = tmp_path / "model.py"
    script.write_text(
        "from cnncc import nn\nmodel = nn.Sequential(\n    nn.Conv(4, 9, name='wide'), input=(1, 4, 4))\n"
    )
    result = cli("show", script)
    assert result.code == 3
    assert result.err.startswith("cnncc: layer 'wide': a window of 9 elements does not fit into 4 + 0 + 0")
    assert f"(at {script}:" in result.err


WEIGHTS = {
    "missing": (None, "weights file '{file}' does not exist"),
    "a folder": (..., "weights file '{file}' is not a file"),
    "no archive": (b"hello", "weights file '{file}' is not an .npz archive"),
    "damaged": (
        b"PK\x03\x04 hello",
        "weights file '{file}' is damaged or holds no plain arrays: File is not a zip file",
    ),
}


@pytest.mark.parametrize("case", WEIGHTS)
def test_weights(cli: Cli, tmp_path: Path, case: str) -> None:
    content, message = WEIGHTS[case]
    file, script = tmp_path / "w.npz", tmp_path / "model.py"
    if content is ...:
        file.mkdir()
    elif isinstance(content, bytes):
        file.write_bytes(content)
    script.write_text(GOOD + f"model.load({str(file)!r})\n")
    message = f"{message.format(file=file)} (at {script}:3)"
    fails(cli, tmp_path, 3, message, "compile", script, "-o", tmp_path / "build")


def test_weights_of_another_model(cli: Cli, tmp_path: Path) -> None:
    file, script = tmp_path / "w.npz", tmp_path / "model.py"
    np.savez(file, other=np.zeros(3, np.float32))
    script.write_text(GOOD + f"model.load({str(file)!r})\n")
    result = cli("run", script, PICTURES / "1.png")
    assert result.code == 3
    assert "holds 'other', which the model does not have" in result.err
    assert result.err.count("\n") == 1


ENOUGH = "at most 536870911 fit"
TABLE = "each looked up in a table: at most 1048576 fit"
HUGE = {
    "input": (
        "nn.ReLU(), input=(1000, 1000, 10000)",
        f"shape (1, 1000, 1000, 10000) has {10**10} elements (37.3 GiB), {ENOUGH}",
    ),
    "result": (
        "nn.Tile((1, 1, 1000, 1000), name='big'), input=(10, 100, 100)",
        f"layer 'big': shape (1, 10, 100000, 100000) has {10**11} elements (372.5 GiB), {ENOUGH}",
    ),
    "weights": (
        "nn.Dense(20000, name='big'), input=(20000,)",
        "layer 'big': with its weights the model has 400000000 parameters, at most 268435456 fit",
    ),
    "resize": (
        "nn.Resize(10**9, name='big'), input=(1, 2)",
        f"layer 'big': an axis of {10**9} elements, {TABLE}",
    ),
    "window": (
        "nn.MaxPool(2, 1, 'same', 10**12, name='big'), input=(1, 5)",
        "layer 'big': a window of 1000000000001 elements on 5 + 500000000000 + 500000000000: "
        f"{ENOUGH} (axis 0 of the window)",
    ),
}


@pytest.mark.parametrize("case", HUGE)
def test_graphs_that_are_too_large(cli: Cli, tmp_path: Path, case: str) -> None:
    layers, message = HUGE[case]
    script = tmp_path / "model.py"
    script.write_text(f"from cnncc import nn\nmodel = nn.Sequential({layers})\n")
    fails(cli, tmp_path, 3, f"{message} (at {script}:2)", "compile", script, "-o", tmp_path / "build")


CYCLE = """
from cnncc.ir import Graph, Node, Value
from cnncc.op import Input
from cnncc.ops import Add
from cnncc.types import TensorType
row = TensorType((1, 3))
x = Node("x", Input(row), (), (row,))
a = Node("a", Add(), (Value("x"), Value("b")), (row,))
b = Node("b", Add(), (Value("a"), Value("x")), (row,))
model = Graph("cycle", {"x": x, "a": a, "b": b}, {"y": Value("b")})
"""


def test_a_cycle(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(CYCLE)
    message = "layer 'a': check_order: reads %b before it is computed (the graph has a cycle: a → b → a)"
    for words in (["show"], ["check"], ["compile", "-o", tmp_path / "build"]):
        fails(cli, tmp_path, 3, message, words[0], tmp_path / "model.py", *words[1:])


# Whatever else may happen


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (
            KeyError("x"),
            1,
            "internal error, please report it with the traceback that CNNCC_TRACEBACK=1 shows: KeyError: 'x'",
        ),
        (
            AssertionError(),
            1,
            "internal error, please report it with the traceback that CNNCC_TRACEBACK=1 shows: AssertionError",
        ),
        (
            ValueError("a\nb"),
            1,
            "internal error, please report it with the traceback that CNNCC_TRACEBACK=1 shows: ValueError: a b",
        ),
        (MemoryError(), 1, "not enough memory"),
        (RecursionError(), 1, "the model is nested too deeply for cnncc; please report this with its script"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (NativeError("native code returned error 2"), 7, "native code returned error 2"),
    ],
)
def test_unexpected(cli: Cli, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, message: str) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(checking, "check", broken)
    result = cli("check", DIGITS)
    assert (result.code, result.err) == (code, f"cnncc: {message}\n")


def test_traceback_on_request(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNCC_TRACEBACK", "1")
    result = cli("show", "missing.py")
    assert result.code == 3
    assert result.err.startswith("Traceback (most recent call last):\n")
    assert result.err.endswith("\ncnncc: model script 'missing.py' does not exist\n")


def test_interrupted_while_writing(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    from cnncc.runtime import artefacts

    monkeypatch.setattr(artefacts, "library_header", interrupt)
    fails(cli, tmp_path, 130, "interrupted", "compile", DIGITS, "-o", tmp_path / "a" / "b")


def test_broken_pipe_is_silent(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: Any) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(run, "run", gone)
    assert main(["run", os.fspath(DIGITS), "x.npy"]) == 141
    assert capsys.readouterr().err == ""
