"""Inputs of both orders of axes and both element types, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cnncc import CnnccError, compile, interpret, nn
from cnncc.elements import VALUES
from cnncc.types import Array


def pixels(dtype: str, shape: tuple[int, ...], seed: int = 5) -> Array:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, shape, np.uint8) if dtype == "uint8" else rng.standard_normal(shape, np.float32)


LAYOUTS = [
    ((3, 9, 7), None),
    ((3, 9, 7), "NCHW"),
    ((9, 7, 3), "NHWC"),
    ((2, 20), "NCW"),
    ((20, 2), "NWC"),
    ((1, 4, 5, 6), "NCDHW"),
    ((4, 5, 6, 1), "NDHWC"),
]


@pytest.mark.parametrize("dtype", ["float32", "uint8"])
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize(("shape", "layout"), LAYOUTS)
def test_layers_see_logical_float32(shape: tuple[int, ...], layout: str | None, scaled: bool, dtype: str) -> None:
    last = layout is not None and layout.endswith("C")
    channels = shape[-1] if last else shape[0]
    mean, std = [0.1 * (c + 1) for c in range(channels)], 0.5
    scaling: dict[str, Any] = {"scale": 1 / 255, "mean": mean, "std": std} if scaled else {}
    x = nn.Input(shape, batch=2, layout=layout, dtype=dtype, **scaling)
    images = pixels(dtype, (2, *shape))
    logical = np.moveaxis(images, -1, 1) if last else images
    assert x.shape == logical.shape
    expected = logical.astype(np.float64)
    if scaled:
        expected = (expected / 255 - np.reshape(mean, (-1, *[1] * (len(shape) - 1)))) / std
    model = nn.Model(x, nn.Mul()(x, x))
    expected = expected**2
    for found in (interpret(model, images), compile(model, cache=False)(images)):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_the_nodes_of_a_conversion() -> None:
    x = nn.Input((8, 8, 3), "photo", layout="NHWC", dtype="uint8", scale=1 / 255, mean=0.5)
    graph = nn.Model(x, nn.ReLU()(x)).graph
    assert list(graph.nodes) == ["photo", "photo.factor", "photo.shift", "photo.tensor", "relu1"]
    assert str(graph.inputs["photo"]) == "uint8[1, 8, 8, 3]"
    np.testing.assert_array_equal(graph["photo.factor"].op.data, np.full(3, 1 / 255, np.float32))
    np.testing.assert_array_equal(graph["photo.shift"].op.data, np.full(3, -0.5, np.float32))
    assert graph["photo.tensor"].where == x.where


@pytest.mark.parametrize(("layout", "scale"), [("NCHW", 1.0), ("NHWC", 1.0), ("NHWC", 0.5)])
def test_a_mean_that_is_large_beside_std_is_taken_away_first(layout: str, scale: float) -> None:
    mean, std = (2e6, 101325.0, 1.0), (2.0, 50.0, 4.0)
    shape = (3, 5, 6) if layout == "NCHW" else (5, 6, 3)
    x = nn.Input(shape, layout=layout, scale=scale, mean=mean, std=std)
    model = nn.Model(x, nn.Mul()(x, x))
    rng, channels = np.random.default_rng(0), (3, 1, 1)
    unit = rng.standard_normal((2, 3, 5, 6)) * np.reshape(std, channels) + np.reshape(mean, channels)
    images = (unit / scale).astype(np.float32)
    expected = ((images.astype(np.float64) * scale - np.reshape(mean, channels)) / np.reshape(std, channels)) ** 2
    given = images if layout == "NCHW" else np.ascontiguousarray(images.transpose(0, 2, 3, 1))
    for found in (interpret(model, given), compile(model, cache=False)(given)):
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    first = ["input.planes"] * (layout == "NHWC") + ["input.scaled"] * (scale != 1)
    assert [node.name for node in model.graph if node.op.source is None] == [
        *first,
        "input.centred",
        "input.tensor",
        "mul1",
    ]


def test_pictures_keep_their_multiply_add() -> None:
    for dtype, mean, std in (("uint8", 127.5, 58.0), ("uint8", 127.0, 1.0), ("float32", (0.485, 0.456, 0.406), 0.225)):
        x = nn.Input((3, 5, 6), dtype=dtype, mean=mean, std=std)
        assert list(nn.Model(x, nn.ReLU()(x)).graph.nodes)[1:-1] == ["input.factor", "input.shift", "input.tensor"]


def test_nothing_is_converted_that_is_right() -> None:
    x = nn.Input((3, 8, 8), layout="NCHW")
    assert list(nn.Model(x, nn.ReLU()(x)).graph.nodes) == ["input", "relu1"]


def test_a_sequential_takes_an_input() -> None:
    x = nn.Input((8, 8, 3), layout="NHWC", dtype="uint8")
    model = nn.Sequential(nn.Conv(4, 3), input=x)
    assert model.inputs == (x,)
    assert model.outputs["output"].shape == (1, 4, 6, 6)


def test_an_input_that_is_an_output_is_converted() -> None:
    x = nn.Input((2, 2, 3), layout="NHWC", dtype="uint8")
    image = pixels("uint8", (1, 2, 2, 3))
    np.testing.assert_array_equal(compile(nn.Model(x, x), cache=False)(image), image.transpose(0, 3, 1, 2))


KNOWN = " or ".join(repr(element.name) for element in VALUES)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: nn.Input((3, 8, 8), dtype="int4"),
            f"dtype 'int4': expected {KNOWN}",
        ),
        (
            lambda: nn.Input((3, 8, 8), dtype=np.uint8),
            f"dtype <class 'numpy.uint8'>: expected {KNOWN}",
        ),
        (lambda: nn.Input((3, 8, 8), layout="HWC"), "layout 'HWC' of a tensor of 4 axes: expected 'NCHW' or 'NHWC'"),
        (lambda: nn.Input((3, 8), layout="NHWC"), "layout 'NHWC' of a tensor of 3 axes: expected 'NCW' or 'NWC'"),
        (lambda: nn.Input((3,), layout="NHWC"), "layout 'NHWC' of a tensor of 2 axes: such a tensor has none"),
        (lambda: nn.Input((3, 8, 8), scale="1/255"), "scale '1/255': expected a number"),
        (lambda: nn.Input((3, 8, 8), scale=(1, 2, 3)), "scale (1, 2, 3) has 3 numbers for 1 channels"),
        (lambda: nn.Input((3, 8, 8), scale=float("nan")), "scale nan: expected finite numbers"),
        (lambda: nn.Input((3, 8, 8), mean=(1, 2)), "mean (1, 2) has 2 numbers for 3 channels"),
        (lambda: nn.Input((3, 8, 8), mean="grey"), "mean 'grey': expected a number or one for each channel"),
        (lambda: nn.Input((3, 8, 8), std=0), "std 0: expected no 0, since it divides"),
        (lambda: nn.Input((3, 8, 8), std=(1, 0, 1)), "std (1, 0, 1): expected no 0, since it divides"),
        (lambda: nn.Input((4,), batch=None, mean=1), "scale, mean and std need channels, float32[4] has none"),
    ],
)
def test_message_and_line(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(CnnccError) as info:
        make()
    assert str(info.value) == f"{message} (at {__file__}:{make.__code__.co_firstlineno})"
