"""A kernel takes two files: this one has the code of `tests/plan/toy_kernel.py`; nothing of ours knows of either."""

from __future__ import annotations

import pytest

from cnncc.codegen.emitter import Index
from cnncc.codegen.epilogue import ResultVector, finish
from cnncc.codegen.kernels import KERNELS
from cnncc.codegen.kernels.family import ConvolutionEmitter
from cnncc.codegen.nest import Carry, flat, positions, reduce_nest
from cnncc.ir import Graph
from cnncc.ops import Add, Conv, MaxPool, Relu, Tanh
from cnncc.plan import kernels
from cnncc.plan.kernels import Compared
from cnncc.plan.text import show_plan
from cnncc.types import Array
from tests.graphs import Net, assert_same_bits, check, compilation, native, runnable_targets
from tests.plan.toy_kernel import Toy, candidates


class ToyConvolution(ConvolutionEmitter[Toy]):
    """One chain of multiply-adds for each vector of outputs, in the order (taps…, channel), from the bias."""

    def emit(self, a: Index, b: Index) -> None:
        positions(self.e, self.target.view.shape, self.images, (a, b), 1, self.k.lanes, self.at)

    def at(self, position: list[Index], lanes: int) -> None:
        image, output, *place = position

        def tap(indices: list[Index], sums: Carry) -> Carry:
            *taps, channel = indices
            along = zip(place, taps, self.k.window, strict=True)
            pixel = [
                self.e.sub(self.e.add(self.e.mul(p, w.stride), self.e.mul(t, w.dilation)), w.low) for p, t, w in along
            ]
            guard = self.image.guard([image, channel, *pixel], [axis + 2 for axis in self.guarded_axes])
            value = self.image.load_guarded(guard, guard.offset, 1, 1, 0.0)
            number = flat(self.e, indices, [*(w.kernel for w in self.k.window), self.k.channels])
            weights = self.weights.load(self.e.add(self.e.mul(number, self.k.outputs), output), 0, lanes)
            return [self.e.multiply_add(self.e.splat(value, lanes), weights, sums[0])]

        extents = [*(w.kernel for w in self.k.window), self.k.channels]
        (result,) = reduce_nest(self.e, extents, [self.bias_of(output, lanes)], 4, tap)
        cells = {(0, 0, 0): ResultVector(tuple(position), result, lanes)}
        finish(self.e, self.k.epilogue, cells, {}, 1, self.target, self.operands)


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    row = Compared(candidates, "to see whether a kernel takes two files")
    monkeypatch.setattr(kernels, "COMPARED", (*kernels.COMPARED, row))
    monkeypatch.setitem(KERNELS, Toy, ToyConvolution)


def network(op: Conv, rows: int = 13, *, arrive: bool = False) -> tuple[Graph, dict[str, Array]]:
    """A toy of 7 to 19 channels with an operand in its epilogue, between a layer of ours and a point-wise one."""
    net = Net()
    x = net.apply(Conv((1, 1)), net.input(1, 3, rows, 11), net.weights(7, 3, 1, 1))
    y = net.apply(op, x, net.weights(19, 7, *op.kernel, arrive=arrive), net.weights(19, arrive=arrive))
    y = net.apply(Relu(), net.apply(Add(), y, net.arrives(net.random(*net.shape(y)))))
    return net.graph(net.apply(Tanh(), net.apply(Conv((1, 1)), y, net.weights(5, 19, 1, 1)))), net.feeds


def toys(graph: Graph, **options: object) -> list[str]:
    """The text of the plan, of which each toy has a line."""
    text = show_plan(compilation(graph, **options).plan)  # type: ignore[arg-type]
    return [line for line in text.splitlines() if ": toy " in line]


@pytest.mark.parametrize("border", ["none", "all"])
@pytest.mark.parametrize("arrive", [False, True])
@pytest.mark.parametrize("target", list(runnable_targets()))
def test_it_computes_what_the_interpreter_does(target: str, arrive: bool, border: str) -> None:
    for op in (Conv((3, 3), padding="same"), Conv((2, 3), (2, 1), (1, 2)), Conv((5, 1), padding=((3, 2), (0, 1)))):
        graph, feeds = network(op, arrive=arrive)
        assert len(toys(graph, target=target)) == 1
        check(graph, feeds, target, borders=border)
    check(graph, feeds, target, borders=border, checked=True)


def test_any_rank() -> None:
    net = Net()
    for rank in (1, 3):
        x = net.input(2, 4, *(6,) * rank)
        net.apply(Conv((3,) * rank, padding=1), x, net.weights(9, 4, *(3,) * rank))
    graph = net.graph(*(node.values[0] for node in net.builder.nodes.values() if isinstance(node.op, Conv)))
    assert len(toys(graph)) == 2
    check(graph, net.feeds)


def chain() -> tuple[Graph, dict[str, Array]]:
    """Toys between layers of ours, a pool after them."""
    net = Net()
    x = net.input(1, 8, 60, 12)
    for channels, taps in ((16, 1), (12, 3), (16, 1), (8, 3)):
        x = net.apply(Conv((taps, taps), padding="same"), x, net.weights(channels, net.shape(x)[1], taps, taps))
    return net.graph(net.apply(MaxPool((3, 3), 2, 1), x)), net.feeds


def test_it_streams_with_its_neighbours() -> None:
    graph, feeds = chain()
    streamed, whole = compilation(graph, streaming="chains"), compilation(graph, streaming="none")
    (stage,) = (stage for stage in streamed.plan.stages if len(stage.steps) > 1)
    assert sum(isinstance(streamed.plan.steps[number].kernel, Toy) for number in stage.steps) == 2
    for threads in (1, 2, 3):
        assert_same_bits(native(streamed, feeds, threads), native(whole, feeds), f"{threads} threads")
    check(graph, feeds, streaming="chains")


@pytest.mark.parametrize("shards", [2, 3])
def test_shards_share_it(shards: int) -> None:
    graph, feeds = chain()
    compiled = compilation(graph, streaming="none")
    assert {step.units for step in compiled.plan.steps if isinstance(step.kernel, Toy)} == {60}
    assert_same_bits(native(compiled, feeds, shards), native(compiled, feeds))


def test_it_may_be_chosen_or_not() -> None:
    graph, _ = network(Conv((3, 3), padding="same"))
    plan = compilation(graph).plan
    (signature,) = (step.signature for step in plan.steps if step.label == "toy")
    other = next(candidate for candidate in plan.offers[signature] if candidate.label != "toy")
    assert toys(graph) and not toys(graph, choices=((signature, other.label),))
