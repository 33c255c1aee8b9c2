"""Tiles of images: the same bits as stage by stage, in an order that keeps what depends on each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import pytest

from cnncc import learn, ops
from cnncc.compiler import Compilation, resolve_target
from cnncc.elements import FLOAT32
from cnncc.gradient import differentiated
from cnncc.ir import Graph, Value
from cnncc.learning.recipe import Recipe
from cnncc.machine.target import Target
from cnncc.plan import image_tiles
from cnncc.plan.image_tiles import dependences, tiled
from cnncc.plan.make import results_until
from cnncc.plan.memory import LiveRange, over_tiles
from cnncc.plan.plan import ImageTile, Plan, Stage
from cnncc.types import Array
from tests.codegen.test_contract import in_turns
from tests.graphs import Net, assert_same_bits, check, compilation, native
from tests.perf.trained import NETWORKS

SMALL = {"l2": 32 << 10, "l3": 32 << 10}
"""Caches that hold a few images of the network below, and not the others."""


@cache
def of_training(images: int = 16) -> tuple[Graph, Mapping[str, Array]]:
    """Gradients of a residual network with batch norm, a stride and a pool by its weights, and data."""
    net = Net()

    def layer(x: Value, channels: int, kernel: int, stride: int = 1) -> Value:
        w = net.weights(channels, net.shape(x)[1], kernel, kernel, arrive=True)
        y = net.apply(ops.Conv((kernel, kernel), stride, padding=kernel // 2), x, w)
        scale, shift = (net.weights(channels, arrive=True) for _ in range(2))
        return net.apply(ops.BatchStandardization(1e-5), y, scale, shift)

    x = net.apply(ops.Relu(), layer(net.input(images, 3, 10, 10), 8, 3))
    y = layer(net.apply(ops.MaxPool((3, 3), 1, 1), x), 8, 3)
    x = net.apply(ops.Relu(), net.apply(ops.Add(), y, x))
    x = net.apply(ops.Add(), net.apply(ops.Relu(), layer(x, 12, 3, 2)), layer(x, 12, 1, 2))
    graph = net.graph(net.apply(ops.GlobalAveragePool(), x))
    weights = [name for name in graph.inputs if name != "x"]
    slopes = differentiated(graph, "y0", weights)
    missing = {name: net.random(*slopes.type(Value(name)).shape) for name in slopes.inputs if name not in net.feeds}
    return slopes, net.feeds | missing


def small(target: str = "host") -> Target:
    return replace(resolve_target(target), **SMALL)  # type: ignore[arg-type]


def stage_by_stage(monkeypatch: pytest.MonkeyPatch, target: Target) -> Compilation:
    """The same program without tiles."""
    with monkeypatch.context() as patch:
        patch.setattr(image_tiles, "exceeds_caches", lambda target, nbytes: False)
        made = compilation(of_training()[0], target)
        assert not any(stage.tile for stage in made.plan.stages)
        return made


def groups(plan: Plan) -> list[list[Stage]]:
    return [group for group in tiled(plan.stages) if len(group) > 1]


def test_tiles_compute_what_the_interpreter_does() -> None:
    graph, feeds = of_training()
    assert len(groups(compilation(graph, small()).plan)) > 2
    check(graph, feeds, small())
    check(graph, feeds, small(), checked=True)


@pytest.mark.parametrize("target", ["host", "x86-64-v2"])
def test_tiles_threads_and_shards_make_the_same_bits(monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    _, feeds = of_training()
    wanted = native(stage_by_stage(monkeypatch, small(target)), feeds)
    compiled = compilation(of_training()[0], small(target))
    assert any(1 < group[0].tile.images < 16 for group in groups(compiled.plan) if group[0].tile)
    for threads in (1, 2, 3, 5):
        assert_same_bits(native(compiled, feeds, threads), wanted, f"{threads} threads")
    for shards in (2, 7):
        assert_same_bits(in_turns(compiled.build(), feeds, range(shards)), wanted, f"{shards} shards")


def test_what_depends_on_each_other_keeps_its_order() -> None:
    found = results_until("image tiles", of_training()[0], small(), strict=False, weights=FLOAT32)
    before, after = found["once"], found["image tiles"]
    places = {stage.steps: at for at, stage in enumerate(after.stages)}
    assert sorted(places) == sorted(stage.steps for stage in before.stages)
    assert list(places) != [stage.steps for stage in before.stages]
    for at, earlier in enumerate(dependences(before)):
        for other in earlier:
            assert places[before.stages[other].steps] < places[before.stages[at].steps]


def test_no_barrier_and_no_single_shard_stands_in_a_tile() -> None:
    stages = compilation(of_training()[0], small(), sharing="cost").plan.stages
    assert [stage for group in tiled(stages) for stage in group] == list(stages)
    for group in tiled(stages):
        assert len({stage.tile for stage in group}) == 1 and bool(group[0].tile) == (len(group) > 1)
        assert len(group) == 1 or all(stage.shared for stage in group)
        assert not any(stage.barrier for stage in group[1:])


def test_shards_keep_what_a_tile_reads_again() -> None:
    """A replicated result is read by the first stage of a tile; the scratch of the second one must not lie over it."""
    tile = ImageTile(1, 2)
    stages = [Stage((0,)), *(Stage((number,), tile=tile) for number in (1, 2, 3)), Stage((4,))]
    lives = {"read": LiveRange(64, 0, 1), "scratch": LiveRange(64, 2, 2), "inside": LiveRange(64, 1, 2)}
    found = over_tiles(lives | {"behind": LiveRange(64, 3, 4)}, stages)
    spans = {name: (life.first, life.last) for name, life in found.items()}
    assert spans == {"read": (0, 3), "scratch": (2, 2), "inside": (1, 3), "behind": (3, 4)}


@pytest.mark.parametrize(("images", "has"), [(32, False), (128, True)])
def test_only_tensors_that_exceed_the_caches_are_tiled(images: int, has: bool) -> None:
    recipe = Recipe(learn.CrossEntropy(), learn.SGD(0.01, 0.9), images)
    target = replace(resolve_target("x86-64-v3"), l2=512 << 10, l3=32 << 20)
    plan = compilation(recipe.training(NETWORKS["resnet8"]().graph).graph, target, sharing="cost").plan
    assert bool(groups(plan)) == has
    assert plan.arena_bytes <= 1.03 * plan.arena_bound
