"""Algorithms and tiles: the register law, and packed weights."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from cnncc.computation import Contraction
from cnncc.expr import RUNNING
from cnncc.machine.target import TARGETS, Target
from cnncc.ops import Conv, Exp, MatMul, MaxPool, ReduceMean, Relu, Reshape, Slice, Transpose
from cnncc.plan.cost.step import most_scalars
from cnncc.plan.kernels import (
    Convolution,
    Depthwise,
    Direct,
    Epilogue,
    Inner,
    Kernel,
    Layer,
    Outer,
    Pooling,
    Tile,
    Turned,
    Winograd,
    direct_tiles,
    inner,
    outer,
)
from cnncc.plan.kernels.reduce import reduction_axis
from cnncc.plan.kernels.turned_sums import chunk_of
from cnncc.plan.views import View, dense_view
from cnncc.types import Array
from cnncc.windows import WindowAxis, resolve
from tests.fuzz.generate import random_graph
from tests.graphs import Net, calls, compilation


def contractions(seed: int, count: int) -> list[tuple[Contraction, tuple[int, ...], Epilogue]]:
    """Random shapes of all ranks, with and without a pool in registers."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        rank = int(rng.integers(0, 4))
        sizes = tuple(int(n) for n in rng.integers(4, 60, rank))
        kernel, stride = (tuple(int(n) for n in rng.integers(1, most, rank)) for most in (4, 3))
        window = resolve(sizes, kernel, stride, (1,) * rank, "same")
        groups = int(rng.choice([1, 1, 2, 3]))
        channels, outputs = (groups * int(n) for n in rng.integers(1, 100, 2))
        pool = int(rng.choice([1, 1, 2, 3])) if rank in (1, 2) else 1
        out = tuple(axis.out // pool for axis in window)
        if 0 in out:
            continue
        pooling = Pooling((pool,) * rank, "maximum", False) if pool > 1 else None
        epilogue = Epilogue(RUNNING, pooling)
        found.append((Contraction(window, channels, outputs, groups), out, epilogue))
    return found


@pytest.mark.parametrize("target", TARGETS.values(), ids=lambda target: target.name)
def test_the_register_law(target) -> None:
    """Accumulators, vector operands and one scalar fit into the registers (where one pooled window does at all).

    Where loads come first, all scalars do.
    """
    for c, stored, epilogue in contractions(1, 400):
        for along in (["channels"], ["columns"], ["channels", "columns"]):
            if "channels" not in along and not (c.window and c.window[-1].stride == 1):
                continue
            candidates = direct_tiles.candidates(target, Layer(c, stored, epilogue, dict.fromkeys(along, 0)))
            if not candidates:  # a pool wider than a vector has no lanes along columns
                crowded = target.loads_first and window_sums(c, epilogue) > most_scalars(target, 1)
                assert along == ["columns"] or crowded
                continue
            assert len({candidate.label for candidate in candidates}) == len(candidates)
            for candidate in candidates:
                check_registers(target, c, epilogue, candidate.kernel)


def window_sums(c: Contraction, epilogue: Epilogue) -> int:
    """Sums of the smallest tile with lanes along the channels: those of a window of the pool."""
    unit = epilogue.pooled(len(c.window) - 1) if c.window else 1
    return unit * (epilogue.pooled(0) if len(c.window) > 1 else 1)


def check_registers(target: Target, c: Contraction, epilogue: Epilogue, kernel: Direct) -> None:
    rows = epilogue.pooled(0) if len(c.window) > 1 else 1
    least = window_sums(c, epilogue) if kernel.lanes_along == "channels" else rows
    if target.loads_first and not kernel.is_filter:
        tile, along_channels = kernel.tile, kernel.lanes_along == "channels"
        vectors = tile.vectors if along_channels else tile.rows // tile.rows_per_vector * tile.vectors
        scalars = tile.rows * tile.columns if along_channels else tile.outputs
        assert vectors * scalars + vectors + scalars <= target.operand_registers, (c, kernel)
    elif 2 * least + 1 <= target.registers:
        assert kernel.tile.registers(kernel.lanes_along) <= target.registers, (c, kernel)
    assert kernel.lanes <= target.lanes


@pytest.mark.parametrize(("channels", "outputs"), [(256, 256), (144, 576), (576, 144), (288, 72), (240, 64)])
def test_dense_tiles_are_wide_enough_for_the_weights_to_stream(channels: int, outputs: int) -> None:
    """They come from the second cache even if those of one block would fit into the first: each is used once."""
    best = direct_tiles.candidates(TARGETS["x86-64-v4"], Layer(Contraction((), channels, outputs), ()))[0]
    assert best.kernel.tile.vectors >= 4


def test_the_law_holds_for_random_graphs() -> None:
    for name in ("x86-64-v2", "x86-64-v3", "x86-64-v4"):
        for seed in range(30):
            for step in compilation(random_graph(seed)[0], name).plan.steps:
                kernel = step.kernel
                if isinstance(kernel, Direct) and not kernel.epilogue.pool:
                    assert kernel.tile.registers(kernel.lanes_along) <= TARGETS[name].registers


def test_the_work_of_planning_does_not_grow_with_the_layer() -> None:
    """A 1×1 convolution of 1000 × 1000 pixels, as the one long row that it is, and a wide dense layer."""
    square = resolve((1000,) * 2, (3,) * 2, (1,) * 2, (1,) * 2, 1)
    for window, stored in (((WindowAxis(10**6),), (10**6,)), ((), ()), (square, (1000, 1000))):
        c = Contraction(window, 1000, 1000)
        plan = partial(
            direct_tiles.candidates, TARGETS["x86-64-v4"], Layer(c, stored, copies={"channels": 0, "columns": 0})
        )
        assert plan()
        assert calls(plan) < 20_000


def test_a_choice_is_obeyed_and_equal_layers_share_it() -> None:
    net = Net()
    y = net.input(1, 32, 20, 20)
    for _ in range(4):
        y = net.apply(Conv((3, 3), padding="same"), y, net.weights(32, 32, 3, 3))
    graph = net.graph(y)
    plan = compilation(graph, "x86-64-v4").plan
    _, signature, again, _ = (step.signature for step in plan.steps if isinstance(step.kernel, Direct | Winograd))
    assert signature == again
    other = plan.offers[signature][-1]
    chosen = compilation(graph, "x86-64-v4", choices=((signature, other.label),)).plan
    assert [step.kernel for step in chosen.steps].count(other.kernel) == 2
    unknown = compilation(graph, "x86-64-v4", choices=((signature, "no such label"),)).plan
    assert unknown.steps == plan.steps


# Packing


def gathered(view: View, memory: Array) -> Array:
    """The elements of a view."""
    found = np.full(view.shape, view.offset)
    for axis, stride in enumerate(view.strides):
        found = found + np.arange(view.shape[axis]).reshape(-1, *(1,) * (view.rank - axis - 1)) * stride
    return memory[found], found


def moved(kernel: Convolution, weights: Array, flip: bool) -> Array:
    """Packed by carrying out the run-time moves; 0 in the lanes that they leave open."""
    packed = np.zeros(kernel.packed_elements(1), np.float32)
    source = dense_view("w", weights.shape, tuple(range(weights.ndim)))
    for piece, place in kernel.packing_moves(source, "p", flip):
        assert piece.shape == place.shape
        values, _ = gathered(piece, weights.ravel())
        _, places = gathered(place, packed)
        packed[places] = values
    return packed


def test_outer_products_take_many_channels_of_a_pixel() -> None:
    """Under one tap: the fewest blocks of channels are packed. It does not matter in which order the image lies."""
    window = (WindowAxis(32, 16, 1, 2, 1, 0),) * 2  # of the gradient of 3×3 with stride 2
    layer = Layer(Contraction(window, 32, 32), (3, 3), turned=Turned(16, 0))
    for target in (TARGETS["x86-64-v3"], TARGETS["x86-64-v4"]):
        last, flat = (outer.candidates(target, replace(layer, planar=planar)) for planar in (False, True))
        kernel = last[0].kernel
        assert isinstance(kernel, Outer)
        assert kernel.block[:2] == (1, 1) and kernel.block[2] > 1
        assert last[0].cycles == pytest.approx(flat[0].cycles, rel=0.05)


@pytest.mark.parametrize(
    ("target", "size", "channels", "padding", "packs"),
    [
        ("x86-64-v3", 32, 64, 0, (True, True)),
        ("x86-64-v3", 32, 64, 1, (True, True)),
        ("x86-64-v3", 32, 8, 1, (False, True)),  # one block of each, but the image has an edge
        ("x86-64-v3", 6, 24, 0, (False, False)),  # a chunk stays in the first cache as it lies
        ("cortex-m4", 32, 64, 0, (False, False)),  # no cache
        ("cortex-m4", 32, 64, 1, (False, True)),
    ],
)
def test_outer_products_pack_what_is_far_or_outside(
    target: str, size: int, channels: int, padding: int, packs: tuple[bool, bool]
) -> None:
    window = (WindowAxis(size, size + 2 * padding - 2, 1, 1, padding, padding),) * 2
    layer = Layer(Contraction(window, 1, channels), (3, 3), turned=Turned(channels, 0))
    kernel = outer.candidates(TARGETS[target], layer)[0].kernel
    assert isinstance(kernel, Outer)
    assert (kernel.packs_outputs, kernel.packs_pixels) == packs


def test_chunks_of_windows_that_are_apart_have_fewer_positions() -> None:
    """Under several taps, which read other elements of the image between them; one tap reads as many as it has."""
    target, rows = TARGETS["x86-64-v3"], {}
    for taps, apart in itertools.product((1, 3), (1, 2)):
        window = (WindowAxis(taps - 1 + 15 * apart + 1, 16, 1, apart),) * 2
        rows[taps, apart] = chunk_of(target, Contraction(window, 16, 32), 32)
    assert rows[1, 1] == rows[1, 2] == rows[3, 1] == (1, 16) and rows[3, 2] == (1, 8)


@pytest.mark.parametrize(("images", "size", "tiles"), [(64, 28, 2), (1, 12, 1)])
def test_outer_products_of_one_tile_are_divided(images: int, size: int, tiles: int) -> None:
    """Shards divide tiles. 5×5 taps of one channel fit into the registers, but a second shard would be idle.

    Where all of it takes less than two barriers, it stays one tile.
    """
    layer = Layer(Contraction((WindowAxis(size, size, 1, 1, 2, 2),) * 2, images, 6), (5, 5), turned=Turned(1, 0))
    kernel = outer.candidates(TARGETS["x86-64-v4"], layer)[0].kernel
    assert isinstance(kernel, Outer)
    assert kernel.units(dense_view("y", (1, 6, 5, 5), tuple(range(4)))) == tiles


@pytest.mark.parametrize(("outputs", "family"), [(6, Inner), (32, Outer)])
def test_gradients_of_few_outputs_have_lanes_along_the_positions(outputs: int, family: type[Kernel]) -> None:
    """With 6 outputs 8 lanes are not full, and 28 columns are three and a half vectors; 32 outputs are four."""
    window = (WindowAxis(28, 28, 1, 1, 2, 2),) * 2
    copies = 0 if outputs > 16 else outputs * 28 * 28 * 64
    layer = Layer(Contraction(window, 64, outputs), (5, 5), planar=True, turned=Turned(1, copies, lines=True))
    for target in (TARGETS["x86-64-v3"], TARGETS["x86-64-v4"]):
        found = [*outer.candidates(target, layer), *inner.candidates(target, layer)]
        assert isinstance(min(found, key=lambda each: each.cycles).kernel, family)


def test_inner_products_need_rows_whose_elements_are_neighbours() -> None:
    window = (WindowAxis(28, 14, 1, 2, 1, 0),) * 2  # of a layer with stride 2
    layer = Layer(Contraction((WindowAxis(28, 28, 1, 1, 2, 2),) * 2, 64, 6), (5, 5), planar=True, turned=Turned(1, 0))
    assert not inner.candidates(TARGETS["x86-64-v3"], layer), "not side by side"
    beside = replace(layer, turned=Turned(1, 0, lines=True))
    assert inner.candidates(TARGETS["x86-64-v3"], beside)
    assert not inner.candidates(TARGETS["x86-64-v3"], replace(beside, contraction=Contraction(window, 64, 6)))
    assert not inner.candidates(TARGETS["cortex-m4"], beside), "one lane"


@pytest.mark.parametrize("target", ["x86-64-v4", "aarch64", "cortex-m4"])
def test_as_many_images_as_one_choose_as_one_does(target: str) -> None:
    """The cycles of a kernel are those of an image, and so are those of the copies around it (weights are known)."""

    def kernels(images: int) -> list[str]:
        net = Net()
        y = net.apply(Conv((3, 3), padding="same"), net.input(images, 6, 24, 24), net.weights(32, 6, 3, 3))
        y = net.apply(Conv((3, 3), 2, padding="same"), net.apply(Relu(), y), net.weights(24, 32, 3, 3))
        y = net.apply(MaxPool((3, 3), 2), net.apply(Conv((5, 5), padding="full"), y, net.weights(6, 24, 5, 5)))
        mixed = net.apply(ReduceMean((0,)), y)  # a program then has all images
        plan = compilation(net.graph(mixed), target).plan
        assert not plan.batchable
        return [step.kernel.describe() for step in plan.steps if isinstance(step.kernel, Convolution)]

    assert kernels(64) == kernels(1)


@pytest.mark.parametrize("flip", [False, True])
def test_packing_by_numpy_equals_packing_by_moves(flip: bool) -> None:
    rng = np.random.default_rng(4)
    for outputs, channels, groups, taps, block in itertools.product(
        (1, 5, 12), (1, 3), (1, 2), ((), (3,), (2, 3), (2, 1, 2)), (1, 4, 8, 16)
    ):
        window = resolve((9,) * len(taps), taps, (1,) * len(taps), (1,) * len(taps), "valid")
        kernel = Direct(
            window, channels * groups, outputs * groups, groups, False, "channels", 4, block, Tile(), Epilogue()
        )
        weights = rng.standard_normal((outputs * groups, channels, *taps)).astype(np.float32)
        np.testing.assert_array_equal(kernel.pack(weights, flip).ravel(), moved(kernel, weights, flip))


@pytest.mark.parametrize("flip", [False, True])
def test_packing_of_depthwise_weights(flip: bool) -> None:
    rng = np.random.default_rng(5)
    for channels, taps in itertools.product((2, 17), ((3,), (3, 2), (2, 2, 3))):
        window = resolve((9,) * len(taps), taps, (1,) * len(taps), (1,) * len(taps), "valid")
        kernel = Depthwise(window, channels, False, 8, 8, Tile())
        weights = rng.standard_normal((channels, 1, *taps)).astype(np.float32)
        np.testing.assert_array_equal(kernel.pack(weights, flip).ravel(), moved(kernel, weights, flip))


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 3, 1)])
@pytest.mark.parametrize("axes", [(2, 3), (0, 1, 2, 3), (3,), (1,)])
def test_borders_do_not_decide_in_which_order_a_sum_is_taken(order: tuple[int, ...], axes: tuple[int, ...]) -> None:
    for shape in ((2, 16, 1, 1), (2, 16, 5, 1), (2, 3, 4, 5), (1, 1, 1, 1)):
        borders = (), ((0, 0), (0, 0), (0, 2), (0, 1)), ((0, 0), (0, 0), (1, 1), (2, 2))
        found = {reduction_axis(dense_view("x", shape, order, border), axes) for border in borders}
        assert len(found) == 1
        assert shape[found.pop()] > 1 or set(shape) == {1}


def test_parts_of_a_merged_product_keep_their_order() -> None:
    """Queries, keys and values of one product, cut out by an axis of one element: vectors lie along the innermost."""
    net = Net()
    x = net.input(1, 20, 48)
    merged = net.apply(Reshape((1, 20, 3, 3, 16)), net.apply(MatMul(), x, net.weights(48, 144)))
    turned = net.apply(Transpose((2, 0, 3, 1, 4)), merged)
    query = net.apply(Reshape((1, 3, 20, 16)), net.apply(Slice((0,), (1,), axes=(0,)), turned))
    plan = compilation(net.graph(net.apply(Exp(), query)), "x86-64-v4").plan
    (step,) = (step for step in plan.steps if "exp" in step.kernel.describe())
    assert "16 lanes along axis 3" in step.kernel.describe()
