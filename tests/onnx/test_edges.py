"""Attributes and inputs at their edges: what the standard's text says, in the interpreter and natively."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx

import cnncc
from cnncc import interpreter
from cnncc.errors import ModelError
from cnncc.types import Array

from .making import data, ints, number, positive
from .support import NEWEST, imported, model, node

MIRROR = {"coordinate_transformation_mode": "mirror"}
CROP = {"coordinate_transformation_mode": "tf_crop_and_resize"}

MAX = np.finfo(np.float32).max
SPECIAL = np.array([-np.inf, -MAX, -3, -2.5, -1, -0.5, -0.0, 0, 0.5, 1, 2.5, 3, MAX, np.inf, np.nan], np.float32)


@pytest.mark.parametrize(("alpha", "b", "x"), [(1e30, 1e10, 1e-30), (1e-30, 1e-20, 1e30), (1e-20, 1e-20, 3e38)])
@pytest.mark.parametrize("arrives", [False, True])
@pytest.mark.parametrize(
    "c", [None, np.array([1.0, 2.0], np.float32), np.ones((3, 1), np.float32)], ids=["", "row", "column"]
)
def test_gemm_multiplies_the_product(
    alpha: float, b: float, x: float, arrives: bool, c: Array | None, tmp_path: Path
) -> None:
    """alpha · B may lie beyond float32's range, or vanish, where alpha · (A · B) does not."""
    weights = {"b": np.full((2, 2), b, np.float32)}
    inputs: dict[str, Any] = {"x": (3, 2)} | ({"b": (2, 2)} if arrives else {})
    known = ({} if arrives else weights) | ({} if c is None else {"c": c})
    proto = model([node("Gemm", "x b" + " c" * (c is not None), "y", alpha=alpha, beta=0.5)], inputs, weights=known)
    graph = imported(proto, tmp_path)
    feeds = {"x": np.full((3, 2), x, np.float32)} | (weights if arrives else {})
    wanted = alpha * 2.0 * x * b + (0.0 if c is None else 0.5 * c) + np.zeros((3, 2))
    np.testing.assert_allclose(interpreter.run(graph, feeds)["y"], wanted, rtol=1e-5)
    np.testing.assert_allclose(np.asarray(cnncc.compile(graph, cache=False)(feeds)), wanted, rtol=1e-5)


def results(proto: onnx.ModelProto, folder: Path, x: Array, native: bool = True) -> list[Array]:
    """What the interpreter and native code (strictly) make of x."""
    graph = imported(proto, folder)
    interpreted = next(iter(interpreter.run(graph, {"x": x}).values()))
    return [interpreted, *([np.asarray(cnncc.compile(graph, precision="strict", cache=False)(x))] if native else [])]


def check(
    proto: onnx.ModelProto, folder: Path, x: Array, wanted: Array, rtol: float = 1e-6, native: bool = True
) -> None:
    for actual in results(proto, folder, x, native):
        np.testing.assert_allclose(actual, wanted, rtol=rtol)
        finite = ~np.isnan(wanted)
        np.testing.assert_array_equal(np.signbit(actual)[finite], np.signbit(wanted)[finite])


EXPONENTS = [2, 3, 0, 1, -1, -2, -3, 0.5, -0.5, 1.5, np.inf, -np.inf, np.nan]


@pytest.mark.parametrize("exponent", EXPONENTS)
def test_powers(exponent: float, tmp_path: Path):
    """IEEE 754's pow, for exponents of every type that the standard allows."""
    with np.errstate(all="ignore"):
        wanted = np.power(SPECIAL.astype(np.float64), np.full(SPECIAL.shape, exponent)).astype(np.float32)
    kinds = [np.float32, np.float64, *((np.int8, np.int32, np.int64) if float(exponent).is_integer() else ())]
    for kind in kinds:
        weights = {"e": np.array(exponent, kind)}
        proto = model([node("Pow", "x e", "y")], {"x": SPECIAL.shape}, weights=weights)
        check(proto, tmp_path, SPECIAL, wanted, native=kind is kinds[-1])


def test_exponents_that_float32_cannot_hold(tmp_path: Path):
    """An odd one would become even: (−1)^(2²⁴ + 1) is −1."""
    for exponent in (ints(2**24 + 1), np.array([2.0**30 + 1])):
        with pytest.raises(ModelError, match="Pow with whole exponents beyond ±16777216"):
            imported(model([node("Pow", "x e", "y")], {"x": (3,)}, weights={"e": exponent}), tmp_path)
    check(
        model([node("Pow", "x e", "y")], {"x": (3,)}, weights={"e": ints(2**24 - 1)}),
        tmp_path,
        np.array([-1, 1, -0.0], np.float32),
        np.array([-1, 1, -0.0], np.float32),
    )


def clipped(low: float, high: float) -> Array:
    return np.minimum(np.maximum(SPECIAL, np.float32(low)), np.float32(high))


@pytest.mark.parametrize("opset", [6, 10, 11, 13])
@pytest.mark.parametrize("bounds", [(None, None), (-1, None), (None, 1), (2, -2), (-np.inf, np.inf)])
def test_clip(opset: int, bounds: tuple[float | None, float | None], tmp_path: Path):
    """A bound that is missing is the largest number, not ∞; where they cross, the upper one counts."""
    given = {name: bound for name, bound in zip(("min", "max"), bounds, strict=True) if bound is not None}
    names = " ".join(["x", *(name if name in given else "_" for name in ("min", "max"))])
    if opset < 11:
        proto = model([node("Clip", "x", "y", **given)], {"x": SPECIAL.shape}, opset=opset)
    else:
        weights = {name: number(bound) for name, bound in given.items()}
        proto = model([node("Clip", names, "y")], {"x": SPECIAL.shape}, weights=weights, opset=opset)
    check(proto, tmp_path, SPECIAL, clipped(given.get("min", -MAX), given.get("max", MAX)), 0, opset == 13)


@pytest.mark.parametrize("shape", [(), (3,), (1, 3), (2, 3), (2, 1)])
@pytest.mark.parametrize("known", [True, False])
def test_gemm_does_not_look_at_what_is_taken_no_time(shape: tuple[int, ...], known: bool, tmp_path: Path):
    """beta = 0: neither NaN nor ∞ of C come through, whether C is known or an input."""
    added = np.full(shape, np.nan, np.float32)
    weights = {"w": data(4, 3)} | ({"c": added} if known else {})
    inputs: dict[str, Any] = {"x": (2, 4)} | ({} if known else {"c": shape})
    graph = imported(model([node("Gemm", "x w c", "y", beta=0.0, alpha=2.0)], inputs, weights=weights), tmp_path)
    assert list(graph.inputs) == list(inputs)
    x = data(2, 4)
    actual = cnncc.compile(graph, cache=False)(*([x] if known else [x, added]))
    np.testing.assert_allclose(np.asarray(actual), x @ data(4, 3) * 2, rtol=1e-5)


def test_gemm_takes_nothing_times_not_a_number(tmp_path: Path):
    """alpha = 0 is a factor like any other: 0 · NaN is NaN, the rest is C."""
    proto = model([node("Gemm", "x w c", "y", alpha=0.0)], {"x": (2, 4)}, weights={"w": data(4, 3), "c": data(3)})
    x = data(2, 4)
    x[1, 2] = np.nan
    check(proto, tmp_path, x, np.stack([data(3), np.full(3, np.nan, np.float32)]))


BATCH = {"a": positive(3), "b": data(3), "m": data(3), "v": positive(3)}


@pytest.mark.parametrize(
    ("opset", "outputs", "attributes", "told"),
    [
        (9, "y m2 v2 _ _", {}, "output 'm2' of BatchNormalization is not supported"),
        (15, "y m2", {}, "output 'm2' of BatchNormalization is not supported"),
        (6, "y", {"is_test": 0}, "BatchNormalization with is_test=0 and one output is not supported"),
        (8, "y m2", {"spatial": 0}, "BatchNormalization with spatial=0 in training mode is not supported"),
        (9, "y", {"spatial": 0}, "BatchNormalization with spatial=0 is not supported"),
    ],
)
def test_what_batch_normalization_does_not_do(
    opset: int, outputs: str, attributes: dict[str, int], told: str, tmp_path: Path
):
    nodes = [node("BatchNormalization", "x a b m v", outputs, "bn", **attributes)]
    read = outputs.split()[:2]
    with pytest.raises(ModelError) as error:
        imported(model(nodes, {"x": (2, 3, 4)}, read, BATCH, opset), tmp_path)
    assert told in str(error.value)


def test_empty_names_are_no_outputs(tmp_path: Path):
    """Five outputs of which four are left out are one: statistics are the given ones."""
    x, outputs = data(2, 3, 4), "y _ _ _ _"
    first, second = (
        results(
            model([node("BatchNormalization", "x a b m v", o, "n")], {"x": x.shape}, ["y"], BATCH, 9),
            tmp_path,
            x,
            native=False,
        )[0]
        for o in ("y", outputs)
    )
    np.testing.assert_array_equal(first, second)


def test_statistics_of_the_batch_fix_the_number_of_images(tmp_path: Path):
    nodes = [node("BatchNormalization", "x a b m v", "y m2 v2", training_mode=1)]
    x = data(4, 3, 5)
    proto = model(nodes, {"x": x.shape}, weights=BATCH)
    unit = (x - x.mean((0, 2), keepdims=True)) / np.sqrt(x.var((0, 2), keepdims=True) + 1e-5)
    wanted = unit * BATCH["a"][:, None] + BATCH["b"][:, None]
    for actual in results(proto, tmp_path, x):
        np.testing.assert_allclose(actual, wanted, rtol=1e-4, atol=1e-5)


def test_same_padding_counts_the_dilation(tmp_path: Path):
    """As many outputs as inputs, each from the elements one before and one behind it."""
    x = data(1, 2, 5, 6)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=np.nan)
    corners = np.stack([padded[..., i : i + 5, j : j + 6] for i in (0, 2) for j in (0, 2)])
    for operator, mean in (("AveragePool", np.nanmean), ("MaxPool", np.nanmax)):
        for mode in ("SAME_UPPER", "SAME_LOWER"):
            pool = node(operator, "x", "y", kernel_shape=[2, 2], dilations=[2, 2], auto_pad=mode)
            check(model([pool], {"x": x.shape}), tmp_path, x, mean(corners, 0).astype(np.float32), 1e-5)


REFUSED = [
    (node("ConvTranspose", "x w", "y", "n", strides=[3], auto_pad="SAME_UPPER"), NEWEST, "windows end after (7,)"),
    (node("ConvTranspose", "x w", "y", "n", output_shape=[5]), NEWEST, "ConvTranspose to (5,)"),
    (node("ConvTranspose", "x w", "y", "n", auto_pad="SAME"), NEWEST, "with auto_pad='SAME' is not supported"),
    (node("Split", "b", "y z", "n", split=[1, 1]), 11, "sizes (1, 1) do not add up to the 3 elements of axis 0"),
    (node("Split", "x", "y z", "n", split=[1, 1], axis=1), 11, "sizes (1, 1) do not add up to the 3 elements"),
    (node("LayerNormalization", "x _ c", "y", "n"), 17, "input 1 of LayerNormalization is missing"),
    (node("Conv", "x _ c", "y", "n", kernel_shape=[1]), 17, "input 1 of Conv is missing"),
    (node("Split", "x", "y z", "n", axis=2, num_outputs=2**40), NEWEST, "does not agree with the 2 outputs"),
    (
        node("Split", "x", "y z v", "n", axis=2, num_outputs=1),
        NEWEST,
        "num_outputs=1 does not agree with the 3 outputs",
    ),
    (node("Add", "x b", "y", "n", axis=-(2**40), broadcast=1), 6, "axis -1099511627776 does not exist"),
    (node("Tile", "x", "y", "n"), NEWEST, "Tile without repeats"),
    (node("Expand", "x", "y", "n"), NEWEST, "Expand without shape"),
    (node("Expand", "b", "y", "n"), NEWEST, "Expand without shape"),
    (node("Unsqueeze", "b twice", "y", "n"), NEWEST, "axes (0, 0) of Unsqueeze: one is named twice"),
    (node("LpPool", "x", "y", "n", kernel_shape=[2], p=1.5), 1, "LpPool with p=1.5 is not supported"),
    (node("LpPool", "x", "y", "n", kernel_shape=[2], p=0), NEWEST, "LpPool with p=0 is not supported"),
    (node("GlobalLpPool", "x", "y", "n", p=-1), NEWEST, "GlobalLpPool with p=-1 is not supported"),
    (node("LpNormalization", "x", "y", "n", p=3), NEWEST, "LpNormalization with p=3 is not supported"),
    (node("MeanVarianceNormalization", "x", "y", "n"), NEWEST, "axis 3 does not exist in a tensor of 3 axes"),
    (node("Einsum", "x x", "y", "n", equation="abc->a"), NEWEST, "equation 'abc->a' has 1 terms for 2 inputs"),
    (node("Einsum", "x", "y", "n", equation="ab->a"), NEWEST, "'ab' does not label 3 axes"),
    (node("Einsum", "x", "y", "n", equation="a1c->a"), NEWEST, "'a1c' does not label 3 axes"),
    (node("Einsum", "x", "y", "n", equation="abc->aa"), NEWEST, "must be in some term, and stand there once"),
    (node("Einsum", "x", "y", "n", equation="abc->d"), NEWEST, "must be in some term, and stand there once"),
    (
        node("Einsum", "x x", "y", "n", equation="abc,bca->a"),
        NEWEST,
        "label 'b' stands for axes of 3 and of 2 elements",
    ),
    (node("Tile", "x half", "y", "n"), NEWEST, "repeats of type float32: expected whole numbers"),
    (node("Gather", "x on", "y", "n"), NEWEST, "indices of type bool: expected whole numbers"),
    (node("Split", "x", "y z", "n", axis=2), 13, "3 elements cannot be split into 2 equal parts"),
    (
        node("Add", "x b", "y", "n", axis=2, broadcast=1),
        6,
        "(3, 3) does not lie within the axes of (2, 3, 3) from axis 2 on",
    ),
    (node("Upsample", "x", "y", "n", scales=[1.0, 1.0, 0.5]), 8, "Upsample takes numbers from 1 on"),
    (node("Dropout", "x", "y", "n", is_test=0), 6, "Dropout in training mode is not supported"),
    (node("Dropout", "x _ on", "y", "n"), 13, "Dropout in training mode is not supported"),
    (node("SpaceToDepth", "i", "y", "n", blocksize=2, mode="CRD"), NEWEST, "with mode='CRD' is not supported"),
    (node("Resize", "x _ s", "y", "n", **MIRROR), NEWEST, "coordinate_transformation_mode='mirror' is not supported"),
    (node("Resize", "x _ s", "y", "n", **CROP), NEWEST, "input 1 of Resize is missing"),
    (node("Resize", "x x s", "y", "n", **CROP), NEWEST, "Resize with roi computed at run time is not supported"),
    (node("Resize", "x s s", "y", "n", **CROP), NEWEST, "do not fit together"),
    (node("LRN", "x", "y", "n", size=0), NEWEST, "size=0 must be a whole number from 1 on"),
    (node("Gelu", "x", "y", "n", approximate="fast"), NEWEST, "approximate"),
    (node("DepthToSpace", "i", "y", "n", blocksize=2, mode="XYZ"), NEWEST, "mode"),
]


@pytest.mark.parametrize(("wrong", "opset", "told"), REFUSED, ids=lambda value: getattr(value, "op_type", None))
def test_refused_by_name(wrong: onnx.NodeProto, opset: int, told: str, tmp_path: Path):
    """What the standard forbids, leaves open, or cnncc does not do is never computed in some other way."""
    inputs = {"x": (2, 3, 3), "i": (1, 4, 2, 2)}
    weights = {
        "w": data(3, 2, 1),
        "b": data(3, 3),
        "c": data(3),
        "twice": ints(0, 0),
        "half": np.full(3, 0.5, np.float32),
        "on": np.array(True),
        "s": np.array([1, 1, 0.5], np.float32),
    }
    with pytest.raises(ModelError) as error:
        imported(model([wrong], inputs, list(wrong.output), weights, opset), tmp_path)
    assert told in str(error.value) and "'n'" in str(error.value)


@pytest.mark.parametrize("axis", [0, -1])
@pytest.mark.parametrize("operator", ["ReduceMax", "ReduceL2", "ReduceProd"])
def test_scalars_have_no_axis_but_may_be_reduced_over_it(operator: str, axis: int, tmp_path: Path) -> None:
    """PyTorch exports such reductions, and reshapes of a scalar to one."""
    nodes = [node(operator, "x axes", "r", keepdims=0), node("Reshape", "r none", "y", allowzero=1)]
    weights = {"axes": ints(axis), "none": np.empty(0, np.int64)}
    x = np.array(3, np.float32)
    graph = imported(model(nodes, {"x": ()}, weights=weights), tmp_path)
    for found in (interpreter.run(graph, {"x": x})["y"], cnncc.compile(graph, cache=False)(x)):
        assert found.shape == () and found == 3
