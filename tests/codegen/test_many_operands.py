"""Operators with very many inputs, and very long chains: native code against the interpreter, and no recursion."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from cnncc import ops
from cnncc.expr import Apply, Arg, Expr
from cnncc.ops.elementwise import MOST_OPERANDS, Variadic
from cnncc.types import MAX_RANK, TensorType

from ..graphs import Net, check, one_op

OPS = [ops.Sum(), ops.Mean(), ops.Max(), ops.Min()]


@pytest.mark.parametrize("op", OPS, ids=str)
@pytest.mark.parametrize("count", [MOST_OPERANDS - 1, MOST_OPERANDS, MOST_OPERANDS + 1, MOST_OPERANDS**2 + 1])
def test_many_inputs(op: Variadic, count: int) -> None:
    """Some shared, some constant, some that are broadcast; the interpreter's order is from left to right."""
    net = Net()
    x = net.input(2, 3, 5)
    others = [x, net.input(3, 1, name="row"), net.known(net.random(5)), net.apply(ops.Neg(), x)]
    values = [others[number % len(others)] for number in range(count)]
    check(net.graph(net.apply(op, *values)), net.feeds)


@pytest.mark.parametrize("op", OPS, ids=str)
def test_special_values_among_many_inputs(op: Variadic) -> None:
    rng = np.random.default_rng(1)
    arrays = [rng.standard_normal((1, 40)).astype(np.float32) for _ in range(70)]
    arrays[3][0, :3], arrays[50][0, 2:6], arrays[69][0, 6] = np.nan, np.inf, -np.inf
    graph, feeds = one_op(op, *arrays)
    check(graph, feeds)


def depth(expr: Expr) -> int:
    return 1 + max(map(depth, expr.arguments), default=0) if isinstance(expr, Apply) else 0


@pytest.mark.parametrize("op", OPS, ids=str)
def test_expressions_are_balanced(op: Variadic) -> None:
    assert depth(op.expression(*map(Arg, range(1000)))) <= 11
    lowering = op.lower(*(TensorType((1, 4)),) * 5000)
    assert max(len(piece.operands) for piece in lowering.pieces) <= MOST_OPERANDS
    assert len(lowering.pieces) < 5000 / MOST_OPERANDS * 1.1


CHAINS = {"Exp": (ops.Tanh(),), "Relu": (ops.Relu(),), "turns": (ops.Neg(), ops.Transpose((0, 2, 1)))}


@pytest.mark.parametrize("case", CHAINS)
def test_long_chains(case: str) -> None:
    """Of 2,000 layers, through text, hash, pickle, interpreter, passes, plan and code."""
    net = Net()
    value = net.input(1, 2, 2)
    for number in range(2000 if case == "Relu" else 600):
        value = net.apply(CHAINS[case][number % len(CHAINS[case])], value)
    graph = net.graph(value)
    assert pickle.loads(pickle.dumps(graph)).hash == graph.hash
    check(graph, net.feeds)


@pytest.mark.parametrize("rank", [MAX_RANK - 1, MAX_RANK])
def test_the_highest_ranks(rank: int) -> None:
    net = Net()
    x = net.input(*(1,) * (rank - 2), 3, 2)
    check(net.graph(net.apply(ops.Sum(), x, net.apply(ops.Softmax(-1), x))), net.feeds)


@pytest.mark.parametrize("size", [4, 7, 8, 9, 10, 1000, 10**9, 2**31 - 1])
def test_normalisation_over_more_channels_than_there_are(size: int) -> None:
    """The window is cut to the channels: it takes as long as one that fits, and means what the definition says."""
    op = ops.LRN(size, alpha=0.5 * size)
    graph, feeds = one_op(op, np.random.default_rng(0).standard_normal((2, 4, 3)).astype(np.float32))
    found = check(graph, feeds)["y0"]
    x, low = feeds["x"].astype(np.float64), (size - 1) // 2
    for channel in range(4):
        window = [c for c in range(4) if channel - low <= c < channel - low + size]
        total = (x[:, window] ** 2).sum(1)
        np.testing.assert_allclose(found[:, channel], x[:, channel] / (1 + 0.5 * total) ** 0.75, rtol=1e-5)
    assert op.cost(TensorType((2, 4, 3))).flops <= 12 * 24
