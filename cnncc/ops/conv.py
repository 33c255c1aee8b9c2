"""Convolution in one, two and three dimensions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..computation import Contraction, Lowering, single
from ..errors import ShapeError
from ..op import Cost, Sample, WeightLayout, expect_count, rounded
from ..types import Array, TensorType
from ..windows import Padding, WindowAxis, brief, brief_padding, per_axis, resolve
from .images import WithParameters


@dataclass(frozen=True)
class Conv(WithParameters):
    """Cross-correlation of x (N, C, spatial…) with weights (O, C / groups, kernel…) and an optional bias (O,).

    ONNX's Conv; with `flip` the kernel is reversed along every spatial axis (the textbooks' convolution).
    `padding` is described in `cnncc.windows.resolve`.
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...] | int = 1
    dilation: tuple[int, ...] | int = 1
    padding: Padding = "valid"
    groups: int = 1
    flip: bool = False

    @classmethod
    def over(cls, window: Sequence[WindowAxis], groups: int, flip: bool) -> Conv:
        """The convolution with this window, as briefly as it can be written."""
        return cls(
            tuple(axis.kernel for axis in window),
            brief([axis.stride for axis in window]),
            brief([axis.dilation for axis in window]),
            brief_padding([(axis.low, axis.high) for axis in window]),
            groups,
            flip,
        )

    @property
    def weight_layout(self) -> WeightLayout:
        return WeightLayout(self.groups)

    @property
    def rank(self) -> int:
        return len(self.kernel)

    def window(self, x: TensorType) -> tuple[WindowAxis, ...]:
        """The window along each spatial axis of x."""
        return resolve(
            x.shape[2:],
            per_axis(self.kernel, self.rank, "kernel"),
            per_axis(self.stride, self.rank, "stride"),
            per_axis(self.dilation, self.rank, "dilation"),
            self.padding,
        )

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        expect_count(self, inputs, 2, 3)
        x, w, *bias = inputs
        if not 1 <= self.rank <= 3:
            raise ShapeError(f"kernel {self.kernel}: expected 1, 2 or 3 spatial axes")
        if x.rank != self.rank + 2:
            raise ShapeError(
                f"a {self.rank}-D convolution takes (N, C, {self.rank} spatial axes), got {x} of {x.rank} axes"
            )
        channels = x.shape[1]
        if type(self.groups) is not int or self.groups < 1 or channels % self.groups:
            raise ShapeError(f"groups={self.groups} does not divide the {channels} input channels")
        if w.shape[1:] != (channels // self.groups, *self.kernel):
            raise ShapeError(
                f"weights of shape {w.shape} do not fit input {x}: expected (outputs, "
                f"{channels // self.groups} channels{' a group' if self.groups > 1 else ''}, "
                f"{', '.join(map(str, self.kernel))})"
            )
        outputs = w.shape[0]
        if outputs % self.groups:
            raise ShapeError(f"groups={self.groups} does not divide the {outputs} output channels")
        if bias and bias[0].shape != (outputs,):
            raise ShapeError(f"bias of shape {bias[0].shape}, expected ({outputs},)")
        return (x.shaped((x.shape[0], outputs, *(axis.out for axis in self.window(x)))),)

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        x, w = (array.astype(np.float64) for array in inputs[:2])
        if self.flip:
            w = np.flip(w, axis=tuple(range(2, w.ndim)))
        window = self.window(TensorType.of(x))
        padded = np.pad(x, [(0, 0), (0, 0), *((a.low, a.high) for a in window)])
        n, (outputs, group_channels) = x.shape[0], w.shape[:2]
        grouped = padded.reshape(n, self.groups, group_channels, *padded.shape[2:])
        filters = w.reshape(self.groups, outputs // self.groups, *w.shape[1:])
        result = np.zeros((n, self.groups, outputs // self.groups, *(a.out for a in window)))
        with np.errstate(all="ignore"):
            for tap in np.ndindex(*self.kernel):
                seen = tuple(
                    slice(t * a.dilation, t * a.dilation + (a.out - 1) * a.stride + 1, a.stride)
                    for t, a in zip(tap, window, strict=True)
                )
                weights = filters[(slice(None),) * 3 + tap]
                result += np.einsum("goc,ngc...->ngo...", weights, grouped[(slice(None),) * 3 + seen])
            result = result.reshape(n, outputs, *result.shape[3:])
            if len(inputs) == 3:
                result += inputs[2].astype(np.float64).reshape(-1, *(1,) * self.rank)
            return (rounded(result),)

    def cost(self, *inputs: TensorType) -> Cost:
        (out,) = self.infer(*inputs)
        return Cost(macs=out.size * math.prod(inputs[1].shape[1:]))

    def lower(self, *inputs: TensorType) -> Lowering:
        x, w = inputs[:2]
        contraction = Contraction(
            self.window(x), x.shape[1], w.shape[0], self.groups, bias=len(inputs) == 3, flip=self.flip
        )
        return single(contraction, len(inputs), self.infer(*inputs)[0])

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls((3, 3)), ((1, 3, 8, 9), (5, 3, 3, 3)))
        yield Sample(cls((3, 3), padding="same"), ((2, 16, 7, 14), (32, 16, 3, 3), (32,)))
        yield Sample(cls((2, 3), padding="full", flip=True), ((1, 4, 5, 6), (20, 4, 2, 3), (20,)))
        yield Sample(cls((3, 2), (2, 3), (1, 2), ((1, 0), (2, 1))), ((1, 2, 11, 13), (7, 2, 3, 2)))
        yield Sample(cls((3, 3), padding=1, groups=18), ((1, 18, 9, 10), (18, 1, 3, 3), (18,)))
        yield Sample(cls((5, 5), 2, padding=2, groups=2), ((1, 6, 12, 11), (8, 3, 5, 5), (8,)))
        yield Sample(cls((1, 1)), ((1, 24, 6, 7), (40, 24, 1, 1)))
        yield Sample(cls((4,), padding="same"), ((1, 5, 30), (6, 5, 4), (6,)))
        yield Sample(cls((3, 2, 2), padding=1), ((1, 3, 4, 5, 6), (4, 3, 3, 2, 2), (4,)))
