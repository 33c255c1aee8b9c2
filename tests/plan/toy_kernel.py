"""A kernel that is not ours: convolution by one vector of outputs at one position, weights as [taps…][channel][output].

Its code is in `tests/codegen/test_toy_kernel.py`. The two files are all that a kernel takes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cnncc.machine.target import Target
from cnncc.plan.kernels import Candidate, Convolution, Epilogue, Layer
from cnncc.plan.kernels.base import taps_of
from cnncc.plan.kernels.convolution import Reads
from cnncc.plan.kernels.packing import dense_strides
from cnncc.plan.views import View
from cnncc.types import Array
from cnncc.windows import WindowAxis


@dataclass(frozen=True)
class Toy(Convolution):
    """Lanes along the outputs; reads channels last, and selects at edges what it reads there."""

    window: tuple[WindowAxis, ...]
    channels: int
    outputs: int
    bias: bool
    lanes: int
    epilogue: Epilogue

    lanes_along = "channels"
    prefers_border = False

    @property
    def filters(self) -> tuple[int, int]:
        return self.outputs, self.channels

    @property
    def reads(self) -> Reads:
        return "channels last"

    @property
    def packed_shape(self) -> tuple[int, ...]:
        return self.taps, self.channels, self.outputs

    def packed(self, weights: Array) -> Array:
        return np.transpose(weights.reshape(self.outputs, self.channels, self.taps))

    def moves(self, weights: View, buffer: str) -> list[tuple[View, View]]:
        taps = (stride * self.channels * self.outputs for stride in dense_strides(weights.shape[2:]))
        return [(weights, View(buffer, weights.shape, (1, self.outputs, *taps)))]

    def describe(self) -> str:
        return f"toy {taps_of(self.window)}, {self.channels} → {self.outputs}" + self.epilogue.describe()


def candidates(target: Target, layer: Layer) -> list[Candidate]:
    """It takes every window of more than one tap, whatever it costs."""
    c = layer.contraction
    if c.groups > 1 or c.weights_per_image or c.taps == 1 or layer.epilogue.pool:
        return []
    kernel = Toy(c.window, c.channels, c.outputs, c.bias, min(target.lanes, c.outputs), layer.epilogue)
    return [Candidate("toy", 1.0, kernel)]
