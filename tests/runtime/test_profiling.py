"""What a profile says of memory: which bytes a step moves, and which level they come from."""

from __future__ import annotations

import numpy as np
import pytest

from cnncc.compiler import resolve_target
from cnncc.measure.limits import Bandwidth, Clock
from cnncc.measure.profiling import profile
from cnncc.ops import Add, Conv, Relu
from cnncc.plan.traffic import LEVELS, step_traffic, touches
from tests.graphs import Net, compilation


@pytest.fixture(scope="module")
def bandwidth() -> Bandwidth:
    return Bandwidth(resolve_target("host"))


def test_levels_hold_what_was_touched_within_their_size(bandwidth: Bandwidth) -> None:
    l1, l2, _ = bandwidth.sizes
    assert bandwidth.level(l1) == "L1" and bandwidth.level(l1 + 1) == "L2" and bandwidth.level(l2 + 1) != "L2"
    assert bandwidth.level(1 << 62) == "DRAM"


def test_limits_are_plausible(bandwidth: Bandwidth) -> None:
    assert all(1e8 < bandwidth.of(level) < 1e14 for level in LEVELS[:2])
    clock = Clock(resolve_target("host"))
    assert 1e6 < clock.ticks_per_second() < 1e11
    assert 0 <= clock.empty_call() < 1e6


def test_each_element_moves_once() -> None:
    """A bias that is repeated over an image counts as what it is, and so does an image that a window reads often."""
    net = Net()
    x = net.input(1, 16, 20, 20)
    y = net.apply(Conv((3, 3)), x, net.weights(32, 16, 3, 3), net.weights(32))
    plan = compilation(net.graph(net.apply(Relu(), y)), precision="strict").plan
    moved = {(number, name): size for number, name, _, size in touches(plan)}
    assert sum(moved.values()) == sum(size for size in moved.values() if size)
    (conv,) = (number for number, step in enumerate(plan.steps) if type(step.kernel).__name__ == "Direct")
    sizes = sorted(size for (number, _), size in moved.items() if number == conv)
    assert sizes == sorted([4 * 16 * 20 * 20, 4 * 32 * 16 * 9, 4 * 32, 4 * 32 * 18 * 18])


def test_memory_comes_from_where_it_was_left(bandwidth: Bandwidth) -> None:
    """Of two readers of a large input, the second one finds it as far away as the first one's traffic."""
    net = Net()
    size = bandwidth.sizes[1] // 4 // 16  # a row of 16 channels fills the second level
    x = net.input(1, 16, size, 1)
    graph = net.graph(net.apply(Add(), net.apply(Relu(), x), net.apply(Conv((1, 1)), x, net.weights(16, 16, 1, 1))))
    plan = compilation(graph).plan
    traffic = step_traffic(plan, bandwidth.level)
    assert len(traffic) == len(plan.steps)
    total = sum(sum(levels.values()) for levels in traffic)
    assert total == sum(size for _, _, _, size in touches(plan))
    assert all(set(levels) <= set(LEVELS) for levels in traffic)
    assert any(set(levels) & {"L3", "DRAM"} for levels in traffic)


def test_a_small_model_stays_in_the_first_level(bandwidth: Bandwidth) -> None:
    net = Net()
    graph = net.graph(net.apply(Relu(), net.input(1, 8, 4, 4)))
    assert all(set(levels) == {"L1"} for levels in step_traffic(compilation(graph).plan, bandwidth.level))


def test_images_count(bandwidth: Bandwidth) -> None:
    """A batch runs the program for each image: operations and bytes are those of all."""

    def one(images: int):
        net = Net()
        y = net.apply(Conv((3, 3)), net.input(images, 8, 12, 12), net.weights(8, 8, 3, 3))
        return profile(compilation(net.graph(y)), 0.02)

    single, several = one(1), one(3)
    flops = [[step.gflops * step.us for step in found.steps] for found in (single, several)]
    np.testing.assert_allclose(flops[1], np.multiply(flops[0], 3), rtol=1e-6)
    assert [step.bytes for step in several.steps] == [3 * step.bytes for step in single.steps]
    assert all(step.lost_us == max(0.0, step.us - step.bound_us) for step in single.steps)


def test_no_memory_is_new_in_the_second_call(bandwidth: Bandwidth) -> None:
    """Whatever lies over each other in the arena, what a small model touches is never far away."""
    net = Net()
    y = net.input(1, 8, 6, 6)
    for channels, kernel in ((16, 3), (8, 5), (24, 1), (8, 3), (32, 1), (8, 3)):
        y = net.apply(Conv((kernel, kernel), padding="same"), y, net.weights(channels, net.shape(y)[1], kernel, kernel))
    plan = compilation(net.graph(y)).plan
    assert not any("DRAM" in levels for levels in step_traffic(plan, bandwidth.level))


def test_winograd_is_held_to_its_own_products() -> None:
    """F(4×4, 3×3) on 16² pixels: 16 tiles of 36 points, for 9·256 multiplications of the definition 4 times fewer."""
    net = Net()
    y = net.apply(Conv((3, 3), padding="same"), net.input(1, 32, 16, 16), net.weights(32, 32, 3, 3))
    graph = net.graph(y)
    ((signature, offers),) = compilation(graph).plan.offers.items()
    label = next(offer.label for offer in offers if offer.label.startswith("winograd 4×4"))
    (step,) = (s for s in compilation(graph, choices=((signature, label),)).plan.steps if s.signature)
    assert step.kernel.multiplied(step.target) == 16 * 36 * 32 * 32
    assert step.macs == 16 * 16 * 9 * 32 * 32
