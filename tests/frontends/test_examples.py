"""Every example is a model that the script loader takes, that compiles, and whose every layer is right."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

from cnncc import compile, interpret, load_graph
from cnncc.check.model import check, random_feeds
from cnncc.compiler import Options, resolve_target
from cnncc.frontends.script import load_script

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
MODELS = ("mobilenet", "resnet", "unet", "inception", "ecg", "volume", "edges", "digits", "learn_edges")
TELL = ("edges", "learn_edges")
"""Scripts that print something else than their layers."""
OTHERS = ("train_digits", "finetune", "sweep", "webcam", "many_images")
"""Scripts that define no model."""


def test_no_example_is_forgotten() -> None:
    scripts = {file.stem for file in EXAMPLES.glob("*.py")}
    assert scripts == {*MODELS, *OTHERS}
    readme = (EXAMPLES / "README.md").read_text()
    assert all(f"`{name}.py`" in readme for name in scripts)


@pytest.mark.parametrize("name", MODELS)
def test_every_layer_is_right(name: str) -> None:
    graph = load_script(EXAMPLES / f"{name}.py")
    feeds = random_feeds(graph, 1)
    report = check(graph, Options(resolve_target("host")), feeds)
    assert report.ok, report.culprits
    expected = interpret(graph, feeds)
    with compile(graph, cache=False) as model:
        found = model(feeds)
    assert np.abs(found - expected).max() <= 1e-4 * np.ptp(expected)


def test_the_camera_model_takes_pictures_as_they_come() -> None:
    graph = load_graph(EXAMPLES / "mobilenet.py")
    assert {name: str(type) for name, type in graph.inputs.items()} == {"input": "uint8[1, 64, 64, 3]"}


@pytest.mark.parametrize("name", [name for name in MODELS if name not in TELL])
def test_run_as_a_script_it_shows_its_summary(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["layer", "kind", "output", "parameters", "MACs", "receptive", "field"]
    assert lines[-1].startswith("total")


def test_the_edge_filters_are_found_to_be_separable(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / "edges.py"), run_name="__main__")
    before, after = capsys.readouterr().out.splitlines()
    assert before == "as given: 229 multiply-accumulates a pixel (smooth 49, gradient 18, energy 162)"
    assert after.startswith("compiled: 62 multiply-accumulates a pixel (")


def test_a_filter_is_learned_and_found_to_be_separable(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / "learn_edges.py"), run_name="__main__")
    first, *filter, last = capsys.readouterr().out.splitlines()
    assert first.startswith("learned to within ") and float(first.split()[-1].rstrip(":")) < 1e-4
    assert "".join(filter).replace(" ", "") == "[[1.0.-1.][2.0.-2.][1.0.-1.]]"
    assert last.count("Conv(") == 2 and "kernel=(3, 1)" in last and "kernel=(1, 3)" in last
