from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnncc.ops import Conv
from cnncc.passes.separable import lower_separable
from cnncc.types import Array

from .support import Net, apply, assert_within_bounds, layers, why


def bank(rng: np.random.Generator, outputs: int, kh: int, kw: int) -> Array:
    """Kernels of rank one whose factors are small whole numbers and eighths, so that every product is exact."""
    u = rng.integers(1, 9, (outputs, kh, 1)) / 8
    v = rng.integers(-9, 9, (outputs, 1, kw))
    return (u * np.where(v == 0, 10, v)).astype(np.float32)[:, None]


CASES = [
    ((1, 6, 12, 13), 6, (3, 3), {"groups": 6, "padding": "same"}),
    ((2, 4, 11, 9), 4, (5, 3), {"groups": 4, "padding": "full", "flip": True}),
    ((1, 3, 12, 12), 6, (3, 5), {"groups": 3, "padding": ((1, 0), (2, 3))}),
    ((1, 1, 16, 15), 8, (5, 5), {"padding": 2, "stride": (2, 1)}),
    ((1, 2, 17, 18), 2, (3, 3), {"groups": 2, "dilation": (2, 3), "stride": (3, 1)}),
    ((1, 1, 9, 9), 1, (7, 7), {"padding": "same"}),
]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(("shape", "outputs", "kernel", "how"), CASES)
def test_splits_filter_banks(
    shape: tuple[int, ...], outputs: int, kernel: tuple[int, int], how: dict[str, Any], bias: bool
) -> None:
    net = Net()
    x = net.input(*shape)
    weights = [net.known(bank(net.rng, outputs, *kernel))] + ([net.weights(outputs)] if bias else [])
    before = net.graph(net.apply(Conv(kernel, **how), x, *weights, name="bank"))
    result = apply(lower_separable, before)
    assert layers(result.graph) == ["bank.column", "bank"]
    column, row = result.graph["bank.column"], result.graph["bank"]
    assert len(column.inputs) == 2 and len(row.inputs) == (3 if bias else 2)
    macs = [node.op.cost(*graph.types(node.inputs)).macs for graph in (before, result.graph) for node in graph]
    old, new = macs[: len(before.nodes)], macs[len(before.nodes) :]
    (fired,) = result.fired
    assert fired.tag == "rounding" and "2^-24" in fired.bound
    assert fired.detail == f"{sum(old)} multiply-accumulates become {sum(new)}" and sum(new) < sum(old)
    assert_within_bounds(before, result.graph)


def cubes(rng: np.random.Generator, outputs: int, *kernel: int) -> Array:
    """Kernels u·v·w of small whole numbers."""
    vectors = [rng.integers(1, 6, (outputs, size)) for size in kernel]
    return np.asarray(np.einsum("oa,ob,oc->oabc", *vectors), np.float32)[:, None]


@pytest.mark.parametrize(
    ("shape", "outputs", "kernel", "how", "names"),
    [
        ((1, 2, 7, 8, 9), 4, (3, 3, 3), {"groups": 2, "padding": "same"}, ["bank.depth", "bank.column", "bank"]),
        ((1, 1, 8, 9, 9), 2, (3, 4, 2), {"stride": (1, 2, 1), "flip": True}, ["bank.depth", "bank.column", "bank"]),
        ((1, 1, 6, 9, 9), 1, (1, 5, 5), {"padding": 2, "dilation": (1, 1, 2)}, ["bank.column", "bank"]),
        ((1, 1, 9, 6, 9), 1, (5, 1, 5), {"padding": (0, 1, 0), "stride": (1, 2, 1)}, ["bank.depth", "bank"]),
        ((1, 1, 9, 9, 6), 1, (5, 5, 1), {"padding": (0, 1, 2), "stride": (1, 1, 2)}, ["bank.depth", "bank"]),
    ],
)
def test_splits_volumes(
    shape: tuple[int, ...], outputs: int, kernel: tuple[int, ...], how: dict[str, Any], names: list[str]
) -> None:
    net = Net()
    x = net.input(*shape)
    before = net.graph(net.apply(Conv(kernel, **how), x, net.known(cubes(net.rng, outputs, *kernel)), name="bank"))
    result = apply(lower_separable, before)
    assert layers(result.graph) == names
    assert_within_bounds(before, result.graph)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(("kernel", "size"), [((3, 3), (9, 8)), ((3, 2, 3), (5, 6, 7))])
def test_outputs_that_share_their_columns_share_a_pass(
    kernel: tuple[int, ...], size: tuple[int, ...], groups: int
) -> None:
    """One matrix of (inputs · k₁) × (outputs · the rest) in each group: a single channel between the passes."""
    net = Net()
    x = net.input(1, 4, *size)
    u, v = net.rng.integers(1, 9, (groups, 4 // groups * kernel[0])), net.rng.integers(1, 9, (groups, 6 // groups * 9))
    v = v[:, : 6 // groups * int(np.prod(kernel[1:]))]
    grouped = np.einsum("ga,gb->gab", u, v).reshape(groups, 4 // groups, kernel[0], 6 // groups, *kernel[1:])
    axes = (0, 3, 1, 2, *range(4, grouped.ndim))
    weights = net.known(grouped.transpose(axes).reshape(6, 4 // groups, *kernel).astype(np.float32))
    before = net.graph(net.apply(Conv(kernel, 1, padding=1, groups=groups), x, weights, net.weights(6), name="bank"))
    result = apply(lower_separable, before)
    middle, last = layers(result.graph)
    assert last == "bank" and result.graph[middle].types[0].shape[1] == groups
    assert_within_bounds(before, result.graph)


def test_the_edge_detection_bank() -> None:
    """Smoothing, gradients and a box, given densely: 229 multiply-accumulates a pixel become 62."""
    net = Net()
    g = np.exp(-(np.arange(-3, 4, dtype=np.float32) ** 2) / np.float32(4.5))
    g = (g / g.sum()).astype(np.float32)
    rise, hat = np.array([-1.0, 0, 1]), np.array([1.0, 2, 1])
    y = net.apply(Conv((7, 7), padding=3), net.input(1, 1, 20, 20), net.known(np.multiply.outer(g, g)[None, None]))
    slopes = net.known(np.stack([np.outer(hat, rise), np.outer(rise, hat)])[:, None])
    y = net.relu(net.apply(Conv((3, 3), padding=1), y, slopes))
    before = net.graph(net.apply(Conv((9, 9), padding=4, groups=2), y, net.known(np.full((2, 1, 9, 9), 1 / 81))))
    result = apply(lower_separable, before)
    macs = [sum(n.op.cost(*g.types(n.inputs)).macs for n in g) for g in (before, result.graph)]
    assert macs == [229 * 400, 62 * 400]
    assert_within_bounds(before, result.graph)


def test_rounded_products_stay_within_the_bound() -> None:
    net = Net()
    g = np.exp(-(np.arange(-3, 4) ** 2) / 6.0)
    g = (g / g.sum()).astype(np.float32)
    weights = net.known(np.multiply.outer(g, g)[None, None])
    before = net.graph(net.apply(Conv((7, 7), padding=3), net.input(1, 1, 20, 20), weights, name="blur"))
    result = apply(lower_separable, before)
    assert layers(result.graph) == ["blur.column", "blur"]
    assert_within_bounds(before, result.graph)


def refused(op: Conv, weights: Array, *shape: int) -> str:
    net = Net()
    before = net.graph(net.apply(op, net.input(*shape), net.known(weights), name="bank"))
    result = apply(lower_separable, before)
    assert result.graph.canonical() == before.canonical()
    return why(result, "bank")


def test_more_input_channels_are_left_alone() -> None:
    told = refused(Conv((3, 3)), np.random.default_rng(0).standard_normal((4, 2, 3, 3)), 1, 2, 8, 8)
    assert told.startswith("each output sums over 2 input channels, and no float32 u, v were found")


def test_one_kernel_of_higher_rank_spoils_the_bank() -> None:
    weights = np.ones((4, 1, 3, 3))
    weights[2, 0] = np.eye(3)
    assert "the kernel of output 2" in refused(Conv((3, 3), groups=4), weights, 1, 4, 8, 8)


@pytest.mark.parametrize(
    ("kernel", "shape"), [((1, 5), (8, 8)), ((5, 1), (8, 8)), ((5,), (8,)), ((1, 3, 1), (4, 4, 4))]
)
def test_other_kernels_are_left_alone(kernel: tuple[int, ...], shape: tuple[int, ...]) -> None:
    told = refused(Conv(kernel), np.ones((1, 1, *kernel)), 1, 1, *shape)
    assert told == "only kernels with taps along two axes can be separated"


def test_what_does_not_pay_is_left_alone() -> None:
    assert "multiply-accumulates, one takes" in refused(Conv((2, 2)), np.ones((1, 1, 2, 2)), 1, 1, 8, 8)
    assert "multiply-accumulates, one takes" in refused(Conv((3, 3), stride=3), np.ones((1, 1, 3, 3)), 1, 1, 9, 9)


def test_run_time_weights_are_left_alone() -> None:
    net = Net()
    x, w = net.input(1, 1, 8, 8), net.input(2, 1, 3, 3, name="w")
    result = apply(lower_separable, net.graph(net.apply(Conv((3, 3)), x, w, name="bank")))
    assert why(result, "bank") == "its weights are known only at run time"


def test_weights_that_are_not_finite_are_left_alone() -> None:
    weights = np.ones((1, 1, 3, 3))
    weights[0, 0, 1, 1] = np.nan
    assert "were found" in refused(Conv((3, 3)), weights, 1, 1, 8, 8)


def test_kernels_from_double_precision_are_separated_with_a_wider_bound() -> None:
    net = Net()
    g = np.exp(-(np.arange(-3, 4) ** 2) / 4.4)
    kernels = np.stack([np.outer(g, g) / g.sum() ** 2, np.outer(np.ones(7), np.arange(7) - 3)]).astype(np.float32)
    before = net.graph(net.apply(Conv((7, 7), padding=3), net.input(1, 1, 12, 12), net.known(kernels[:, None])))
    result = apply(lower_separable, before)
    (fired,) = result.fired
    assert "|δ| <= 2·2^-24" in fired.rule and fired.bound.startswith("16·2^-24")
    assert_within_bounds(before, result.graph)
