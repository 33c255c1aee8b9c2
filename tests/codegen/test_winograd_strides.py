"""Winograd convolutions with strides: phases of their own, or several in a vector where there are few channels."""

from __future__ import annotations

import numpy as np
import pytest

from cnncc.check.bound import compare
from cnncc.check.tolerance import bounds
from cnncc.ops import Add, Concat, Conv, MaxPool, Relu, Slice
from cnncc.plan.kernels import Winograd
from tests.codegen.test_winograd import TARGETS, agree, convolved, transformed
from tests.graphs import Net, assert_same_bits, expected, native, worst_ratio

pytestmark = pytest.mark.combinations

ALONE = r"winograd [\d×]+, \d+×\d+$"  # each phase has vectors of its own
JOINED = r"winograd .*phases$"


@pytest.mark.parametrize("label", [ALONE, JOINED])
@pytest.mark.parametrize("border", ["none", "all"])
@pytest.mark.parametrize("target", TARGETS)
def test_sizes_and_tails(target: str, border: str, label: str) -> None:
    """Partial tiles at every edge, odd sizes, tails of channels and of outputs; with and without a border."""
    net = Net()
    outputs = []
    shapes = [(1, 5, 6, 7), (3, 17, 13, 10), (2, 16, 16, 16), (4, 9, 9, 15), (5, 33, 8, 5), (1, 1, 4, 4)]
    for channels, made, height, width in shapes if label == JOINED else [*shapes[1:3], (17, 35, 11, 18)]:
        x = convolved(net, net.input(1, channels, height, width), channels, Conv((1, 1)))
        outputs.append(convolved(net, x, made, Conv((3, 3), 2, 1, 1)))
    agree(net, *outputs, target=target, label=label, borders=border)


@pytest.mark.parametrize(
    ("kernel", "stride"), [((7, 7), 2), ((4, 5), 2), ((3, 3), (2, 1)), ((3, 5), (1, 3)), ((3, 1), 2), ((2, 4), (3, 2))]
)
def test_windows(kernel: tuple[int, int], stride: int | tuple[int, int]) -> None:
    """Strides on one axis or on both, phases with equally many taps, and axes without a transform."""
    for channels, label, padding in ((3, JOINED, ((2, 0), (0, 3))), (18, ALONE, "same")):
        net = Net()
        x = net.input(1, channels, 15, 14)
        agree(net, convolved(net, x, 20, Conv(kernel, stride, padding=padding)), checked=True, label=label)


@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_stride_and_a_dilation_of_one_tap(size: int) -> None:
    """Of an axis without a transform, whose last tiles begin by more than the dilation after the others."""
    net = Net()
    x = net.input(1, 18, 12, size)
    conv = Conv((3, 1), (1, 2), (1, 2), ((0, 0), (1, 2)))
    agree(net, convolved(net, x, 20, conv), checked=True, label=r"winograd")


@pytest.mark.parametrize("label", [ALONE, JOINED])
def test_other_ranks(label: str) -> None:
    """In one dimension rows are positions; with three axes there are up to eight phases."""
    net = Net()
    line, space = net.input(1, 2, 31), net.input(1, 1, 7, 8, 9)
    lines = [convolved(net, line, 12, Conv((k,), s, 1, "same")) for k, s in ((3, 2), (9, 2), (5, 3), (7, 4))]
    agree(net, *lines, convolved(net, space, 6, Conv((3, 3, 3), 2, 1, 1)), label=label)


def test_channels_that_are_not_side_by_side() -> None:
    """A part of another tensor, whose pixels lie further apart than its channels reach."""
    net = Net()
    x = convolved(net, net.input(1, 6, 13, 12), 8, Conv((1, 1)))
    parts = [net.apply(Slice((0, first, 0, 0), (1, first + 3, 13, 12)), x) for first in (0, 5)]
    both = net.apply(Concat(1), net.apply(Relu(), parts[0]), parts[1])
    agree(net, *(convolved(net, part, 10, Conv((3, 3), 2, 1, 1)) for part in (*parts, both)), label=JOINED)


@pytest.mark.parametrize("label", [ALONE, JOINED])
def test_epilogues(label: str) -> None:
    net = Net()
    x = net.input(2, 4, 18, 15)
    y = convolved(net, x, 20, Conv((3, 3), 2, 1, 1))
    added = net.apply(Add(), y, net.input(2, 20, *net.shape(y)[2:]))
    pooled = net.apply(MaxPool((2, 2), 2), net.apply(Relu(), convolved(net, x, 20, Conv((5, 5), 2, 1, 2))))
    agree(net, net.apply(Relu(), added), pooled, label=label)


@pytest.mark.parametrize("threads", [1, 3])
def test_rows_of_a_ring(threads: int) -> None:
    """A tile of a strided convolution reads several rows of a ring for each of its own."""
    net = Net()
    x = net.input(1, 2, 161, 11)
    for outputs, op in ((4, Conv((3, 3), (2, 1), 1, 1)), (8, Conv((7, 7), 2, 1, 3)), (16, Conv((3, 3), 2, 1, 1))):
        x = net.apply(Relu(), convolved(net, x, outputs, op))
    graph = net.graph(x)
    whole = transformed(graph, label=JOINED, streaming="none")
    chained = transformed(graph, label=JOINED, streaming="chains", checked=True)
    assert max(len(stage.steps) for stage in chained.plan.stages) > 2
    wanted = native(whole, net.feeds)
    worst_ratio(wanted, expected(whole, net.feeds))
    assert_same_bits(native(chained, net.feeds, threads), wanted)


def test_shares_of_blocks_of_outputs() -> None:
    net = Net()
    graph = net.graph(convolved(net, net.input(1, 20, 13, 13), 280, Conv((3, 3), 2, 1, 1)))
    compiled = transformed(graph, label="winograd 4×4")
    (kernel,) = (step.kernel for step in compiled.plan.steps if isinstance(step.kernel, Winograd))
    assert kernel.partition_axis == "blocks"
    wanted = native(compiled, net.feeds)
    worst_ratio(wanted, expected(compiled, net.feeds))
    for threads in (2, 7):
        assert_same_bits(native(compiled, net.feeds, threads), wanted)


# Numbers


@pytest.mark.parametrize(("channels", "label"), [(3, r"winograd 2×2.*phases$"), (3, ALONE), (40, ALONE)])
def test_whole_numbers_are_exact(channels: int, label: str) -> None:
    """F(2, 2) has the points 0, 1 and ∞: a sum of small whole numbers has no roundings. Each tap alone is one pixel."""
    net = Net()
    rng = np.random.default_rng(0)
    x = net.arrives(rng.integers(-9, 10, (1, channels, 13, 14)).astype(np.float32))
    dense = rng.integers(-9, 10, (11, channels, 3, 3)).astype(np.float32)
    taps = np.zeros((9 * channels, channels, 3, 3), np.float32)
    taps.reshape(9 * channels, -1)[range(9 * channels), range(9 * channels)] = 1
    outputs = [net.apply(Conv((3, 3), 2, 1, 1), x, net.known(w)) for w in (dense, taps)]
    compiled = transformed(net.graph(*outputs), label=label.replace(r"[\d×]+", "2×2"))
    wanted = expected(compiled, net.feeds)
    for name, found in native(compiled, net.feeds).items():
        np.testing.assert_array_equal(found, wanted[name].reference)


@pytest.mark.parametrize("channels", [3, 16])
def test_what_is_not_finite_stays_in_its_tiles(channels: int) -> None:
    """Of 4 × 4 outputs, which read 9 × 9 pixels; the tenth belongs to no tap, not even of a phase that is alike."""
    net = Net()
    x = net.input(1, channels, 33, 33)
    label = "winograd 4×4.*phases" if channels == 3 else "winograd 4×4"
    compiled = transformed(net.graph(convolved(net, x, 16, Conv((3, 3), 2))), label=label)
    net.feeds["x"][0, 1, 9, 14] = np.inf  # rows of the second tiles only: the first ones end with row 8
    found = native(compiled, net.feeds)["y0"]
    bound = expected(compiled, net.feeds)["y0"]
    inside = np.zeros(found.shape, bool)
    inside[:, :, 4:8, 4:8] = True
    np.testing.assert_array_equal(np.isinf(bound.error), inside)
    assert not np.isfinite(found[:, :, 4, 6:8]).any()
    assert np.isfinite(found[~inside]).all()


def test_the_bound_finds_mistakes() -> None:
    net = Net()
    graph = net.graph(convolved(net, net.input(1, 24, 32, 32), 32, Conv((3, 3), 2, 1, 1)))
    compiled = transformed(graph, label="winograd 4×4")
    found, wide = native(compiled, net.feeds)["y0"], expected(compiled, net.feeds)["y0"]
    narrow = bounds(compiled.optimised.graph, net.feeds)[compiled.optimised.graph.outputs["y0"]]
    assert (wide.error > narrow.error).all()
    assert wide.error.max() < 0.05 * np.abs(wide.reference).max()
    found[0, 5, 6, 7] += 0.1
    assert not compare(found, wide).ok
