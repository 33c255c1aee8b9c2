from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncc.interpreter import run
from cnncc.ir import Graph
from cnncc.ops import Conv
from cnncc.passes.manager import seeded_feeds
from cnncc.passes.zero_rings import trim_zero_rings
from cnncc.types import Array

from .support import Net, apply, layers, why


def same_bits_if_finite(before: Graph, after: Graph) -> None:
    feeds = seeded_feeds(before)
    assert run(before, feeds)["y0"].tobytes() == run(after, feeds)["y0"].tobytes()


def ringed(rng: np.random.Generator, kernel: tuple[int, ...], inner: tuple[slice, ...]) -> Array:
    data = np.zeros((4, 2, *kernel), np.float32)
    data[(..., *inner)] = rng.standard_normal(data[(..., *inner)].shape)
    return data


CASES: list[tuple[tuple[int, ...], tuple[slice, ...], dict[str, Any], str]] = [
    ((5, 5), (slice(1, 4), slice(1, 4)), {"padding": 2}, "3×3"),
    ((5, 5), (slice(1, 4), slice(1, 4)), {}, "3×3"),
    ((5, 4), (slice(0, 4), slice(2, 4)), {"padding": ((0, 3), (1, 0))}, "4×2"),
    ((5, 4), (slice(0, 4), slice(2, 4)), {"padding": ((0, 3), (1, 0)), "flip": True, "stride": 2}, "4×2"),
    ((4, 5), (slice(1, 4), slice(0, 2)), {"padding": "same", "dilation": 2, "stride": (2, 3)}, "3×2"),
    ((3, 3), (slice(0, 0), slice(0, 0)), {"padding": "same", "groups": 2}, "1×1"),
    ((6,), (slice(2, 3),), {"padding": 1, "groups": 2, "flip": True}, "1"),
    ((3, 3, 3), (slice(1, 2), slice(0, 3), slice(0, 2)), {"padding": 1}, "1×3×2"),
]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("kernel", "inner", "how", "left"), CASES)
def test_outer_zeros_go(
    kernel: tuple[int, ...], inner: tuple[slice, ...], how: dict[str, Any], left: str, bias: bool
) -> None:
    net = Net()
    x = net.input(1, 2 * int(how.get("groups", 1)), *(11, 12, 13)[: len(kernel)])
    weights = [net.known(ringed(net.rng, kernel, inner))] + ([net.weights(4)] if bias else [])
    before = net.graph(net.apply(Conv(kernel, **how), x, *weights, name="conv"))
    result = apply(trim_zero_rings, before)
    (fired,) = result.fired
    assert fired.tag == "finite" and fired.detail == f"{'×'.join(map(str, kernel))} taps become {left}"
    same_bits_if_finite(before, result.graph)


def test_the_image_is_sliced_where_no_tap_reaches() -> None:
    net = Net()
    weights = net.known(ringed(net.rng, (3, 3), (slice(1, 2), slice(0, 3))))
    before = net.graph(net.apply(Conv((3, 3), padding=((0, 1), (1, 1))), net.input(1, 2, 8, 8), weights, name="conv"))
    result = apply(trim_zero_rings, before)
    assert layers(result.graph) == ["conv.inside", "conv"]
    assert result.graph["conv.inside"].types[0].shape == (1, 2, 7, 8)
    same_bits_if_finite(before, result.graph)


def test_inner_zeros_and_single_kernels_stay() -> None:
    net = Net()
    data = np.ones((4, 2, 3, 3))
    data[:, :, 1] = 0
    data[:3, :, 0] = 0
    before = net.graph(net.apply(Conv((3, 3)), net.input(1, 2, 8, 8), net.known(data), name="conv"))
    result = apply(trim_zero_rings, before)
    assert result.graph.canonical() == before.canonical()
    assert why(result, "conv") == "no outer row of taps is zero in all its kernels"


def test_run_time_weights_stay() -> None:
    net = Net()
    y = net.apply(Conv((3, 3)), net.input(1, 2, 8, 8), net.input(4, 2, 3, 3, name="w"), name="conv")
    assert why(apply(trim_zero_rings, net.graph(y)), "conv") == "its weights are known only at run time"
