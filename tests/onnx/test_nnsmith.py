"""What `python -m tests.onnx.nnsmith` does with all graphs: on a few, and its parts on models written here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

from onnx import TensorProto

from cnncc.elements import FLOAT16
from cnncc.types import TensorType

from . import nnsmith
from .backend import Refused
from .nnsmith import Example, arriving, computed, difference, judged, kind_of, widened
from .support import model, node, reference

X = np.array([[0.1, -2, 3]], np.float16)


def halves() -> Example:
    nodes = [node("Exp", "x", "e"), node("Cast", "e", "c", to=TensorProto.FLOAT16), node("Mul", "c w.data", "y")]
    proto = model(nodes, {"x": TensorType((1, 3), FLOAT16)}, weights={"w.data": X})
    proto.graph.output[0].type.tensor_type.elem_type = TensorProto.FLOAT16
    return Example(proto, {"x": X}, {}, {})


def test_halves_are_rounded_where_the_documents_say():
    """After the Cast and at the ends, and not in between."""
    (found,) = reference(widened(halves().model), {"x": X})
    once = np.exp(X.astype(np.float32)).astype(np.float16)
    np.testing.assert_array_equal(found, (once.astype(np.float32) * X.astype(np.float32)).astype(np.float16))


def test_constants_arrive():
    opened, feeds = arriving(halves())
    assert not opened.graph.initializer and [port.name for port in opened.graph.input] == ["x", "w.data"]
    np.testing.assert_array_equal(feeds["w.data"], X)


def test_right_and_wrong_answers(tmp_path: Path):
    made = halves()
    found, wanted = computed(made, tmp_path), judged(made, tmp_path)
    (right,) = reference(widened(made.model), made.feeds)
    assert difference(found, wanted, lambda made: {"y": right}, made) == ""
    assert "times the bound" in difference(found, wanted, lambda made: {"y": right * 2}, made)
    assert "is float16(1, 3), not float32(1, 3)" in difference(
        found, wanted, lambda made: {"y": np.float32(right)}, made
    )


def test_rules_of_cast_are_left_out(tmp_path: Path):
    log, whole = node("Log", "x", "l"), node("Cast", "l", "c", to=TensorProto.INT32)
    x = np.array([-1, 2], np.float32)
    for nodes, kept in (([log, whole, node("Abs", "c", "y")], set()), ([log, node("Abs", "l", "y")], {"y"})):
        made = Example(model(nodes, {"x": (2,)}), {"x": x}, {}, {})
        assert set(judged(made, tmp_path)) == kept


def test_kinds_of_refusals():
    told = "'a.onnx' cannot be imported: layer '/MatMul': MatMul takes float32, got int8[2, 3]"
    assert kind_of(told) == kind_of(told.replace("/MatMul", "/m_7").replace("[2", "[5"))


@pytest.mark.tools
@pytest.mark.parametrize("seed", range(9000, 9024))
def test_graphs(seed: int, tmp_path: Path):
    for package in ("nnsmith", "torch", "onnxruntime"):
        pytest.importorskip(package)
    try:
        found = nnsmith.check(seed, tmp_path)
    except Refused as error:
        pytest.skip(str(error))
    assert any(name.startswith("equal to") for name in found.ops)
