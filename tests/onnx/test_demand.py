"""Models that are too large are told so before weights are read or nodes imported, with what they would take."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx

import cnncc
from cnncc.errors import ModelError, UsageError
from cnncc.frontends.onnx import external, importer
from cnncc.frontends.onnx.demand import Demand, TooLarge, demand, time

from .support import model, node

LAYERS, WIDTH = 24, 8192


@pytest.fixture(autouse=True)
def nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test fails if bytes of other files are read, or nodes imported."""

    def fail(*_: object) -> None:
        raise AssertionError("it was read")

    monkeypatch.setattr(external, "read_part", fail)
    monkeypatch.setattr(importer.Importer, "_walk", fail)


def transformer(folder: Path) -> Path:
    """Products with 24 matrices of 256 MiB, in a file that has no blocks on the disk."""
    nodes = [node("MatMul", f"{f'h{i}' if i else 'x'} w{i}", f"h{i + 1}", f"m{i}") for i in range(LAYERS)]
    nodes += [node("Det", f"h{LAYERS}", "y", "last")]
    proto = model(nodes, {"x": (1, "seq", WIDTH)})
    for i in range(LAYERS):
        tensor = onnx.TensorProto(name=f"w{i}", data_type=1, dims=(WIDTH, WIDTH), data_location=1)
        for key, value in (("location", "w.bin"), ("offset", str(i * 4 * WIDTH**2))):
            tensor.external_data.add(key=key, value=value)
        proto.graph.initializer.append(tensor)
    (folder / "big.onnx").write_bytes(proto.SerializeToString())
    with (folder / "w.bin").open("wb") as file:
        file.truncate(LAYERS * 4 * WIDTH**2)
    return folder / "big.onnx"


WEIGHTS = (
    "is too large: its weights in other files have 6,442,450,944 bytes, and 1,073,741,824 may be read (the environment "
    "variable CNNCC_CONSTANT_BYTES sets that limit). Compiling its 25 nodes and 1,610,612,736 parameters would take "
    "about 24,577 MiB of memory and at least 60 s of one core"
)


@pytest.mark.parametrize("options", [{}, {"cache": False}, {"shapes": "any"}, {"outputs": ("h1",)}], ids=str)
def test_weights_in_other_files(options: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNCC_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ModelError) as error:
        cnncc.compile(transformer(tmp_path), **options)  # type: ignore[call-overload]
    assert str(error.value) == f"'{tmp_path / 'big.onnx'}' {WEIGHTS}"


def chain(length: int) -> onnx.ModelProto:
    """So many nodes, and as many constants, which do not count."""
    nodes = [node("Constant", "", f"c{i}", value_float=1.0) for i in range(length)]
    nodes += [node("Add", f"{f'h{i}' if i else 'x'} c{i}", f"h{i + 1}") for i in range(length)]
    return model(nodes, {"x": (1, 3)})


def test_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNCC_NODES", "2000")
    with pytest.raises(
        TooLarge, match=r"it has 2,001 nodes, and 2,000 may be compiled .* CNNCC_NODES sets that"
    ) as error:
        cnncc.load_graph(chain(2001))
    assert str(error.value).endswith(
        "2,001 nodes and 0 parameters would take about 57 MiB of memory and at least 7 s of one core"
    )
    with pytest.raises(AssertionError, match="it was read"):
        cnncc.load_graph(chain(2000))
    monkeypatch.setenv("CNNCC_NODES", "many")
    with pytest.raises(UsageError, match="CNNCC_NODES=many: expected a whole number of nodes"):
        cnncc.load_graph(chain(1))


def test_50_000_nodes() -> None:
    proto = model([node("Relu", f"h{i}" if i else "x", f"h{i + 1}") for i in range(50_000)], {"x": (1, 3)})
    with pytest.raises(TooLarge, match=r"50,000 nodes, and 20,000 may .* 1,431 MiB of memory and at least 23 minutes"):
        cnncc.load_graph(proto)


def test_inspection_tells_what_it_holds_all_the_same(tmp_path: Path) -> None:
    found = cnncc.inspect(transformer(tmp_path))
    assert (found.name, found.operators, found.opset) == ("big", {"MatMul": LAYERS, "Det": 1}, 21)
    assert (found.parameters, found.weight_bytes) == (LAYERS * WIDTH**2, 4 * LAYERS * WIDTH**2)
    assert [str(port) for port in found.inputs] == [f"float32[1, seq, {WIDTH}]"]
    large, lacking = found.problems
    assert large.message.endswith(WEIGHTS) and lacking.message == "operators that are not supported: Det"
    assert found.unsupported == {"Det"} and found.macs is None


def test_a_file_beyond_a_message(tmp_path: Path) -> None:
    with (tmp_path / "m.onnx").open("wb") as file:
        file.truncate(3 << 30)
    for function in (cnncc.compile, cnncc.inspect):
        with pytest.raises(
            ModelError, match=r"3,221,225,472 bytes, .* at most 2,147,483,647\. Weights may be in other"
        ):
            function(tmp_path / "m.onnx")


def test_what_is_counted() -> None:
    """Impossible tensors do not count: they are refused where they are read."""
    proto = model([node("Add", "x w", "y")], {"x": (1, 3)}, weights={"w": np.ones((4, 3), np.float32)})
    for dims in ((-1, 5), (2**40, 2**40), (1,) * 40):
        proto.graph.initializer.append(onnx.TensorProto(name="v", data_type=1, dims=dims, data_location=1))
    assert demand(proto) == Demand(1, 12, 48, 0)
    assert [time(seconds) for seconds in (0.2, 119, 121, 7300)] == ["1 s", "119 s", "2 minutes", "2 hours"]
