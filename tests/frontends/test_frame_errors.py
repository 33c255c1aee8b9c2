"""Descriptions of frames that are refused, each in a sentence with the name of the input."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cnncc import CnnccError, Image, compile, fit, load_graph, nn

from .frames import conv_net

REFUSED: list[tuple[Any, str]] = [
    ({"y": Image()}, "model 'model' has no input 'y' for an Image: it has 'input'"),
    ({"input": 3}, "inputs={'input': 3}: expected a cnncc.Image by the name of each input"),
    (Image(), "expected a cnncc.Image by the name of each input"),
    (
        {"input": Image((30, 40))},
        "the Image of input 'input': frames of 40×30 pixels do not fit the network, which reads 16×12: "
        "resize 'stretch' or 'letterbox' scales them, and crop takes the centre of what is larger",
    ),
    (
        {"input": Image((30, 40), resize=(6, 8))},
        "the Image of input 'input': frames of 40×30 pixels, scaled to 8×6, do not fit the network, which reads 16×12: "
        "resize 'stretch' or 'letterbox' scales them",
    ),
    ({"input": Image(mean=(0.1, 0.2))}, "the Image of input 'input': mean (0.1, 0.2) has 2 numbers for 3 channels"),
    ({"input": Image(std=(1, 2, 3, 4))}, "the Image of input 'input': std (1, 2, 3, 4) has 4 numbers for 3 channels"),
    ({"input": Image(std=(1, 0, 1))}, "the Image of input 'input': std (1, 0, 1): expected no 0, since it divides"),
    ({"input": Image(mean=math.nan)}, "the Image of input 'input': mean nan: expected finite numbers"),
    (
        {"input": Image(mean=(123.7, 116.3, 103.5))},
        "mean (123.7, 116.3, 103.5) is beyond 0…1, where frames of uint8 are after scaling: "
        "scale=1 leaves their numbers as they are",
    ),
    (
        {"input": Image(order="RBG")},
        "the Image of input 'input': order 'RBG': expected 'RGB', 'BGR', 'RGBA', 'BGRA', 'GRAY'",
    ),
    (
        {"input": Image(layout="NWHC")},
        "the Image of input 'input': layout 'NWHC': expected 'NHWC', 'NCHW', 'NHW', 'HWC', 'CHW', 'HW'",
    ),
    (
        {"input": Image(layout="HW", order="RGB")},
        "the Image of input 'input': layout 'HW' has no channels, and order 'RGB' has 3",
    ),
    (
        {"input": Image(dtype="int8")},
        "the Image of input 'input': dtype 'int8': expected 'uint8', 'uint16', 'float16', 'float32'",
    ),
    ({"input": Image((0, 2))}, "the Image of input 'input': size (0, 2): expected whole numbers of at least 1"),
    ({"input": Image((1, 2, 3))}, "the Image of input 'input': size (1, 2, 3): expected (height, width)"),
    ({"input": Image(resize=0)}, "the Image of input 'input': resize 0: expected a whole number of at least 1"),
    (
        {"input": Image(resize="fit")},
        "the Image of input 'input': resize 'fit': expected (height, width), a number, 'stretch' or 'letterbox'",
    ),
    (
        {"input": Image(fill=7)},
        "the Image of input 'input': fill 7 belongs to resize='letterbox', which alone makes borders",
    ),
    (
        {"input": Image(method="area")},
        "the Image of input 'input': method 'area': expected 'linear', 'cubic', 'nearest'",
    ),
    (
        {"input": Image(resize=(12, 16), method="nearest", antialias=True)},
        "the Image of input 'input': antialias belongs to the methods 'linear' and 'cubic'",
    ),
    ({"input": Image(crop=1)}, "the Image of input 'input': crop 1: expected True or False"),  # type: ignore[arg-type]
    (
        {"input": Image(network_order="GBR")},
        "the Image of input 'input': network_order 'GBR': expected 'RGB', 'BGR'",
    ),
]


@pytest.mark.parametrize(("inputs", "message"), REFUSED)
def test_what_is_refused(inputs: Any, message: str) -> None:
    with pytest.raises(CnnccError) as caught:
        load_graph(conv_net(), inputs=inputs)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Input((5,), "x"), "it needs an input of floats (N, C, H, W) or (N, H, W, C), and this is"),
        (lambda: nn.Input((3, 4, 4), "x", dtype="int32"), "and this is int32[1, 3, 4, 4]"),
        (lambda: nn.Input((4, 4, 3), "x", layout="NHWC", dtype="uint8"), "and this is uint8[1, 4, 4, 3]"),
        (lambda: nn.Input((8, 4, 4), "x"), "the network reads 8 channels, and frames have one or three"),
    ],
)  # fmt: skip
def test_inputs_that_take_no_frames(make: Callable[[], nn.Input], message: str) -> None:
    x = make()
    with pytest.raises(CnnccError, match="the Image of input 'x'") as caught:
        load_graph(nn.Model(x, nn.Neg()(x)), inputs={"x": Image()})
    assert message in str(caught.value)


def test_frames_of_any_size_are_no_graph() -> None:
    with pytest.raises(CnnccError, match=r"frames of any size are compiled when they come; one program needs their"):
        load_graph(conv_net(), inputs={"input": Image(resize=(12, 16))})
    with pytest.raises(CnnccError, match="an Image without size takes frames of any size"):
        compile(conv_net(), inputs={"input": Image()}, shapes="any")
    with pytest.raises(CnnccError, match="tune=True takes one size"):
        compile(conv_net(), inputs={"input": Image(resize=(12, 16))}, tune=True)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (Image(resize=(480, 640)), "frames of 640×480 pixels do not fit the network, which reads 16×12"),
        (Image(resize="stretch", mean=(0.1, 0.2)), "mean (0.1, 0.2) has 2 numbers for 3 channels"),
        (Image(resize="stretch", layout="NHW"), "layout 'NHW' has no channels, and order 'RGB' has 3"),
    ],
)  # fmt: skip
def test_frames_of_any_size_are_judged_before_the_first_comes(image: Image, message: str) -> None:
    with pytest.raises(CnnccError, match="the Image of input 'input'") as caught:
        compile(conv_net(), inputs={"input": image})
    assert message in str(caught.value)


def test_training_goes_without_frames() -> None:
    x, y = np.zeros((4, 12, 16, 3), np.uint8), np.zeros(4, np.int64)
    with pytest.raises(CnnccError, match="fit trains the network on what it reads"):
        fit(conv_net(), x, y, inputs={"input": Image()})
