"""Sums over images and positions: of each image first, so that shards divide them; one sum where that gains nothing."""

from __future__ import annotations

import pytest

from cnncc.ir import Value
from cnncc.ops import ReduceL1, ReduceMax, ReduceMean, ReduceMin, ReduceSum, ReduceSumSquare, Sqrt, Sub, Transpose
from cnncc.plan.plan import Plan
from tests.graphs import Net, assert_same_bits, check, compilation, native, runnable_targets, sprinkled

SHAPE = (8, 24, 16, 16)
TARGETS = [target for target in ("host", "x86-64-v2") if target in runnable_targets()]


def batch(net: Net, channels_last: bool) -> Value:
    """Images, of which those with channels last have channels that are no whole number of vectors."""
    if not channels_last:
        return net.input(*SHAPE)
    n, c, *sizes = SHAPE
    return net.apply(Transpose((0, 3, 1, 2)), net.input(n, *sizes, c))


def sums(plan: Plan) -> list[int]:
    """The numbers of units that shards divide, of each reduction of single images."""
    return [step.partitions for step in plan.steps if "of each image" in step.target.buffer]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("channels_last", [False, True], ids=["planar", "channels last"])
def test_each_image_is_reduced_by_itself(target: str, channels_last: bool) -> None:
    net = Net()
    x = batch(net, channels_last)
    ops = [ReduceSum((0, 2, 3)), ReduceMean((0, 2, 3)), ReduceSum((0, 3)), ReduceMax((0, 2, 3)), ReduceMin((0, 1))]
    graph = net.graph(*(net.apply(op, x) for op in ops))
    plan = compilation(graph, target).plan
    assert len(sums(plan)) == len(ops) and min(sums(plan)) == SHAPE[0]
    check(graph, net.feeds, target)
    check(graph, sprinkled(net.feeds, 1, 0.001), target)


@pytest.mark.parametrize("channels_last", [False, True], ids=["planar", "channels last"])
def test_sums_of_expressions(channels_last: bool) -> None:
    """With a vector of results they were one unit; with lanes along a fibre the results are units enough."""
    net = Net()
    x, c = batch(net, channels_last), SHAPE[1]
    centred = net.apply(Sub(), x, net.weights(1, c, 1, 1))
    root = net.apply(Sqrt(), net.apply(ReduceSumSquare((0, 2, 3)), centred))
    graph = net.graph(root, net.apply(ReduceL1((0, 2, 3)), x))
    plan = compilation(graph).plan
    assert len(sums(plan)) == (2 if channels_last else 0) and not any(units % SHAPE[0] for units in sums(plan))
    check(graph, net.feeds)
    check(graph, sprinkled(net.feeds, 1, 0.001))


def test_the_number_of_shards_changes_no_bit() -> None:
    net = Net()
    x = batch(net, True)
    squares = net.apply(ReduceSumSquare((0, 2, 3)), x)
    compiled = compilation(net.graph(net.apply(ReduceMean((0, 2, 3)), x), squares))
    assert compiled.plan.useful_shards > 1
    one = native(compiled, net.feeds)
    for threads in (2, 3, 4):
        assert_same_bits(native(compiled, net.feeds, threads), one)


@pytest.mark.parametrize(
    ("shape", "axes", "target"),
    [
        (SHAPE, (0, 2, 3), "cortex-m4"),  # has one shard
        ((2, 24, 8, 8), (0, 2, 3), "x86-64-v3"),  # takes less time than a barrier
        ((1, 24, 64, 64), (0, 2, 3), "x86-64-v3"),  # one image
        (SHAPE, (1, 2, 3), "x86-64-v3"),  # images stay
        (SHAPE, (0, 1, 2, 3), "x86-64-v3"),  # one result
        ((4096, 24), (0,), "x86-64-v3"),  # an image has one position
    ],
)
def test_where_it_is_one_sum(shape: tuple[int, ...], axes: tuple[int, ...], target: str) -> None:
    net = Net()
    plan = compilation(net.graph(net.apply(ReduceSum(axes), net.input(*shape))), target).plan
    assert not any("of each image" in step.target.buffer for step in plan.steps)


def test_a_sum_of_each_image_is_not_also_one_of_each_row() -> None:
    net = Net()
    plan = compilation(net.graph(net.apply(ReduceSum((0, 2, 3)), batch(net, True))), "x86-64-v3").plan
    assert [step.kernel.describe().split(";")[0] for step in plan.steps] == [
        "reduce add over axes (2, 3)",
        "reduce add over axes (0,)",
    ]
