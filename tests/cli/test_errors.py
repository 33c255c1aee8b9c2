"""Bad input on the command line: one sentence, the right exit code, and nothing half written."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Callable
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

from .conftest import DIGITS, PICTURES, TWO_INPUTS, Cli, listing

GOOD = "from cnncc import nn\nmodel = nn.Sequential(nn.ReLU(), input=(1, 4, 4), name='tiny')\n"
GREY, VECTOR, MANY = "1, 4, 4", "3", "5, 4, 4"


def fails(cli: Cli, folder: Path, code: int, message: str, *words: object) -> None:
    """The command fails with exactly this sentence and leaves every file as it was."""
    before = listing(folder)
    result = cli(*words)
    assert result.err == f"cnncc: {message}\n"
    assert result.code == code
    assert listing(folder) == before


def relu(shape: str) -> str:
    return f"from cnncc import nn\nmodel = nn.Sequential(nn.ReLU(), input=({shape},), name='tiny')\n"


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


# Input data


class Bomb:
    """Unpickling this would leave a file behind."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return Path.touch, (self.path,)


def _npy(array: Any) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        np.save(folder / "x.npy", array)
        return folder / "x.npy"

    return make


def _bytes(name: str, data: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return make


def _picture(size: tuple[int, int]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        pillow = pytest.importorskip("PIL.Image")
        pillow.new("L", size).save(folder / "x.png")
        return folder / "x.png"

    return make


def _bomb(folder: Path) -> Path:
    np.save(folder / "x.npy", np.array([Bomb(folder / "unpickled")], object), allow_pickle=True)
    return folder / "x.npy"


def _bomb_npz(folder: Path) -> Path:
    array = np.array([Bomb(folder / "unpickled")], object)
    np.savez(folder / "x.npz", allow_pickle=True, input=array)
    return folder / "x.npz"


def _cut_npz(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "x.npz", "w") as archive:
        archive.writestr("input.npy", b"\x93NUMPY")
    return folder / "x.npz"


_HUGE = (
    b"\x93NUMPY\x01\x00v\x00"
    + b"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999, 99999), }".ljust(117)
    + b"\n"
)
DAMAGED = "'{file}' is damaged or holds no plain arrays: "
INPUTS: dict[str, tuple[str, Callable[[Path], Path], str]] = {
    "missing": (GREY, lambda f: f / "x.npy", "cannot read '{file}': No such file or directory"),
    "missing picture": (GREY, lambda f: f / "x.png", "cannot read '{file}': it does not exist"),
    "wrong shape": (
        GREY,
        _npy(np.zeros((1, 1, 4, 5), np.float32)),
        "{file}: input 'input': expected shape (1, 1, 4, 4), got (1, 1, 4, 5)",
    ),
    "without images": (
        GREY,
        _npy(np.zeros((1, 4, 4), np.float32)),
        "{file}: input 'input': expected shape (1, 1, 4, 4), got (1, 4, 4); "
        "the first axis, of images, is missing (x[None] adds it)",
    ),
    "wrong dtype": (
        GREY,
        _npy(np.zeros((1, 1, 4, 4))),
        "{file}: input 'input': expected float32, got float64; convert it with .astype(np.float32) or convert=True",
    ),
    "empty": (GREY, _bytes("x.npy", b""), "'{file}' is not a .npy array"),
    "no array": (GREY, _bytes("x.npy", b"hello"), "'{file}' is not a .npy array"),
    "no archive": (GREY, _bytes("x.npz", b"hello"), "'{file}' is not a .npz archive"),
    "archive of nothing": (
        GREY,
        _bytes("x.npz", b"PK\x05\x06" + bytes(18)),
        "'{file}' holds nothing, expected an array called 'input'",
    ),
    "no archive but for its start": (GREY, _bytes("x.npz", b"PK\x03\x04 hello"), DAMAGED + "File is not a zip file"),
    "cut short": (GREY, _bytes("x.npy", b"\x93NUMPY"), DAMAGED + "*"),
    "more than there is memory": (GREY, _bytes("x.npy", _HUGE), DAMAGED + "*"),
    "objects": (GREY, _bomb, DAMAGED + "Object arrays cannot be loaded when allow_pickle=False"),
    "objects in an archive": (GREY, _bomb_npz, DAMAGED + "Object arrays cannot be loaded when allow_pickle=False"),
    "archive cut short": (GREY, _cut_npz, DAMAGED + "*"),
    "no picture": (GREY, _bytes("x.png", b"hello"), "'{file}' is not a picture that can be read: *"),
    "text": (GREY, _bytes("x.txt", b"hello"), "'{file}' is not a picture that can be read: *"),
    "picture of another size": (
        GREY,
        _picture((5, 6)),
        "picture '{file}' has 5×6 pixels, input 'input' takes 4×4 (--resize scales it)",
    ),
    "picture for a vector": (
        VECTOR,
        _picture((1, 3)),
        "input 'input' of shape (1, 3) takes no picture like '{file}': "
        "that needs (N, C, H, W) or (N, H, W, C) with one or three channels",
    ),
    "picture for five channels": (
        MANY,
        _picture((4, 4)),
        "input 'input' of shape (1, 5, 4, 4) takes no picture like '{file}': "
        "that needs (N, C, H, W) or (N, H, W, C) with one or three channels",
    ),
}


@pytest.mark.parametrize("case", INPUTS)
def test_inputs(cli: Cli, tmp_path: Path, case: str) -> None:
    shape, make, message = INPUTS[case]
    if "picture" in message:
        pytest.importorskip("PIL")
    script = tmp_path / "model.py"
    script.write_text(relu(shape))
    file = make(tmp_path)
    before = listing(tmp_path)
    result = cli("run", script, file, "-o", tmp_path / "y.npy")
    expected = f"cnncc: {message.format(file=file)}"
    if expected.endswith("*"):
        assert result.err.startswith(expected[:-1])
        assert result.err.count("\n") == 1
    else:
        assert result.err == f"{expected}\n"
    assert (result.code, result.out) == (4, "")
    assert listing(tmp_path) == before


def test_a_picture_cut_short(cli: Cli, tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    (tmp_path / "x.png").write_bytes((PICTURES / "1.png").read_bytes()[:60])
    result = cli("run", DIGITS, tmp_path / "x.png")
    assert result.code == 4
    assert result.err.startswith(f"cnncc: '{tmp_path / 'x.png'}' is not a picture that can be read: ")


def test_nan_and_infinity_are_data(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(relu("2"))
    np.save(tmp_path / "x.npy", np.array([[np.nan, np.inf]], np.float32))
    assert cli("run", tmp_path / "model.py", tmp_path / "x.npy", "-o", tmp_path / "y.npy").code == 0
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), [[np.nan, np.inf]])


def test_the_second_file_is_read_before_the_first_call(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(relu("2"))
    np.save(tmp_path / "x.npy", np.zeros((1, 2), np.float32))
    result = cli("run", tmp_path / "model.py", tmp_path / "x.npy", tmp_path / "missing.npy")
    assert (result.code, result.out) == (4, "")


def test_files_for_several_inputs(cli: Cli, tmp_path: Path) -> None:
    script = tmp_path / "pair.py"
    script.write_text(TWO_INPUTS)
    np.savez(tmp_path / "one.npz", a=np.zeros((1, 2, 3, 3), np.float32))
    np.save(tmp_path / "a.npy", np.zeros((1, 2, 3, 3), np.float32))
    fails(
        cli,
        tmp_path,
        4,
        "model 'pair' needs a file for each of the inputs 'a', 'b', got 1",
        "run",
        script,
        tmp_path / "a.npy",
    )
    message = f"'{tmp_path / 'one.npz'}' holds 'a', expected also 'b'"
    fails(cli, tmp_path, 4, message, "run", script, tmp_path / "one.npz")
    fails(cli, tmp_path, 4, "model 'pair' has 2 inputs, got 1 files", "check", script, tmp_path / "a.npy")
    message = "-o 'y.npy' holds one array, the model has 2 outputs: name a .npz file"
    fails(cli, tmp_path, 2, message, "run", script, tmp_path / "one.npz", "-o", "y.npy")


def test_libraries(cli: Cli, tmp_path: Path) -> None:
    library = tmp_path / "x.so"
    message = f"cannot read '{library}': No such file or directory"
    fails(cli, tmp_path, 4, message, "run", library, PICTURES / "1.png")
    library.write_bytes(b"\x7fELF hello")
    result = cli("run", library, PICTURES / "1.png")
    assert result.code == 4
    assert result.err.startswith(f"cnncc: '{library}' is not a shared library written by cnncc: ")


# Places to write to


@pytest.mark.parametrize("below", ["file", "file/deeper", "file/deeper/still"])
def test_folder_that_cannot_be_made(cli: Cli, tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("in the way")
    folder = tmp_path / below
    before = listing(tmp_path)
    result = cli("compile", DIGITS, "-o", folder)
    assert result.code == 5
    assert result.err.startswith(f"cnncc: cannot write to '{folder}': ")
    assert listing(tmp_path) == before


@pytest.mark.parametrize(("number", "reason"), [(13, "Permission denied"), (30, "Read-only file system")])
def test_folder_that_takes_nothing(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, reason: str
) -> None:
    """Whoever runs the tests may write everywhere, so the system's refusal is played."""

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(number, reason)

    monkeypatch.setattr(tempfile, "mkdtemp", refuse)
    fails(cli, tmp_path, 5, f"cannot write to '{tmp_path}': {reason}", "compile", DIGITS, "-o", tmp_path)


def test_folder_on_a_full_disk(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []

    def write(path: Path, data: bytes) -> int:
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        written.append(path.name)
        with path.open("wb") as stream:
            return stream.write(data)

    monkeypatch.setattr(Path, "write_bytes", write)
    folder = tmp_path / "a" / "b"
    message = f"cannot write to '{folder}': No space left on device"
    fails(cli, tmp_path, 5, message, "compile", DIGITS, "-o", folder, "--no-cache")
    assert len(written) == 2


def test_outputs_that_cannot_be_written(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "y.npy").mkdir()
    np.save(tmp_path / "x.npy", np.zeros((1, 1, 8, 8), np.float32))
    for output, reason in (
        (tmp_path / "file" / "y.npy", "Not a directory"),
        (tmp_path / "none" / "y.npy", "No such file or directory"),
        (tmp_path / "y.npy", "it is a folder"),
    ):
        fails(cli, tmp_path, 5, f"cannot write '{output}': {reason}", "run", DIGITS, tmp_path / "x.npy", "-o", output)


def test_a_file_is_replaced_whole_or_not_at_all(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "x.npy", np.zeros((1, 1, 8, 8), np.float32))
    output = tmp_path / "y.npy"
    output.write_text("the old one")

    def full(stream: Any, *_: Any, **__: Any) -> None:
        stream.write(b"half")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", full)
        fails(
            cli,
            tmp_path,
            5,
            f"cannot write '{output}': No space left on device",
            "run",
            DIGITS,
            tmp_path / "x.npy",
            "-o",
            output,
        )
    assert output.read_text() == "the old one"


def test_shared_library_without_a_compiler(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    message = (
        "a shared library needs a C compiler, and 'no-such-compiler' is not found: install one or set CC to another"
    )
    fails(cli, tmp_path, 5, message, "compile", DIGITS, "-o", tmp_path / "build", "--kinds", "o,so")


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
