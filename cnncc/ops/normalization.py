"""Normalisations: by given statistics (batch normalisation as networks use it), or by those of the data itself."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..computation import ComputationNode, Lowering, LoweringBuilder, Pointwise
from ..errors import ShapeError
from ..expr import Arg, multiply_add, sqrt
from ..op import Cost, Op, Sample, TrainingNet, expect_count, rounded
from ..types import Array, TensorType
from .arithmetic import Add, Mul, Sub
from .axes import axis_of
from .images import WithParameters
from .reduction import ReduceMean
from .reshape import Reshape

KEPT = 0.1
"""The share of a batch in the statistics that are kept."""


def _expect_per_channel(x: TensorType, vectors: dict[str, TensorType], takes: str) -> None:
    """Raise ShapeError unless x is (N, C, …) and each vector (C,)."""
    if x.rank < 2:
        raise ShapeError(f"{takes} takes (N, C, …), got {x}")
    for what, vector in vectors.items():
        if vector.shape != (x.shape[1],):
            raise ShapeError(f"{what} of shape {vector.shape}, expected ({x.shape[1]},)")


@dataclass(frozen=True)
class BatchNormalization(Op):
    """(x − mean) / sqrt(variance + epsilon) · scale + bias, per channel (axis 1).

    Inputs as in ONNX: x (N, C, …), scale, bias, mean, variance, each (C,).
    """

    epsilon: float = 1e-5

    statistics = (3, 4)

    def stated(self, *statistics: Array) -> tuple[Array, Array]:
        mean, variance = statistics
        with np.errstate(all="ignore"):
            return mean, np.sqrt(variance + self.epsilon)

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        expect_count(self, inputs, 5)
        x, *vectors = inputs
        named = dict(zip(("scale", "bias", "mean", "variance"), vectors, strict=True))
        _expect_per_channel(x, named, "batch normalisation")
        return (x,)

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        x, *statistics = (array.astype(np.float64) for array in inputs)
        per_channel = (1, -1, *(1,) * (x.ndim - 2))
        scale, bias, mean, variance = (vector.reshape(per_channel) for vector in statistics)
        with np.errstate(all="ignore"):
            result = (x - mean) / np.sqrt(variance + self.epsilon) * scale + bias
            return (rounded(result),)

    def cost(self, *inputs: TensorType) -> Cost:
        return Cost(flops=2 * inputs[0].size)

    def lower(self, *inputs: TensorType) -> Lowering:
        """factor = scale / sqrt(variance + ε); result = (x − mean) · factor + bias.

        The mean is taken away first: near it that is exact, where x · factor + (bias − mean · factor) would lose what
        |mean| / deviation has of digits. And a factor that is infinite gives what the definition gives.
        """
        x, vector = inputs[0], inputs[1]
        factor = Pointwise(Arg(0) / sqrt(Arg(1) + self.epsilon), ((0,), (0,)))
        scaled = multiply_add(Arg(0) - Arg(1), Arg(2), Arg(3))
        affine = Pointwise(scaled, (tuple(range(x.rank)), (1,), (1,), (1,)))
        return Lowering((ComputationNode(factor, (1, 4), vector), ComputationNode(affine, (0, 3, 5, 2), x)), (6,))

    def trained(self, net: TrainingNet, *inputs: Any) -> tuple[Any, ...]:
        """By the statistics of the batch (Ioffe and Szegedy, 2015), if scale or bias is trained.

        The kept ones move a tenth towards them. What is kept of the variance is unbiased: times m / (m − 1) for m
        values of a channel.
        """
        x, scale, bias, mean, variance = inputs
        if not (net.learns(scale) or net.learns(bias)):
            return net.add(self, *inputs)
        shape = net.shape(x)
        count = math.prod(shape) // shape[1]
        if count == 1:
            raise ShapeError("batch normalisation is trained with one value a channel: expected more images")
        axes = tuple(axis for axis in range(len(shape)) if axis != 1)
        (centre,) = net.add(ReduceMean(axes), x)
        (off,) = net.add(Sub(), x, centre)
        (spread,) = net.add(ReduceMean(axes, keepdims=False), *net.add(Mul(), off, off))
        (centre,) = net.add(Reshape((shape[1],)), centre)
        for kept, now, share in ((mean, centre, KEPT), (variance, spread, KEPT * count / (count - 1))):
            (old,) = net.add(Mul(), kept, net.number(1 - KEPT))
            (new,) = net.add(Mul(), now, net.number(share))
            net.update(kept, *net.add(Add(), old, new))
        return net.add(self, x, scale, bias, centre, spread)

    def images(self, *ranks: int) -> tuple[bool, ...] | None:
        return (True, False, False, False, False)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), ((2, 20, 4, 5), *((20,),) * 4))
        yield Sample(cls(1e-3), ((1, 7), *((7,),) * 4))


class Standardizing(WithParameters, abstract=True):
    """(x − mean) / sqrt(variance + epsilon) · scale + bias, with the mean and the (biased) variance of x itself.

    The inputs are x (N, C, …), scale and bias; a subclass says over which `axes` of which `view` of x the statistics
    go, and along which axes of x scale and bias lie.
    """

    epsilon: float
    """A field of each subclass: what is added to the variance."""

    def view(self, x: TensorType) -> tuple[int, ...]:
        """The shape under which whole axes share their statistics."""
        return x.shape

    def axes(self, x: TensorType) -> tuple[int, ...]:
        """The axes of `view` that share them."""
        raise NotImplementedError

    def aligned(self, x: TensorType, vector: TensorType) -> tuple[int, ...]:
        """The axes of x along which scale or bias lies: the channels."""
        return (1,)

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        x, *vectors = (array.astype(np.float64) for array in inputs)
        type = TensorType.of(x)
        data, axes = x.reshape(self.view(type)), self.axes(type)
        with np.errstate(all="ignore"):
            centred = data - data.mean(axes, keepdims=True)
            variance = (centred * centred).mean(axes, keepdims=True)
            result = (centred / np.sqrt(variance + self.epsilon)).reshape(x.shape)
            for vector, apply in zip(vectors, (np.multiply, np.add), strict=False):
                result = apply(result, vector.reshape(self._beside(type, TensorType.of(vector))))
            return (rounded(result),)

    def _beside(self, x: TensorType, vector: TensorType) -> tuple[int, ...]:
        """The shape of scale or bias with all axes of x."""
        along = dict(zip(self.aligned(x, vector), vector.shape, strict=True))
        return tuple(along.get(axis, 1) for axis in range(x.rank))

    def cost(self, *inputs: TensorType) -> Cost:
        return Cost(flops=7 * inputs[0].size)

    def lower(self, *inputs: TensorType) -> Lowering:
        """The mean is taken away before squaring, so that the variance does not cancel."""
        x, *vectors = inputs
        pieces, axes = LoweringBuilder(inputs), self.axes(x)
        data = pieces.reshape(0, self.view(x))
        count = math.prod(pieces.shape(data)[axis] for axis in axes)
        total = pieces.reduce(data, axes, "add")
        centred = pieces.pointwise(Arg(0) - Arg(1) / count, (data, total))
        squares = pieces.reduce(pieces.pointwise(Arg(0) * Arg(0), (centred,)), axes, "add")
        factor = pieces.pointwise(1 / sqrt(Arg(0) / count + self.epsilon), (squares,))
        unit = pieces.reshape(pieces.pointwise(Arg(0) * Arg(1), (centred, factor)), x.shape)
        dims = (tuple(range(x.rank)), *(self.aligned(x, vector) for vector in vectors))
        scaled = multiply_add(Arg(0), Arg(1), Arg(2)) if len(vectors) == 2 else Arg(0) * Arg(1)
        result = pieces.add(Pointwise(scaled, dims), (unit, *range(1, len(inputs))), x.shape)
        return pieces.lowering(result)


@dataclass(frozen=True)
class BatchStandardization(Standardizing):
    """Batch normalisation by the statistics of the batch itself, per channel, as in training.

    Inputs: x (N, C, …), scale (C,), bias (C,). All images share mean and variance, so N is fixed.
    """

    epsilon: float = 1e-5

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        expect_count(self, inputs, 3)
        x, scale, bias = inputs
        _expect_per_channel(x, {"scale": scale, "bias": bias}, "batch normalisation")
        return (x,)

    def axes(self, x: TensorType) -> tuple[int, ...]:
        return (0, *range(2, x.rank))

    def images(self, *ranks: int) -> tuple[bool, ...] | None:
        return None

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), ((3, 20, 4, 5), (20,), (20,)))
        yield Sample(cls(1e-3), ((4, 7), (7,), (7,)))


@dataclass(frozen=True)
class InstanceNormalization(Standardizing):
    """Each channel of each image by its own statistics. Inputs: x (N, C, spatial…), scale (C,), bias (C,)."""

    epsilon: float = 1e-5

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        expect_count(self, inputs, 3)
        x, scale, bias = inputs
        if x.rank < 3:
            raise ShapeError(f"instance normalisation takes (N, C, spatial…), got {x}")
        _expect_per_channel(x, {"scale": scale, "bias": bias}, "instance normalisation")
        return (x,)

    def axes(self, x: TensorType) -> tuple[int, ...]:
        return tuple(range(2, x.rank))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), ((2, 20, 4, 5), (20,), (20,)))
        yield Sample(cls(1e-3), ((1, 3, 17), (3,), (3,)))


@dataclass(frozen=True)
class GroupNormalization(Standardizing):
    """Each of `groups` equal groups of channels of each image by its own statistics.

    Inputs: x (N, C, …), scale (C,), bias (C,).
    """

    groups: int
    epsilon: float = 1e-5

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        expect_count(self, inputs, 3)
        x, scale, bias = inputs
        _expect_per_channel(x, {"scale": scale, "bias": bias}, "group normalisation")
        if type(self.groups) is not int or self.groups < 1 or x.shape[1] % self.groups:
            raise ShapeError(f"groups={self.groups!r} does not divide the {x.shape[1]} channels")
        return (x,)

    def view(self, x: TensorType) -> tuple[int, ...]:
        return (x.shape[0], self.groups, x.shape[1] // self.groups, *x.shape[2:])

    def axes(self, x: TensorType) -> tuple[int, ...]:
        return tuple(range(2, x.rank + 1))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(4), ((2, 20, 4, 5), (20,), (20,)))
        yield Sample(cls(1, 1e-3), ((1, 6, 7), (6,), (6,)))
        yield Sample(cls(3), ((2, 6), (6,), (6,)))


@dataclass(frozen=True)
class LayerNormalization(Standardizing):
    """All axes from `axis` on together. Inputs: x, scale and perhaps bias, which broadcast to these axes."""

    axis: int = -1
    epsilon: float = 1e-5

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        expect_count(self, inputs, 2, 3)
        x, *vectors = inputs
        inner = x.shape[axis_of(self.axis, x.rank) :]
        for what, vector in zip(("scale", "bias"), vectors, strict=False):
            padded = (1,) * (len(inner) - vector.rank) + vector.shape
            if len(padded) > len(inner) or any(n not in (1, m) for n, m in zip(padded, inner, strict=True)):
                raise ShapeError(f"{what} of shape {vector.shape} does not broadcast to {inner}")
        return (x,)

    def axes(self, x: TensorType) -> tuple[int, ...]:
        return tuple(range(axis_of(self.axis, x.rank), x.rank))

    def aligned(self, x: TensorType, vector: TensorType) -> tuple[int, ...]:
        return tuple(range(x.rank - vector.rank, x.rank))

    def images(self, *ranks: int) -> tuple[bool, ...] | None:
        return None if axis_of(self.axis, ranks[0]) == 0 else super().images(*ranks)

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(), ((2, 5, 20), (20,), (20,)))
        yield Sample(cls(1, 1e-3), ((2, 3, 4, 5), (3, 4, 5), (3, 1, 1)))
        yield Sample(cls(-2), ((1, 2, 3, 17), (3, 17)))
