"""Tiles of several rows with lanes along the columns: of few columns and outputs, one row has few sums."""

from __future__ import annotations

import pytest

from cnncc.ops import Conv, Relu
from cnncc.plan.kernels import Direct, Tile
from tests.graphs import Net, assert_same_bits, check, compilation, native, runnable_targets


@pytest.mark.parametrize("target", runnable_targets())
@pytest.mark.parametrize("rows", [4, 11])
def test_rows_of_a_tile_change_no_bit(target: str, rows: int) -> None:
    """Rows that are no multiple of a tile's, with and without a border, by shards and through rings of rows."""
    net = Net(rows)
    first = net.apply(Conv((3, 3), padding="same"), net.input(1, 2, rows, 6), net.weights(3, 2, 3, 3))
    y = net.apply(Relu(), net.apply(Conv((3, 3), padding="full"), first, net.weights(3, 3, 3, 3, arrive=True)))
    graph = net.graph(net.apply(Conv((1, 1)), y, net.weights(2, 3, 1, 1)))
    plan = compilation(graph, target).plan
    offers = {
        (signature, candidate.label): candidate.kernel.tile
        for signature, offered in plan.offers.items()
        for candidate in offered
        if isinstance(candidate.kernel, Direct) and candidate.kernel.lanes_along == "columns"
        if candidate.kernel.taps == 9 and candidate.kernel.channels == 3
    }
    assert {tile.rows for tile in offers.values()} >= {1, 2, 3}
    wanted = None
    for choice, tile in offers.items():
        for options in ({"borders": "none"}, {"borders": "all"}, {"streaming": "chains"}):
            compiled = compilation(graph, target, choices=(choice,), **options)
            assert tile in tiles(compiled.plan.steps)
            found = native(compiled, net.feeds, threads=3)
            if wanted is None:
                wanted = check(graph, net.feeds, target, choices=(choice,), checked=True)
            assert_same_bits(found, wanted)


def tiles(steps) -> list[Tile]:
    return [step.kernel.tile for step in steps if isinstance(step.kernel, Direct)]


def test_a_gradient_by_a_small_image_has_tiles_of_several_rows() -> None:
    """A full 5×5 window on 10² with 6 outputs: six sums wait for each other, 12 and more do not."""
    net = Net()
    x = net.apply(Relu(), net.input(1, 16, 10, 10))
    y = net.apply(Conv((5, 5), padding="full"), x, net.weights(6, 16, 5, 5, arrive=True))
    plan = compilation(net.graph(y), "x86-64-v4", borders="none").plan
    assert tiles(plan.steps)[0].rows > 1
