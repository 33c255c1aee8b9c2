"""Transposed convolution in one, two and three dimensions: learnable upsampling."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..computation import Contraction, Interleave, Lowering, LoweringBuilder, Pointwise
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
        self.infer(*inputs)
        pieces, bias = LoweringBuilder(inputs), (2,)[: len(inputs) - 2]

        def bias_alone(shape: tuple[int, ...]) -> int:
            return pieces.add(Pointwise(Arg(0) if bias else Number(0.0), ((1,),) * len(bias)), bias, shape)

        return pieces.lowering(transposed(pieces, 0, 1, self.axes(inputs[0]), self.groups, bias_alone, bias))

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


Made = Callable[[tuple[Phase, ...]], int]


def interleaved(pieces: LoweringBuilder, axes: Sequence[TransposedAxis], leading: Sequence[int], made: Made) -> int:
    """Append the result of shape (*leading, outputs…) from the phases that `made` appends, interleaved axis by axis."""

    def within(phases: tuple[Phase, ...]) -> int:
        axis = len(phases)
        if axis == len(axes):
            return made(phases)
        geometry = axes[axis]
        parts = [within((*phases, geometry.phase(k))) for k in range(min(geometry.stride, geometry.out))]
        if len(parts) == 1:
            return parts[0]
        shape = (*leading, *(phase.outputs for phase in phases), *(each.out for each in axes[axis:]))
        return pieces.add(Interleave(axis + 2), parts, shape)

    return within(())


def cropped(pieces: LoweringBuilder, x: int, phases: Sequence[Phase]) -> int:
    """The inputs that phases read."""
    for axis, phase in enumerate(phases, start=2):
        x = pieces.part(x, axis, phase.begin, phase.end - phase.begin)
    return x


def transposed(
    pieces: LoweringBuilder,
    x: int,
    weights: int,
    axes: Sequence[TransposedAxis],
    groups: int,
    untouched: Callable[[tuple[int, ...]], int],
    bias: Sequence[int] = (),
) -> int:
    """Append a transposed convolution by weights (C, O / groups, taps…); `untouched` appends outputs that no tap
    reaches."""
    outputs = pieces.shape(weights)[1] * groups
    filters = _by_output(pieces, weights, groups)

    def one(phases: tuple[Phase, ...]) -> int:
        """An ordinary convolution with the taps that reach this phase."""
        shape = (pieces.shape(x)[0], outputs, *(phase.outputs for phase in phases))
        if not all(phase.taps for phase in phases):
            return untouched(shape)
        image, own = cropped(pieces, x, phases), filters
        for axis, phase in enumerate(phases, start=2):
            own = pieces.part(own, axis, phase.taps[0], len(phase.taps), phase.taps.step)
        window = tuple(phase.window for phase in phases)
        contraction = Contraction(window, pieces.shape(x)[1], outputs, groups, bias=bool(bias))
        return pieces.add(contraction, (image, own, *bias), shape)

    return interleaved(pieces, axes, (pieces.shape(x)[0], outputs), one)


def _by_output(pieces: LoweringBuilder, weights: int, groups: int) -> int:
    """Weights (C, O / groups, taps…) as (O, C / groups, taps…): within a group the two axes change places."""
    channels, outputs, *kernel = pieces.shape(weights)
    parted = pieces.reshape(weights, (groups, channels // groups, outputs, *kernel))
    turned = pieces.transpose(parted, (0, 2, 1, *range(3, len(kernel) + 3)))
    return pieces.reshape(turned, (groups * outputs, channels // groups, *kernel))
