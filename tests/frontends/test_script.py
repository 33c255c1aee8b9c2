"""Model scripts: how the model is found, and each way in which a script can fail."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import pytest

from cnncc.errors import CnnccError, ScriptError, ShapeError
from cnncc.frontends.script import load_script

IMPORT = "from cnncc import nn\n"
MODEL = "nn.Sequential(nn.Conv(2, 3), input=(1, 5, 5), name='{}')\n"


def write(folder: Path, text: str, name: str = "model.py") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "text",
    [
        "net = " + MODEL.format("right"),
        "net = again = " + MODEL.format("right") + "_spare = " + MODEL.format("wrong"),
        "net = " + MODEL.format("right").strip() + ".graph\n",
        "def model(): return " + MODEL.format("right"),
        "def model(seed=1, *more, **options): return " + MODEL.format("right"),
        "def make(): return " + MODEL.format("right"),
        "def model(): return " + MODEL.format("right") + "def other(): raise SystemExit\n",
        "def make(): return " + MODEL.format("right") + "def other(x): raise SystemExit\n",
        "def model(): return " + MODEL.format("wrong") + "net = " + MODEL.format("right"),
        "if __name__ == '__main__': raise SystemExit\n" + "net = " + MODEL.format("right"),
        "from dataclasses import dataclass\n@dataclass\nclass P:\n    n: int = 1\nnet = " + MODEL.format("right"),
    ],
)
def test_the_model_is_found(tmp_path: Path, text: str) -> None:
    assert load_script(write(tmp_path, IMPORT + text)).name == "right"


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("", "defines no model and no function that makes one", None),
        ("def make(n): return n", "defines no model and no function that makes one", None),
        ("a = 1/0", "raises ZeroDivisionError: division by zero", 2),
        ("\nraise KeyError", "raises KeyError", 3),
        ("assert False", "raises AssertionError", 2),
        ("import absent_module", "raises ModuleNotFoundError: No module named 'absent_module'", 2),
        ("import sys\nsys.exit()", "calls sys.exit(None)", 3),
        ("raise SystemExit('bye')", "calls sys.exit('bye')", 2),
        ("def model():\n    return 1/0", "raises ZeroDivisionError: division by zero", 3),
        ("def f(): f()\nf()", "raises RecursionError: maximum recursion depth exceeded", 2),
        ("def (:", "is not valid Python: invalid syntax", 2),
        ("a = 'x", "is not valid Python: unterminated string literal (detected at line 2)", 2),
        (
            "a = " + MODEL.format("a") + "b = " + MODEL.format("b"),
            "defines 2 models (a, b), expected one",
            None,
        ),
        (
            "def b(): pass\ndef a(): pass",
            "has several functions (b, a): call the one that makes the model 'model'",
            None,
        ),
    ],
)
def test_failing_scripts(tmp_path: Path, text: str, message: str, line: int | None) -> None:
    path = write(tmp_path, IMPORT + text)
    with pytest.raises(ScriptError) as info:
        load_script(path)
    assert info.value.message == f"model script '{path}' {message}"
    assert info.value.where is None if line is None else info.value.where
    if info.value.where:
        assert (info.value.where.file, info.value.where.line) == (str(path), line)


@pytest.mark.parametrize(("named", "name"), [("", "my-net"), (", name='other'", "other"), (", name='model'", "model")])
def test_a_model_without_a_name_has_that_of_its_script(tmp_path: Path, named: str, name: str) -> None:
    script = tmp_path / "my-net.py"
    script.write_text(f"from cnncc import nn\nnet = nn.Sequential(nn.ReLU(), input=(1, 2, 2){named})\n")
    assert load_script(script).name == name


def test_functions_that_make_no_model(tmp_path: Path) -> None:
    path = write(tmp_path, "def model(): return 3")
    with pytest.raises(ScriptError) as info:
        load_script(path)
    assert str(info.value) == f"function 'model' of model script '{path}' returns int, expected a model"
    path = write(tmp_path, "def model(x): return x")
    with pytest.raises(ScriptError) as info:
        load_script(path)
    assert str(info.value) == f"function 'model' of model script '{path}' has parameters without defaults"


def test_missing_files_and_folders(tmp_path: Path) -> None:
    for path, message in ((tmp_path / "absent.py", "does not exist"), (tmp_path, "is not a file")):
        with pytest.raises(ScriptError) as info:
            load_script(path)
        assert str(info.value) == f"model script '{path}' {message}"


def test_files_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "model.py"
    for data in (b"\xff\xfe\x00", b"a = 1\x00"):
        path.write_bytes(data)
        with pytest.raises(ScriptError, match=r"model script '.*' is not valid Python: "):
            load_script(path)


def test_errors_of_layers_pass_with_their_line(tmp_path: Path) -> None:
    path = write(tmp_path, IMPORT + "x = nn.Input((1, 4, 4))\n\ny = nn.Conv(3, 9)(x)\n")
    with pytest.raises(ShapeError) as info:
        load_script(path)
    assert str(info.value.where) == f"{path}:4"


def test_weights_that_are_missing_name_the_scripts_line(tmp_path: Path) -> None:
    path = write(tmp_path, IMPORT + "net = " + MODEL.format("a") + "net.load('/nowhere.npz')\n")
    with pytest.raises(CnnccError) as info:
        load_script(path)
    assert str(info.value) == f"weights file '/nowhere.npz' does not exist (at {path}:3)"


def test_neighbours_can_be_imported_and_leave_no_trace(tmp_path: Path) -> None:
    text = "import helper\nfrom cnncc import nn\nnet = " + MODEL.format("{}").replace("'{}'", "helper.NAME")
    path, modules = list(sys.path), set(sys.modules)
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        write(folder, f"NAME = '{name}'\n", "helper.py")
        assert load_script(write(folder, text)).name == name
    assert sys.path == path
    assert not {"helper", "cnncc_script"} & (set(sys.modules) - modules)


def test_relative_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(
        tmp_path, IMPORT + "from pathlib import Path\nassert Path(__file__).is_absolute()\nnet = " + MODEL.format("a")
    )
    monkeypatch.chdir(tmp_path)
    assert load_script("model.py").name == "a"


NEIGHBOURLY = "import {0}\nfrom cnncc import nn\nnet = nn.Sequential(nn.Dense({0}.SIZE), input=(3,))\n"


def size(folder: Path, module: str) -> int:
    graph = load_script(write(folder, NEIGHBOURLY.format(module)))
    return graph.types(graph.outputs.values())[0].shape[-1]


@pytest.mark.parametrize("module", ["beside_it", "package_beside_it", "package_beside_it.part"])
def test_neighbours_are_what_their_files_hold_now(tmp_path: Path, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Edited within the second that bytecode knows, to the same length, and imported by the process before."""
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / f"{module.replace('.', '/')}.py"
    if module.startswith("package"):
        (tmp_path / "package_beside_it").mkdir()
        path = path if "." in module else tmp_path / module / "__init__.py"
    for number in (2, 3):
        path.write_text(f"SIZE = {number}\n")
        os.utime(path, (1_000_000_000, 1_000_000_000))
        assert size(tmp_path, module) == number
        if number == 2:
            mine = importlib.import_module(module)
    assert mine.SIZE == 2 and sys.modules[module] is mine
    for name in {module, "package_beside_it"} & set(sys.modules):
        del sys.modules[name]


def test_the_neighbour_is_meant_and_not_another_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder, number in (("one", 4), ("two", 5)):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder, f"SIZE = {number}\n", "namesake.py")
    monkeypatch.syspath_prepend(tmp_path / "one")
    mine = importlib.import_module("namesake")
    assert (size(tmp_path / "two", "namesake"), mine.SIZE) == (5, 4)
    assert sys.modules.pop("namesake") is mine
