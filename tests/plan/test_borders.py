"""Which buffers bring a border: where it saves more cycles than it costs."""

from __future__ import annotations

import numpy as np
import pytest

from cnncc.computation import Contraction
from cnncc.ir import Graph
from cnncc.machine.target import named
from cnncc.ops import Conv, Exp, Relu, Reshape, Transpose
from cnncc.plan.kernels import Convolution, Fill, Layer, Winograd, direct_tiles
from cnncc.plan.kernels.convolution import guarded_share
from cnncc.plan.plan import Plan
from cnncc.plan.views import dense_view, elements
from cnncc.windows import resolve
from tests.graphs import Net, assert_same_bits, check, compilation, runnable_targets

Arrays = dict[str, np.ndarray]


def layer(channels: int, outputs: int, size: int, op: Conv, *, arrive: bool = True) -> tuple[Graph, Arrays]:
    """A convolution of what a 1×1 layer computed."""
    net = Net()
    x = net.apply(Conv((1, 1)), net.input(1, channels, size, size), net.weights(channels, channels, 1, 1))
    weights = net.weights(outputs, channels, *op.kernel, arrive=arrive)
    return net.graph(
        net.apply(
            Conv((1, 1)),
            net.apply(op, net.apply(Relu(), x), weights),
            net.known(np.ones((outputs, outputs, 1, 1), np.float32)),
        )
    ), net.feeds


def borders(plan: Plan) -> int:
    return sum(isinstance(step.kernel, Fill) for step in plan.steps)


def of_window(plan: Plan) -> Convolution:
    return next(k for step in plan.steps if isinstance(k := step.kernel, Convolution) and k.taps > 1)


def test_a_border_as_wide_as_the_window_pays_where_every_tile_is_at_an_edge() -> None:
    """A full 5×5 window on 10²: the buffer grows 3.2 times, and a step of 14 pixels takes twice as long with tests."""
    graph, _ = layer(16, 16, 10, Conv((5, 5), padding="full"))
    assert borders(compilation(graph, "x86-64-v4").plan) == 1
    assert borders(compilation(graph, "x86-64-v4", borders="none").plan) == 0
    assert borders(compilation(graph, "x86-64-v4", streaming="chains").plan) == 0


def test_masks_need_no_border_and_lanes_without_masks_do() -> None:
    """Vectors of columns: AVX-512 loads them in part; of NEON's each lane would be a branch."""
    c = Contraction(resolve((32, 32), (3, 3), (1, 1), (1, 1), "same"), 4, 4)
    for name, pays in {"x86-64-v4": False, "x86-64-v3": True, "aarch64": True}.items():
        offered = direct_tiles.candidates(named(name), Layer(c, (32, 32), copies={"columns": 0}))
        assert [candidate.kernel.edge_cycles(named(name)) > 0 for candidate in offered[:1]] == [pays]


def test_without_a_cache_a_large_buffer_does_not_double() -> None:
    graph, _ = layer(64, 4, 40, Conv((3, 3), dilation=16, padding="same"))
    assert borders(compilation(graph, "aarch64").plan) == 1
    assert borders(compilation(graph, "cortex-m4").plan) == 0
    assert borders(compilation(graph, "cortex-m4", borders="all").plan) == 1


def test_tiles_at_the_edges_are_counted() -> None:
    window = resolve((12, 12), (3, 3), (1, 1), (1, 1), "same")
    assert guarded_share(window, (1, 12)) == guarded_share(window, (12,)) == 1
    assert guarded_share(window, (1, 4)) == pytest.approx(1 - (10 / 12) * (4 / 12))
    assert guarded_share(window, (4, 4)) == pytest.approx(1 - (4 / 12) ** 2)
    assert guarded_share(resolve((12,), (3,), (1,), (1,), "valid"), (1, 4)) == guarded_share((), (1, 1)) == 0


def test_a_winograd_layer_saves_the_tests_of_its_edge_tiles() -> None:
    graph, _ = layer(32, 32, 16, Conv((3, 3), padding="same"), arrive=False)
    kernel = of_window(compilation(graph, "x86-64-v4").plan)
    assert isinstance(kernel, Winograd) and kernel.grid == (4, 4) and kernel.pixels == (6, 6)
    assert kernel.edge_cycles(named("x86-64-v4")) == pytest.approx(12 * 36 * (6 + 2 * 2) / 3)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 3, 1)])
def test_the_stores_of_a_border(order: tuple[int, ...]) -> None:
    """Whole rows of the buffer by vectors; at the ends of a planar row each element by itself."""
    shape, border = (2, 32, 5, 7), ((0, 0), (0, 0), (1, 2), (2, 1))
    core, view = named("x86-64-v4").core, dense_view("", shape, order, border)
    assert elements(shape, border) == 2 * 32 * 8 * 10
    above, beside = (2 * 32 * 3, 2 * 32 * 5 * 3) if order[-1] == 3 else (2 * 3 * 10 * 2, 2 * 5 * 3 * 2)
    assert Fill(0.0).cycles(named("x86-64-v4"), (), view) == core.call_cycles + above + beside


@pytest.mark.parametrize("target", runnable_targets())
@pytest.mark.parametrize("width", [9, 33, 70])
def test_steps_of_two_columns_at_an_edge(target: str, width: int) -> None:
    """Of two vectors that are loaded in part every second lane; the same bits with a border, and when checked."""
    net = Net(width)
    image = net.apply(Relu(), net.input(1, 2, 7, width))
    y = net.apply(Conv((5, 5), 2, padding=((2, 2), (3, 1))), image, net.weights(3, 2, 5, 5, arrive=True))
    graph = net.graph(net.apply(Relu(), y))
    wanted = check(graph, net.feeds, target, borders="none")
    assert_same_bits(check(graph, net.feeds, target, borders="all"), wanted)
    assert_same_bits(check(graph, net.feeds, target, borders="none", checked=True), wanted)


@pytest.mark.parametrize("target", runnable_targets())
def test_axes_of_one_element_come_and_go_around_a_border(target: str) -> None:
    """What is also read with one axis more keeps its border; what is flattened has none."""
    net = Net()
    x = net.apply(Relu(), net.apply(Conv((1, 1)), net.input(3, 16, 6, 9), net.weights(16, 16, 1, 1)))
    y = net.apply(Conv((3, 3), padding="same"), x, net.weights(16, 16, 3, 3, arrive=True))
    grouped = net.apply(Transpose((2, 1, 0, 3, 4)), net.apply(Reshape((3, 1, 16, 6, 9)), x))
    graph = net.graph(net.apply(Relu(), y), net.apply(Exp(), grouped))
    assert borders(compilation(graph, target, borders="all").plan) == 1
    wanted = check(graph, net.feeds, target, borders="none")
    assert_same_bits(check(graph, net.feeds, target, borders="all", checked=True), wanted)
    flat = net.graph(net.apply(Relu(), y), net.apply(Exp(), net.apply(Reshape((3, -1)), x)))
    assert borders(compilation(flat, target, borders="all").plan) == 0


def test_a_view_with_a_border_unfolds_by_axes_of_one_element_only() -> None:
    view = dense_view("", (3, 1, 5, 7), (0, 1, 2, 3), ((0, 0), (0, 0), (1, 1), (2, 2)))
    moved = view.unfold((1, 3, 5, 1, 7))
    assert moved is not None and moved.border == () and moved.offset == view.offset
    assert [moved.strides[axis] for axis in (1, 2, 4)] == [view.strides[axis] for axis in (0, 2, 3)]
    assert view.unfold((3, 35)) is None and view.unfold((3, 5, 7, 1, 1)) is not None
