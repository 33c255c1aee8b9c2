"""Where loads come first (`Target.loads_first`), straight code has registers for all operands of its sums at once."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from cnncc.machine.target import TARGETS, named
from cnncc.ops import Conv, Dense, MaxPool
from cnncc.plan.cost.step import most_scalars
from tests.graphs import Net, compilation

SIMD = named("wasm32-simd")
LABEL = re.compile(r"^(?:\w+:|define .*)$", re.MULTILINE)
OPERAND = re.compile(r" = (?:load|phi) (?:float|<\d+ x float>)[ ,]")


def sums_of_products(llvm: str) -> Iterator[list[str]]:
    """Of each block that adds products to sums which a loop carries, the operands: what it loads, and the sums."""
    for block in LABEL.split(llvm):
        if "phi <4 x float>" in block and "fmul <4 x float>" in block:
            yield OPERAND.findall(block)


@pytest.mark.parametrize("channels", [3, 8, 33])
@pytest.mark.parametrize("outputs", [4, 10, 24, 96])
@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("pool", [False, True])
def test_a_convolution(channels: int, outputs: int, kernel: int, pool: bool) -> None:
    net = Net()
    weights = net.weights(outputs, channels, kernel, kernel)
    y = net.apply(Conv((kernel, kernel)), net.input(1, channels, 15, 14), weights)
    graph = net.graph(net.apply(MaxPool((2, 2)), y) if pool else y)
    found = list(sums_of_products(compilation(graph, SIMD, precision="strict").llvm))
    assert found and max(map(len, found)) <= SIMD.operand_registers


@pytest.mark.parametrize("precision", ["fast", "strict"])
def test_a_dense_layer(precision: str) -> None:
    net = Net()
    graph = net.graph(net.apply(Dense(), net.input(1, 250), net.weights(30, 250)))
    found = list(sums_of_products(compilation(graph, SIMD, precision=precision).llvm))
    assert found and max(map(len, found)) <= SIMD.operand_registers


def test_the_largest_tiles() -> None:
    """As many sums as leave room: 4 · 2 with 4 + 2 operands, where one scalar at a time would allow 5 · 2."""
    assert [most_scalars(SIMD, vectors) for vectors in range(1, 7)] == [6, 4, 2, 2, 1, 1]
    assert most_scalars(named("x86-64-v2"), 2) == 5


def test_of_which_targets() -> None:
    assert [name for name, target in TARGETS.items() if target.loads_first] == ["wasm32-simd"]
