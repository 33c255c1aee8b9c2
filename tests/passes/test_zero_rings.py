from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncc.errors import ShapeError
from cnncc.interpreter import run
from cnncc.ir import Graph
from cnncc.ops import Conv, GlobalAveragePool
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


# Small images under large windows: some taps, or all that are not zero, see nothing but padding


def random_window(rng: np.random.Generator) -> tuple[tuple[int, ...], Conv]:
    """Sizes of an image of 1 to 4 elements an axis, and a convolution that may reach far beyond it."""

    def numbers(least: int, most: int) -> tuple[int, ...]:
        return tuple(int(n) for n in rng.integers(least, most + 1, rank))

    rank = int(rng.integers(1, 4))
    kernel, dilation = numbers(1, (9, 5, 3)[rank - 1]), numbers(1, 3)
    padding = tuple(
        (int(rng.integers(k * d + 1)), int(rng.integers(k * d + 1))) for k, d in zip(kernel, dilation, strict=True)
    )
    how = [padding, padding, "same", "full"][int(rng.integers(4))]
    return numbers(1, 4), Conv(kernel, numbers(1, 3), dilation, how, 1, bool(rng.integers(2)))


def random_taps(rng: np.random.Generator, kernel: tuple[int, ...]) -> Array:
    """Weights that are zero, of one sign or the other, outside of a box, which may be empty."""
    ends = [sorted(int(n) for n in rng.integers(0, size + 1, 2)) for size in kernel]
    data = np.full((2, 3, *kernel), rng.choice([0.0, -0.0]), np.float32)
    box = (..., *(slice(*end) for end in ends))
    data[box] = rng.standard_normal(data[box].shape)
    return data


def test_no_window_and_no_ring_changes_shape_or_bits() -> None:
    rng, fired, sliced, unread = np.random.default_rng(5), 0, 0, 0
    for _ in range(400):
        net = Net(1)
        sizes, op = random_window(rng)
        weights = random_taps(rng, op.kernel)
        try:
            y = net.apply(op, net.input(2, 3, *sizes), net.known(weights), *([net.weights(2)] * int(rng.integers(2))))
        except ShapeError:
            continue  # the window does not fit
        before = net.graph(y)
        result = apply(trim_zero_rings, before)
        assert result.graph.type(result.graph.outputs["y0"]) == before.type(y)
        same_bits_if_finite(before, result.graph)
        fired += bool(result.fired)
        sliced += len(layers(result.graph)) > 1
        made = run(result.graph, seeded_feeds(before))["y0"]
        unread += bool(result.fired and weights.any() and (made == made[..., :1]).all())
    assert fired > 150 and sliced > 50 and unread > 30


EVERYDAY: list[tuple[int, int, int, list[int], int]] = [
    # image, kernel, padding, taps that are not zero; taps that are left
    (1, 3, 1, [], 1),  # a branch that starts at zero, at the end of a network
    (1, 3, 1, [0], 2),
    (1, 3, 1, [1], 1),
    (2, 5, 2, [], 1),
    (2, 5, 2, [4], 2),
    (3, 9, 4, [0], 3),
    (3, 9, 4, [8], 3),
    (3, 9, 4, [0, 8], 9),
]


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize(("size", "kernel", "padding", "taps", "left"), EVERYDAY)
def test_a_window_that_is_left_reaches_the_image(
    rank: int, size: int, kernel: int, padding: int, taps: list[int], left: int
) -> None:
    net = Net()
    data = np.zeros((2, 1, *(kernel,) * rank))
    data[(..., *(np.ix_(*[taps] * rank)))] = 1
    pooled = net.apply(
        GlobalAveragePool(),
        net.apply(
            Conv((kernel,) * rank, padding=padding), net.input(1, 1, *(size,) * rank), net.known(data), name="conv"
        ),
    )
    before = net.graph(pooled)
    result = apply(trim_zero_rings, before)
    conv = result.graph["conv"]
    assert isinstance(conv.op, Conv) and conv.op.kernel == (left,) * rank
    assert conv.types == before["conv"].types
    same_bits_if_finite(before, result.graph)


def test_a_tap_that_is_not_finite_stays_in_the_padding() -> None:
    net = Net()
    data = np.zeros((1, 1, 9))
    data[..., 0] = np.nan
    before = net.graph(net.apply(Conv((9,), padding=4), net.input(1, 1, 3), net.known(data), name="conv"))
    result = apply(trim_zero_rings, before)
    assert np.isnan(run(result.graph, seeded_feeds(before))["y0"]).all()
