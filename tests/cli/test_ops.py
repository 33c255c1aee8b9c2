"""`cnncc ops`: the registry and the operators of ONNX files as tables, and one of them in full."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from cnncc.cli import main
from cnncc.frontends.onnx.supported import operators
from cnncc.op import REGISTRY


def test_every_op_has_a_line_that_says_what_it_computes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ops"]) == 0
    heads, *lines = capsys.readouterr().out.splitlines()
    assert heads.split() == ["op", "computes", "attributes"]
    assert [line.split()[0] for line in lines] == sorted(REGISTRY)
    assert all(len(line.split()) > 1 for line in lines)


def test_the_table_for_a_document_has_three_columns(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ops", "--markdown"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "| --- | --- | --- |"
    assert "| `Conv` | Cross-correlation of x" in "\n".join(lines)
    assert {line.replace("\\|", "").count("|") for line in lines} == {4}


def test_the_operators_of_onnx_files(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ops", "--onnx"]) == 0
    heads, *lines = capsys.readouterr().out.splitlines()
    assert heads.split("  ")[0] == "operator" and [line.split()[0] for line in lines] == list(operators())
    assert main(["ops", "--onnx", "--markdown"]) == 0
    said = capsys.readouterr().out
    assert "| `Conv` | 1–28 | X, W, B: float16, float32, bfloat16 |  |  |" in said


def test_one_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    """An op and the operator of ONNX files of that name; the case does not count."""
    assert main(["ops", "mod"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Mod: The rest of a / b") and "\n\nMod of ONNX files, opsets 10–28\n\nopset 13–28:\n" in said
    assert "  inputs: A (T); B (T)\n  T: float16, float32, " in said and said.endswith("  attributes: fmod\n")
    assert main(["ops", "Silu", "Expand"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Silu: ") and "Silu of ONNX" not in said
    assert "inputs: input (T); shape (int64, known when compiling)" in said


def test_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ops", "--json", "Softmax"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [op["name"] for op in said["ops"]] == [op["name"] for op in said["onnx"]] == ["Softmax"]
    assert said["onnx"][0]["opsets"] == "1–28" and said["onnx"][0]["forms"][-1]["attributes"] == {"axis": []}
    assert main(["ops", "--json", "--onnx"]) == 0
    assert len(json.loads(capsys.readouterr().out)["onnx"]) == len(operators())


@pytest.mark.parametrize(("name", "hint"), [("Convv", "did you mean Conv?"), ("qqq", "cnncc ops and cnncc ops --onnx")])
def test_a_name_that_there_is_not(name: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ops", name]) == 2
    assert f"there is no operator '{name}': {hint}" in capsys.readouterr().err


def test_without_the_onnx_package() -> None:
    program = "import sys; sys.modules['onnx'] = None; from cnncc.cli import main; sys.exit(main(['ops', 'Conv']))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 0 and "opset 22–28:" in done.stdout
