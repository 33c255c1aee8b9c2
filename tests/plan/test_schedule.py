"""Stages, rings, lives and barriers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from cnncc.ir import Graph
from cnncc.ops import Add, Conv, MaxPool, Pad, Relu, SpaceToDepth, SpectralPool
from cnncc.plan.kernels import Fill, Reduce, RowNeed
from cnncc.plan.plan import Plan, Stage, Step
from cnncc.plan.stream import ring_heights
from cnncc.plan.views import View
from cnncc.types import Array
from tests.fuzz.generate import random_graph
from tests.graphs import Net, assert_same_bits, compilation, native

GRAPHS = range(40)
SHARED = ("arena", "input", "output")


def chain(*layers: Conv | MaxPool, channels: int = 3, rows: int = 40) -> tuple[Graph, dict[str, Array]]:
    """One input through layers of the same number of channels."""
    net = Net()
    x = net.input(1, channels, rows, 6)
    for op in layers:
        weights = [net.weights(channels, channels // op.groups, *op.kernel)] if isinstance(op, Conv) else []
        x = net.apply(op, x, *weights)
    return net.graph(x), net.feeds


@pytest.mark.parametrize(
    "layers",
    [
        (Conv((1, 2)), Conv((1, 2)), Conv((7, 3))),  # the first block of the last needs ten rows of the second
        (Conv((3, 3)), Conv((1, 2), (3, 1)), Conv((3, 3), (2, 1))),  # strides beyond the extent
        (Conv((3, 3), 1, 2, "same"), Conv((3, 3), padding="same"), MaxPool((3, 3), 2, 1)),
    ],
)
def test_rings_hold_what_the_first_block_needs(layers: tuple[Conv, ...]) -> None:
    graph, feeds = chain(*layers, rows=90)
    whole, streamed = (compilation(graph, precision="strict", streaming=how) for how in ("none", "chains"))
    assert max(len(stage.steps) for stage in streamed.plan.stages) >= len(layers)
    assert_same_bits(native(streamed, feeds), native(whole, feeds))


@pytest.mark.parametrize("groups", [1, 8])
@pytest.mark.parametrize("size", [2, 3])
def test_a_pool_in_registers_counts_for_the_rows_that_a_step_reads(groups: int, size: int) -> None:
    graph, feeds = chain(
        Conv((3, 3)), Conv((3, 3), padding="same", groups=groups), MaxPool((size, size)), channels=8, rows=90
    )
    whole, streamed = compilation(graph, streaming="none"), compilation(graph, streaming="chains")
    assert [len(stage.steps) for stage in streamed.plan.stages][-2:] == [2, 1]
    assert_same_bits(native(streamed, feeds), native(whole, feeds))


def test_a_stream_does_not_turn_what_passes_through_it() -> None:
    """Between its two products this pool turns a tensor to one of the same shape: no ring has its rows there."""
    net = Net()
    graph = net.graph(net.apply(SpectralPool((1, 3, 2)), net.input(2, 7, 1, 6, 3)))
    whole, streamed = (compilation(graph, streaming=streaming) for streaming in ("none", "chains"))
    assert_same_bits(native(streamed, net.feeds), native(whole, net.feeds))


# Barriers, by a simulation that knows only addresses


Cells = set[tuple[str, int]]
SHARDS = 3


def cells(plan: Plan, step: Step, view: View, rows: range | None, *, border: bool) -> Cells:
    """Every place of memory that some rows (or images) of a view of a step cover (only its border, for a fill)."""
    sides = view.border if border and view.border else ((0, 0),) * view.rank
    ranges = [range(-low, size + high) for size, (low, high) in zip(view.shape, sides, strict=True)]
    if rows is not None:
        axis = 0 if step.by_images else 2
        ranges[axis] = range(max(rows.start, ranges[axis].start), min(rows.stop, ranges[axis].stop))
    buffer = plan.buffer(view)
    base = buffer.place // 4 if buffer.space == "arena" else 0
    name = buffer.space if buffer.space == "arena" else f"{buffer.space} {buffer.place}"
    found = set()
    for position in itertools.product(*ranges):
        inside = all(0 <= i < size for i, size in zip(position, view.shape, strict=True))
        if isinstance(step.kernel, Fill) and inside:
            continue
        offset = view.offset + sum(i * stride for i, stride in zip(position, view.strides, strict=True))
        found.add((name, base + offset))
    return found


def own_rows(step: Step, at: int, shard: int) -> range | None:
    """The rows (or images) of view number `at` of a step that a shard touches; None for all that there are."""
    view = (*step.sources, step.target)[at]
    low = view.border[2][0] if isinstance(step.kernel, Fill) and view.border and view.rank > 2 else 0
    begin, end = (
        min(step.partitions * number // SHARDS * step.granularity, step.units) for number in (shard, shard + 1)
    )
    if begin == end:
        return range(0)
    if step.by_images:
        return range(begin, end) if view.shape[0] == step.target.shape[0] and view.strides[0] else None
    whole = isinstance(step.kernel, Reduce) and 2 in step.kernel.axes
    by_rows = getattr(step.kernel, "partition_axis", "rows") == "rows" and not whole
    if not by_rows or view.rank < 3 or step.target.rank < 3:
        return None
    if at == 0 and step.kernel.own_window:
        need = step.row_need
        return range(begin * need.stride - need.low, (end - 1) * need.stride - need.low + need.extent)
    ratio = view.rows // step.target.rows or 1
    return range(begin * ratio - low, end * ratio - low) if view.strides[2] else None


def accesses(plan: Plan, stage: Stage, shard: int) -> tuple[Cells, Cells]:
    """(reads, writes) of a shard in a stage, without the memory that each shard has for itself."""
    reads: Cells = set()
    writes: Cells = set()
    for number in stage.steps:
        step = plan.steps[number]
        for at, view in enumerate((*step.sources, step.target)):
            target = view is step.target
            streamed = number != stage.steps[-1] or (len(stage.steps) > 1 and not target)
            rows = None if streamed or stage.single_shard or stage.replicated else own_rows(step, at, shard)
            if (stage.single_shard and shard) or rows == range(0) or plan.buffer(view).space not in SHARED:
                continue
            border = isinstance(step.kernel, Fill) or not target
            (writes if target else reads).update(cells(plan, step, view, rows, border=border))
    return reads, writes


def assert_separated(plan: Plan) -> None:
    """Of any two stages in which one shard writes what another reads or writes, a barrier stands between."""
    since: list[list[tuple[Cells, Cells]]] = []
    for stage in plan.stages:
        if stage.barrier:
            since = []
        now = [accesses(plan, stage, shard) for shard in range(SHARDS)]
        for earlier in since:
            for shard, other in itertools.permutations(range(SHARDS), 2):
                (reads, writes), (earlier_reads, earlier_writes) = now[shard], earlier[other]
                assert not reads & earlier_writes, f"{stage} reads what was written without a barrier between"
                assert not writes & (earlier_reads | earlier_writes), f"{stage} writes over what may still be in use"
        since.append(now)


@pytest.mark.parametrize("streaming", ["none", "pools", "cost", "chains"])
def test_barriers_separate_dependent_stages(streaming: str) -> None:
    for seed in GRAPHS:
        graph, _ = random_graph(seed)
        assert_separated(compilation(graph, streaming=streaming, borders="all").plan)


def test_the_simulation_sees_a_missing_barrier() -> None:
    graph, _ = chain(Conv((3, 3)), MaxPool((3, 3), 1), rows=8)
    plan = compilation(graph, off=("fuse",), streaming="none").plan
    bare = [Stage(stage.steps, stage.block) for stage in plan.stages]
    with pytest.raises(AssertionError, match="without a barrier"):
        assert_separated(Plan(**{**vars(plan), "stages": tuple(bare)}))


def test_rows_that_each_shard_has_for_itself_need_no_barrier() -> None:
    """After a pool, which needs rows of others, none before a 1×1 layer, though it divides single positions."""
    graph, _ = chain(Conv((3, 3), padding="same"), MaxPool((3, 3), 2), Conv((1, 1)), Conv((1, 1)), rows=33)
    plan = compilation(graph, off=("fuse",), streaming="none", borders="all").plan
    assert [stage.barrier for stage in plan.stages[-3:]] == [True, False, False]
    assert [plan.steps[stage.steps[-1]].partitions for stage in plan.stages[-3:]] == [16] * 3
    assert_separated(plan)


def test_what_pads_one_tensor_is_inside_of_another() -> None:
    """Zeros around a tensor are read by what rearranges the whole (seeds 1200336 and 1202554)."""
    net = Net()
    x = net.input(1, 8, 4, 6)
    for _ in range(2):  # the zeros stand where the first one was
        x = net.apply(Relu(), net.apply(Conv((3, 3), padding="same"), x, net.weights(8, 8, 3, 3)))
    moved = net.apply(SpaceToDepth(2), net.apply(Pad(((0, 0), (0, 0), (1, 1), (1, 1))), x))
    graph = net.graph(net.apply(Conv((2, 2)), moved, net.weights(4, 32, 2, 2)))
    assert_separated(compilation(graph, streaming="none", sharing="all").plan)


def test_independent_stages_need_no_barrier() -> None:
    """Two branches that only read the input meet nowhere before they are added."""
    net = Net()
    x = net.input(1, 2, 5, 5)
    w = net.weights(3, 2, 1, 1)
    sums = [net.apply(MaxPool((2, 2), 1), x) for _ in range(2)]
    other = net.apply(Conv((2, 2)), x, net.weights(3, 2, 2, 2))
    plan = compilation(net.graph(net.apply(Add(), *sums), other, net.apply(Conv((1, 1)), x, w))).plan
    assert sum(not stage.barrier for stage in plan.stages) >= 2
    assert_separated(plan)


def test_lives_end_with_the_last_reader() -> None:
    """Memory of a buffer that is no longer read is free for the next: a chain of any length takes two buffers."""
    graph, _ = chain(*[MaxPool((3, 3), 1, 1)] * 6, rows=20)
    plan = compilation(graph, streaming="none").plan
    one = int(np.prod((3, 20, 6))) * 4
    assert plan.arena_bytes <= 2 * (one + 64)


def test_lanes_along_rows_do_not_stream() -> None:
    """A vector of rows would reach beyond a ring: one column, element-wise layers after each other (seed 402520)."""
    net = Net()
    x = net.input(1, 16, 40, 1)
    y = net.apply(Add(), net.apply(Add(), x, net.weights(16, 1, 1)), net.weights(16, 1, 1))
    graph = net.graph(net.apply(Conv((3, 1), padding="same"), y, net.weights(4, 16, 3, 1)))
    chained = compilation(graph, checked=True, streaming="chains", off=("fuse",))
    for step in chained.plan.steps:
        if any(view.ring for view in (*step.sources, step.target)):
            assert getattr(step.kernel, "lane_axis", 1) != 2
    whole = compilation(graph, checked=True, streaming="none", off=("fuse",))
    for threads in (1, 2):
        assert_same_bits(native(chained, net.feeds, threads=threads), native(whole, net.feeds), f"{threads} threads")


# Chains by cost


def inverted_residual(size: int, channels: int, wide: int) -> tuple[Graph, dict[str, Array]]:
    """Expand, depthwise, project, and the input added: what MobileNetV2 is made of."""
    net = Net()
    x = net.input(1, 3, size, size)
    x = net.apply(Conv((1, 1)), x, net.weights(channels, 3, 1, 1))
    y = net.apply(Conv((1, 1)), x, net.weights(wide, channels, 1, 1))
    y = net.apply(Conv((3, 3), padding="same", groups=wide), y, net.weights(wide, 1, 3, 3))
    y = net.apply(Conv((1, 1)), y, net.weights(channels, wide, 1, 1))
    return net.graph(net.apply(Add(), y, x)), net.feeds


def test_large_tensors_between_layers_become_rings() -> None:
    graph, feeds = inverted_residual(64, 32, 96)
    whole, streamed = compilation(graph, "x86-64-v4", streaming="none"), compilation(graph, "x86-64-v4")
    assert [len(stage.steps) for stage in streamed.plan.stages if stage.block] == [3]
    assert streamed.plan.arena_bytes + streamed.plan.shard_bytes < 0.5 * whole.plan.arena_bytes
    wanted = native(compilation(graph, streaming="none"), feeds)
    for threads in (1, 2, 5):
        assert_same_bits(native(compilation(graph), feeds, threads), wanted, f"{threads} threads")


def test_what_stays_in_the_cache_is_stored_whole() -> None:
    graph, _ = inverted_residual(14, 32, 96)
    assert all(len(stage.steps) == 1 for stage in compilation(graph, "x86-64-v4").plan.stages)


def test_a_fill_does_not_part_a_chain() -> None:
    net = Net()
    x = net.input(1, 24, 64, 64)
    y = net.apply(Conv((1, 1)), x, net.weights(96, 24, 1, 1))
    y = net.apply(Conv((3, 3), padding="same", groups=96), y, net.weights(96, 1, 3, 3))
    y = net.apply(Conv((1, 1)), y, net.weights(32, 96, 1, 1))
    graph = net.graph(net.apply(Conv((3, 3), padding="same"), y, net.weights(32, 32, 3, 3)))
    plan = compilation(graph, "x86-64-v4").plan
    assert 3 in [len(stage.steps) for stage in plan.stages]
    assert_same_bits(native(compilation(graph), net.feeds), native(compilation(graph, streaming="none"), net.feeds))


def test_needs_and_heights_of_rings() -> None:
    needs = [RowNeed(1, 1), RowNeed(1, 3), RowNeed(2, 3), RowNeed(1, 1)]
    assert ring_heights(needs, 2) == [8, 8, 2]
    assert ring_heights(needs[:1], 4) == []
    assert ring_heights([RowNeed(1, 1, granularity=4), RowNeed(1, 1)], 2) == [8]
