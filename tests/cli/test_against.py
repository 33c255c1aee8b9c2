"""`cnncc check --against onnxruntime`: what another engine makes of each tensor of a file."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnncc
from cnncc.cache.sources import OnnxFile
from cnncc.check.model import random_feeds
from cnncc.compiler import Options, resolve_target
from cnncc.errors import InputError
from cnncc.faults import onnxruntime as engine
from cnncc.faults.against import Tensor, against, distance
from cnncc.plan import kernels as k

from .conftest import DIGITS, Cli
from .test_check import corrupt, shifted

onnx = pytest.importorskip("onnx", reason="ONNX files need the onnx package")
helper = onnx.helper


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """A convolution, a batch norm, GELU of three operators and softmax, whose N is open."""
    rng = np.random.default_rng(0)
    known = {
        "w": rng.standard_normal((4, 3, 3, 3)) / 5,
        "b": rng.standard_normal(4),
        "scale": rng.random(4) + 0.5,
        "shift": rng.standard_normal(4),
        "mean": rng.standard_normal(4),
        "variance": rng.random(4) + 0.5,
        "half": np.array(0.5),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], "conv", pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["c", "scale", "shift", "mean", "variance"], ["n"], "norm"),
        helper.make_node("Mul", ["n", "half"], ["h"], "half"),
        helper.make_node("Erf", ["h"], ["e"], "erf"),
        helper.make_node("Mul", ["n", "e"], ["g"], "gelu"),
        helper.make_node("Softmax", ["g"], ["y"], "softmax", axis=1),
    ]
    weights = [onnx.numpy_helper.from_array(data.astype(np.float32), name) for name, data in known.items()]
    ports = [
        [helper.make_tensor_value_info("x", 1, ("n", 3, 6, 6))],
        [helper.make_tensor_value_info("y", 1, ("n", 4, 6, 6))],
    ]
    graph = helper.make_graph(nodes, "net", *ports, weights)
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "net.onnx"
    )
    return tmp_path / "net.onnx"


def interpreted(monkeypatch: pytest.MonkeyPatch, change: Any = None) -> None:
    """In place of the engine, the interpreter, whose tensors `change` may alter."""

    def tensors(content: bytes, names: list[str], feeds: dict[str, Any]) -> dict[str, Any]:
        found = {}
        for name in names:
            found[name] = np.array(cnncc.interpret(cnncc.load_graph(content, outputs=[name]), feeds))
        return change(found) if change else found

    monkeypatch.setattr(engine, "tensors", tensors)
    monkeypatch.setattr(engine, "expect_installed", lambda: None)


def compared(file: Path, **feeds: Any) -> dict[str, Tensor]:
    source = OnnxFile(file)
    found = against(source, Options(resolve_target("host")), feeds or random_feeds(source.graph, 0))
    return {tensor.name: tensor for tensor in found}


def test_all_tensors_agree_in_order(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interpreted(monkeypatch)
    found = compared(net)
    assert list(found) == ["c", "n", "h", "e", "g", "y"]
    assert all(tensor.verdict == "ok" and tensor.alone == 0 for tensor in found.values())
    assert all(tensor.ulps < 1e4 and tensor.relative < 1e-5 and tensor.whole < 1 for tensor in found.values())


def test_the_first_tensor_that_is_computed_otherwise(cli: Cli, net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes after it was computed rightly from it; compiled code is off there, by inheritance."""

    def otherwise(found: dict[str, Any]) -> dict[str, Any]:
        found["e"] = found["e"] + np.float32(1e-3)
        n, y = found["n"], np.exp(found["n"] * found["e"])
        return found | {"g": n * found["e"], "y": y / y.sum(1, keepdims=True)}

    interpreted(monkeypatch, otherwise)
    found = compared(net)
    verdicts = [tensor.verdict for tensor in found.values()]
    assert verdicts[:5] == ["ok", "ok", "ok", "off", "inherited"] and verdicts[5] in ("ok", "inherited")
    assert found["e"].cause == "meaning" and found["g"].alone <= 1 < found["g"].whole
    result = cli("check", net, "--against", "onnxruntime")
    assert result.code == 6
    assert result.err.startswith("cnncc: tensor 'e' is the first that onnxruntime computes otherwise: at (0, ")
    assert " times the bound\n" in result.err and " for the same operands of Erf()" in result.err
    assert "6 values and" not in result.err and result.err.count("\n") == 1


def test_code_that_is_off_is_told_from_meaning(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interpreted(monkeypatch)
    corrupt(monkeypatch, k.Direct, shifted)
    first = next(iter(compared(net).values()))
    assert (first.name, first.verdict, first.cause, first.alone) == ("c", "off", "code", 0.0)


def test_another_shape_is_off(net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interpreted(monkeypatch, lambda found: found | {"n": found["n"][:, :2]})
    found = compared(net)
    assert found["n"].verdict == "off" and found["n"].ulps == np.inf


def test_nan_and_infinities() -> None:
    a = np.array([np.nan, np.inf, 1.0, 2.0], np.float32)
    assert distance(a, a)[:3] == (0.0, 0.0, 0.0)
    assert distance(a, np.array([np.nan, np.inf, 1.0, 2.0000002], np.float32))[2] == 1.0
    assert distance(a, np.array([0.0, np.inf, 1.0, 2.0], np.float32))[0] == np.inf


def test_refused(cli: Cli, net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    interpreted(monkeypatch)
    assert (
        cli("check", DIGITS, "--against", "onnxruntime").err
        == "cnncc: --against onnxruntime compares ONNX files only\n"
    )
    result = cli("check", net, "--against", "openvino")
    assert (result.code, result.out) == (
        2,
        "",
    ) and "unknown engine 'openvino', expected one of onnxruntime" in result.err
    assert cli("check", net, "--step", "--against", "onnxruntime").code == 2
    with pytest.raises(InputError):
        compared(net, x=np.zeros((1, 2, 6, 6), np.float32))


def test_a_missing_engine_is_one_sentence(cli: Cli, net: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    result = cli("check", net, "--against", "onnxruntime")
    told = "cnncc: engine 'onnxruntime' is not installed: python -m pip install onnxruntime\n"
    assert (result.code, result.out, result.err) == (5, "", told)


@pytest.mark.tools
def test_with_onnxruntime(cli: Cli, net: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="compared with onnxruntime")
    np.save(tmp_path / "x.npy", np.random.default_rng(1).standard_normal((2, 3, 6, 6)).astype(np.float32))
    for words in ((), (tmp_path / "x.npy",), ("--precision", "strict")):
        result = cli("check", net, "--against", "onnxruntime", *words)
        assert (result.code, result.err) == (0, "")
        assert "net: 6 tensor(s) agree with onnxruntime, '" in result.out
        heads = "tensor alone/bound whole/bound verdict difference relative ulps op"
        assert heads in " ".join(result.out.split())
    broken = onnx.load(net)
    del broken.graph.node[1].input[4]
    with pytest.raises(engine.PeerError, match="engine 'onnxruntime' cannot run the model: "):
        engine.tensors(broken.SerializeToString(), ["y"], {})
