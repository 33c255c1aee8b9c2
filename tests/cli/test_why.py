"""`cnncc why`: text for people, JSON for programs, names of all kinds."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import cnncc
from cnncc.compiler import Compilation, Options, resolve_target
from cnncc.errors import UsageError
from cnncc.explain import explain
from cnncc.explain.plain import plain

from .conftest import DIGITS, ROOT, Cli

SECTIONS = (
    "Where it comes from",
    "Passes that changed it",
    "Passes that did not, and why",
    "How its kernel was chosen",
    "What it does, and what bounds it",
    "What was decided around it",
    "Its memory",
)


@pytest.mark.parametrize("target", ["host", "x86-64-v3", "aarch64", "cortex-m4"])
def test_a_layer(cli: Cli, target: str) -> None:
    result = cli("why", DIGITS, "conv2", "--target", target)
    assert (result.code, result.err) == (0, "")
    assert result.out.startswith(f"Layer 'conv2' of 'digits' for {target}, made at {DIGITS}:")
    places = [result.out.index(section) for section in SECTIONS]
    assert places == sorted(places)
    assert "fold_batch_norm at 'conv2' (rounding)" in result.out and "73,728 multiply-accumulates" in result.out
    assert not re.search(r"[ \t]+$| object at 0x", result.out, re.MULTILINE)


def test_all_layers(cli: Cli) -> None:
    result = cli("why", DIGITS, "--target", "cortex-m4", "--passes", "-fuse")
    lines = result.out.splitlines()
    names = [line.split()[0] for line in lines[2 : lines.index("")]]
    assert names == [
        "conv1",
        "relu1",
        "pool1",
        "conv2",
        "relu2",
        "flatten",
        "dense1",
        "dense1.relu",
        "dense2",
        "probabilities",
    ]
    assert lines[-1] == "the pass fuse did not run: it is switched off"


def test_a_name_that_went_into_a_layer(cli: Cli) -> None:
    result = cli("why", DIGITS, "norm2", "relu2", "conv2.weights")
    first, second, third, *_ = result.out.split("\n\n")
    assert first.startswith("'norm2' (BatchNormalization) was taken up by 'conv2' by the pass fold_batch_norm")
    assert second.startswith("'relu2' (Relu) was fused into 'conv2' by the pass fuse")
    assert third.endswith("after the passes no layer reads it any more, and it is not stored.")
    assert result.out.count("Layer 'conv2'") == 1


def test_an_unknown_name(cli: Cli) -> None:
    result = cli("why", DIGITS, "conv3")
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert result.err.startswith(
        "cnncc: the model has no layer or tensor 'conv3': the nearest names are 'conv2', 'conv1'"
    )


def test_json(cli: Cli) -> None:
    found = json.loads(cli("why", DIGITS, "--json", "--target", "x86-64-v3").out)
    compilation = Compilation(cnncc.load_graph(DIGITS), Options(resolve_target("x86-64-v3")))
    assert found == json.loads(json.dumps(plain(explain(compilation))))
    assert [layer["name"] for layer in found["layers"]][:2] == ["conv1", "conv2"]
    conv = found["layers"][1]
    assert conv["multiply_accumulates"] == 73728 and conv["types"] == [{"element": "float32", "shape": [1, 32, 4, 4]}]
    assert sum(one["chosen"] for one in conv["choices"][0]["candidates"]) == 1


def test_json_has_what_the_page_says(cli: Cli) -> None:
    """Each key of the page is there, and each that is there stands on the page."""
    page = (ROOT / "cnncc" / "explain" / "README.md").read_text(encoding="utf-8")
    found = json.loads(cli("why", DIGITS, "conv2", "--json").out)
    assert [layer["name"] for layer in found["layers"]] == ["conv2"]
    layer, memory = found["layers"][0], found["memory"]
    parts = [found, found["origins"]["conv2"], layer, layer["choices"][0], layer["choices"][0]["candidates"][0]]
    parts += [
        layer["steps"][0],
        layer["steps"][0]["views"][0],
        layer["fired"][0],
        layer["missed"][0],
        memory,
        memory["buffers"][0],
    ]
    assert {key for part in parts for key in part} <= set(re.findall(r"`([a-z_ ]+)`", page))


def test_a_step_of_training(cli: Cli) -> None:
    given = (DIGITS, "--step", "--batch", 4, "--target", "x86-64-v3")
    result = cli("why", *given)
    assert result.code == 0 and "for one call" in result.out.splitlines()[0]
    result = cli("why", *given, "norm2.sub", "conv2")
    assert "It needs no step of its own: its expression is computed where it is read, in 'norm2." in result.out
    assert "Layer 'conv2' of 'digits_step'" in result.out


def test_of_a_library_nothing_is_known(cli: Cli, tmp_path: Path) -> None:
    assert cli("compile", DIGITS, "-o", tmp_path).code == 0
    model = cnncc.load(tmp_path / "digits.so")
    with pytest.raises(UsageError, match=r"^model 'digits' was not compiled here: its library does not hold why"):
        model.why("conv1")
