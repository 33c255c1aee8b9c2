"""A pool behind a convolution is never slower fused than as a layer of its own, whatever its window.

    python -m pytest tests/perf/test_split.py -s

Both forms of a network are timed in turns in one run: with the pass that fuses, where the plan splits off what costs
more in registers, and without it. The layers are those of heads, whose windows exceed the registers, and of other
places in a network.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from cnncc.compiler import Compilation, Options, resolve_target
from cnncc.ir import Graph
from cnncc.measure.benchmark import calls_in, seconds_of
from cnncc.ops import AveragePool, Conv, MaxPool, Relu
from cnncc.runtime.model import Model
from tests.graphs import Net

ROUNDS, SAMPLE_SECONDS = 15, 2e-3
SLOWER = 1.1  # two programs that do the same may be so far apart: their weights lie in other pages


@dataclass(frozen=True)
class Pooled:
    """A convolution with ReLU of `channels` → `outputs` on size² pixels, and a pool of `window`² behind it."""

    channels: int
    outputs: int
    kernel: int
    size: int
    window: int
    groups: int = 1

    def __str__(self) -> str:
        kind = "depthwise " if self.groups > 1 else ""
        layer = f"{kind}{self.kernel}×{self.kernel} {self.channels} → {self.outputs}, {self.size}²"
        return f"{layer}, {self.window}×{self.window}"

    def graph(self, kind: type[MaxPool] | type[AveragePool]) -> Graph:
        """The layers between two others."""
        net, window = Net(), (self.kernel, self.kernel)
        x = net.input(1, 8, self.size, self.size)
        x = net.apply(Conv((1, 1)), x, net.weights(self.channels, 8, 1, 1))
        weights = net.weights(self.outputs, self.channels // self.groups, *window)
        x = net.apply(Relu(), net.apply(Conv(window, padding="same", groups=self.groups), x, weights))
        x = net.apply(kind((self.window, self.window), self.window), x)
        return net.graph(net.apply(Conv((1, 1)), x, net.weights(8, self.outputs, 1, 1)))


LAYERS = [
    Pooled(64, 64, 3, 8, 8),
    Pooled(64, 64, 3, 14, 7),
    Pooled(64, 64, 3, 14, 14),
    Pooled(32, 128, 3, 28, 7),
    Pooled(16, 16, 3, 32, 8),
    Pooled(128, 128, 3, 16, 4),
    Pooled(32, 32, 3, 28, 2),
    Pooled(64, 32, 5, 28, 3),
    Pooled(8, 16, 3, 56, 2),
    Pooled(32, 128, 1, 28, 7),
    Pooled(64, 64, 1, 28, 2),
    Pooled(16, 64, 1, 56, 4),
    Pooled(64, 64, 3, 28, 2, groups=64),
    Pooled(64, 64, 3, 28, 7, groups=64),
    Pooled(64, 64, 3, 56, 14, groups=64),
]


def microseconds(*graphs: tuple[Graph, tuple[str, ...]]) -> list[float]:
    """The least time of a call of each compiled graph, without the passes named, in turns."""
    target = resolve_target("host")
    models = [Model(Compilation(graph, Options(target, off=off)).build()) for graph, off in graphs]
    calls = [
        model.bind(*(port.type.random(np.random.default_rng(0)) for port in model.executable.inputs))
        for model in models
    ]
    counts = [calls_in(SAMPLE_SECONDS, call) for call in calls]
    rounds = [
        [seconds_of(call, count) / count for call, count in zip(calls, counts, strict=True)] for _ in range(ROUNDS)
    ]
    for model in models:
        model.close()
    return [1e6 * min(samples) for samples in zip(*rounds, strict=True)]


@pytest.mark.parametrize("kind", [MaxPool, AveragePool])
@pytest.mark.parametrize("layer", LAYERS, ids=str)
def test_fused_is_never_slower_than_unfused(layer: Pooled, kind: type[MaxPool] | type[AveragePool]) -> None:
    graph = layer.graph(kind)
    fused, apart = microseconds((graph, ()), (graph, ("fuse",)))
    print(f"\r{layer!s:42} {kind.__name__:12} {fused:9.2f} µs {apart:9.2f} µs unfused {apart / fused:6.2f}")
    assert fused <= SLOWER * apart
