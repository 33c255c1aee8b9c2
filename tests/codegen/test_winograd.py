"""Winograd convolutions against the interpreter, within their own derived bound, and against themselves bit for bit."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pytest

from cnncc.check.bound import compare
from cnncc.check.tolerance import bounds
from cnncc.compiler import Compilation
from cnncc.ir import Graph, Value
from cnncc.ops import Add, AveragePool, Conv, MaxPool, Relu
from cnncc.plan.kernels import Winograd
from cnncc.runtime.model import Model
from tests.graphs import (
    Net,
    assert_same_bits,
    call,
    compilation,
    expected,
    native,
    runnable_targets,
    sprinkled,
    worst_ratio,
)

pytestmark = pytest.mark.combinations

TARGETS = list(runnable_targets())


def convolved(net: Net, x: Value, outputs: int, op: Conv, *, bias: bool = True) -> Value:
    w = net.weights(outputs, net.shape(x)[1], *op.kernel)
    return net.apply(op, x, w, *([net.weights(outputs)] if bias else []))


def transformed(graph: Graph, target: str = "host", label: str = "winograd", pick: int = 0, **options) -> Compilation:
    """A compilation where every convolution that can is computed by the candidate `pick` whose label matches."""
    offers = compilation(graph, target, **options).plan.offers
    named = {
        signature: [candidate.label for candidate in candidates if re.match(label, candidate.label)]
        for signature, candidates in offers.items()
    }
    choices = tuple((signature, labels[pick % len(labels)]) for signature, labels in named.items() if labels)
    compiled = compilation(graph, target, choices=choices, **options)
    assert choices and compiled.plan.tiles
    return compiled


def agree(net: Net, *outputs: Value, target: str = "host", **options) -> None:
    """Native code keeps the bound, also for special values, and shards make the same bits."""
    compiled = transformed(net.graph(*outputs), target, **options)
    with Model(compiled.build()) as model, Model(compiled.build(), threads=3) as shards:
        for feeds in (net.feeds, sprinkled(net.feeds, 1, 0.005)):
            found = call(model, feeds)
            worst_ratio(found, expected(compiled, feeds))
            assert_same_bits(call(shards, feeds), found, "three shards")


@pytest.mark.parametrize("border", ["none", "all"])
@pytest.mark.parametrize("label", ["winograd 2×2", "winograd 4×4"])
@pytest.mark.parametrize("target", TARGETS)
def test_sizes_and_tails(target: str, label: str, border: str) -> None:
    """Partial tiles at every edge, tails of channels, of outputs, of register tiles; with and without a border."""
    net = Net()
    outputs = []
    for number, (channels, made, height, width) in enumerate(
        [(1, 1, 1, 1), (3, 5, 4, 4), (5, 17, 7, 9), (16, 16, 8, 8), (19, 33, 6, 11), (8, 35, 13, 5)]
    ):
        x = convolved(net, net.input(1, channels, height, width), channels, Conv((1, 1)))
        outputs.append(convolved(net, x, made, Conv((3, 3), padding="same"), bias=number % 2 == 0))
    agree(net, *outputs, target=target, label=label, borders=border)


@pytest.mark.parametrize("checked", [False, True])
@pytest.mark.parametrize("pick", range(3))
def test_paddings(pick: int, checked: bool) -> None:
    net = Net()
    x = net.input(1, 6, 9, 10)
    pads = [0, 1, 2, ((2, 0), (0, 2)), ((0, 1), (3, 0)), "full"]
    agree(net, *(convolved(net, x, 7, Conv((3, 3), padding=p)) for p in pads), pick=pick, checked=checked)


@pytest.mark.parametrize("checked", [False, True])
@pytest.mark.parametrize("kernel", [(1, 3), (3, 1), (5, 5), (2, 4), (1, 7), (5, 1)])
def test_windows(kernel: tuple[int, int], checked: bool) -> None:
    net = Net()
    x = net.input(1, 6, 11, 10)
    agree(net, *(convolved(net, x, 20, Conv(kernel, padding=p)) for p in ("same", 0)), checked=checked)


@pytest.mark.parametrize("checked", [False, True])
@pytest.mark.parametrize("dilation", [(2, 2), (3, 1), (1, 4), (5, 5)])
def test_dilations(dilation: tuple[int, int], checked: bool) -> None:
    """Tiles of each phase; some phases have fewer outputs, or none."""
    net = Net()
    x = net.input(1, 6, 13, 11)
    agree(net, *(convolved(net, x, 9, Conv((3, 3), 1, dilation, p)) for p in ("same", 5)), checked=checked)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("length", [3, 4, 5, 16, 33])
def test_one_dimension(length: int, target: str) -> None:
    """Rows are positions."""
    net = Net()
    x = net.input(1, 12, length)
    ops = [Conv((3,), padding="same"), Conv((5,), padding="same"), Conv((3,), dilation=2, padding="same")]
    agree(net, *(convolved(net, x, 18, op) for op in ops), target=target)


@pytest.mark.parametrize("checked", [False, True])
def test_three_dimensions(checked: bool) -> None:
    net = Net()
    x = net.input(1, 4, 6, 5, 7)
    ops = [Conv((3, 3, 3), padding="same"), Conv((3, 1, 2)), Conv((2, 3, 3), padding=1)]
    agree(net, *(convolved(net, x, 17, op) for op in ops), checked=checked)


def test_several_blocks_of_tiles() -> None:
    """More tiles than fit into a block, and a last block that is not full."""
    net = Net()
    x = net.input(1, 40, 61, 50)
    graph = net.graph(convolved(net, x, 40, Conv((3, 3), padding="same")))
    compiled = transformed(graph, "x86-64-v3" if "x86-64-v3" in TARGETS else "host")
    assert any(np.prod(k.grid) > k.tiles for k in (s.kernel for s in compiled.plan.steps) if isinstance(k, Winograd))
    wanted = native(compiled, net.feeds)
    worst_ratio(wanted, expected(compiled, net.feeds))
    for threads in (2, 5):
        assert_same_bits(native(compiled, net.feeds, threads), wanted)


# Epilogues


def epilogues(net: Net, x: Value) -> Iterator[Value]:
    y = convolved(net, x, 20, Conv((3, 3), padding=1))
    height, width = net.shape(y)[2:]
    yield net.apply(Relu(), y)
    yield net.apply(Add(), convolved(net, x, 20, Conv((3, 3), padding=1)), net.input(1, 20, height, width))
    for pool in (MaxPool((2, 2), 2), AveragePool((2, 2), 2), MaxPool((1, 2), (1, 2)), MaxPool((4, 2), (4, 2))):
        yield net.apply(pool, net.apply(Relu(), convolved(net, x, 20, Conv((3, 3), padding=1))))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("size", [(8, 8), (9, 14), (7, 5)])
def test_epilogues(size: tuple[int, int], target: str) -> None:
    net = Net()
    x = net.input(1, 10, *size)
    agree(net, *epilogues(net, x), target=target)


@pytest.mark.parametrize("checked", [False, True])
def test_a_pool_in_one_dimension(checked: bool) -> None:
    net = Net()
    y = convolved(net, net.input(1, 10, 31), 20, Conv((3,), padding=1))
    agree(net, net.apply(MaxPool((2,), 2), y), checked=checked)


# The contract


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_chains_of_grains(threads: int) -> None:
    """Rings between Winograd convolutions: rows come in whole tiles, and have the bits that they always have."""
    net = Net()
    x = net.input(1, 8, 141, 11)
    for op in (Conv((3, 3), padding="same"), Conv((3, 3), 2, 1), Conv((3, 3), dilation=2), Conv((5, 3), padding=2)):
        x = net.apply(Relu(), convolved(net, x, 16, op))
    graph = net.graph(net.apply(MaxPool((3, 3), 2), x))
    whole = transformed(graph, label="winograd", streaming="none")
    chained = transformed(graph, label="winograd", streaming="chains", checked=True)
    assert max(len(stage.steps) for stage in chained.plan.stages) > 3
    wanted = native(whole, net.feeds)
    worst_ratio(wanted, expected(whole, net.feeds))
    assert_same_bits(native(chained, net.feeds, threads), wanted)


def test_images_of_a_batch() -> None:
    net = Net()
    x = net.input(3, 8, 9, 9)
    compiled = transformed(net.graph(convolved(net, x, 16, Conv((3, 3), padding=1))))
    together = native(compiled, net.feeds)["y0"]
    with Model(compiled.build()) as model:
        for image in range(3):
            alone = model(net.feeds["x"][image : image + 1])
            np.testing.assert_array_equal(alone, together[image : image + 1])


def test_shards_part_no_grain() -> None:
    net = Net()
    x = net.input(1, 8, 28, 28)
    compiled = transformed(net.graph(convolved(net, x, 16, Conv((3, 3), padding=1))), label="winograd 4×4")
    assert {step.granularity for step in compiled.plan.steps if isinstance(step.kernel, Winograd)} == {4}


@pytest.mark.parametrize("checked", [False, True])
def test_shares_of_blocks_of_outputs(checked: bool) -> None:
    """Three rows of tiles are shared by blocks of outputs; every shard transforms all inputs."""
    net = Net()
    x = net.input(1, 20, 13, 13)
    graph = net.graph(net.apply(Relu(), convolved(net, x, 280, Conv((3, 3), padding=1))))
    compiled = transformed(graph, label="winograd 5×5", checked=checked)
    assert {step.kernel.partition_axis for step in compiled.plan.steps if isinstance(step.kernel, Winograd)} == {
        "blocks"
    }
    wanted = native(compiled, net.feeds)
    worst_ratio(wanted, expected(compiled, net.feeds))
    for threads in (2, 3, 7, 20):
        assert_same_bits(native(compiled, net.feeds, threads), wanted)


# Numbers


def test_finite_stays_finite() -> None:
    """Where a direct sum stays far from overflow, so do the transforms."""
    net = Net()
    x = net.arrives((net.random(1, 16, 12, 12) * 1e30).astype(np.float32))
    compiled = transformed(net.graph(convolved(net, x, 16, Conv((3, 3), padding=1))), label="winograd 4×4")
    found = native(compiled, net.feeds)
    assert np.isfinite(found["y0"]).all()
    worst_ratio(found, expected(compiled, net.feeds))


def test_what_is_not_finite_stays_in_its_tiles() -> None:
    net = Net()
    x = net.input(1, 16, 16, 16)
    compiled = transformed(net.graph(convolved(net, x, 16, Conv((3, 3), padding=1))), label="winograd 4×4")
    net.feeds["x"][0, 3, 9, 6] = np.inf
    found = native(compiled, net.feeds)["y0"]
    bound = expected(compiled, net.feeds)["y0"]
    assert not np.isfinite(found[:, :, 8:11, 5:8]).any()
    inside = np.zeros(found.shape, bool)
    inside[:, :, 8:12, 4:8] = True
    np.testing.assert_array_equal(np.isinf(bound.error), inside)
    assert np.isfinite(found[~inside]).all()


def test_the_bound_is_wider_than_that_of_a_sum_but_finds_mistakes() -> None:
    net = Net()
    x = net.input(1, 32, 16, 16)
    graph = net.graph(convolved(net, x, 32, Conv((3, 3), padding=1)))
    compiled = transformed(graph, label="winograd 4×4")
    found, wide = native(compiled, net.feeds)["y0"], expected(compiled, net.feeds)["y0"]
    value = compiled.optimised.graph.outputs["y0"]
    narrow = bounds(compiled.optimised.graph, net.feeds)[value]
    assert (wide.error > narrow.error).all()
    assert wide.error.max() < 0.05 * np.abs(wide.reference).max()
    found[0, 5, 6, 7] += 0.1
    assert not compare(found, wide).ok
