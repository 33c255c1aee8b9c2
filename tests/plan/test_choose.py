"""Algorithms and tiles: the register law, and packed weights."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from cnncc.computation import Contraction
from cnncc.expr import RUNNING
from cnncc.plan import choose
from cnncc.plan.kernels import Depthwise, Direct, Epilogue, Pooling
from cnncc.plan.pack import pack, packed_shape, packing_moves
from cnncc.plan.place import reduction_axis
from cnncc.plan.views import View, dense_view
from cnncc.target import TARGETS
from cnncc.types import Array
from cnncc.windows import resolve
from tests.fuzz.generate import random_graph
from tests.graphs import compilation


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
    """Accumulators, vector operands and one scalar fit into the registers (where one pooled window does at all)."""
    for c, stored, epilogue in contractions(1, 400):
        for along in (["channels"], ["columns"], ["channels", "columns"]):
            if "channels" not in along and not (c.window and c.window[-1].stride == 1):
                continue
            try:
                kernel = choose.direct(target, c, stored, epilogue, along=along)
            except ValueError:
                assert along == ["columns"]  # a pool wider than a vector has no lanes along columns
                continue
            rows = epilogue.pooled(0) if len(c.window) > 1 else 1
            unit = epilogue.pooled(len(c.window) - 1) if c.window else 1
            least = rows * unit if kernel.lanes_along == "channels" else rows
            if 2 * least + 1 <= target.registers:
                assert kernel.tile.registers(kernel.lanes_along) <= target.registers, (c, kernel)
            assert kernel.lanes <= target.lanes


def test_the_law_holds_for_random_graphs() -> None:
    for name in ("x86-64-v2", "x86-64-v3", "x86-64-v4"):
        for seed in range(30):
            for step in compilation(random_graph(seed)[0], name).plan.steps:
                kernel = step.kernel
                if isinstance(kernel, Direct) and not kernel.epilogue.pool:
                    assert kernel.tile.registers(kernel.lanes_along) <= TARGETS[name].registers


@pytest.mark.parametrize("total", range(1, 70))
def test_balanced_parts(total: int) -> None:
    for most in range(1, 20):
        parts = choose.balanced(total, most)
        assert sum(parts) == total and max(parts) <= most and max(parts) - min(parts) <= 1
        assert len(parts) == -(-total // most)


# Packing


def gathered(view: View, memory: Array) -> Array:
    """The elements of a view."""
    found = np.full(view.shape, view.offset)
    for axis, stride in enumerate(view.strides):
        found = found + np.arange(view.shape[axis]).reshape(-1, *(1,) * (view.rank - axis - 1)) * stride
    return memory[found], found


def moved(kernel: Direct | Depthwise, weights: Array, flip: bool) -> Array:
    """Packed by carrying out the run-time moves; 0 in the lanes that they leave open."""
    packed = np.zeros(int(np.prod(packed_shape(kernel))), np.float32)
    source = dense_view("w", weights.shape, tuple(range(weights.ndim)))
    for piece, place in packing_moves(kernel, source, "p", flip):
        assert piece.shape == place.shape
        values, _ = gathered(piece, weights.ravel())
        _, places = gathered(place, packed)
        packed[places] = values
    return packed


@pytest.mark.parametrize("flip", [False, True])
def test_packing_by_numpy_equals_packing_by_moves(flip: bool) -> None:
    rng = np.random.default_rng(4)
    for outputs, channels, groups, taps, block in itertools.product(
        (1, 5, 12), (1, 3), (1, 2), ((), (3,), (2, 3), (2, 1, 2)), (1, 4, 8, 16)
    ):
        window = resolve((9,) * len(taps), taps, (1,) * len(taps), (1,) * len(taps), "valid")
        kernel = Direct(
            window, channels * groups, outputs * groups, groups, False, "channels", 4, block, choose.Tile(), Epilogue()
        )
        weights = rng.standard_normal((outputs * groups, channels, *taps)).astype(np.float32)
        np.testing.assert_array_equal(pack(kernel, weights, flip).ravel(), moved(kernel, weights, flip))


@pytest.mark.parametrize("flip", [False, True])
def test_packing_of_depthwise_weights(flip: bool) -> None:
    rng = np.random.default_rng(5)
    for channels, taps in itertools.product((2, 17), ((3,), (3, 2), (2, 2, 3))):
        window = resolve((9,) * len(taps), taps, (1,) * len(taps), (1,) * len(taps), "valid")
        kernel = Depthwise(window, channels, False, 8, choose.Tile())
        weights = rng.standard_normal((channels, 1, *taps)).astype(np.float32)
        np.testing.assert_array_equal(pack(kernel, weights, flip).ravel(), moved(kernel, weights, flip))


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 3, 1)])
@pytest.mark.parametrize("axes", [(2, 3), (0, 1, 2, 3), (3,), (1,)])
def test_borders_do_not_decide_in_which_order_a_sum_is_taken(order: tuple[int, ...], axes: tuple[int, ...]) -> None:
    for shape in ((2, 16, 1, 1), (2, 16, 5, 1), (2, 3, 4, 5), (1, 1, 1, 1)):
        borders = (), ((0, 0), (0, 0), (0, 2), (0, 1)), ((0, 0), (0, 0), (1, 1), (2, 2))
        found = {reduction_axis(dense_view("x", shape, order, border), axes) for border in borders}
        assert len(found) == 1
        assert shape[found.pop()] > 1 or set(shape) == {1}
