"""If, Where and GatherND, where what they choose is known when the model is imported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

from onnx import GraphProto, NodeProto, TensorProto, helper, numpy_helper

import cnncc
from cnncc import batching, interpreter
from cnncc.elements import INT64, VALUES
from cnncc.errors import ModelError
from cnncc.frontends.onnx.read import ADVICE
from cnncc.op import either
from cnncc.types import Array, TensorType

from .making import data, ints
from .support import imported, model, node, reference


def graph(nodes: list[NodeProto], output: str, weights: dict[str, Array] | None = None) -> GraphProto:
    """A branch."""
    tensors = [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()]
    ports = [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)]
    return helper.make_graph(nodes, output, [], ports, tensors)


def choice(condition: str, output: str, then: GraphProto, other: GraphProto) -> NodeProto:
    return node("If", condition, output, f"if {output}", then_branch=then, else_branch=other)


def squeezed(shape: tuple[int, ...]) -> Any:
    """torch.squeeze(x, 1) as PyTorch writes it."""
    nodes = [
        node("Shape", "x", "s"),
        node("Gather", "s one", "n", axis=0),
        node("Equal", "n one", "c"),
        choice("c", "y", graph([node("Squeeze", "x axis", "t")], "t"), graph([node("Identity", "x", "t")], "t")),
    ]
    return model(nodes, {"x": shape}, weights={"one": np.array(1), "axis": ints(1)})


@pytest.mark.parametrize("shape", [(2, 1, 4), (2, 3, 4)])
def test_if_with_a_known_condition(shape: tuple[int, ...], tmp_path: Path, rng: np.random.Generator):
    proto, x = squeezed(shape), rng.standard_normal(shape).astype(np.float32)
    actual = interpreter.run(imported(proto, tmp_path), {"x": x})["y"]
    np.testing.assert_array_equal(actual, reference(proto, {"x": x})[0])


def test_branches_have_names_and_weights_of_their_own(tmp_path: Path):
    """Two nodes whose branches use the same names, one of them inside another; what is outside is seen inside."""

    def scaled(factor: float) -> GraphProto:
        return graph([node("Mul", "x w", "m"), node("Add", "m bias", "r")], "r", {"w": np.full(3, factor, np.float32)})

    inner = choice("no", "q", scaled(7), scaled(3))
    nodes = [
        choice("yes", "a", scaled(2), scaled(5)),
        choice("yes", "b", graph([inner], "q"), scaled(11)),
        node("Sub", "a b", "y"),
    ]
    weights = {"yes": np.array(True), "no": np.array([False]), "bias": data(3)}
    proto, x = model(nodes, {"x": (1, 3)}, weights=weights), np.array([[1, 2, -3]], np.float32)
    np.testing.assert_allclose(interpreter.run(imported(proto, tmp_path), {"x": x})["y"], x * 2 - x * 3, rtol=1e-6)


def refusal(proto: Any, folder: Path) -> str:
    with pytest.raises(ModelError) as error:
        imported(proto, folder)
    return str(error.value)


def test_if_that_cannot_be_imported(tmp_path: Path):
    good, bad = graph([node("Relu", "x", "t")], "t"), graph([node("Det", "x", "t", "det")], "t")
    told = refusal(model([choice("c", "y", good, bad)], {"x": (1, 3), "c": ()}), tmp_path)
    assert "If with a condition computed at run time is not supported (at node 'if y'). What decides is known" in told
    proto = model([choice("c", "y", good, bad)], {"x": (1, 3)}, weights={"c": np.array(False)})
    assert refusal(proto, tmp_path).partition(". ")[0].endswith("operator Det is not supported (at node 'det')")
    proto.graph.initializer[0].CopyFrom(numpy_helper.from_array(np.array([True, True]), "c"))
    assert refusal(proto, tmp_path) == "node 'if y': If with a condition of shape (2,), expected one truth value"
    absent = model([node("If", "c", "y", "if")], {"x": (1, 3)}, weights={"c": np.array(True)})
    assert refusal(absent, tmp_path) == "node 'if': If without then_branch"


SPECIAL = np.array([[np.nan, np.inf, -np.inf, -0.0, 1e38, 5e-324]], np.float32)


@pytest.mark.parametrize("fill", [0.0, -np.inf, np.nan, -0.0])
@pytest.mark.parametrize("first", [True, False])
def test_nothing_of_what_is_not_chosen_comes_through(fill: float, first: bool, tmp_path: Path):
    mask = np.array([True, False] * 3)
    names = "m x k" if first else "m k x"
    proto = model([node("Where", names, "y")], {"x": ("n", 6)}, weights={"m": mask, "k": np.array(fill, np.float32)})
    graph = imported(proto, tmp_path)
    x = np.concatenate([SPECIAL, SPECIAL[:, ::-1]])
    wanted = np.where(mask, x, np.float32(fill)) if first else np.where(mask, np.float32(fill), x)
    assert batching.batched_inputs(graph) == {"x": True}
    actual = np.asarray(cnncc.compile(graph, cache=False)(x))
    np.testing.assert_array_equal(actual.view(np.uint32), wanted.astype(np.float32).view(np.uint32))


def test_known_indices_that_do_not_exist(tmp_path: Path):
    proto = model([node("GatherND", "x i", "y", "g")], {"x": (3, 4)}, weights={"i": ints(3).reshape(1, 1)})
    assert refusal(proto, tmp_path).startswith("node 'g': inputs and attributes of GatherND do not fit together: ")
    proto = model([node("GatherND", "x i", "y", "g")], {"x": (3, 4)}, weights={"i": ints(1, 1, 1)})
    assert refusal(proto, tmp_path) == "node 'g': indices of shape (3,) do not fit (3, 4) with batch_dims=0"
    proto = model([node("GatherElements", "x i", "y", "g", axis=1)], {"x": (1, 4)}, weights={"i": ints(4)[None]})
    assert refusal(proto, tmp_path) == "node 'g': index 4 does not exist among the 4 elements of axis 1"
    proto = model([node("ScatterND", "x i u", "y", "g")], {"x": (3, 4), "u": ()}, weights={"i": ints(2, -5)})
    assert refusal(proto, tmp_path) == "node 'g': index -5 does not exist among the 4 elements of axis 1"


def test_ids_look_up_rows_of_a_table_whatever_their_number(tmp_path: Path):
    """Indices that arrive count the images; what is looked up is the same for all."""
    proto = model(
        [node("Gather", "table ids", "e"), node("ReduceMean", "e axis", "y", keepdims=0)],
        {"ids": TensorType((1, 7), INT64)},
        weights={"table": data(30, 9), "axis": ints(1)},
    )
    ids = np.random.default_rng(0).integers(-30, 30, (3, 7))
    graph = imported(proto, tmp_path)
    assert batching.batched_inputs(graph) == {"ids": True}
    np.testing.assert_allclose(cnncc.compile(graph, cache=False)(ids), data(30, 9)[ids].mean(1), rtol=1e-5, atol=1e-6)


def test_an_index_of_the_batch_fixes_it(tmp_path: Path):
    """Known indices for two images hold for two."""
    weights = {"i": np.zeros((2, 3), np.int64), "u": data(2, 3)}
    graph = imported(model([node("ScatterElements", "x i u", "y", axis=1)], {"x": (2, 5)}, weights=weights), tmp_path)
    assert batching.images_of(graph).fixed == "layer 'y' (ScatterElements) takes images in some of its inputs only"


def test_float64_on_the_way(tmp_path: Path):
    """A value may become float64 and come back; nothing computes with it, nor does it leave the model."""
    nodes = [node("Cast", "x", "d", to=TensorProto.DOUBLE), node("Cast", "d", "y", to=TensorProto.FLOAT)]
    graph = imported(model(nodes, {"x": (1, 3)}), tmp_path)
    assert [each.op.name for each in graph] == ["Input", "Identity", "Identity"]
    told = refusal(model([nodes[0], node("Relu", "d", "y", "r")], {"x": (1, 3)}), tmp_path)
    assert told.endswith(f"computing with float64 value 'd' is not supported, only float32 (at node 'r'). {ADVICE}")
    assert refusal(model(nodes, {"x": (1, 3)}, ["d"]), tmp_path).endswith(f"(at output 'd'). {ADVICE}")
    told = refusal(model([node("Cast", "x", "y", "c", to=TensorProto.UINT64)], {"x": (1, 3)}), tmp_path)
    assert told.endswith(
        f"Cast of float32 values computed at run time to uint64 is not supported, only to {either(VALUES)} "
        "(at node 'c')"
    )
