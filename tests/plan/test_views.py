"""Views against NumPy's own index arithmetic."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from cnncc.plan.views import View, apart, channels_last, dense_view, elements, planar, reshaped_order
from cnncc.types import Array

SHAPES = [(4,), (2, 3), (1, 5), (2, 3, 4), (2, 1, 3, 4), (1, 3, 2, 2, 3)]


def indices(view: View) -> Array:
    """The element of the buffer at every logical position."""
    found = np.full(view.shape, view.offset)
    for axis, stride in enumerate(view.strides):
        shape = [1] * view.rank
        shape[axis] = view.shape[axis]
        found = found + np.arange(view.shape[axis]).reshape(shape) * stride
    return found


def orders(rank: int) -> list[tuple[int, ...]]:
    return list(itertools.permutations(range(rank))) if rank < 4 else [planar(rank), channels_last(rank)]


def views(shape: tuple[int, ...]) -> list[View]:
    """Dense views in all orders, and parts of larger ones."""
    found = [dense_view("b", shape, order) for order in orders(len(shape))]
    for axis in range(len(shape)):
        larger = (*shape[:axis], shape[axis] + 3, *shape[axis + 1 :])
        found += [dense_view("b", larger, order).part(axis, 2, shape[axis]) for order in orders(len(shape))]
    return found


@pytest.mark.parametrize("shape", SHAPES)
def test_a_dense_view_is_a_transposed_array(shape: tuple[int, ...]) -> None:
    for order in orders(len(shape)):
        memory = np.arange(math.prod(shape)).reshape([shape[axis] for axis in order])
        np.testing.assert_array_equal(indices(dense_view("b", shape, order)), memory.transpose(np.argsort(order)))


@pytest.mark.parametrize("shape", SHAPES)
def test_a_border_surrounds_the_inside(shape: tuple[int, ...]) -> None:
    border = tuple((axis % 2, (axis + 1) % 3) for axis in range(len(shape)))
    for order in orders(len(shape)):
        whole = [low + size + high for size, (low, high) in zip(shape, border, strict=True)]
        assert elements(shape, border) == math.prod(whole)
        memory = np.arange(math.prod(whole)).reshape([whole[axis] for axis in order]).transpose(np.argsort(order))
        inside = tuple(slice(low, low + size) for size, (low, _) in zip(shape, border, strict=True))
        np.testing.assert_array_equal(indices(dense_view("b", shape, order, border)), memory[inside])


@pytest.mark.parametrize("shape", SHAPES)
def test_a_part_is_a_slice(shape: tuple[int, ...]) -> None:
    for view in views(shape):
        for axis, size in enumerate(shape):
            for begin in range(size):
                part = view.part(axis, begin, size - begin)
                cut = (slice(None),) * axis + (slice(begin, size),)
                np.testing.assert_array_equal(indices(part), indices(view)[cut])


@pytest.mark.parametrize("shape", SHAPES)
def test_broadcast_is_numpys(shape: tuple[int, ...]) -> None:
    for view in views(shape):
        dims = tuple(range(2, 2 + len(shape)))
        full = (3, 2, *(size if size > 1 else 4 for size in shape))
        np.testing.assert_array_equal(indices(view.broadcast(dims, full)), np.broadcast_to(indices(view), full))


def reshapes(shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Other shapes of as many elements, with ones among them."""
    size = math.prod(shape)
    found: list[tuple[int, ...]] = [(size,), (1, size), (size, 1), (*shape, 1), (1, *shape)]
    found += [(a, size // a) for a in range(1, size + 1) if size % a == 0]
    found += [(a, b, size // a // b) for a in range(1, 5) for b in range(1, 5) if size % (a * b) == 0]
    found += [(math.prod(shape[:axis]), math.prod(shape[axis:])) for axis in range(len(shape) + 1)]
    return found


@pytest.mark.parametrize("shape", SHAPES)
def test_unfold_is_reshape_wherever_strides_can_say_it(shape: tuple[int, ...]) -> None:
    """Where `unfold` gives up, NumPy finds no view either."""
    for view in views(shape):
        memory = np.arange(view.offset + sum((s - 1) * t for s, t in zip(view.shape, view.strides, strict=True)) + 1)
        array = np.lib.stride_tricks.as_strided(memory[view.offset :], view.shape, [8 * t for t in view.strides])
        for other in reshapes(shape):
            unfolded = view.unfold(other)
            wanted = array.reshape(other)
            if unfolded is not None:
                np.testing.assert_array_equal(indices(unfolded), wanted)
            assert (unfolded is not None) == np.shares_memory(wanted, memory), (view, other)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_reshaped_tensor_keeps_its_order_in_memory(shape: tuple[int, ...]) -> None:
    """A tensor of the new shape in the new order lies as the old one does."""
    for order in itertools.permutations(range(len(shape))):
        old = dense_view("b", shape, order)
        for other in reshapes(shape):
            new = reshaped_order(shape, order, other)
            unfolded = old.unfold(other)
            assert (new is None) == (unfolded is None)
            if new is not None and unfolded is not None:
                np.testing.assert_array_equal(indices(dense_view("b", other, new)), indices(unfolded))


def test_axes_of_one_element_do_not_make_an_order_unusual() -> None:
    assert reshaped_order((4, 6), (0, 1), (4, 1, 6)) == planar(3)
    assert reshaped_order((1, 6, 4), channels_last(3), (1, 6, 4, 1)) == channels_last(4)
    assert reshaped_order((3, 1, 2, 5, 4), (1, 3, 0, 2, 4), (3, 2, 5, 4)) == (2, 0, 1, 3)


def test_unfold_refuses_rings_and_borders() -> None:
    assert View("b", (1, 2, 4), (8, 4, 1), ring=4).unfold((8,)) is None
    assert dense_view("b", (1, 2, 4), (0, 1, 2), ((0, 0), (0, 0), (1, 1))).unfold((8,)) is None
    assert dense_view("b", (1, 1, 4), (0, 1, 2), ((0, 0), (0, 0), (1, 1))).unfold((4,)) == View("b", (4,), (1,), 1)


def test_views_are_apart_where_they_share_no_element() -> None:
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(400):
        shape, other = (tuple(int(n) for n in rng.integers(1, 5, 3)) for _ in range(2))
        strides = tuple(int(n) for n in rng.choice([0, 1, 2, 3, 7, 12, 40], 3))
        a, b = View("x", shape, strides, int(rng.integers(0, 30))), View("x", other, strides, int(rng.integers(0, 30)))
        shared = np.intersect1d(indices(a), indices(b)).size
        assert apart(a, b) == (not shared), (a, b)
        found += not shared
    assert 20 < found < 380
    whole = View("x", (4, 4), (4, 1))
    assert not apart(whole, View("x", (2,), (1,), 20)) and not apart(whole, whole)
