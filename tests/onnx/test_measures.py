"""What `python -m tests.onnx.backend` and `python -m tests.onnx.single.run` do with all models, on a few."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest

pytest.importorskip("onnx")

from onnx import numpy_helper

from cnncc.types import Array

from . import backend, backend_known
from .backend import Example, Refused, check, examples, outcome, set_aside, state, unexpected
from .single import run as single
from .single.table import RECIPES, made, versions
from .support import model, node


def write(folder: Path, operator: str, inputs: Sequence[Array], output: Array) -> Example:
    """One test of a node, as the `onnx` package ships it."""
    names = [f"x{place}" for place in range(len(inputs))]
    proto = model([node(operator, " ".join(names), "y")], {n: x.shape for n, x in zip(names, inputs, strict=True)})
    data = folder / "node" / f"test_{operator.lower()}" / "test_data_set_0"
    data.mkdir(parents=True)
    onnx.save(proto, data.parent / "model.onnx")
    for place, array in enumerate(inputs):
        (data / f"input_{place}.pb").write_bytes(numpy_helper.from_array(array).SerializeToString())
    (data / "output_0.pb").write_bytes(numpy_helper.from_array(output).SerializeToString())
    return Example(f"node/{data.parent.name}", data.parent / "model.onnx")


X, Y = np.array([[1, -2, 3]], np.float32), np.array([[2, 3, -4]], np.float32)


@pytest.mark.parametrize("form", backend.FORMS)
def test_right_and_wrong_answers(form: str, tmp_path: Path):
    check(write(tmp_path, "Add", [X, Y], X + Y), form, tmp_path)
    with pytest.raises(AssertionError, match="output 0 differs by 1"):
        check(write(tmp_path, "Sub", [X, Y], X - Y + 1), form, tmp_path)
    with pytest.raises(AssertionError, match="output 0 is of float32 instead of bool"):
        check(write(tmp_path, "Mul", [X, Y], X > Y), form, tmp_path)
    with pytest.raises(AssertionError, match=r"output 0 is of shape \(1, 3\) instead of \(3,\)"):
        check(write(tmp_path, "Div", [X, Y], (X / Y)[0]), form, tmp_path)
    with pytest.raises(Refused, match=r"'model.onnx' cannot be imported: operator NonZero"):
        check(write(tmp_path, "NonZero", [X, Y], X), form, tmp_path)


def test_what_is_set_aside(tmp_path: Path):
    written = [write(tmp_path, name, [X], X) for name in ("Relu", "NonZero", "ConvInteger")]
    assert [example.name for example in examples(tmp_path)] == sorted(example.name for example in written)
    why = ["", "results whose shape depends on numbers that arrive", "arithmetic on quantised integers"]
    assert [set_aside(example) for example in written] == why


def test_lists_are_strict(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(backend_known, "REFUSED", {"node/test_a*": "not built"})
    monkeypatch.setattr(backend_known, "DIFFERENT", {"node/test_b": "doubtful"})
    right, wrong, refused = (outcome(text) for text in ("", "AssertionError: by 1\n  at", "Refused: no\n  at"))
    assert (right, wrong, refused) == (("passed", ""), ("failed", "by 1"), ("refused", "no"))
    assert outcome("ValueError: what?\n at line 3") == ("crashed", "ValueError: what?  at line 3")
    assert state({"arriving": refused, "known": right}) == "passed"
    assert state({"arriving": wrong, "known": right}) == "failed"
    assert unexpected("node/test_a1", {"arriving": refused}) == unexpected("node/test_b", {"arriving": wrong}) == ""
    assert unexpected("node/test_a1", {"arriving": right}).startswith("passed, listed as refused, not built")
    assert unexpected("node/test_a1", {"arriving": wrong}).startswith("failed, listed as refused, not built")
    assert unexpected("node/test_c", {"arriving": refused}) == "arriving: refused: no"


@pytest.mark.parametrize("number", range(0, len(versions()), 37))
def test_models_of_one_node(number: int, tmp_path: Path):
    operator, version = versions()[number]
    found = single.check((operator, version, 0, 0), tmp_path)
    assert set(found.ops) <= {"equal", "nobody else runs it"}


@pytest.mark.parametrize("operator", ["Concat", "CumSum", "Gemm", "ReduceMax"])
def test_models_of_one_node_with_open_images(operator: str, tmp_path: Path):
    found = single.check((operator, 13 if operator != "CumSum" else 14, 1, 2), tmp_path)
    assert set(found.ops) <= {"calls equal", "calls refused", "calls refused by all", "nobody else runs it"}


def test_a_seed_is_a_model():
    assert made("Conv", 11, 5).model == made("Conv", 11, 5).model != made("Conv", 11, 6).model
    assert {name for name, _ in versions()} <= set(RECIPES)
