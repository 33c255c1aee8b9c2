"""What one shard does alone, and how many shards are worth starting."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cnncc.ir import Graph
from cnncc.ops import Conv, GlobalAveragePool, MaxPool, Relu
from cnncc.plan.plan import Plan, Schedule
from cnncc.plan.stage_partition import divided
from cnncc.runtime.model import Model
from cnncc.types import Array
from tests.fuzz.generate import random_graph
from tests.graphs import Net, assert_same_bits, check, compilation, native, runnable_targets
from tests.plan.test_schedule import assert_separated


def network(size: int, channels: int) -> tuple[Graph, dict[str, Array]]:
    """A wide layer, then three that are small however large the image is."""
    net = Net()
    x = net.apply(Conv((3, 3), padding="same"), net.input(1, 3, size, size), net.weights(channels, 3, 3, 3))
    x = net.apply(GlobalAveragePool(), net.apply(MaxPool((3, 3), 2, 1), net.apply(Relu(), x)))
    for _ in range(2):
        x = net.apply(Conv((1, 1)), x, net.weights(channels, channels, 1, 1))
    return net.graph(x), net.feeds


def by_cost(graph: Graph) -> Plan:
    return compilation(graph, "x86-64-v4", sharing="cost").plan


def test_a_small_model_is_for_one_shard() -> None:
    graph, feeds = network(8, 16)
    assert by_cost(graph).useful_shards == 1
    with Model(compilation(graph, sharing="cost").build(), threads=4) as model:
        assert model.threads == 1
        assert model(*feeds.values()) is not None
    with Model(compilation(graph).build(), threads=4) as model:
        assert model.threads == 4


def test_small_stages_at_the_end_are_not_shared() -> None:
    plan = by_cost(network(64, 32)[0])
    shared = [not (stage.single_shard or stage.replicated) for stage in plan.stages]
    assert plan.useful_shards > 1
    assert shared[0]
    assert not any(shared[-3:])
    assert not any(stage.barrier for stage in plan.stages[-2:])


def test_everything_is_shared_where_barriers_cost_nothing() -> None:
    plan = compilation(network(64, 32)[0], "x86-64-v4").plan
    core = replace(plan.target.core, barrier_cycles=0.0, foreign_line_cycles=0.0)
    schedule = Schedule(plan.stages, plan.steps, plan.buffers)
    for stage in divided(schedule, replace(plan.target, core=core)).stages:
        assert (stage.single_shard or stage.replicated) == (plan.steps[stage.steps[-1]].partitions == 1)


def test_one_core_without_atomics_has_nothing_to_share_with() -> None:
    assert compilation(network(64, 32)[0], "cortex-m4", sharing="cost").plan.useful_shards == 1


@pytest.mark.parametrize("target", runnable_targets())
def test_lone_stages_make_the_same_bits(target: str) -> None:
    graph, feeds = network(64, 32)
    alone = check(graph, feeds, target)
    compiled = compilation(graph, target, sharing="cost")
    for threads in (1, 2, 3, 7):
        assert_same_bits(native(compiled, feeds, threads), alone, f"{threads} threads")


def test_barriers_separate_what_different_shards_do() -> None:
    for seed in range(20):
        graph, _ = random_graph(seed)
        plan = compilation(graph, sharing="cost").plan
        assert_separated(plan)
