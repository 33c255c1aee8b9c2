"""Steps that shards divide by images: the same bits for any number of them, and barriers where they are needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from cnncc import learn, nn
from cnncc.ir import Graph, Value
from cnncc.ops import (
    Add,
    AveragePool,
    Concat,
    Conv,
    GlobalAveragePool,
    MaxPool,
    Mul,
    Pad,
    ReduceMax,
    ReduceSum,
    Relu,
    Sigmoid,
    Sub,
)
from cnncc.plan import PlanOptions
from cnncc.types import Array
from tests.graphs import Net, assert_same_bits, check, compilation, native, runnable_targets
from tests.plan.test_schedule import assert_separated

SIZE = 8, 12, 6, 7  # images, channels, rows, columns


def conv(net: Net, x: Value, outputs: int, kernel: tuple[int, int], **options: int | str | tuple[int, int]) -> Value:
    groups = int(options.get("groups", 1))  # type: ignore[arg-type]
    op = Conv(kernel, padding="same", **options)  # type: ignore[arg-type]
    return net.apply(op, x, net.weights(outputs, net.shape(x)[1] // groups, *kernel), net.weights(outputs))


LAYERS: Mapping[str, Callable[[Net, Value], Value]] = {
    "direct, Winograd": lambda net, x: conv(net, x, 20, (3, 3)),
    "strided": lambda net, x: conv(net, x, 7, (5, 5), stride=2),
    "1×1": lambda net, x: conv(net, x, 24, (1, 1)),
    "depthwise": lambda net, x: conv(net, x, 12, (3, 3), groups=12),
    "grouped": lambda net, x: conv(net, x, 24, (3, 3), groups=6),
    "pool": lambda net, x: net.apply(MaxPool((3, 3), 2, 1), x),
    "large pool": lambda net, x: net.apply(AveragePool((5, 5), 1, 2), x),
    "element by element": lambda net, x: net.apply(Sigmoid(), net.apply(Mul(), x, net.weights(12, 1, 1))),
    "mean of each image": lambda net, x: net.apply(Sub(), x, net.apply(GlobalAveragePool(), x)),
    "largest of rows": lambda net, x: net.apply(Sub(), x, net.apply(ReduceMax((2,)), x)),
    "one after the other": lambda net, x: net.apply(Concat(0), net.apply(Relu(), x), x),
}


def mixed(layer: Callable[[Net, Value], Value]) -> tuple[Graph, dict[str, Array]]:
    """Layers around one, and a sum over images, which keeps them together."""
    net = Net()
    x = conv(net, net.input(*SIZE), 12, (1, 1))
    y = layer(net, net.apply(Sub(), x, net.apply(ReduceSum((0,)), x)))
    return net.graph(net.apply(Add(), y, net.apply(ReduceSum((0, 2, 3)), y))), net.feeds


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_by_images(name: str) -> None:
    graph, feeds = mixed(LAYERS[name])
    found = check(graph, feeds)
    for border in ("none", "all"):
        compiled = compilation(graph, borders=border)
        assert any(step.by_images for step in compiled.plan.steps)
        for threads in (2, 3, 4):
            assert_same_bits(native(compiled, feeds, threads), found, f"{threads} threads")
        checked = compilation(graph, borders=border, checked=True)
        assert_same_bits(native(checked, feeds, 2), found, "checked")
    assert_separated(compiled.plan)


@pytest.mark.parametrize("target", runnable_targets())
def test_all_targets(target: str) -> None:
    graph, feeds = mixed(lambda net, x: net.apply(MaxPool((2, 2), 2), conv(net, conv(net, x, 16, (3, 3)), 9, (3, 3))))
    found = check(graph, feeds, target)
    for threads in (2, 3):
        assert_same_bits(native(compilation(graph, target), feeds, threads), found, f"{threads} threads")


def network() -> nn.Model:
    """Convolutions with batch norm, a stride and a sum."""
    image = nn.Input((3, 8, 8))
    x = nn.ReLU()(nn.BatchNorm()(nn.Conv(8, 3, padding=1, bias=False)(image)))
    y = nn.BatchNorm()(nn.Conv(8, 3, padding=1, bias=False)(nn.MaxPool(2)(x)))
    y = nn.ReLU()(nn.Add()(y, nn.Conv(8, 1, stride=2)(x)))
    made: nn.Model = nn.Model(image, nn.Dense(10)(nn.Flatten()(y)), seed=0)
    return made


def training_step(**options: Any) -> learn.Step:
    return learn.Step(network(), optimiser=learn.SGD(0.1, 0.9), batch=8, **options)


def test_training_has_the_same_bits_for_any_number_of_threads() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.random((8, 3, 8, 8), np.float32), rng.integers(0, 10, 8)
    states = []
    for threads in (1, 2, 3, 4):
        step = training_step(threads=threads, plan=PlanOptions(borders="all", sharing="all"))
        assert step.model.threads == threads
        losses = [step(x, y) for _ in range(3)]
        states.append({"loss": np.array(losses, np.float32), **{name: step.state[name] for name in step.state}})
    for threads, state in enumerate(states[1:], start=2):
        assert_same_bits(state, states[0], f"{threads} threads")


def test_steps_of_training_divide_images() -> None:
    plan = compilation(training_step().training.graph, borders="all").plan
    layers = [step for step in plan.steps if step.name.startswith("conv") and step.macs and step.target.shape[0] == 8]
    images = [step for step in layers if step.kernel.divides_images(step.sources, step.target)]
    assert len(images) >= 5 and all(step.by_images for step in images)
    assert_separated(plan)


def test_no_barrier_between_steps_of_the_same_images() -> None:
    net = Net()
    x = conv(net, net.input(8, 3, 14, 14), 8, (3, 3))
    x = conv(net, net.apply(MaxPool((2, 2), 2), x), 8, (5, 5))
    plan = compilation(net.graph(net.apply(ReduceSum((0,)), x)), "x86-64-v4", borders="none").plan
    apart = [stage.barrier for stage in plan.stages]
    assert [plan.steps[stage.steps[0]].by_images for stage in plan.stages] == [True, False, True, False, False]
    assert plan.steps[1].units == 8, "rows of this move are images"
    assert apart == [False, False, False, True, True]


def test_images_are_rows_where_they_are_few() -> None:
    net = Net()
    x = conv(net, net.input(3, 8, 16, 16), 8, (3, 3))
    plan = compilation(net.graph(net.apply(ReduceSum((0,)), x))).plan
    assert not any(step.by_images for step in plan.steps)


@pytest.mark.parametrize("pads", [((1, 2), (0, 0)), ((0, 1), (1, 0)), ((0, 0), (1, 2)), ((2, 0), (0, 0), (1, 1))])
def test_borders_of_whole_images(pads: tuple[tuple[int, int], ...]) -> None:
    net = Net()
    graph = net.graph(net.apply(Pad(pads, value=2.0), net.apply(Relu(), net.input(*(8, 3, 4)[: len(pads)]))))
    found = check(graph, net.feeds)
    for threads in (2, 3):
        assert_same_bits(native(compilation(graph), net.feeds, threads), found, f"{threads} threads")
