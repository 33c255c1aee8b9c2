"""Frames of cameras, networks that take them, and what a resize makes of them by hand."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from cnncc import Image, compile, interpret, load_graph, nn
from cnncc.ir import Graph
from cnncc.types import Array

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def frame(shape: tuple[int, ...], dtype: str, seed: int = 0) -> Array:
    """Ramps with noise on them, and both ends of the range."""
    rng = np.random.default_rng(seed)
    ramp = np.arange(math.prod(shape)).reshape(shape) / math.prod(shape)
    x = (ramp + rng.random(shape)) / 2
    x.flat[0], x.flat[-1] = 0, 1
    most = {"uint8": 255, "uint16": 65535}.get(dtype, 1)
    return np.rint(x * most).astype(dtype) if most > 1 else x.astype(dtype)


def laid(rgb: Array, layout: str, order: str) -> Array:
    """(N, H, W, R G B) or (N, H, W, 1) as a camera gives it; alpha is noise, which nobody may see."""
    noise = np.random.default_rng(9).permutation(rgb[..., 0].reshape(-1)).reshape(rgb.shape[:-1])
    planes = [rgb[..., 0] if letters == "Y" else noise if letters == "A" else rgb[..., "RGB".index(letters)]
              for letters in ("Y" if order == "GRAY" else order)]  # fmt: skip
    if layout.endswith("HW") and "C" not in layout:
        return planes[0]
    return np.stack(planes, axis=1 if "CHW" in layout else -1)


def networks(images: dict[str, Image], shapes: dict[str, tuple[int, ...]]) -> Graph:
    """A network that hands each of its inputs on, with its sign changed, behind these descriptions."""
    inputs = {name: nn.Input(shape, name) for name, shape in shapes.items()}
    model = nn.Model(list(inputs.values()), {f"{name}_": nn.Neg()(x) for name, x in inputs.items()})
    return load_graph(model, inputs=images)


def answers(graph: Graph, feeds: dict[str, Array]) -> Iterator[tuple[str, Array]]:
    """What the definition and native code hand on, by input."""
    for found in (interpret(graph, feeds), compile(graph, cache=False)(feeds)):
        results = found if isinstance(found, tuple) else (found,)
        yield from zip(feeds, (-result for result in results), strict=True)


def linear(line: Array, out: int, symmetric: bool = True) -> Array:
    """A line resampled at the centres of pixels, one by one."""
    n = len(line)
    result = []
    for o in range(out):
        place = min(max((o + 0.5) * n / out - 0.5, 0.0), n - 1.0)
        low = math.floor(place)
        high = min(low + 1, n - 1)
        result.append(line[low] * (1 - (place - low)) + line[high] * (place - low))
    return np.array(result)


def bilinear(x: Array, size: tuple[int, int]) -> Array:
    """(H, W, C) by hand."""
    rows = np.apply_along_axis(linear, 0, x.astype(np.float64), size[0])
    return np.apply_along_axis(linear, 1, rows, size[1])


def conv_net(channels: int = 3, size: tuple[int, int] = (12, 16)) -> nn.Sequential:
    layers = nn.Conv(8, 3, padding="same", activation="relu"), nn.MaxPool(2), nn.Flatten(), nn.Dense(5)
    model: nn.Sequential = nn.Sequential(*layers, input=(channels, *size), seed=1)
    return model


CAMERA = Image((31, 40), order="BGR", resize=(12, 16), mean=MEAN, std=STD)
