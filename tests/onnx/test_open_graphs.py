"""Networks whose layers compute with height and width: with every size they are what ONNX's reference computes."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import onnx
import pytest

import cnncc

from .cases import data
from .open_batch import reference
from .support import model, node

OPEN = ("n", 3, "h", "w")
SIZES = ((8, 8), (7, 9), (13, 10), (24, 17))


def ints(*numbers: int) -> Any:
    return np.array(numbers, np.int64)


KNOWN = {
    "k": data(4, 3, 3, 3),
    "k4": data(4, 4, 3, 3),
    "k12": data(12, 3, 3, 3),
    "one": ints(1),
    "0": ints(0),
    "1": ints(1),
    "2": ints(2),
    "3": ints(3),
    "4": ints(4),
    "8": ints(8),
    "zero": np.array(0, np.int64),
    "step": np.array(1, np.int64),
    "zeros": ints(0, 0),
    "spatial": ints(2, 3),
    "table": data(1, 3, 4, 4),
    "up": np.array([1, 1, 4, 4], np.float32),
    "axis": np.array(2, np.int64),
    "last": np.array(3, np.int64),
    "eight": np.array(8, np.int64),
    "flat": ints(1, -1, 1),
    "cells": ints(0, 4, -1),
}
SPATIAL = [node("Shape", "x", "s"), node("Slice", "s 2 4 0", "hw"), node("Slice", "s 0 2 0", "nc")]
"""Height and width of the input in `hw`."""
DOWN = [
    node("Conv", "x k", "a", pads=[1, 1, 1, 1], strides=[2, 2]),
    node("Conv", "a k4", "b", pads=[1, 1, 1, 1], strides=[2, 2]),
]


def feature_pyramid() -> list[onnx.NodeProto]:
    """The coarse level is brought to the size of the finer one, by Shape, Slice, Concat, Resize."""
    return [
        *DOWN,
        node("Shape", "a", "sa"),
        node("Slice", "sa 2 4 0", "fine"),
        node("Shape", "b", "sb"),
        node("Slice", "sb 0 2 0", "kept"),
        node("Concat", "kept fine", "sizes", axis=0),
        node("Resize", "b _ _ sizes", "u", mode="nearest"),
        node("Add", "u a", "y"),
    ]


def back_to_the_input() -> list[onnx.NodeProto]:
    """A map of segments in the size of the picture; the scales are quotients of floats."""
    return [
        *DOWN,
        *SPATIAL,
        node("Shape", "b", "sb"),
        node("Slice", "sb 2 4 0", "small"),
        node("Cast", "hw", "f", to=1),
        node("Cast", "small", "g", to=1),
        node("Div", "f g", "q"),
        node("Cast", "one", "i", to=1),
        node("Concat", "i i q", "scales", axis=0),
        node("Resize", "b _ scales", "y", mode="linear"),
    ]


def padded() -> list[onnx.NodeProto]:
    """Padded to multiples of eight, and cropped at the end."""
    return [
        *SPATIAL,
        node("Mod", "hw 8", "m"),
        node("Sub", "8 m", "d"),
        node("Mod", "d 8", "more"),
        node("Concat", "zeros zeros zeros more", "pads", axis=0),
        node("Pad", "x pads", "p"),
        node("Conv", "p k", "c", pads=[1, 1, 1, 1], strides=[4, 4]),
        node("Resize", "c _ up", "u"),
        node("Slice", "u zeros hw spatial", "y"),
    ]


def anchors() -> list[onnx.NodeProto]:
    """Scores in rows, and the places of the cells as an output that depends on no picture."""
    return [
        node("Conv", "x k", "a", strides=[2, 2]),
        node("Shape", "a", "s"),
        node("Gather", "s axis", "h"),
        node("Gather", "s last", "w"),
        node("Range", "zero h step", "rows"),
        node("Range", "zero w step", "columns"),
        node("Unsqueeze", "rows 1", "r"),
        node("Unsqueeze", "columns 0", "q"),
        node("Mul", "r eight", "rr"),
        node("Add", "rr q", "grid"),
        node("Reshape", "grid flat", "g"),
        node("Cast", "g", "places", to=1),
        node("Reshape", "a cells", "t"),
        node("Transpose", "t", "y", perm=[0, 2, 1]),
    ]


def shuffled() -> list[onnx.NodeProto]:
    """Super-resolution with a shuffle of pixels whose shapes are computed."""
    return [
        node("Conv", "x k12", "a", pads=[1, 1, 1, 1]),
        *SPATIAL,
        node("Slice", "s 0 1 0", "n"),
        node("Concat", "n 3 2 2 hw", "apart", axis=0),
        node("Reshape", "a apart", "t"),
        node("Transpose", "t", "q", perm=[0, 1, 4, 2, 5, 3]),
        node("Mul", "hw 2", "double"),
        node("Concat", "n 3 double", "whole", axis=0),
        node("Reshape", "q whole", "y"),
    ]


def pooled_and_spread() -> list[onnx.NodeProto]:
    """A pyramid pool: means, spread over the picture again."""
    return [
        node("GlobalAveragePool", "x", "m"),
        *SPATIAL,
        node("Concat", "nc hw", "sizes", axis=0),
        node("Expand", "m sizes", "e"),
        node("Concat", "x e", "y", axis=1),
    ]


def positions() -> list[onnx.NodeProto]:
    """A table of positions, resized to what is there."""
    return [
        *SPATIAL,
        node("Concat", "1 3 hw", "sizes", axis=0),
        node("Resize", "table _ _ sizes", "t", mode="linear"),
        node("Add", "x t", "y"),
    ]


def divided() -> list[onnx.NodeProto]:
    """Halves by a size that is computed, joined the other way round."""
    return [
        *SPATIAL,
        node("Slice", "s 3 4 0", "w"),
        node("Div", "w 2", "half"),
        node("Slice", "x 0 half 3", "left"),
        node("Slice", "x half w 3", "right"),
        node("Concat", "right left", "y", axis=3),
    ]


GRAPHS = {
    function.__name__: function
    for function in (
        feature_pyramid,
        back_to_the_input,
        padded,
        anchors,
        shuffled,
        pooled_and_spread,
        positions,
        divided,
    )
}


def graph_of(name: str) -> onnx.ModelProto:
    nodes = GRAPHS[name]()
    made = {output for each in nodes for output in each.output}
    weights = {name: KNOWN[name] for each in nodes for name in each.input if name in KNOWN}
    outputs = ["y", "places"] if "places" in made else ["y"]
    return model(nodes, {"x": OPEN}, outputs, weights, opset=18)


@pytest.mark.parametrize("name", GRAPHS)
def test_every_size_is_right(name: str) -> None:
    proto = graph_of(name)
    with warnings.catch_warnings(), cnncc.compile(proto, shapes="any") as net:
        warnings.simplefilter("ignore")
        for height, width in SIZES:
            for images in (1, 3):
                x = data(images, 3, height, width)
                found = net(x)
                for one, wanted in zip(
                    found if isinstance(found, tuple) else (found,), reference(proto, {"x": x}), strict=True
                ):
                    assert one.shape == wanted.shape
                    np.testing.assert_allclose(one, wanted, rtol=1e-4, atol=1e-4)
        assert len(net.sizes) == len(SIZES)  # the number of images is free at each
