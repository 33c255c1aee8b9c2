"""Kernels of lines: places of extremes, orders and running sums, for all shapes, memory orders, targets and shards."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from cnncc.elements import FLOAT32, INT8, INT32, INT64, UINT32, Element
from cnncc.ir import Graph, Value
from cnncc.op import Op
from cnncc.ops import ArgMax, ArgMin, Conv, CumProd, CumSum, Gather, Hardmax, Slice, TopK, Transpose
from cnncc.plan.kernels import Accumulate, FindExtreme, IndexedRead, OverFibres, Rank, Select
from cnncc.runtime.model import Model
from cnncc.types import Array
from tests.graphs import (
    Net,
    assert_same_bits,
    call,
    check,
    check_all,
    compilation,
    native,
    runnable_targets,
    sprinkled,
)

SHAPES = [(1, 7), (3, 1, 5), (1, 19, 3, 2), (1, 3, 2, 70), (1, 1, 1, 1), (1, 2, 3, 4, 5)]


def ops(axis: int, size: int) -> Iterator[Op]:
    """Each kernel, in all ways together with other axes."""
    last, other = bool(axis % 2), bool(axis // 2 % 2)
    yield ArgMax(axis, other, last)
    yield ArgMin(axis, select_last_index=not last)
    yield TopK(min(1 + 2 * axis, size), axis, not other)
    yield CumSum(axis, last, other)
    yield CumProd(axis, last, other)


def few(net: Net, shape: tuple[int, ...], element: Element = FLOAT32) -> Value:
    """An input many of whose elements are equal, so that places decide."""
    return net.arrives(np.round(2 * net.random(*shape)).astype(element.numpy), element=element)


def along(net: Net, x: Value, axes: range) -> list[Value]:
    """The results of all ops along some axes."""
    shape = net.shape(x)
    return [y for axis in axes for op in ops(axis, shape[axis]) for y in net.builder.add(op, (x,))]


@pytest.mark.parametrize(
    ("shape", "element"), list(zip(SHAPES, itertools.cycle((FLOAT32, INT64, INT32)), strict=False)), ids=str
)
def test_all_axes_of_a_shape(shape: tuple[int, ...], element: Element) -> None:
    net = Net()
    x = few(net, shape, element)
    check_all(net.graph(*along(net, x, range(len(shape)))), "host", net.feeds, sprinkled(net.feeds, 3, 0.2))


@pytest.mark.parametrize("target", list(runnable_targets()))
def test_all_targets(target: str) -> None:
    net = Net()
    x = few(net, (1, 19, 33))
    check_all(net.graph(*along(net, x, range(3))), target, net.feeds, sprinkled(net.feeds, 3, 0.2))


def test_checked() -> None:
    net = Net()
    x = few(net, (2, 5, 9))
    check(net.graph(*along(net, x, range(3))), sprinkled(net.feeds, 3, 0.2), checked=True)


def test_channels_last_and_views() -> None:
    """What a convolution makes, with a border for another; and slices, tables and transposes of it."""
    net = Net()
    x = net.apply(Conv((3, 3), padding=1), net.input(1, 8, 5, 9), net.weights(20, 8, 3, 3))
    y = net.apply(Conv((3, 3), padding=1), x, net.weights(8, 20, 3, 3))
    view = net.apply(Slice((-1, 1), (-99, 99), (3, 1), (-2, 3)), net.apply(Transpose((0, 1, 3, 2)), x))
    table = net.apply(Gather((3, 0, 0, 5, 2), 1), view)
    mixed = [z for op in (ArgMax(1), TopK(3, 1), CumSum(3, reverse=True)) for z in net.builder.add(op, (table,))]
    graph = net.graph(y, net.apply(Hardmax(2), x), *along(net, x, range(1, 4)), *mixed)
    check(graph, net.feeds, borders="all", streaming="chains")


@functools.cache
def network() -> tuple[Graph, dict[str, Array], dict[str, Array]]:
    """A graph, its inputs, and what one thread makes of three images at once."""
    net = Net()
    x = net.apply(Conv((3, 3), padding=1), net.input(3, 4, 11, 8), net.weights(20, 4, 3, 3))
    graph = net.graph(*along(net, x, range(1, 4)))
    return graph, net.feeds, native(compilation(graph), net.feeds)


def test_threads_and_schedules_change_no_bit() -> None:
    graph, feeds, wanted = network()
    executable = compilation(graph, borders="none", streaming="chains").build()
    for threads in (1, 2, 3):
        with Model(executable, threads=threads) as model:
            assert_same_bits(call(model, feeds), wanted, f"{threads} threads")


def test_images_change_no_bit() -> None:
    graph, feeds, whole = network()
    with Model(compilation(graph).build()) as model:
        for image in range(3):
            one = call(model, {name: array[image : image + 1] for name, array in feeds.items()})
            assert_same_bits(one, {name: array[image : image + 1] for name, array in whole.items()})


def kernels(op: Op, *shape: int) -> list[object]:
    net = Net()
    graph = net.graph(*net.builder.add(op, (net.input(*shape),)))
    return [step.kernel for step in compilation(graph, "x86-64-v3").plan.steps]


def test_which_way_lanes_lie() -> None:
    def way(op: Op, *shape: int) -> tuple[bool, int]:
        (kernel,) = kernels(op, *shape)
        assert isinstance(kernel, FindExtreme)
        return kernel.within, kernel.lanes

    assert way(ArgMax(1), 1, 1000) == (True, 16)
    assert way(ArgMax(1), 1, 21, 64, 64) == (False, 16)
    assert way(ArgMax(3), 1, 2, 100, 10) == (False, 8), "short fibres lie in lanes, though their elements are apart"
    assert way(ArgMax(3), 1, 1, 3, 10) == (True, 8)


def test_a_rank_is_one_search_and_one_look_up() -> None:
    select, read = kernels(TopK(5, 1), 1, 1000)
    assert isinstance(select, Select) and isinstance(read, IndexedRead)
    assert (select.groups, select.bits, select.digits) == (16, False, False)
    (sums,) = kernels(CumSum(1), 1, 8, 16, 16)
    assert isinstance(sums, Accumulate) and sums.fibres == 32


def test_several_fibres_are_ranked_side_by_side() -> None:
    for shape, k, axis, fibres in (((1, 20, 8, 8), 5, 1, 8), ((1, 20, 8, 8), 9, 1, 1), ((1, 20, 8, 8), 5, 3, 8)):
        rank, _ = kernels(TopK(k, axis), *shape)
        assert isinstance(rank, OverFibres) and rank.fibres == fibres
        assert isinstance(rank, Rank) == (fibres > 1)


def test_candidates_take_little_memory() -> None:
    """Of a long fibre, their room depends on the number of results alone."""
    for k, bits, digits in ((10, False, False), (60, True, False), (300, True, True)):
        few, many = (kernels(TopK(k, 1), 1, size)[0] for size in (5000, 50_000))
        assert isinstance(few, Select) and isinstance(many, Select)
        assert (few.bits, few.digits, few.scratch) == (bits, digits, many.scratch)
        assert few.scratch <= 8 * k + 500


def lines(size: int, element: Element) -> Array:
    """Lines of every kind: in random order, rising, falling, with few numbers, with one, and with the ends of a type.

    In one, all large numbers fall to the same few groups of any power of two; in another, the largest come last.
    """
    rng, places = np.random.default_rng(size), np.arange(size)
    rising = np.sort(rng.standard_normal(size) * 60)
    ends = (
        rng.choice([element.least, element.most], size) if element.is_integer else rng.choice([-np.inf, np.inf], size)
    )
    apart = np.where(places % 64 < 3, 100.0 + places % 7, -rising)
    late = np.where(places > size - 9, 90.0, np.minimum(rising, 50))
    kinds = [rng.permutation(rising), rising, -rising, rng.integers(0, 3, size), 0 * rising, apart, late]
    return np.stack([*(kind.astype(element.numpy) for kind in kinds), ends.astype(element.numpy)])


LONG = ((1, 300), (4, 1003), (21, 40), (21, 777), (64, 1000), (150, 2000), (300, 700))


def long_ranks(element: Element, counts: Sequence[tuple[int, int]]) -> tuple[Graph, dict[str, Array]]:
    net = Net()
    found = []
    for number, (k, size) in enumerate(counts):
        x = net.arrives(lines(size, element), element=element)
        found += net.builder.add(TopK(k, 1, bool(number % 2)), (x,)) + net.builder.add(TopK(k, 1), (x,))
    return net.graph(*found), net.feeds


@pytest.mark.parametrize("element", (FLOAT32, INT8, INT32, UINT32, INT64), ids=str)
def test_long_ranks(element: Element) -> None:
    graph, feeds = long_ranks(element, LONG)
    check_all(graph, "host", feeds, sprinkled(feeds, 5, 0.1))


@pytest.mark.parametrize("target", list(runnable_targets()))
def test_long_ranks_on_all_targets(target: str) -> None:
    graph, feeds = long_ranks(FLOAT32, LONG[1:6])
    check_all(graph, target, feeds, sprinkled(feeds, 5, 0.1))


def test_long_ranks_checked_and_apart() -> None:
    """Lines whose elements are apart, too many of them for insertion."""
    net = Net()
    x = net.arrives(np.ascontiguousarray(lines(500, FLOAT32).reshape(2, 4, 500).swapaxes(1, 2)))
    graph = net.graph(*(y for k in (9, 70, 200) for y in net.builder.add(TopK(k, 1), (x,))))
    check(graph, sprinkled(net.feeds, 4, 0.1), checked=True)


def test_a_whole_line_in_order() -> None:
    net = Net()
    x = few(net, (1, 5000))
    found = [y for op in (TopK(300, 1, False), TopK(5000, 1)) for y in net.builder.add(op, (x,))]
    check(net.graph(*found), net.feeds)
