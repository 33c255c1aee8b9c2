"""Factors in front of sums, and sums that are 0."""

from __future__ import annotations

import math

import numpy as np
import pytest

from cnncc import learn, load_graph, nn
from cnncc.computation import Pointwise, Reduction
from cnncc.expr import Arg
from cnncc.interpreter import run
from cnncc.ir import Node, Value
from cnncc.learning.losses import CrossEntropy
from cnncc.learning.training import training
from cnncc.op import Op
from cnncc.ops import (
    Add,
    BatchStandardization,
    Computed,
    Div,
    Expand,
    GroupNormalization,
    LayerNormalization,
    Mul,
    Neg,
    ReduceSum,
    Reshape,
    Sub,
)
from cnncc.passes.manager import optimise
from cnncc.passes.sums import simplify_sums
from cnncc.types import TensorType

from .support import Net, apply, assert_within_bounds, layers

SHAPE = (3, 4, 5, 2)
AXES = (0, 2, 3)


def is_sum(node: Node) -> bool:
    return isinstance(node.op, Computed) and isinstance(node.op.computation, Reduction)


def total(net: Net, x: Value, axes: tuple[int, ...] = AXES) -> Value:
    return net.apply(ReduceSum(axes), x, name="total")


def by_channel(net: Net, name: str = "c") -> Value:
    return net.input(1, 4, 1, 1, name=name)


def centred(net: Net, x: Value, count: float = math.prod(SHAPE) / 4, axes: tuple[int, ...] = AXES) -> Value:
    """x minus its sum / count."""
    whole = net.builder.nodes[x.node].types[0]
    return net.apply(Sub(), x, net.apply(mean_of(count, whole, axes), net.apply(ReduceSum(axes), x)))


def mean_of(count: float, whole: TensorType, axes: tuple[int, ...]) -> Op:
    kept = TensorType(tuple(1 if axis in axes else size for axis, size in enumerate(whole.shape)))
    return Computed(Pointwise(Arg(0) / count, (tuple(range(whole.rank)),)), (kept,), kept)


def test_a_factor_goes_in_front() -> None:
    net = Net()
    x, c = net.input(*SHAPE), by_channel(net)
    graph = net.graph(total(net, net.apply(Neg(), net.apply(Div(), net.apply(Mul(), c, x), by_channel(net, "d")))))
    result = apply(simplify_sums, graph)
    assert [entry.tag for entry in result.fired] == ["rounding"]
    after = optimise(graph).graph
    assert layers(after) == ["total.sum", "total"] and after["total.sum"].inputs == (x,)
    assert_within_bounds(graph, result.graph)


def test_what_is_repeated_is_a_factor() -> None:
    net = Net()
    x, c = net.input(*SHAPE), net.apply(Expand(SHAPE), by_channel(net))
    graph = net.graph(total(net, net.apply(Add(), net.apply(Mul(), x, c), net.apply(Mul(), c, x))))
    result = apply(simplify_sums, graph)
    assert len(result.fired) == 1 and len(layers(optimise(graph).graph)) == 2
    assert_within_bounds(graph, result.graph)


def test_a_product_that_is_left_is_made_without_its_factor() -> None:
    net = Net()
    x, y, c = net.input(*SHAPE), net.input(*SHAPE, name="y"), by_channel(net)
    product = net.apply(Mul(), net.apply(Mul(), c, x), y)
    graph = net.graph(total(net, product))
    result = apply(simplify_sums, graph)
    assert len(result.fired) == 1
    assert_within_bounds(graph, result.graph)
    assert not apply(simplify_sums, net.graph(total(net, product), product)).fired  # it would be one more


def test_other_sums_stay() -> None:
    net = Net()
    x, y, c = net.input(*SHAPE), net.input(*SHAPE, name="y"), by_channel(net)
    along = net.input(1, 1, 5, 1, name="along")
    for summed in (
        x,
        net.apply(Mul(), along, x),
        net.apply(Add(), net.apply(Mul(), c, x), y),
        net.apply(Div(), c, x),
        net.apply(Mul(), net.apply(Sub(), x, c), y),  # its terms would cancel
        net.apply(Expand(SHAPE), c),
    ):
        assert not apply(simplify_sums, net.graph(net.apply(ReduceSum(AXES), summed))).fired


def test_a_sum_of_differences_from_the_mean_is_0() -> None:
    net = Net()
    x, y, c = net.input(*SHAPE), net.input(*SHAPE, name="y"), by_channel(net)
    off = centred(net, x)
    graph = net.graph(
        net.apply(ReduceSum(AXES), net.apply(Mul(), off, c)),
        net.apply(ReduceSum(AXES), net.apply(Sub(), net.apply(Mul(), y, c), off)),
    )
    result = apply(simplify_sums, graph)
    assert len(result.fired) == 2
    assert [node.name for node in optimise(graph).graph if is_sum(node)] == ["reducesum_2.sum"]
    assert_within_bounds(graph, result.graph)


@pytest.mark.parametrize(("count", "axes"), [(29.0, AXES), (120.0, (0, 1, 2, 3)), (15.0, (0, 2))])
def test_of_other_means_it_is_not(count: float, axes: tuple[int, ...]) -> None:
    net = Net()
    off = centred(net, net.input(*SHAPE), count, axes)
    assert not apply(simplify_sums, net.graph(net.apply(ReduceSum(AXES), off))).fired


def test_a_number_of_images_that_is_free_stays_so() -> None:
    net = Net()
    x = net.input(1, 4, 5, 2)
    off = centred(net, x, 10.0, (2, 3))
    graph = net.graph(net.apply(ReduceSum((2, 3)), off))
    assert not apply(simplify_sums, graph).fired


NORMS = [(BatchStandardization(), (4,)), (GroupNormalization(2), (4,)), (LayerNormalization(1), (4, 5, 2))]


@pytest.mark.parametrize(("op", "vector"), NORMS, ids=str)
def test_the_gradient_of_a_standardization_sums_what_arrives(op: Op, vector: tuple[int, ...]) -> None:
    """Not what it makes of it: the gradient by the mean is Σ g times a factor."""
    net = Net()
    x, counts = net.input(*SHAPE), net.weights(*SHAPE)
    y = net.apply(op, x, net.weights(*vector), net.weights(*vector), name="norm")
    loss = net.apply(ReduceSum(keepdims=False), net.apply(Mul(), y, counts), name="loss")
    graph = learn.gradient(net.builder.graph({"loss": loss}), of="loss", by="x")
    result = apply(simplify_sums, graph)
    assert [entry.layer.startswith("norm.gradient") for entry in result.fired]
    assert_within_bounds(graph, result.graph)
    feeds = {"x": np.random.default_rng(1).standard_normal(SHAPE).astype(np.float32)}
    np.testing.assert_allclose(run(result.graph, feeds)["d_x"], run(graph, feeds)["d_x"], rtol=0, atol=2e-6)


def test_a_step_with_batch_norm_has_two_sums_each_way() -> None:
    network = nn.Sequential(nn.Conv(4, 3, bias=False), nn.BatchNorm(), nn.Flatten(), nn.Dense(2), input=(2, 6, 6))
    step = training(load_graph(network), loss=CrossEntropy(), optimiser=learn.SGD(0.1), batch=5).graph
    strict, fast = (
        [node.name for node in optimise(step, precision).graph if is_sum(node) and node.name.startswith("norm1")]
        for precision in ("strict", "fast")
    )
    assert (len(strict), len(fast)) == (2 + 4, 2 + 2)


def test_reshapes_are_looked_at_as_they_are() -> None:
    net = Net()
    off = net.apply(Reshape((3, 40)), centred(net, net.input(*SHAPE)))
    assert not apply(simplify_sums, net.graph(net.apply(ReduceSum((0, 1)), off))).fired
