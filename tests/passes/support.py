"""Small graphs by short words, and the comparisons that every pass has to stand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnncc.check.bound import compare
from cnncc.check.graph import verify
from cnncc.check.tolerance import rewrite_bounds
from cnncc.interpreter import run
from cnncc.ir import Builder, Graph, Value
from cnncc.op import Op
from cnncc.ops import Add, BatchNormalization, Conv, Dense, Relu
from cnncc.passes import Optimised
from cnncc.passes.manager import seeded_feeds
from cnncc.types import Array, TensorType


class Net:
    """A builder with seeded weights whose methods take and return single values."""

    def __init__(self, seed: int = 0):
        self.builder, self.rng = Builder("net"), np.random.default_rng(seed)

    def input(self, *shape: int, name: str = "x") -> Value:
        return self.builder.input(name, TensorType(shape))

    def weights(self, *shape: int) -> Value:
        return self.builder.constant(self.rng.standard_normal(shape).astype(np.float32))

    def known(self, data: Array) -> Value:
        return self.builder.constant(data)

    def apply(self, op: Op, *inputs: Value, name: str | None = None) -> Value:
        return self.builder.add(op, inputs, name)[0]

    def shape(self, value: Value) -> tuple[int, ...]:
        return self.builder.nodes[value.node].types[value.index].shape

    def conv(self, x: Value, outputs: int, *kernel: int, name: str = "conv", bias: bool = False, **how: Any) -> Value:
        channels = self.shape(x)[1] // int(how.get("groups", 1))
        weights = [self.weights(outputs, channels, *kernel)] + ([self.weights(outputs)] if bias else [])
        return self.apply(Conv(kernel, **how), x, *weights, name=name)

    def dense(self, x: Value, outputs: int, name: str = "dense", bias: bool = False) -> Value:
        weights = [self.weights(outputs, self.shape(x)[1])] + ([self.weights(outputs)] if bias else [])
        return self.apply(Dense(), x, *weights, name=name)

    def norm(self, x: Value, name: str = "norm", variance: Array | None = None, epsilon: float = 1e-5) -> Value:
        channels = self.shape(x)[1]
        spread = self.rng.random(channels) + 0.5 if variance is None else variance
        vectors = [self.weights(channels) for _ in range(3)]
        return self.apply(BatchNormalization(epsilon), x, *vectors, self.known(np.asarray(spread)), name=name)

    def relu(self, x: Value, name: str = "relu") -> Value:
        return self.apply(Relu(), x, name=name)

    def add(self, a: Value, b: Value, name: str = "add") -> Value:
        return self.apply(Add(), a, b, name=name)

    def graph(self, *outputs: Value) -> Graph:
        return self.builder.graph({f"y{index}": value for index, value in enumerate(outputs)})


def layers(graph: Graph) -> list[str]:
    """Names of the nodes that compute something."""
    return [node.name for node in graph if node.op.source is None]


def why(result: Optimised, layer: str) -> str:
    """The one reason for which the pass left `layer` alone."""
    (reason,) = (entry.why for entry in result.not_fired if entry.layer == layer)
    return reason


def apply(run_pass: Callable[[Graph], Optimised], graph: Graph) -> Optimised:
    """The pass once; the result is verified, and the pass a second time changes nothing."""
    result = run_pass(graph)
    verify(result.graph)
    again = run_pass(result.graph)
    assert again.graph.canonical() == result.graph.canonical()
    assert not again.fired
    assert list(result.graph.inputs) == list(graph.inputs)
    assert list(result.graph.outputs) == list(graph.outputs)
    return result


def assert_same_bits(before: Graph, after: Graph) -> None:
    """Also on NaN, infinities, −0 and subnormals."""
    for special in (False, True):
        feeds = seeded_feeds(before, special)
        found = run(after, feeds)
        for name, expected in run(before, feeds).items():
            assert expected.tobytes() == found[name].tobytes(), name


def assert_within_bounds(before: Graph, after: Graph) -> None:
    feeds = seeded_feeds(before)
    found = run(after, feeds)
    for name, bound in rewrite_bounds(before, after, feeds).items():
        comparison = compare(found[name], bound)
        assert comparison.ok, (name, comparison)
