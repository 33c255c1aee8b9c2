"""Pools against the interpreter."""

from __future__ import annotations

import numpy as np
import pytest

from cnncc.ops import AveragePool, Conv, MaxPool
from cnncc.ops.pool import Pool
from cnncc.plan.kernels import Window
from tests.graphs import Net, check, compilation, native, runnable_targets, sprinkled

pytestmark = pytest.mark.combinations

POOLS = [
    MaxPool((2, 2)),
    MaxPool((3, 3), 2, 1),
    MaxPool((3, 2), (1, 2), ((2, 0), (0, 1))),
    MaxPool((3, 3), 1, "same"),
    AveragePool((2, 2)),
    AveragePool((3, 3), 2, 1),
    AveragePool((3, 3), (2, 1), ((0, 2), (1, 1)), count_padding=True),
    AveragePool((4, 4), 3, "same"),
    AveragePool((1, 1), 2),
]
SHAPES = [(1, 3, 7, 9), (2, 1, 5, 33), (2, 20, 9, 6), (1, 4, 12, 1), (3, 2, 4, 4)]


def by_channels(net: Net, shape: tuple[int, ...]):
    """A tensor of this shape that lies channels last: made by a convolution of many channels."""
    x = net.input(shape[0], 16, *shape[2:])
    return net.apply(Conv((1,) * (len(shape) - 2)), x, net.weights(shape[1], 16, *(1,) * (len(shape) - 2)))


@pytest.mark.parametrize("order", ["planar", "channels last"])
@pytest.mark.parametrize("target", list(runnable_targets()))
def test_pools(target: str, order: str) -> None:
    """All pools of all shapes that they fit, in one graph."""
    net = Net()
    outputs = []
    for shape in SHAPES:
        for op in POOLS:
            if any(size < kernel for size, kernel in zip(shape[2:], op.kernel, strict=True)):
                continue
            x = net.input(*shape) if order == "planar" else by_channels(net, shape)
            outputs.append(net.apply(op, x))
    graph = net.graph(*outputs)
    check(graph, net.feeds, target, off=("fuse",))
    check(graph, sprinkled(net.feeds, 1), target, off=("fuse",))


@pytest.mark.parametrize("op", [MaxPool((3,), 2, 1), AveragePool((4,), 1, "same"), AveragePool((2,), None)])
def test_one_dimension(op: Pool) -> None:
    net = Net()
    outputs = [net.apply(op, net.input(2, channels, size)) for channels in (1, 5, 16) for size in (4, 17, 40)]
    check(net.graph(*outputs), sprinkled(net.feeds, 2))


@pytest.mark.parametrize(
    "op",
    [MaxPool((2, 3, 2), (1, 2, 1), ((1, 0), (1, 1), (0, 1))), AveragePool((3, 2, 2), 2, 1), AveragePool((2, 1, 3))],
)
def test_three_dimensions(op: Pool) -> None:
    """Also where the last axis has one element and another one is contiguous."""
    net = Net()
    shapes = [(2, 3, 4, 5, 6), (1, 17, 3, 4, 3), (1, 2, 5, 9, 3), (1, 2, 6, 4, 3)]
    check(net.graph(*(net.apply(op, net.input(*shape)) for shape in shapes)), sprinkled(net.feeds, 3))


@pytest.mark.parametrize("shape", [(1, 3, 9, 2), (3, 3, 1, 9, 1), (1, 2, 8, 4, 1), (1, 1, 40, 1)])
@pytest.mark.parametrize("kind", [MaxPool, AveragePool])
def test_lanes_never_lie_along_an_axis_between(kind: type[Pool], shape: tuple[int, ...]) -> None:
    """Where the columns have one element, the rows lie side by side in memory but are no lanes of a window."""
    net = Net()
    x = net.input(*shape)
    rank = len(shape) - 2
    kernels = [(1,) * (rank - 1) + (shape[-1],), (2, *(1,) * (rank - 1))]
    ops = [kind(kernel, padding="same") for kernel in kernels if shape[2] > 1 or kernel[0] == 1]
    check(net.graph(*(net.apply(op, x) for op in ops)), net.feeds)


@pytest.mark.parametrize("target", list(runnable_targets()))
def test_a_nan_anywhere_in_a_window_is_its_maximum(target: str) -> None:
    """Of each pixel in turn, with lanes along the channels, where maxima of columns are shared."""
    net = Net()
    x = net.arrives(np.arange(25, dtype=np.float32).repeat(25 * 16).reshape(25, 5, 5, 16).transpose(0, 3, 1, 2))
    net.feeds["x"] = net.feeds["x"].copy()
    for image in range(25):
        net.feeds["x"][image, image % 16, image // 5, image % 5] = np.nan
    each = Conv((1, 1), groups=16)  # by one: what it leaves has channels last
    y = net.apply(each, x, net.known(np.ones((16, 1, 1, 1), np.float32)))
    pools = [MaxPool(kernel) for kernel in ((2, 2), (1, 3), (4, 1), (5, 5))]
    pools += [MaxPool((3, 3), 1, 1), MaxPool((3, 3), 2, 1)]
    compiled = compilation(net.graph(*(net.apply(op, y) for op in pools)), target)
    assert all(step.kernel.lane_axis == 1 for step in compiled.plan.steps if isinstance(step.kernel, Window))
    found = native(compiled, net.feeds)
    for array, op in zip(found.values(), pools, strict=True):
        (wanted,) = op.reference(net.feeds["x"])
        np.testing.assert_array_equal(array, wanted, str(op))
        assert np.isnan(array).any()
