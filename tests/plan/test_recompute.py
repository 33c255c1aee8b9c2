"""Element-wise values that are computed where they are read: when, and with the same bits."""

from __future__ import annotations

import numpy as np
import pytest

from cnncc.compiler import Compilation
from cnncc.ir import Graph, Value
from cnncc.ops import Add, Conv, Exp, Expand, Less, MaxPool, Mul, ReduceSum, Relu, Sub, Tanh, Where
from cnncc.plan.kernels import Elementwise, Reduce, Sweeps
from tests.graphs import Net, assert_same_bits, check, compilation, expected, native, sprinkled, worst_ratio

from .test_updates import Machine, copied, runs

SHAPE = (1, 8, 12, 12)


def kernels(compiled: Compilation) -> list[str]:
    return [type(step.kernel).__name__ for step in compiled.plan.steps]


def centred(net: Net, x: Value) -> Value:
    """x − m, which costs nothing to make again; m has no other reader."""
    return net.apply(Sub(), x, net.apply(Tanh(), net.input(1, 8, 1, 1, name="m")))


def test_two_chains_that_meet_are_one_pass() -> None:
    net = Net()
    a, b = net.input(*SHAPE, name="a"), net.input(*SHAPE, name="b")
    graph = net.graph(net.apply(Add(), net.apply(Exp(), a), net.apply(Tanh(), b)))
    assert kernels(compilation(graph)) == ["Elementwise"]
    check(graph, net.feeds)


def test_a_cheap_value_of_several_readers_is_made_again() -> None:
    net = Net()
    x = net.apply(Conv((1, 1)), net.input(*SHAPE), net.weights(8, 8, 1, 1))
    off = centred(net, x)
    graph = net.graph(
        net.apply(ReduceSum((1, 2, 3)), net.apply(Mul(), off, off)),
        net.apply(ReduceSum((1, 2, 3)), net.apply(Exp(), off)),
    )
    compiled = compilation(graph)
    stored = [step.name for step in compiled.plan.steps if isinstance(step.kernel, Elementwise)]
    assert len(stored) == 1 and sum(isinstance(step.kernel, Sweeps) for step in compiled.plan.steps) == 2
    worst_ratio(native(compiled, net.feeds), expected(compiled, net.feeds))


def test_a_series_of_several_readers_is_kept() -> None:
    net = Net()
    x = net.apply(Exp(), net.input(*SHAPE))
    graph = net.graph(net.apply(Relu(), net.apply(Sub(), x, net.input(*SHAPE, name="b"))), net.apply(Mul(), x, x))
    assert kernels(compilation(graph)).count("Elementwise") == 3
    check(graph, net.feeds)


def test_what_is_made_of_more_than_it_has_is_kept() -> None:
    """Both operands of the product would have to live beyond the second layer."""
    net, pool = Net(), MaxPool((3, 3), stride=1, padding=1)
    a, b, c = (net.apply(pool, net.input(*SHAPE, name=name)) for name in "abc")
    product = net.apply(Mul(), a, b)
    behind = net.apply(pool, net.apply(Conv((3, 3), padding=1), c, net.weights(8, 8, 3, 3)))
    far, near = net.graph(net.apply(Add(), product, behind)), net.graph(net.apply(Add(), product, c))
    for graph, passes in ((far, 2), (near, 1)):
        assert kernels(compilation(graph, off=("fuse",))).count("Elementwise") == passes
        check(graph, net.feeds, off=("fuse",))


def test_what_is_repeated_is_read_as_it_is() -> None:
    net = Net()
    x, scale = net.input(2, 6, 5, name="x"), net.apply(Exp(), net.input(2, 6, 1, name="s"))
    graph = net.graph(net.apply(Mul(), net.apply(Expand((2, 6, 5)), scale), x))
    compiled = compilation(graph)
    assert kernels(compiled) == ["Elementwise", "Elementwise"]
    worst_ratio(native(compiled, net.feeds), expected(compiled, net.feeds))


def test_truth_values_are_not_stored() -> None:
    net = Net()
    a, b = net.input(3, 40, name="a"), net.input(3, 40, name="b")
    graph = net.graph(net.apply(Where(), net.apply(Less(), a, b), a, net.apply(Exp(), b)))
    compiled = compilation(graph)
    assert kernels(compiled) == ["Elementwise"]
    for feeds in (net.feeds, sprinkled(net.feeds, 1, 0.3)):
        worst_ratio(native(compiled, feeds), expected(compiled, feeds))


def test_repeated_squares_do_not_grow_without_end() -> None:
    """As a tree, the expression has 2⁴⁰ leaves."""
    net = Net()
    x = net.input(2, 17)
    for _ in range(40):
        x = net.apply(Sub(), net.apply(Mul(), x, x), x)
    check(net.graph(x), {"x": np.zeros((2, 17), np.float32)})


@pytest.mark.parametrize("late", [False, True])
def test_a_state_is_read_before_it_changes(late: bool) -> None:
    """An expression of it moves to its reader only if the update comes after that."""
    net = Machine()
    state, x = net.state(net.random(3, 21)), net.input(3, 21)
    y = net.apply(Mul(), x, state)
    if not late:
        net.becomes(state, net.apply(Sub(), state, x))
    z = net.apply(Add(), net.apply(Tanh(), net.input(3, 21, name="b")), y)
    if late:
        net.becomes(state, net.apply(Sub(), state, x))
    graph = net.graph(z)
    compiled = compilation(graph, off=("fuse",))
    assert copied(compiled) == 0 and kernels(compiled).count("Elementwise") == (2 if late else 3)
    for threads in (1, 3):
        runs(net, graph, threads=threads)


def random_graph(seed: int) -> tuple[Net, Graph, Graph]:
    """A graph of expressions and sums; the second one has every value among its outputs, so that all are stored."""
    net, rng = Net(seed), np.random.default_rng(seed)
    shape = tuple(int(size) for size in rng.integers(1, 6, 3))
    values = [net.input(*shape, name=f"x{k}") for k in range(2)] + [net.input(shape[0], 1, shape[2], name="v")]
    for _ in range(int(rng.integers(4, 14))):
        a, b = (values[int(rng.integers(max(0, len(values) - 5), len(values)))] for _ in range(2))
        op = [Add(), Sub(), Mul(), Relu(), Tanh(), ReduceSum((1,)), Expand(shape)][int(rng.integers(7))]
        values.append(net.apply(op, a, b) if isinstance(op, Add | Sub | Mul) else net.apply(op, a))
    return net, net.graph(values[-1], values[-2]), net.graph(values[-1], values[-2], *values[3:-2])


@pytest.mark.parametrize("seed", range(24))
def test_random_expressions(seed: int) -> None:
    net, graph, whole = random_graph(seed)
    compiled = compilation(graph)
    found = native(compiled, net.feeds)
    worst_ratio(found, expected(compiled, net.feeds))
    if not any(isinstance(step.kernel, Reduce | Sweeps) for step in compiled.plan.steps):
        stored = native(compilation(whole, off=("fuse", "diamonds")), net.feeds)
        assert_same_bits(found, {name: stored[name] for name in found})
