"""Single layers, each between two others as in a network, and their time beside what bounds them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cnncc.compiler import Compilation, Options, resolve_target
from cnncc.ir import Builder, Graph, Value
from cnncc.measure.profiling import StepTime, profile
from cnncc.ops import Conv, Dense
from cnncc.plan import PlanOptions
from cnncc.types import TensorType

LAYER = "layer"
SECONDS = 0.25


@dataclass(frozen=True)
class Layer:
    """A layer of `channels` → `outputs` on size² pixels; without a size it is dense."""

    channels: int
    outputs: int
    kernel: int = 1
    size: int = 0
    stride: int = 1
    groups: int = 1

    def __str__(self) -> str:
        if not self.size:
            return f"dense {self.channels} → {self.outputs}"
        stride = f" /{self.stride}" if self.stride > 1 else ""
        kind = "depthwise " if self.groups == self.channels > 1 else f"{self.groups} groups " if self.groups > 1 else ""
        return f"{kind}{self.kernel}×{self.kernel}{stride} {self.channels} → {self.outputs}, {self.size}²"

    def graph(self) -> Graph:
        rng = np.random.default_rng(0)
        builder = Builder("layer")

        def weighted(op: Conv | Dense, x: Value, shape: tuple[int, ...], name: str) -> Value:
            weights = builder.constant(rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:])), f"{name}_weights")
            return builder.add(op, (x, weights), name)[0]

        if not self.size:
            x = builder.input("x", TensorType((1, 64)))
            x = weighted(Dense(), x, (self.channels, 64), "before")
            x = weighted(Dense(), x, (self.outputs, self.channels), LAYER)
            return builder.graph({"y": weighted(Dense(), x, (64, self.outputs), "after")})
        point, window = Conv((1, 1)), (self.kernel, self.kernel)
        conv = Conv(window, stride=(self.stride,) * 2, padding="same", groups=self.groups)
        x = builder.input("x", TensorType((1, 16, self.size, self.size)))
        x = weighted(point, x, (self.channels, 16, 1, 1), "before")
        x = weighted(conv, x, (self.outputs, self.channels // self.groups, *window), LAYER)
        return builder.graph({"y": weighted(point, x, (16, self.outputs, 1, 1), "after")})


def measure(layer: Layer, algorithm: str = "") -> StepTime | None:
    """The time of the layer's step, with the best candidate of an algorithm; None if there is none of it."""
    base = Compilation(layer.graph(), Options(resolve_target("host")))
    if algorithm:
        (signature,) = {step.signature for step in base.plan.steps if step.name == LAYER and step.signature}
        offers = [offer for offer in base.plan.offers[signature] if offer.label.split()[0] == algorithm]
        if not offers:
            return None
        best = min(offers, key=lambda offer: offer.cycles)
        base = base.varied(plan=PlanOptions(choices=((signature, best.label),)))
    steps = [step for step in profile(base, SECONDS).steps if step.name == LAYER]
    return max(steps, key=lambda step: step.us)
