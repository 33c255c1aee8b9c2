"""Filters: planar images, one input channel a group, weights in registers; several rows a tile."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from cnncc.compiler import resolve_target
from cnncc.ir import Graph
from cnncc.ops import Add, Conv
from cnncc.plan.kernels import Direct
from tests.graphs import (
    Net,
    assert_same_bits,
    check,
    compilation,
    expected,
    native,
    runnable_targets,
    sprinkled,
    worst_ratio,
)

from .conftest import Force
from .test_conv import inner

TARGETS = list(runnable_targets())
WINDOWS = [(3, 1), (1, 9), (3, 3)]
STEPS = [((1, 1), (1, 1), (1, 2)), ((2, 1), (2, 5), (3, 4))]  # stride, dilation, padding


def filters(rows: int, columns: int, groups: int = 1, multiple: int = 1) -> tuple[Graph, Net]:
    """Every window with all steps, over an image of the caller's and one of ours."""
    net = Net()
    x = net.input(2, groups, rows, columns)
    results = []
    for source, window, (stride, dilation, pad) in itertools.product((x, inner(net, x)), WINDOWS, STEPS):
        op = Conv(window, stride, dilation, tuple((pad[0] * k // 2, pad[1] * k // 2) for k in window), groups)
        y = net.apply(op, source, net.weights(groups * multiple, 1, *window), net.weights(groups * multiple))
        results.append(net.apply(Add(), y, net.input(*net.shape(y), name="residual")))
    return net.graph(*results), net


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("rows", "columns", "groups", "multiple"), [(9, 37, 1, 2), (6, 11, 2, 1)])
def test_filters(rows: int, columns: int, groups: int, multiple: int, target: str) -> None:
    graph, net = filters(rows, columns, groups, multiple)
    compiled = compilation(graph, target, borders="all")
    kernels = [step.kernel for step in compiled.plan.steps if isinstance(step.kernel, Direct)]
    assert sum(kernel.is_filter for kernel in kernels) >= len(WINDOWS)
    found = check(graph, net.feeds, target, borders="none", checked=rows < 8)
    assert_same_bits(native(compiled, net.feeds), found)
    assert_same_bits(native(compiled, net.feeds, threads=3), found)
    special = sprinkled(net.feeds, 1)
    worst_ratio(native(compiled, special), expected(compiled, special))


@pytest.mark.parametrize("seed", range(2))
def test_every_tile_makes_the_same_bits(force: Force, seed: int) -> None:
    graph, net = filters(11, 70)
    force("channels", 0)
    wanted = native(compilation(graph), net.feeds)
    force("columns", seed)
    assert_same_bits(native(compilation(graph), net.feeds), wanted)


def test_groups_shared_by_shards_have_all_rows() -> None:
    """Shards share groups here, not rows, so the rows are known: none are left for single ones (seed 990189)."""
    host = resolve_target("host")
    near = replace(host, core=replace(host.core, foreign_line_cycles=0.0))  # so small a layer would share rows
    net = Net()
    x = net.apply(Add(), net.input(1, 12, 3, 9), net.input(1, 12, 3, 9))
    op = Conv((3, 3), (3, 1), (1, 2), ((2, 2), (4, 4)), 12)
    graph = net.graph(net.apply(op, x, net.weights(24, 1, 3, 3)))
    check(graph, net.feeds, near)
    check(graph, net.feeds, near, checked=True)
    kernels = [step.kernel for step in compilation(graph, near).plan.steps if isinstance(step.kernel, Direct)]
    assert all(kernel.partition_axis == "blocks" and kernel.is_filter for kernel in kernels)
