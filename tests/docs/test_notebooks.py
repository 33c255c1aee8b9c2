"""Notebooks are written without outputs, and all their cells run: as plain Python, with tools in a kernel."""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from .notebooks import NOTEBOOKS, ROOT, main, programs, spelled

IDS = [path.name for path in NOTEBOOKS]


def test_there_are_notebooks() -> None:
    assert "lectures.ipynb" in IDS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=IDS)
def test_is_written_as_it_should_be(path: Path) -> None:
    """No outputs, names and numbers of runs; `python -m tests.docs.notebooks` writes it so."""
    text = path.read_text(encoding="utf-8")
    assert spelled(json.loads(text)) == text


def test_outputs_are_taken_out(tmp_path: Path) -> None:
    dirty = {
        "cells": [
            {"cell_type": "markdown", "source": ["# Title\n", "text\n"], "metadata": {"x": 1}, "id": "abc"},
            {"cell_type": "code", "source": "1 + 1\n", "execution_count": 7, "outputs": [{"output_type": "stream"}]},
        ],
        "metadata": {"language_info": {"version": "3.11"}},
    }
    path = tmp_path / "some.ipynb"
    path.write_text(json.dumps(dirty), encoding="utf-8")
    main([str(path)])
    clean = json.loads(path.read_text(encoding="utf-8"))
    title, cell = clean["cells"]
    assert title == {"cell_type": "markdown", "id": "cell1", "metadata": {}, "source": ["# Title\n", "text"]}
    assert (cell["execution_count"], cell["outputs"], cell["source"]) == (None, [], ["1 + 1"])
    assert (clean["nbformat"], clean["nbformat_minor"]) == (4, 5) and "language_info" not in clean["metadata"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=IDS)
def test_cells_run_in_order(path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """As a kernel does: the value of a cell's last line is shown, here by the same methods."""
    monkeypatch.chdir(path.parent)
    monkeypatch.setattr(sys, "path", [str(path.parent), *sys.path])
    names: dict[str, Any] = {"__name__": "__main__"}
    shown = [
        run(program, names, f"{path.name}, cell of code {n}") for n, program in enumerate(programs(_read(path)), 1)
    ]
    html = [value._repr_html_() for value in shown if hasattr(value, "_repr_html_")]
    assert len(html) > 20 and all(text.startswith("<div") for text in html)
    assert "MACs" in capsys.readouterr().out


def run(program: str, names: dict[str, Any], place: str) -> Any:
    """The value of the last line, if that is an expression."""
    tree = ast.parse(program)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, place, "exec"), names)
    return eval(compile(ast.Expression(last.value), place, "eval"), names) if isinstance(last, ast.Expr) else None


def _read(path: Path) -> dict[str, Any]:
    notebook: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return notebook


@pytest.mark.tools
@pytest.mark.parametrize("path", NOTEBOOKS, ids=IDS)
def test_runs_in_a_kernel(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed (cnncc[notebook])")
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed (cnncc[notebook])")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed (cnncc[notebook])")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # the kernel is another process
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(path.parent)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    shown = [output for output in outputs if "text/html" in output.get("data", {})]
    assert len(shown) > 20 and not any(output.output_type == "error" for output in outputs)
