"""Reductions, softmax and normalisations in native code against the interpreter: every axis, odd sizes, both orders."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from cnncc.computation import Reduction, replaced
from cnncc.ir import Value
from cnncc.machine.routines import allowed
from cnncc.machine.target import TARGETS
from cnncc.op import REGISTRY
from cnncc.ops import (
    LRN,
    BatchStandardization,
    Computed,
    Conv,
    GroupNormalization,
    InstanceNormalization,
    LayerNormalization,
    LogSoftmax,
    ReduceLogSumExp,
    Softmax,
)
from cnncc.ops.reduction import Reducing
from cnncc.types import TensorType
from tests.graphs import Net, check, check_all, compilation, runnable_targets, sprinkled

pytestmark = pytest.mark.combinations

REDUCTIONS = [op for op in REGISTRY.values() if issubclass(op, Reducing)]
TARGETS_HERE = [target for target in ("host", "x86-64-v2") if target in runnable_targets()]
each_target = pytest.mark.parametrize("target", TARGETS_HERE)
each_order = pytest.mark.parametrize("channels_last", [False, True], ids=["planar", "channels last"])


def tensor(net: Net, channels_last: bool, *shape: int) -> Value:
    """An input, or a tensor that a convolution of many channels has left channels last."""
    if not channels_last or len(shape) < 3:
        return net.input(*shape)
    x = net.input(shape[0], 16, *shape[2:])
    return net.apply(Conv((1,) * (len(shape) - 2)), x, net.weights(shape[1], 16, *(1,) * (len(shape) - 2)))


@each_target
@pytest.mark.parametrize("op", REDUCTIONS, ids=lambda op: op.__name__)
def test_reductions_over_all_subsets_of_axes(op: type[Reducing], target: str) -> None:
    net = Net()
    outputs = []
    for channels_last, shape in [(False, (2, 17, 3, 5)), (True, (1, 20, 2, 5)), (False, (3, 33)), (False, (7,))]:
        x = tensor(net, channels_last, *shape)
        subsets = (axes for n in range(len(shape) + 1) for axes in itertools.combinations(range(len(shape)), n))
        outputs += [net.apply(op(axes, bool(number % 2)), x) for number, axes in enumerate(subsets)]
    graph = net.graph(*outputs)
    check_all(graph, target, net.feeds, sprinkled(net.feeds, 1, 0.01))


def test_the_logarithm_of_a_sum_of_powers_does_not_overflow() -> None:
    net = Net()
    infinity = np.inf
    x = net.arrives(
        np.array([[1000, 1000], [-1000, -1001], [infinity, 0], [-infinity, -infinity], [3e38, 3e38]], np.float32)
    )
    graph = net.graph(net.apply(ReduceLogSumExp((1,), False), x))
    found = check(graph, net.feeds)["y0"]
    wanted = [1000 + np.log(2), -1000 + np.log1p(np.exp(-1)), infinity, -infinity, 3e38]
    np.testing.assert_allclose(found, np.array(wanted, np.float32), rtol=1e-6)


@each_order
@each_target
def test_the_maximum_of_a_softmax_leaves_nan_out(target: str, channels_last: bool) -> None:
    """In any place of a row, and of a row of nothing else −∞ is left, whichever kernel makes it."""
    net, largest = Net(), []
    for shape in [(7,), (3, 10), (5, 1), (3, 33), (2, 5, 9), (1, 21, 3, 4)]:
        x = tensor(net, channels_last, *shape)
        for axis in range(len(shape)):
            kept = TensorType(replaced(shape, axis, 1))
            largest.append(net.apply(Computed(Reduction((axis,), "fmax"), (TensorType(shape),), kept), x))
            largest += net.builder.add(Softmax(axis), [x])
    graph, rng = net.graph(*largest), np.random.default_rng(1)
    shares = [
        {name: np.where(rng.random(data.shape) < share, np.float32(np.nan), data) for name, data in net.feeds.items()}
        for share in (0.1, 0.5, 0.9, 1.0)
    ]
    infinite = [{name: np.where(np.isnan(data), data, -np.inf) for name, data in feeds.items()} for feeds in shares]
    check_all(graph, target, *shares, *infinite, sprinkled(net.feeds, 1))


@each_order
@each_target
@pytest.mark.parametrize("op", [Softmax, LogSoftmax])
def test_softmax_along_every_axis(op: type, target: str, channels_last: bool) -> None:
    net = Net()
    outputs = []
    for shape in [(7,), (3, 10), (2, 5, 9), (1, 21, 3, 4)]:
        x = tensor(net, channels_last, *shape)
        outputs += [net.apply(op(axis), x) for axis in range(-1, len(shape))]
    graph = net.graph(*outputs)
    check_all(graph, target, net.feeds, sprinkled(net.feeds, 2))


@each_order
@each_target
@pytest.mark.parametrize("arrive", [False, True], ids=["constant", "at run time"])
def test_normalisations(target: str, channels_last: bool, arrive: bool) -> None:
    net = Net()
    outputs = []
    for shape in [(2, 20, 3, 5), (3, 6, 17), (1, 4, 2, 3, 5), (1, 1, 1, 9)]:
        x = tensor(net, channels_last, *shape)
        vectors = [net.weights(shape[1], arrive=arrive) for _ in range(2)]
        groups = [g for g in (1, 2, shape[1]) if shape[1] % g == 0]
        for op in (BatchStandardization(), InstanceNormalization(1e-3), *map(GroupNormalization, groups)):
            outputs.append(net.apply(op, x, *vectors))
        for axis in range(1, len(shape)):
            own = [net.weights(*shape[axis:], arrive=arrive) for _ in range(2)]
            outputs.append(net.apply(LayerNormalization(axis), x, *own[: 1 + axis % 2]))
    graph = net.graph(*outputs)
    check_all(graph, target, net.feeds, sprinkled(net.feeds, 3, 0.005))


@each_order
@each_target
def test_local_response(target: str, channels_last: bool) -> None:
    """Windows smaller and larger than the channels, even and odd."""
    net = Net()
    outputs = []
    for shape in [(2, 20, 3, 5), (1, 3, 17), (2, 5), (1, 2, 2, 3, 4)]:
        x = tensor(net, channels_last, *shape)
        outputs += [net.apply(LRN(size, 0.5, beta, 2.0), x) for size, beta in ((1, 0.5), (2, 1.0), (5, 0.75), (9, 0.6))]
    graph = net.graph(*outputs)
    check_all(graph, target, net.feeds, sprinkled(net.feeds, 4, 0.02))


@pytest.mark.parametrize("target", TARGETS)
def test_nothing_needs_libm(target: str) -> None:
    net = Net()
    x = net.input(2, 6, 5)
    outputs = [net.apply(op((2,)), x) for op in REDUCTIONS]
    outputs += [net.apply(op, x) for op in (Softmax(), LogSoftmax(2), LRN(3))]
    vectors = [net.weights(6) for _ in range(2)]
    outputs += [net.apply(op, x, *vectors) for op in (InstanceNormalization(), GroupNormalization(2))]
    assert set(compilation(net.graph(*outputs), target).build().undefined) <= allowed(TARGETS[target])
