"""Outer and inner products: gradients of weights of every shape, order and border; tile and threads change no bit."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pytest

from cnncc import learn, ops
from cnncc.compiler import Compilation
from cnncc.ir import Graph, Value
from cnncc.machine.target import Target
from cnncc.plan.cost import transfer
from cnncc.plan.kernels import Inner, Kernel, Outer
from cnncc.types import Array
from tests.graphs import Net, assert_same_bits, check, compilation, native, runnable_targets, sprinkled

from .test_contract import in_turns

pytestmark = pytest.mark.combinations


@dataclass(frozen=True)
class Case:
    """A convolution of n images, c → o channels, with weights that arrive; x and g lie with channels last or planar.

    x is what the caller gives, or computed from it.
    """

    n: int
    c: int
    o: int
    sizes: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: int | tuple[int, ...] = 1
    dilation: int = 1
    padding: int = 0
    x_last: bool = True
    g_last: bool = True
    given: bool = False

    def graph(self) -> tuple[Graph, dict[str, Array]]:
        """The gradient by the weights."""
        net, rank = Net(1), len(self.sizes) + 2
        last, first = (0, *range(2, rank), 1), (0, rank - 1, *range(1, rank - 1))
        if self.x_last:
            x = net.apply(ops.Transpose(first), net.input(self.n, *self.sizes, self.c))
        else:
            x = net.input(self.n, self.c, *self.sizes)
        x = x if self.given else net.apply(ops.Relu(), x)
        w = net.weights(self.o, self.c, *self.kernel, arrive=True)
        y = net.apply(ops.Conv(self.kernel, self.stride, padding=self.padding, dilation=self.dilation), x, w)
        y = net.apply(ops.Transpose(last), y) if self.g_last else y
        slopes = learn.gradient(net.graph(y), of="y0", by=("w",))
        feeds = {name: net.feeds.get(name, net.random(*slopes.type(Value(name)).shape)) for name in slopes.inputs}
        return slopes, feeds


CASES = [
    Case(3, 16, 16, (9, 11), (3, 3), padding=1),
    Case(5, 5, 33, (7, 10), (5, 3), padding=2, x_last=False),
    Case(2, 20, 7, (12, 9), (3, 2), stride=2, padding=1),
    Case(2, 9, 18, (11, 13), (3, 3), dilation=2, padding=3),
    Case(4, 3, 16, (13, 13), (5, 5), stride=3, padding=2, x_last=False),
    Case(3, 24, 40, (8, 8), (1, 1), stride=2),
    Case(2, 4, 8, (6, 5), (6, 5), padding=4),
    Case(7, 6, 16, (37,), (4,), padding=2),
    Case(2, 17, 3, (300,), (3,), stride=2, padding=1, x_last=False),
    Case(2, 5, 19, (5, 6, 7), (3, 2, 3), padding=1),
    Case(3, 12, 10, (9, 8), (3, 3), padding=1, g_last=False),
    Case(4, 1, 16, (12, 12), (5, 5), padding=2, x_last=False, given=True),
    Case(1, 8, 12, (10, 10), (3, 3), padding=1, given=True),
]


ROWS = [
    Case(3, 1, 6, (12, 28), (5, 5), padding=2, x_last=False, g_last=False),
    Case(5, 2, 3, (9, 19), (3, 3), dilation=2, padding=2, x_last=False, g_last=False),
    Case(2, 5, 13, (11, 9), (3, 2), padding=1, x_last=False, g_last=False),
    Case(2, 3, 4, (13, 12), (3, 1), stride=(2, 1), padding=1, x_last=False, g_last=False),
    Case(1, 4, 9, (6, 40), (3, 4), x_last=False, g_last=False),
    Case(3, 2, 5, (4, 5, 17), (2, 3, 3), padding=1, x_last=False, g_last=False),
    Case(130, 1, 2, (3, 4), (3, 3), padding=1, x_last=False, g_last=False, given=True),
]
"""Planar on both sides, and of several axes, with no stride along the last one."""
WHOLE = [(Outer, case) for case in CASES] + [(Inner, case) for case in ROWS]
SOME = [(Outer, case) for case in CASES[1:9:3]] + [(Inner, case) for case in ROWS[::2]]


def named(each: object) -> str:
    return each.__name__ if isinstance(each, type) else str(each)


def labels(graph: Graph, kernel: type[Kernel] = Outer, target: str | Target = "host") -> list[tuple[str, str]]:
    """The kernels of this family among the candidates, as choices."""
    offers = compilation(graph, target).plan.offers
    return [
        (name, offer.label) for name, found in offers.items() for offer in found if isinstance(offer.kernel, kernel)
    ]


def forced(
    graph: Graph, kernel: type[Kernel], choice: tuple[str, str], target: str | Target = "host", **options: object
) -> Compilation:
    compiled = compilation(graph, target, choices=(choice,), **options)  # type: ignore[arg-type]
    assert sum(isinstance(step.kernel, kernel) for step in compiled.plan.steps) == 1
    return compiled


@pytest.mark.parametrize(("kernel", "case"), WHOLE, ids=named)
@pytest.mark.parametrize("target", list(runnable_targets()))
def test_it_computes_what_the_interpreter_does(target: str, kernel: type[Kernel], case: Case) -> None:
    graph, feeds = case.graph()
    found = labels(graph, kernel, target)
    for choice, border in zip((found[0], found[-1]), ("all", "none"), strict=True):
        check(graph, feeds, target, choices=(choice,), borders=border)


@pytest.mark.parametrize("case", CASES, ids=named)
def test_packed_operands(monkeypatch: pytest.MonkeyPatch, case: Case) -> None:
    """With a small first cache, chunks are small, and what a tile does not take as a whole is packed."""
    monkeypatch.setattr(transfer, "PACKED_READS", 1)
    graph, feeds = case.graph()
    small = replace(runnable_targets()["host"], l1=2 << 10)
    found = labels(graph, target=small)
    wanted = native(forced(graph, Outer, found[0], small), feeds)
    packed = set()
    for choice, border in itertools.product((found[0], found[-1]), ("none", "all")):
        compiled = forced(graph, Outer, choice, small, borders=border)
        packed |= {step.kernel.scratch > 0 for step in compiled.plan.steps if isinstance(step.kernel, Outer)}
        assert_same_bits(native(compiled, feeds), wanted, str(choice))
        assert_same_bits(native(compiled, feeds, 3), wanted, f"{choice}, 3 threads")
        check(graph, feeds, small, choices=(choice,), borders=border, checked=True)
    assert True in packed


@pytest.mark.parametrize(("kernel", "case"), SOME, ids=named)
def test_accesses_stay_inside(kernel: type[Kernel], case: Case) -> None:
    graph, feeds = case.graph()
    for border in ("none", "all"):
        check(graph, feeds, choices=(labels(graph, kernel)[0],), borders=border, checked=True)


@pytest.mark.parametrize(("kernel", "case"), WHOLE[::2], ids=named)
def test_neither_tile_nor_border_changes_a_bit(kernel: type[Kernel], case: Case) -> None:
    graph, feeds = case.graph()
    found = labels(graph, kernel)
    wanted = native(forced(graph, kernel, found[0]), feeds)
    for choice, border in itertools.product((found[0], found[-1]), ("none", "all")):
        assert_same_bits(native(forced(graph, kernel, choice, borders=border), feeds), wanted, str(choice))


@pytest.mark.parametrize(("kernel", "case"), SOME, ids=named)
def test_shards_make_the_same_bits(kernel: type[Kernel], case: Case) -> None:
    graph, feeds = case.graph()
    compiled = forced(graph, kernel, labels(graph, kernel)[0])
    wanted = native(compiled, feeds)
    for threads in (2, 3, 5):
        assert_same_bits(native(compiled, feeds, threads), wanted, f"{threads} threads")
    for shards in (2, 7):
        assert_same_bits(in_turns(compiled.build(), feeds, range(shards)), wanted, f"{shards} shards")


def special(feeds: Mapping[str, Array]) -> dict[str, Array]:
    """A few elements that are not finite, so that some sums remain, and zeros of both signs."""
    return sprinkled(feeds, 3, 0.004)


@pytest.mark.parametrize(("kernel", "case"), WHOLE, ids=named)
def test_special_values(kernel: type[Kernel], case: Case) -> None:
    """In the padding too: there g is multiplied by 0, so that an infinite one makes NaN."""
    graph, feeds = case.graph()
    choice, given = labels(graph, kernel)[0], special(feeds)
    results = [check(graph, given, choices=(choice,), borders=border) for border in ("none", "all")]
    assert_same_bits(*results)


@pytest.mark.parametrize("border", ["none", "all"])
def test_padding_times_infinity(border: str) -> None:
    graph, feeds = CASES[0].graph()
    (name,) = (name for name in feeds if name.startswith("d_"))
    feeds[name][0, 0, 4, 5] = np.inf  # in the first row, whose upper taps see padding
    (slopes,) = (
        array for key, array in check(graph, feeds, choices=(labels(graph)[0],), borders=border).items() if key == "d_w"
    )
    assert np.isnan(slopes[5, :, 0]).all() and not np.isnan(slopes[4]).any()


def test_sums_of_negative_zeros_are_zeros() -> None:
    graph, feeds = CASES[0].graph()
    for name, array in feeds.items():
        array[...] = -0.0 if name.startswith("d_") else 1.0
    slopes = check(graph, feeds, choices=(labels(graph)[0],))["d_w"]
    assert not slopes.any() and not np.signbit(slopes).any()


@pytest.mark.parametrize("target", ["x86-64-v2", "x86-64-v3", "x86-64-v4", "aarch64"])
@pytest.mark.parametrize("images", [1, 32])
def test_the_model_takes_it_and_copies_no_operand(target: str, images: int) -> None:
    graph, _ = Case(images, 16, 16, (16, 16), (3, 3), padding=1).graph()
    steps = compilation(graph, target).plan.steps
    (at,) = (at for at, step in enumerate(steps) if isinstance(step.kernel, Outer))
    assert steps[at].sources[1].buffer == "d_y0" and steps[at].units > 1


def test_layers_are_not_turned() -> None:
    """Nor with weights that arrive, of one channel or of many."""
    net = Net()
    x = net.input(4, 1, 12, 12)
    for channels in (8, 16):
        x = net.apply(ops.Conv((3, 3)), x, net.weights(channels, net.shape(x)[1], 3, 3, arrive=True))
    assert not labels(net.graph(x))
