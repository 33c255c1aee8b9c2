"""Reads and writes at indices that arrive, in native code: every order of memory, wild indices, any division."""

from __future__ import annotations

import numpy as np
import pytest

from cnncc.elements import FLOAT32, INT32, INT64, Element
from cnncc.ir import Value
from cnncc.op import Op, Sample
from cnncc.ops import (
    Concat,
    Conv,
    Gather,
    GatherElements,
    GatherND,
    GridSample,
    Relu,
    Reshape,
    ScatterElements,
    ScatterND,
    Slice,
    Transpose,
)
from cnncc.plan.kernels import IndexedRead, IndexedWrite
from cnncc.runtime.model import Model
from tests.fuzz.indexed import wild as some_wild
from tests.graphs import (
    Net,
    assert_same_bits,
    call,
    check,
    compilation,
    expected,
    native,
    one_op,
    runnable_targets,
    worst_ratio,
)
from tests.ops.cases import indexed_samples, label, wild

each_sample = pytest.mark.parametrize("sample", indexed_samples(), ids=label)
each_target = pytest.mark.parametrize("target", list(runnable_targets()))


@each_sample
@pytest.mark.parametrize("checked", [False, True], ids=["plain", "checked"])
def test_wild_indices_read_and_write_as_the_interpreter_does(sample: Sample, checked: bool) -> None:
    graph, feeds = one_op(sample.op, *wild(sample))
    check(graph, feeds, checked=checked)


@each_target
def test_every_target(target: str) -> None:
    net = Net()
    results: list[Value] = []
    for sample in indexed_samples():
        results += net.of_arrays(sample.op, *wild(sample))
    check(net.graph(*results), net.feeds, target)


def channels_last(net: Net, channels: int = 18, *spatial: int) -> Value:
    return net.apply(Conv((3, 3), padding="same"), net.input(1, 16, *spatial), net.weights(channels, 16, 3, 3))


def indices(net: Net, *shape: int, size: int) -> Value:
    data = some_wild(net.rng, shape, size, INT64.numpy)
    return net.arrives(data, "indices", INT64)


@pytest.mark.parametrize(("axis", "known"), [(1, False), (2, True), (3, False)])
def test_images_with_channels_last(axis: int, known: bool) -> None:
    """The operand lies with channels last, and has a border, since a convolution reads it too."""
    net = Net()
    x = net.apply(Relu(), channels_last(net, 18, 5, 7))
    shape = list(net.shape(x))
    shape[axis] = 4
    chosen = some_wild(net.rng, shape, net.shape(x)[axis], INT32.numpy)
    each = net.known(chosen, INT32) if known else net.arrives(chosen, "each", INT32)
    results = [
        net.apply(Conv((3, 3), padding="same"), x, net.weights(4, 18, 3, 3)),
        net.apply(Gather(axis=axis), x, indices(net, 6, size=net.shape(x)[axis])),
        net.apply(GatherElements(axis), x, each),
        net.apply(ScatterElements(axis, "add"), x, each, net.arrives(net.random(*shape), "u")),
        net.apply(ScatterElements(axis), x, each, net.arrives(net.random(*shape), "u")),
    ]
    check(net.graph(*results), net.feeds)


@pytest.mark.parametrize("checked", [False, True])
def test_views_of_all_kinds_around(checked: bool) -> None:
    """Operands that are slices, transposes and tables; results that are parts of a concatenation."""
    net = Net()
    x = net.input(1, 9, 12, 10)
    turned = net.apply(Transpose((0, 2, 1, 3)), x)
    back = net.apply(Slice((-1,), (-20,), (3,), (-2,)), x)
    picked = net.apply(Gather((3, 1, 1, 8), 1), x)
    chosen = indices(net, 5, size=9)
    looked = [net.apply(Gather(axis=2), value, chosen) for value in (turned, back, picked)]
    parts = [net.apply(Gather(axis=1), value, chosen) for value in (x, x)]
    each = net.apply(Transpose((0, 2, 1, 3)), indices(net, 1, 12, 5, 10, size=9))
    joined = net.apply(Concat(1), *parts, net.apply(GatherElements(1), x, each))
    few = net.apply(Slice((0,), (6,), (2,)), each)
    written = net.apply(ScatterElements(1, "max"), x, few, net.arrives(net.random(1, 5, 6, 10), "u"))
    check(net.graph(*looked, net.apply(Concat(2), joined, joined), written, each), net.feeds, checked=checked)


@pytest.mark.parametrize("element", [FLOAT32, INT64], ids=str)
@pytest.mark.parametrize("columns", [1, 16, 37])
def test_rows_of_a_table(element: Element, columns: int) -> None:
    """An embedding of any width; ids are images, and their table is the same for all."""
    net = Net()
    table = (net.random(50, columns) * 100).astype(element.numpy)
    ids = some_wild(net.rng, (3, 7), 50, INT64.numpy)
    for known in (False, True):
        graph, feeds = one_op(Gather(), table, ids, known=[0] if known else [])
        (found,) = check(graph, feeds).values()
        np.testing.assert_array_equal(found, Gather().reference(table, ids)[0])
        with Model(compilation(graph).build()) as model:
            name = next(name for name, data in feeds.items() if data.dtype == np.int64 and data.shape == ids.shape)
            (one,) = call(model, {**feeds, name: ids[1:2]}).values()
        np.testing.assert_array_equal(one, found[1:2])


@pytest.mark.parametrize("shape", [(2000,), (40, 50), (3, 40, 50)], ids=str)
def test_the_number_of_threads_changes_no_bit(shape: tuple[int, ...]) -> None:
    """Next to layers before and behind, so that barriers between them matter."""
    net, layers = Net(), []
    x = net.apply(Relu(), net.arrives(net.random(*shape)))
    for axis, size in enumerate(shape):
        each = indices(net, *shape, size=size)
        layers.append(net.apply(GatherElements(axis), x, each))
        layers.append(net.apply(ScatterElements(axis, "add"), x, each, net.arrives(net.random(*shape), "u")))
    rows = indices(net, 60, 1, size=shape[0])
    layers.append(net.apply(GatherND(), x, rows))
    for how in ("none", "add"):
        layers.append(net.apply(ScatterND(how), x, rows, net.arrives(net.random(60, *shape[1:]), "u")))
    graph = net.graph(*(net.apply(Relu(), layer) for layer in layers))
    compiled = compilation(graph)
    wanted = native(compiled, net.feeds)
    worst_ratio(wanted, expected(compiled, net.feeds))
    for threads in (2, 3):
        assert_same_bits(native(compiled, net.feeds, threads), wanted, f"{threads} threads")


@pytest.mark.parametrize("order", ["up", "down"])
@pytest.mark.parametrize("reduction", ["none", "add", "mul", "max", "min"])
def test_duplicates_meet_in_row_major_order(order: str, reduction: str) -> None:
    x = np.array([[1.0, 2.0, 3.0]], np.float32)
    chosen = np.array([[0, 2, 0, 5, 0, -3]], np.int64)
    updates = np.array([[2, -7, -0.0, 99, 5, 4]], np.float32)
    if order == "down":
        chosen, updates = chosen[:, ::-1].copy(), updates[:, ::-1].copy()
    (found,) = check(*one_op(ScatterElements(1, reduction), x, chosen, updates)).values()
    last = 4 if order == "up" else 2
    wanted = {"none": [last, 2, -7], "add": [12, 2, -4], "mul": [0, 2, -21], "max": [5, 2, 3], "min": [0, 2, -7]}
    np.testing.assert_array_equal(found, [wanted[reduction]])


@pytest.mark.parametrize("how", ["max", "min"])
def test_nan_stays(how: str) -> None:
    x = np.array([[np.nan, 1, 2]], np.float32)
    updates = np.array([[5, np.nan, 0.5]], np.float32)
    (found,) = check(*one_op(ScatterElements(1, how), x, np.array([[0, 1, 2]]), updates)).values()
    np.testing.assert_array_equal(found, [[np.nan, np.nan, 2 if how == "max" else 0.5]])


def test_moves_keep_every_bit() -> None:
    bits = np.array([[0x7FC00001, 0xFFC00000, 0x80000000, 0x7F800000, 0x00000001, 0xFF800000]], np.uint32)
    x, chosen = bits.view(np.float32), np.arange(6)[None]
    for op, arrays in (
        (GatherElements(1), [x, chosen]),
        (Gather(axis=1), [x, chosen[0]]),
        (ScatterElements(1), [np.zeros_like(x), chosen, x]),
    ):
        (found,) = check(*one_op(op, *arrays)).values()
        np.testing.assert_array_equal(found.view(np.uint32), bits)


def test_a_lookup_is_divided_among_shards_and_runs_are_vectors() -> None:
    net = Net()
    table = net.known(net.random(30, 64))
    graph = net.graph(net.apply(Gather(), table, net.arrives(np.zeros((1, 40), np.int64), "ids", INT64)))
    (step,) = compilation(graph, "x86-64-v4").plan.steps
    assert isinstance(step.kernel, IndexedRead) and step.kernel.whole and step.kernel.lanes == 16
    assert step.partitions == 40
    net = Net()
    chosen = net.arrives(np.zeros((6, 1), np.int64), "ids", INT64)
    flat = net.apply(Reshape((6, 2048)), net.arrives(net.random(6 * 2048)))
    graph = net.graph(net.apply(ScatterND(), flat, chosen, net.arrives(net.random(6, 2048))))
    (step,) = compilation(graph, "x86-64-v4").plan.steps
    assert isinstance(step.kernel, IndexedWrite) and step.kernel.whole and step.partitions == 8


def test_channels_that_share_an_index_are_copied_as_runs() -> None:
    """An image that is planar is turned, where that pays: not for a few elements of it, nor where rows are runs."""

    def copied(op: Op, *shape: int, of: str = "indices") -> tuple[int, bool]:
        """The number of steps, and whether the lookup copies runs."""
        net = Net()
        x = net.input(1, *shape)
        at = net.input(1, *shape[1:], 2, name="grid") if of == "grid" else indices(net, int(of), size=8)
        steps = compilation(net.graph(net.apply(op, x, at)), "x86-64-v3").plan.steps
        (kernel,) = (step.kernel for step in steps if isinstance(step.kernel, IndexedRead))
        return len(steps), kernel.whole

    assert copied(GridSample("nearest"), 32, 8, 8, of="grid")[1]
    assert not copied(GridSample("nearest"), 3, 8, 8, of="grid")[1]
    assert copied(Gather(axis=3), 32, 16, 64, of="2") == (1, False)
    assert copied(Gather(axis=3), 32, 16, 64, of="60") == (3, True)
    assert copied(Gather(axis=2), 32, 16, 64, of="9") == (1, True)
