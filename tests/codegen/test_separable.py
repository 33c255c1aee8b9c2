"""Pools axis by axis: windows that share partial results, against the interpreter and bit for bit."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

import numpy as np
import pytest

from cnncc.codegen.kernels import shared_windows
from cnncc.codegen.registers import FLOAT, Ssa
from cnncc.errors import ShapeError
from cnncc.ir import Value
from cnncc.ops import AveragePool, MaxPool, Transpose
from cnncc.ops.pool import Pool
from cnncc.plan import place
from cnncc.plan.kernels import Separable, overlaps, separable, window
from cnncc.types import Array, TensorType
from tests.graphs import Net, assert_same_bits, bits, check, compilation, native, runnable_targets, sprinkled

pytestmark = pytest.mark.combinations

ORDERS = ["planar", "channels last"]


@pytest.fixture(autouse=True)
def wherever_possible(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every pool axis by axis that can be, whatever it costs."""
    chosen = separable.pooling

    def pooling(target, computation, source, result):  # type: ignore[no-untyped-def]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(window.Window, "cycles", lambda *_: 1e30)
            return chosen(target, computation, source, result)

    monkeypatch.setattr(place.separable, "pooling", pooling)


def laid_out(net: Net, order: str, data: Array) -> Value:
    """An input that lies in memory in such an order."""
    if order == "planar":
        return net.arrives(data)
    last = data.ndim - 1
    return net.apply(Transpose((0, last, *range(1, last))), net.arrives(np.moveaxis(data, 1, -1)))


def pools(rng: random.Random, kind: type[Pool], shape: tuple[int, ...], count: int) -> Iterator[Pool]:
    """Random windows that fit a shape: up to 13 taps, strides up to 4, dilations up to 3, any padding."""
    rank, found = len(shape) - 2, 0
    while found < count:
        kernel = tuple(rng.choice((1, 2, 3, 4, 5, 6, 7, 9, 13)) for _ in range(rank))
        dilation = tuple(rng.choice((1, 1, 1, 2, 3)) for _ in range(rank))
        pads = tuple(
            (rng.randrange((k - 1) * d + 1), rng.randrange((k - 1) * d + 1))
            for k, d in zip(kernel, dilation, strict=True)
        )
        more = {"count_padding": rng.random() < 0.5} if kind is AveragePool else {}
        op = kind(
            kernel, tuple(rng.choice((1, 1, 2, 3, 4)) for _ in range(rank)), pads, dilation, rng.random() < 0.3, **more
        )
        try:
            op.infer(TensorType(shape))
        except ShapeError:
            continue
        found += 1
        yield op


SHAPES = [
    (2, 3, 17, 23),
    (1, 20, 9, 40),
    (1, 2, 30, 5),
    (1, 16, 12, 12),
    (1, 3, 6, 7, 18),
    (1, 17, 5, 8, 6),
    (2, 18, 25),
]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("target", list(runnable_targets()))
def test_random_windows(target: str, order: str) -> None:
    """Maxima exactly, also of NaN, infinities and zeros of both signs; sums and means within their bounds."""
    rng, net, outputs, exact = random.Random(order), Net(), [], []
    for shape in SHAPES:
        special = sprinkled({"x": net.random(*shape)}, len(outputs), 0.01)["x"]
        for kind, data in ((MaxPool, special), (MaxPool, net.random(*shape)), (AveragePool, special)):
            x = laid_out(net, order, data)
            for op in pools(rng, kind, shape, 3):
                exact += [(len(outputs), op.reference(data)[0])] * (kind is MaxPool)
                outputs.append(net.apply(op, x))
    compiled = compilation(net.graph(*outputs), target, off=("fuse",))
    assert sum(isinstance(step.kernel, Separable) for step in compiled.plan.steps) > 40
    found = check(net.graph(*outputs), net.feeds, target, off=("fuse",))
    for number, wanted in exact:
        np.testing.assert_array_equal(found[f"y{number}"], wanted)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("op", [MaxPool((5, 5), 1, 2), MaxPool((3, 4), (2, 1), 1), MaxPool((3, 3), 1, 2, 2)])
def test_a_nan_or_a_zero_in_each_place(op: Pool, order: str) -> None:
    """Each pixel in turn is NaN in one channel and −0 in another; without these planes there are only numbers."""
    data = -np.ones((7 * 9, 17, 7, 9), np.float32)
    for number, (y, x) in enumerate(itertools.product(range(7), range(9))):
        data[number, number % 16, y, x] = np.nan
        data[number, (number + 5) % 16, y, x] = -0.0
    net = Net()
    y = net.apply(op, laid_out(net, order, data))
    (found,) = native(compilation(net.graph(y)), net.feeds).values()
    (wanted,) = op.reference(data)
    assert (bits(found) == bits(wanted)).all()
    assert np.isnan(found).any() and np.signbit(found[found == 0]).all()


@pytest.mark.parametrize("order", ORDERS)
def test_shards_images_and_streams_give_the_same_bits(order: str) -> None:
    """Zeros of both signs tell which windows shared a maximum, and sums how they were made."""
    net = Net()
    zeros = np.where(net.rng.random((2, 18, 21, 19)) < 0.5, 0, -0.0).astype(np.float32)
    outputs = []
    for op in (MaxPool((5, 5), 1, 2), MaxPool((3, 3), 2, 1), AveragePool((5, 5), 1, 2), AveragePool((3, 3), 2)):
        data = zeros if isinstance(op, MaxPool) else net.random(*zeros.shape)
        outputs.append(net.apply(op, net.apply(MaxPool((7, 3), 1, (3, 1)), laid_out(net, order, data))))
    outputs.append(net.apply(AveragePool((9,), 1, 4), laid_out(net, order, net.random(2, 18, 40))))
    graph = net.graph(*outputs)
    once = native(compilation(graph), net.feeds)
    for threads, options in ((1, {"streaming": "chains"}), (2, {}), (5, {}), (3, {"streaming": "chains"})):
        compiled = compilation(graph, **options)
        assert_same_bits(native(compiled, net.feeds, threads), once, str((threads, options)))
    one = {name: array[:1] for name, array in net.feeds.items()}
    assert_same_bits(native(compilation(graph), one), {name: array[:1] for name, array in once.items()}, "one image")


@pytest.mark.parametrize("target", list(runnable_targets()))
def test_no_access_is_out_of_bounds(target: str) -> None:
    net = Net()
    data = net.random(2, 5, 19, 37)
    ops = [
        MaxPool((5, 5), 1, 2),
        MaxPool((13, 3), 2, (6, 1), 1),
        AveragePool((7, 7), 7),
        AveragePool((3, 9), (1, 2), (1, 4)),
    ]
    outputs = [net.apply(op, laid_out(net, order, data)) for op in ops for order in ORDERS]
    check(net.graph(*outputs), net.feeds, target, checked=True)


@pytest.mark.parametrize("taps", [1, 2, 3, 4, 5, 8, 13])
@pytest.mark.parametrize("starts", [range(8), range(0, 14, 2), [0], [0, 3, 6, 30]])
@pytest.mark.parametrize("kind", ["maxima", "sums"])
def test_the_plan_counts_the_operations_of_the_code(kind: str, starts: list[int], taps: int) -> None:
    """Each result covers its window, in order, and the number of joins is the one that the cost model has."""
    joins = []

    def join(a: Ssa, b: Ssa) -> Ssa:
        joins.append((a, b))
        left, right = a.name.split(), b.name.split()
        assert kind == "maxima" or not {*left} & {*right}
        return Ssa(FLOAT, " ".join(left + right))

    found = dict(getattr(shared_windows, kind)(join, lambda at: Ssa(FLOAT, str(at)), [*starts], taps))
    assert [*found] == [*starts] or sorted(found) == sorted(starts)
    for start, value in found.items():
        assert [int(name) for name in value.name.split()] == [*range(start, start + taps)]
    assert len(joins) == getattr(overlaps, kind)([*starts], taps)
