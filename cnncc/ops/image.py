"""Pictures: from what cameras and decoders give to what networks compute with."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..computation import ComputationNode, Lowering, Permute, Pointwise, RowMajorReshape
from ..elements import FLOAT32, UINT8
from ..errors import ShapeError
from ..expr import Arg, multiply_add
from ..op import Cost, Sample, expect_count, rounded
from ..types import Array, TensorType
from .images import WithParameters


@dataclass(frozen=True)
class ImageToTensor(WithParameters):
    """A picture as a tensor of floats (N, C, spatial…): x · factor + shift, with a number of each for a channel.

    x is of floats or bytes, (N, C, spatial…) or with `channels_last` (N, spatial…, C). factor and shift, each (C,),
    are both there or both missing. It is the way of bytes into a network; Cast, too, makes numbers of them.
    """

    channels_last: bool = False

    takes = (FLOAT32, UINT8)
    mixed = True

    def axes(self, rank: int) -> tuple[int, ...]:
        """Where each axis of the result comes from."""
        return (0, rank - 1, *range(1, rank - 1)) if self.channels_last else tuple(range(rank))

    def infer(self, *inputs: TensorType) -> tuple[TensorType, ...]:
        expect_count(self, inputs, 1, 3)
        x, *scaling = inputs
        if x.rank < 2:
            raise ShapeError(f"a picture has at least images and channels, got {x}")
        if len(scaling) == 1:
            raise ShapeError("ImageToTensor takes factor and shift together, got one of them")
        channels = x.shape[-1 if self.channels_last else 1]
        for what, vector in zip(("factor", "shift"), scaling, strict=False):
            if vector.shape != (channels,):
                raise ShapeError(f"{what} of shape {vector.shape}, expected ({channels},)")
        return (TensorType(tuple(x.shape[axis] for axis in self.axes(x.rank)), FLOAT32),)

    def reference(self, *inputs: Array) -> tuple[Array, ...]:
        x, *scaling = (array.astype(np.float64) for array in inputs)
        x = x.transpose(self.axes(x.ndim))
        with np.errstate(all="ignore"):
            if scaling:
                factor, shift = (vector.reshape(1, -1, *(1,) * (x.ndim - 2)) for vector in scaling)
                x = x * factor + shift
            return (np.ascontiguousarray(rounded(x)),)

    def cost(self, *inputs: TensorType) -> Cost:
        size = math.prod(inputs[0].shape)
        return Cost(flops=2 * size) if len(inputs) == 3 else Cost(moved=size)

    def lower(self, *inputs: TensorType) -> Lowering:
        """A view of the picture with its axes where they belong (bytes become floats as they are read), then scaled.

        Floats with their axes in place need no view.
        """
        (out,) = self.infer(*inputs)
        pieces, x = [], 0
        if len(inputs) == 1 or inputs[0] != out:
            view = Permute(self.axes(out.rank)) if self.channels_last else RowMajorReshape()
            pieces, x = [ComputationNode(view, (0,), out)], len(inputs)
        if len(inputs) == 3:
            affine = Pointwise(multiply_add(Arg(0), Arg(1), Arg(2)), (tuple(range(out.rank)), (1,), (1,)))
            pieces.append(ComputationNode(affine, (x, 1, 2), out))
        return Lowering(tuple(pieces), (len(inputs) + len(pieces) - 1,))

    @classmethod
    def samples(cls) -> Iterator[Sample]:
        yield Sample(cls(True), ((2, 5, 7, 3), (3,), (3,)))
        yield Sample(cls(True), ((1, 6, 4, 1),))
        yield Sample(cls(), ((2, 3, 5, 6), (3,), (3,)))
        yield Sample(cls(), ((1, 2, 9),))
        yield Sample(cls(True), ((1, 19), (19,), (19,)))
