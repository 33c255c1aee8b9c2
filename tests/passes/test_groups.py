from __future__ import annotations

import numpy as np
import pytest

from cnncc.ops import Conv, Dense
from cnncc.passes.groups import find_groups
from cnncc.types import Array

from .support import Net, apply, layers, why
from .test_zero_rings import same_bits_if_finite


def diagonal(rng: np.random.Generator, groups: int, blocks: int, rows: int, columns: int, *taps: int) -> Array:
    """Weights of `groups` groups, each of `blocks` blocks."""
    data = np.zeros((groups, blocks, rows, blocks, columns, *taps), np.float32)
    for block in range(blocks):
        data[:, block, :, block] = rng.standard_normal((groups, rows, columns, *taps))
    return data.reshape(groups * blocks * rows, blocks * columns, *taps)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    ("groups", "blocks", "rows", "columns"), [(1, 2, 3, 4), (2, 3, 2, 1), (1, 6, 1, 1), (3, 2, 4, 2)]
)
def test_blocks_become_groups(groups: int, blocks: int, rows: int, columns: int, bias: bool) -> None:
    net = Net()
    x = net.input(2, groups * blocks * columns, 6, 5)
    weights = [net.known(diagonal(net.rng, groups, blocks, rows, columns, 3, 2))]
    weights += [net.weights(groups * blocks * rows)] if bias else []
    before = net.graph(net.apply(Conv((3, 2), padding=1, groups=groups), x, *weights, name="conv"))
    result = apply(find_groups, before)
    op = result.graph["conv"].op
    assert isinstance(op, Conv) and op.groups == groups * blocks
    (fired,) = result.fired
    assert fired.tag == "finite" and fired.detail == f"{groups * blocks} groups instead of {groups}"
    same_bits_if_finite(before, result.graph)


@pytest.mark.parametrize("bias", [False, True])
def test_a_dense_layer_becomes_several(bias: bool) -> None:
    net = Net()
    weights = [net.known(diagonal(net.rng, 1, 3, 16, 5))] + ([net.weights(48)] if bias else [])
    before = net.graph(net.apply(Dense(), net.input(2, 15), *weights, name="dense"))
    result = apply(find_groups, before)
    assert layers(result.graph) == ["dense.parts", "dense.0", "dense.1", "dense.2", "dense"]
    same_bits_if_finite(before, result.graph)


def test_a_run_time_bias_is_split_too() -> None:
    net = Net()
    inputs = net.input(2, 6), net.known(diagonal(net.rng, 1, 2, 16, 3)), net.input(32, name="b")
    before = net.graph(net.apply(Dense(), *inputs, name="dense"))
    result = apply(find_groups, before)
    assert layers(result.graph) == ["dense.parts", "dense.bias", "dense.0", "dense.1", "dense"]
    same_bits_if_finite(before, result.graph)


def test_small_dense_blocks_do_not_pay() -> None:
    net = Net()
    before = net.graph(net.apply(Dense(), net.input(2, 6), net.known(diagonal(net.rng, 1, 2, 8, 3)), name="dense"))
    told = why(apply(find_groups, before), "dense")
    assert told == "its weights are no blocks on a diagonal of at least 16 outputs"


def test_one_element_outside_of_the_blocks_is_enough() -> None:
    net = Net()
    data = diagonal(net.rng, 1, 2, 3, 4, 1, 1)
    data[0, -1] = 1e-30
    before = net.graph(net.apply(Conv((1, 1)), net.input(1, 8, 4, 4), net.known(data), name="conv"))
    result = apply(find_groups, before)
    assert result.graph.canonical() == before.canonical()
    assert why(result, "conv") == "its weights are no blocks on a diagonal"


def test_what_cannot_have_blocks_is_told_so() -> None:
    net = Net()
    before = net.graph(net.conv(net.input(1, 4, 6, 6), 4, 3, 3, groups=4))
    assert why(apply(find_groups, before), "conv") == "each of its outputs reads one channel already"
    net = Net()
    before = net.graph(net.apply(Conv((1, 1)), net.input(1, 2, 4, 4), net.input(2, 2, 1, 1, name="w"), name="conv"))
    assert why(apply(find_groups, before), "conv") == "its weights are known only at run time"
