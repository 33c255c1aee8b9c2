"""Transposed convolution in one, two and three dimensions: learnable upsampling."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..computation import (
    Computation,
    ComputationNode,
    Contraction,
    Interleave,
    Lowering,
    Permute,
    Pointwise,
    RowMajorReshape,
    StridedSlice,
)
from ..errors import ShapeError
from ..expr import Arg, Number
from ..op import Cost, Sample, WeightLayout, expect_count, rounded
from ..types import MAX_ELEMENTS, Array, TensorType
from ..windows import Padding, WindowAxis, explicit_padding, per_axis
from .images import WithParameters


@dataclass(frozen=True)
class Phase:
    """Outputs number, number + stride, … of an axis: the taps that reach them, in the order of their inputs.

    They are an ordinary window over inputs [begin, end); without taps the outputs hold the bias alone.
    """

    outputs: int
    taps: range
    begin: int
    end: int
    window: WindowAxis


@dataclass(frozen=True)
class TransposedAxis:
    """One axis: input i and tap k meet in output i·stride + k·dilation − low, for outputs in [0, out)."""

    size: int
    kernel: int
    stride: int
    dilation: int
    low: int
    out: int

    def met(self, tap: int) -> tuple[slice, slice]:
        """The elements whose product with a tap falls into the output, and the outputs that they are added to."""
        shift = tap * self.dilation - self.low
        first = max(0, -(shift // self.stride))
        end = max(first, min(self.size, (self.out - 1 - shift) // self.stride + 1))
        begin = first * self.stride + shift
        return slice(first, end), slice(begin, begin + (end - first) * self.stride, self.stride)

    def phase(self, number: int) -> Phase:
        """Output o = number + stride·p takes input (o + low − k·dilation) / stride for each tap k where that is whole.

        Such taps are stride / g apart and their inputs dilation / g, with g = gcd(stride, dilation). In descending
        order of the taps the inputs ascend, as a window's do.
        """
        outputs = -(-(self.out - number) // self.stride)
        common = math.gcd(self.stride, self.dilation)
        whole = [k for k in range(self.kernel) if (number + self.low - k * self.dilation) % self.stride == 0]
        if not whole:
            return Phase(outputs, range(0), 0, self.size, WindowAxis(self.size))
        taps = range(whole[-1], whole[0] - 1, -(self.stride // common))
        first = (number + self.low - taps[0] * self.dilation) // self.stride
        end = first + outputs + (len(taps) - 1) * self.dilation // common
        inside = max(first, 0), min(end, self.size)
        if inside[0] >= inside[1]:  # every tap falls into the padding
            return Phase(outputs, range(0), 0, self.size, WindowAxis(self.size))
        low, high = inside[0] - first, end - inside[1]
        window = WindowAxis(inside[1] - inside[0], len(taps), 1, self.dilation // common, low, high)
        return Phase(outputs, taps, *inside, window)


@dataclass(frozen=True)
class ConvTranspose(WithParameters):
    """Each input element adds its multiple of the kernel to the output: the gradient of a convolution.

    Inputs: x (N, C, spatial…), weights (C, O / groups, kernel…), optional bias (O,), as in ONNX. The output has
    (n − 1)·stride + (kernel − 1)·dilation + 1 − low − high + output_padding elements an axis, where `padding`
    (low, high) removes elements; 'valid' removes none, 'same' gives n·stride elements and keeps the middle (the low
    side loses ⌊surplus / 2⌋; a kernel shorter than its stride is filled up on the high side).
    """

    kernel: tuple[int, ...]
    stride: tuple[int, ...] | int = 1
    dilation: tuple[int, ...] | int = 1
    padding: Padding = "valid"
    output_padding: tuple[int, ...] | int = 0
    groups: int = 1

    @property
    def weight_layout(self) -> WeightLayout:
        return WeightLayout(self.groups, inputs_first=True)

    @property
    def rank(self) -> int:
        return len(self.kernel)

    def axes(self, x: TensorType) -> tuple[TransposedAxis, ...]:
        """The geometry of each spatial axis; raises ShapeError if nothing is left of it."""
        rank = self.rank
        stride, dilation = per_axis(self.stride, rank, "stride"), per_axis(self.dilation, rank, "dilation")
        added = per_axis(self.output_padding, rank, "output_padding", 0)
        result = []
        for axis, (n, k, s, d) in enumerate(zip(x.shape[2:], self.kernel, stride, dilation, strict=True)):
            full = (n - 1) * s + (k - 1) * d + 1
            if full > MAX_ELEMENTS:
                raise ShapeError(f"{full} elements are added to: at most {MAX_ELEMENTS} fit (axis {axis})")
            if self.padding == "valid":
                low, out = 0, full + added[axis]
            elif self.padding == "same":
                low, out = max(0, full - n * s) // 2, n * s
            elif isinstance(self.padding, str):
                raise ShapeError(f"padding {self.padding!r} is unknown: expected 'valid', 'same' or numbers")
            else:
                low, high = explicit_padding(self.padding, rank)[axis]
                out = full - low - high + added[axis]
            if added[axis] >= max(s, d):
                raise ShapeError(f"output_padding {added[axis]} must be below the stride {s} or the dilation {d}")
            if out < 1:
                raise ShapeError(f"padding {self.padding} leaves nothing of {full} elements (axis {axis})")
            result.append(TransposedAxis(n, k, s, d, low, out))
        return tuple(result)

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        expect_count(self, inputs, 2, 3)
        x, w, *bias = inputs
        per_axis(self.kernel, self.rank, "kernel")
        if not 1 <= self.rank <= 3 or x.rank != self.rank + 2:
            raise ShapeError(
                f"a {self.rank}-D transposed convolution takes (N, C, {self.rank} spatial axes), "
                f"got {x} of {x.rank} axes"
            )
        channels = x.shape[1]
        if type(self.groups) is not int or self.groups < 1 or channels % self.groups:
            raise ShapeError(f"groups={self.groups} does not divide the {channels} input channels")
        if w.rank != x.rank or w.shape[0] != channels or w.shape[2:] != tuple(self.kernel):
            wanted = ", ".join(map(str, self.kernel))
            raise ShapeError(
                f"weights of shape {w.shape} do not fit input {x}: "
                f"expected ({channels} channels, outputs a group, {wanted})"
            )
        outputs = w.shape[1] * self.groups
        if bias and bias[0].shape != (outputs,):
            raise ShapeError(f"bias of shape {bias[0].shape}, expected ({outputs},)")
        return (x.shaped((x.shape[0], outputs, *(axis.out for axis in self.axes(x)))),)

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        x, w = (array.astype(np.float64) for array in inputs[:2])
        axes = self.axes(TensorType.of(x))
        n, channels = x.shape[:2]
        group_outputs = w.shape[1]
        result = np.zeros((n, self.groups, group_outputs, *(a.out for a in axes)))
        grouped = x.reshape(n, self.groups, channels // self.groups, *x.shape[2:])
        filters = w.reshape(self.groups, channels // self.groups, group_outputs, *self.kernel)
        with np.errstate(all="ignore"):
            for tap in np.ndindex(*self.kernel):
                read, made = zip(*(a.met(t) for a, t in zip(axes, tap, strict=True)), strict=True)
                weights = filters[(slice(None),) * 3 + tap]
                result[(slice(None),) * 3 + made] += np.einsum("gco,ngc...->ngo...", weights, grouped[(..., *read)])
            result = result.reshape(n, self.groups * group_outputs, *(a.out for a in axes))
            if len(inputs) == 3:
                result += inputs[2].astype(np.float64).reshape(-1, *(1,) * self.rank)
            return (rounded(result),)

    def cost(self, *inputs: TensorType) -> Cost:
        return Cost(macs=inputs[0].size * math.prod(inputs[1].shape[1:]))

    def lower(self, *inputs: TensorType) -> Lowering:
        """stride² (stride³) phases, each an ordinary convolution, interleaved axis by axis.

        See Dumoulin and Visin, A guide to convolution arithmetic for deep learning (2016), chapter 4, for the
        relation; the phases avoid its zeros between the inputs.
        """
        (out,) = self.infer(*inputs)
        return _Builder(self, inputs, out).lowering()

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls((3,)), ((2, 3, 5), (3, 4, 3), (4,)))
        yield Sample(cls((2, 2), 2), ((1, 20, 4, 5), (20, 9, 2, 2), (9,)))
        yield Sample(cls((3, 3), 2, padding="same"), ((2, 3, 4, 5), (3, 18, 3, 3)))
        yield Sample(cls((3, 3), 2, padding=1, output_padding=1), ((1, 4, 4, 3), (4, 2, 3, 3), (2,)))
        yield Sample(cls((3, 2), (1, 3), (2, 1), ((1, 0), (0, 1))), ((1, 2, 5, 4), (2, 5, 3, 2)))
        yield Sample(cls((2, 1), 3, padding="same"), ((1, 2, 3, 4), (2, 3, 2, 1), (3,)))
        yield Sample(cls((4, 4), 2, 3, groups=2), ((1, 6, 3, 4), (6, 4, 4, 4), (8,)))
        yield Sample(cls((2, 3, 2), (2, 1, 2), padding=1), ((1, 3, 3, 4, 2), (3, 2, 2, 3, 2), (2,)))


class _Builder:
    """The pieces of a transposed convolution."""

    def __init__(self, op: ConvTranspose, inputs: Sequence[TensorType], out: TensorType):
        self.op, self.inputs, self.out = op, inputs, out
        self.axes = op.axes(inputs[0])
        self.pieces: list[ComputationNode] = []

    def add(self, computation: Computation, operands: tuple[int, ...], *shape: int) -> int:
        """A further piece; returns its reference."""
        self.pieces.append(ComputationNode(computation, operands, self.out.shaped(shape)))
        return len(self.inputs) + len(self.pieces) - 1

    def lowering(self) -> Lowering:
        weights = self.by_output()
        result = self.interleaved(weights, ())
        return Lowering(tuple(self.pieces), (result,))

    def by_output(self) -> int:
        """Weights (C, O / groups, taps…) as (O, C / groups, taps…): within a group the two axes change places."""
        groups, rank, kernel = self.op.groups, self.op.rank, self.op.kernel
        channels, outputs = self.inputs[1].shape[0] // groups, self.inputs[1].shape[1]
        parted = self.add(RowMajorReshape(), (1,), groups, channels, outputs, *kernel)
        axes = (0, 2, 1, *range(3, rank + 3))
        turned = self.add(Permute(axes), (parted,), groups, outputs, channels, *kernel)
        return self.add(RowMajorReshape(), (turned,), groups * outputs, channels, *kernel)

    def interleaved(self, weights: int, phases: tuple[Phase, ...]) -> int:
        """The result for given phases of the leading axes, with all outputs of the others."""
        axis = len(phases)
        if axis == self.op.rank:
            return self.phase(weights, phases)
        geometry = self.axes[axis]
        numbers = range(min(geometry.stride, geometry.out))
        parts = tuple(self.interleaved(weights, (*phases, geometry.phase(number))) for number in numbers)
        if len(parts) == 1:
            return parts[0]
        sizes = (phase.outputs for phase in phases)
        return self.add(Interleave(axis + 2), parts, *self.out.shape[:2], *sizes, *self.out.shape[2 + axis :])

    def phase(self, weights: int, phases: tuple[Phase, ...]) -> int:
        """An ordinary convolution with the taps that reach this phase."""
        shape = (*self.out.shape[:2], *(phase.outputs for phase in phases))
        bias = (2,) if len(self.inputs) == 3 else ()
        if not all(phase.taps for phase in phases):
            expr = Arg(0) if bias else Number(0.0)
            return self.add(Pointwise(expr, ((1,),) * len(bias)), bias, *shape)
        image, image_shape = 0, list(self.inputs[0].shape)
        weights_shape = [shape[1], image_shape[1] // self.op.groups, *self.op.kernel]
        for axis, phase in enumerate(phases, start=2):
            if phase.end - phase.begin < image_shape[axis]:
                image_shape[axis] = phase.end - phase.begin
                image = self.add(StridedSlice(axis, phase.begin), (image,), *image_shape)
            weights_shape[axis] = len(phase.taps)
            weights = self.add(StridedSlice(axis, phase.taps[0], phase.taps.step), (weights,), *weights_shape)
        window = tuple(phase.window for phase in phases)
        contraction = Contraction(window, image_shape[1], shape[1], self.op.groups, bias=bool(bias))
        return self.add(contraction, (image, weights, *bias), *shape)
