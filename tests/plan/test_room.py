"""Room between pixels that would crowd in few sets of the first cache."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cnncc.ir import Graph
from cnncc.machine.target import named
from cnncc.ops import Concat, Conv, Dense, Flatten, MaxPool, Relu, Reshape
from cnncc.plan.kernels import Fill
from cnncc.plan.views import channels_last, conflict_padding, planar
from cnncc.types import TensorType
from tests.graphs import Net, assert_same_bits, check, compilation, native, runnable_targets


def network() -> tuple[Graph, dict[str, np.ndarray]]:
    """128 and 256 channels through every kind of kernel, parts and joins, and a reshape at the end."""
    net = Net()
    x = net.apply(Conv((1, 1)), net.input(1, 5, 9, 8), net.weights(128, 5, 1, 1))
    y = net.apply(Relu(), net.apply(Conv((3, 3), padding="same", groups=128), x, net.weights(128, 1, 3, 3)))
    z = net.apply(Conv((3, 3), padding="same"), y, net.weights(128, 128, 3, 3))
    joined = net.apply(MaxPool((3, 3), 2, 1), net.apply(Concat(), z, net.apply(Relu(), x)))
    last = net.apply(Conv((1, 1)), joined, net.weights(128, 256, 1, 1))
    flat = net.apply(Flatten(), last)
    dense = net.apply(Dense(), flat, net.weights(7, net.shape(flat)[1]))
    return net.graph(dense, net.apply(Reshape((-1, 64)), last)), net.feeds


def test_which_images_have_room() -> None:
    last, core = channels_last(4), named("x86-64-v4").core
    assert conflict_padding(TensorType((1, 256, 7, 7)), last, core) == ((0, 0), (0, 16), (0, 0), (0, 0))
    assert (
        conflict_padding(TensorType((1, 96, 7, 7)), last, core)
        == conflict_padding(TensorType((1, 256, 1, 1)), last, core)
        == ()
    )
    assert conflict_padding(TensorType((1, 256, 7, 7)), planar(4), core) == ()


def test_more_sets_crowd_later_and_longer_lines_take_more_room() -> None:
    core = replace(named("x86-64-v4").core, l1_sets=128, line_bytes=128)
    assert conflict_padding(TensorType((1, 256, 7, 7)), channels_last(4), core) == ()
    assert conflict_padding(TensorType((1, 512, 7, 7)), channels_last(4), core) == ((0, 0), (0, 32), (0, 0), (0, 0))


def test_room_is_no_border_to_fill() -> None:
    graph, _ = network()
    plan = compilation(graph, "x86-64-v4", borders="none").plan
    strides = {view.strides[-1] for step in plan.steps for view in (*step.sources, step.target) if len(view.shape) == 4}
    assert 128 + 16 in strides
    assert not any(isinstance(step.kernel, Fill) for step in plan.steps)


@pytest.mark.parametrize("streaming", ["none", "chains"])
@pytest.mark.parametrize("target", runnable_targets())
def test_rooms_change_nothing(target: str, streaming: str) -> None:
    graph, feeds = network()
    wanted = check(graph, feeds, target, streaming=streaming, borders="all")
    found = native(compilation(graph, target, streaming=streaming, checked=True, borders="none"), feeds, threads=2)
    assert_same_bits(found, wanted)
