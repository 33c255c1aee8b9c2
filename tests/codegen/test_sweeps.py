"""Reductions and the expressions around them in one kernel: random groups, shapes, axes and orders; bits.

`test_statistics` has the ops, with each subset of axes.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from cnncc.ir import Value
from cnncc.ops import (
    Add,
    Conv,
    Div,
    Exp,
    LayerNormalization,
    Mul,
    ReduceL2,
    ReduceMax,
    ReduceMean,
    ReduceMin,
    ReduceSum,
    Sigmoid,
    Softmax,
    Sqrt,
    Sub,
)
from cnncc.plan.kernels import Reduce, Sweeps
from cnncc.types import Array
from tests.graphs import Net, assert_same_bits, check, check_all, compilation, native, runnable_targets, sprinkled

pytestmark = pytest.mark.combinations

TARGETS_HERE = [target for target in ("host", "x86-64-v3", "x86-64-v2") if target in runnable_targets()]
SIZES = (1, 2, 3, 5, 7, 8, 13, 16, 17, 33, 49, 70)


def image(net: Net, rng: np.random.Generator, channels_last: bool) -> Value:
    """An input of two to five axes, or what a convolution of many channels has left channels last."""
    shape = [int(rng.choice(SIZES[:6])) for _ in range(int(rng.integers(2, 6)))]
    shape[int(rng.integers(len(shape)))] = int(rng.choice(SIZES))
    if len(shape) > 3:
        shape[0] = 1 + shape[0] % 2
    if not channels_last or len(shape) < 3:
        return net.input(*shape)
    x = net.input(shape[0], 16, *shape[2:])
    return net.apply(Conv((1,) * (len(shape) - 2)), x, net.weights(shape[1], 16, *(1,) * (len(shape) - 2)))


def random_axes(rng: np.random.Generator, rank: int) -> tuple[int, ...]:
    """Some axes; not the first alone with few others, so that there are images as well."""
    count = int(rng.integers(1, rank))
    return tuple(sorted(int(axis) for axis in rng.choice(np.arange(1, rank), min(count, rank - 1), replace=False)))


def group(net: Net, rng: np.random.Generator, x: Value) -> Value:
    """Reductions of one fibre after the other, with expressions of elements and of values before, between and after."""
    axes = random_axes(rng, len(net.shape(x)))
    value = net.apply(Sigmoid(), x) if rng.random() < 0.3 else x
    for _ in range(int(rng.integers(1, 4))):
        reduction = (ReduceMax, ReduceMean, ReduceSum, ReduceMin, ReduceL2)[int(rng.integers(5))]
        total = net.apply(reduction(axes), value)
        if rng.random() < 0.4:
            total = net.apply(Sqrt(), net.apply(Mul(), total, total))
        if rng.random() < 0.3:  # a second one of the same elements, in the same sweep
            total = net.apply(Add(), total, net.apply(ReduceMax(axes), value))
        value = net.apply((Sub, Mul, Add)[int(rng.integers(3))](), value, total)
        if rng.random() < 0.4:
            value = net.apply(Exp(), net.apply(Sub(), value, net.apply(ReduceMax(axes), value)))
    if rng.random() < 0.5:  # along the fibres, across them, or both
        shape = [size if rng.random() < 0.5 else 1 for size in net.shape(x)]
        value = net.apply(Mul(), value, net.weights(*shape))
    return value if rng.random() < 0.7 else net.apply(ReduceSum(axes, bool(rng.random() < 0.5)), value)


@pytest.mark.parametrize("target", TARGETS_HERE)
@pytest.mark.parametrize("seed", range(4))
def test_random_groups(target: str, seed: int) -> None:
    rng, net = np.random.default_rng(seed), Net(seed)
    outputs = [group(net, rng, image(net, rng, bool(number % 2))) for number in range(7)]
    graph = net.graph(*outputs)
    assert any(isinstance(step.kernel, Sweeps) for step in compilation(graph, target).plan.steps)
    check_all(graph, target, net.feeds, sprinkled(net.feeds, seed, 0.01))


def rows(net: Net, x: Value) -> list[Value]:
    """Softmax, a norm and reductions along the last axis."""
    last = len(net.shape(x)) - 1
    return [net.apply(op, x) for op in (Softmax(-1), ReduceSum((last,)), ReduceMax((last,)), ReduceL2((last,)))]


@pytest.mark.parametrize("target", TARGETS_HERE)
def test_the_number_of_shards_changes_no_bit(target: str) -> None:
    """Neighbours whose partial results are folded together give the bits of one alone."""
    net = Net()
    shapes = ((1, 37, 49), (2, 9, 5, 21), (1, 40, 49), (1, 3, 5, 197), (2, 24, 24), (1, 7, 450))
    outputs = [output for shape in shapes for output in rows(net, net.input(*shape))]
    outputs.append(net.apply(Softmax(1), net.input(1, 7, 9, 5)))
    outputs.append(net.apply(LayerNormalization(-1), net.input(1, 40, 96), net.weights(96), net.weights(96)))
    graph = net.graph(*outputs)
    wanted = check(graph, net.feeds, target)
    compiled = compilation(graph, target)
    for threads in (2, 3, 8):
        assert_same_bits(native(compiled, net.feeds, threads), wanted, f"{threads} threads")


@pytest.mark.parametrize("count", [23, 24])
@pytest.mark.parametrize("size", [17, 49, 197, 450])
def test_each_fibre_has_the_bits_that_it_has_alone(size: int, count: int) -> None:
    """Whatever stands beside it: the fold of several gives what the fold of one gives, and so do sweeps in turns."""
    data = Net().random(1, count, size)

    def run(part: Array) -> dict[str, Array]:
        net = Net()
        return native(compilation(net.graph(*rows(net, net.arrives(part)))), net.feeds)

    together = run(data)
    for row in (0, 15, 22):
        only = slice(row, row + 1)
        assert_same_bits({name: array[:, only] for name, array in together.items()}, run(data[:, only]), f"row {row}")


def test_a_row_longer_than_the_first_cache() -> None:
    net = Net()
    x = net.input(2, 3, 20003)
    outputs = [net.apply(Softmax(-1), x), net.apply(Div(), x, net.apply(ReduceL2((2,)), x))]
    check(net.graph(*outputs), net.feeds)


def test_short_rows_are_folded_together() -> None:
    net = Net()
    x = net.input(1, 64, 56, 56)
    (step,) = compilation(net.graph(net.apply(ReduceMax((3,)), x)), "x86-64-v4").plan.steps
    assert isinstance(step.kernel, Reduce)
    assert math.log2(step.kernel.together) >= 2
