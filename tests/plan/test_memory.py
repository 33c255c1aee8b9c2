"""Places in the arena."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from cnncc import learn
from cnncc.abi import ALIGNMENT
from cnncc.alignment import rounded_up
from cnncc.learning.recipe import Recipe
from cnncc.plan.memory import LiveRange, assign, assign_to_barriers, enough, lower_bound, to_barriers
from tests.fuzz.generate import random_graph
from tests.graphs import compilation
from tests.perf.trained import NETWORKS


def random_lives(seed: int) -> dict[str, LiveRange]:
    rng = np.random.default_rng(seed)
    live_ranges = {}
    for number in range(int(rng.integers(1, 20))):
        first = int(rng.integers(0, 10))
        live_ranges[f"b{number}"] = LiveRange(int(rng.integers(1, 500)) * 4, first, first + int(rng.integers(0, 5)))
    return live_ranges


def assert_apart(live_ranges: Mapping[str, LiveRange], places: Mapping[str, int], size: int) -> None:
    assert size >= lower_bound(live_ranges)
    for name, life in live_ranges.items():
        assert places[name] % ALIGNMENT == 0 and places[name] + life.size <= size
        for other, begin in places.items():
            if other != name and life.meets(live_ranges[other]):
                apart = begin + live_ranges[other].size <= places[name] or places[name] + life.size <= begin
                assert apart, (name, other)


def test_live_buffers_never_overlap() -> None:
    for seed in range(300):
        live_ranges = random_lives(seed)
        assert_apart(live_ranges, *assign(live_ranges))


def test_buffers_are_kept_to_barriers_only_where_that_takes_no_memory() -> None:
    freed = 0
    for seed in range(300):
        live_ranges, barriers = (
            random_lives(seed),
            [bool(bit) for bit in np.random.default_rng(seed).integers(0, 2, 16)],
        )
        found = assign_to_barriers(live_ranges, barriers)
        assert_apart(live_ranges, *found)
        kept = assign(to_barriers(live_ranges, barriers))
        assert found[1] <= kept[1]
        freed += found[1] < kept[1]
        if kept[1] <= 1.03 * lower_bound(live_ranges):
            assert found == kept
    assert freed


@pytest.mark.parametrize(("network", "images"), [("lenet", 8), ("lenet", 64), ("digits", 32), ("tiny", 8)])
@pytest.mark.parametrize("target", ["x86-64-v3", "x86-64-v4"])
def test_arenas_of_training_steps_stay_near_the_lower_bound(target: str, network: str, images: int) -> None:
    recipe = Recipe(learn.CrossEntropy(), learn.SGD(0.01, 0.9), images)
    plan = compilation(recipe.training(NETWORKS[network]().graph).graph, target).plan
    assert plan.arena_bytes <= 1.03 * plan.arena_bound


def test_buffers_that_do_not_meet_share_memory() -> None:
    places, size = assign({"a": LiveRange(640, 0, 1), "b": LiveRange(640, 2, 3)})
    assert places == {"a": 0, "b": 0} and size == 640


def test_the_lower_bound_is_met_where_all_are_alive() -> None:
    live_ranges = {f"b{number}": LiveRange(4 * number, 0, 9) for number in range(1, 9)}
    assert (
        assign(live_ranges)[1]
        == lower_bound(live_ranges)
        == sum(rounded_up(life.size) for life in live_ranges.values())
    )


def test_no_buffers() -> None:
    assert assign({}) == ({}, 0) and lower_bound({}) == 0


def test_orders_are_tried_longer_where_there_is_much_to_save() -> None:
    assert enough(1 << 20, 1 << 20, 0) and not enough((1 << 20) + 64, 1 << 20, 29)
    assert enough((1 << 20) + 1024, 1 << 20, 30) and not enough((1 << 20) + 1088, 1 << 20, 299)
    assert enough(6600, 6400, 30) and not enough(6656, 6400, 299)


def test_arenas_of_random_graphs_stay_near_the_lower_bound() -> None:
    for seed in range(60):
        plan = compilation(random_graph(seed)[0]).plan
        assert plan.arena_bound <= plan.arena_bytes <= 1.03 * plan.arena_bound


def test_a_residual_chain_meets_the_bound_that_the_largest_first_misses() -> None:
    """Lives of a network of two blocks, where a large sum must lie beside a larger one: it has to come earlier."""
    sizes = [512, 1088, 1024, 2048, 2048, 1088, 1024, 2048, 2112, 512, 1024, 1024]
    spans = [(0, 5), (1, 3), (3, 4), (4, 5), (5, 9), (6, 8), (8, 9), (9, 14), (10, 12), (12, 13), (13, 14), (14, 18)]
    live_ranges = {
        f"b{number}": LiveRange(size * 1024, *span)
        for number, (size, span) in enumerate(zip(sizes, spans, strict=True))
    }
    assert assign(live_ranges)[1] == lower_bound(live_ranges)
    assert assign(live_ranges) == assign(dict(reversed(live_ranges.items())))
