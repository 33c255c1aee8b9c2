"""Gradients of weights on one core, held to shares of the multiply-add peak that is measured in the same run.

    python -m pytest tests/perf/test_outer.py -s

As in `test_layers`: a layer between two others, of whose gradients only that by its weights counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from cnncc.compiler import Compilation, Options, resolve_target
from cnncc.gradient import differentiated
from cnncc.ir import Graph
from cnncc.measure.profiling import StepTime, profile
from cnncc.ops import Conv, Relu, Tanh
from cnncc.plan.kernels import Inner, Outer
from tests.graphs import Net

from .layers import SECONDS


@dataclass(frozen=True)
class Gradient:
    """Of a layer of `channels` → `outputs` on size² pixels, by its weights; `images` at a time."""

    channels: int
    outputs: int
    kernel: int
    size: int
    stride: int = 1
    images: int = 32

    def __str__(self) -> str:
        stride = f" /{self.stride}" if self.stride > 1 else ""
        sizes = f"{self.channels} → {self.outputs}, {self.size}², {self.images} images"
        return f"{self.kernel}×{self.kernel}{stride} {sizes}"

    def graph(self) -> Graph:
        net, point = Net(), Conv((1, 1))
        x = net.input(self.images, self.channels, self.size, self.size)
        x = net.apply(Relu(), net.apply(point, x, net.weights(self.channels, self.channels, 1, 1)))
        w = net.weights(self.outputs, self.channels, self.kernel, self.kernel, arrive=True)
        conv = Conv((self.kernel,) * 2, self.stride, padding=self.kernel // 2)
        y = net.apply(Tanh(), net.apply(conv, x, w))
        return differentiated(net.graph(net.apply(point, y, net.weights(16, self.outputs, 1, 1))), "y0", ("w",))

    def measure(self) -> StepTime:
        work = Compilation(self.graph(), Options(resolve_target("host")))
        (number,) = (at for at, step in enumerate(work.plan.steps) if isinstance(step.kernel, Outer | Inner))
        return next(step for step in profile(work, SECONDS).steps if step.number == number)


# (gradient, least share of the multiply-add peak)
OF_PEAK = [
    (Gradient(16, 16, 3, 32), 0.80),
    (Gradient(32, 32, 3, 16), 0.80),
    (Gradient(64, 64, 3, 16), 0.80),
    (Gradient(64, 64, 3, 28), 0.80),
    (Gradient(32, 32, 1, 32), 0.80),
    (Gradient(16, 16, 3, 32, images=1), 0.80),
    (Gradient(1, 6, 5, 28, images=64), 0.70),  # inner products: 28 of 32 lanes
    (Gradient(16, 32, 3, 32, stride=2), 0.70),
    (Gradient(64, 128, 3, 28, stride=2), 0.70),
]


@pytest.mark.parametrize(("gradient", "least"), OF_PEAK, ids=str)
def test_outer_products(gradient: Gradient, least: float) -> None:
    step = gradient.measure()
    print(f"\r{gradient!s:34} {step.us:9.2f} µs {step.peak_share:8.1%} of the peak, aim {least:.0%}")
    assert step.peak_share >= least
